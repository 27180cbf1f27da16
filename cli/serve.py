"""`minutehand serve`: the HTTP API."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from cli.lake import lake_of, registry_of
from cli.output import say

if TYPE_CHECKING:
    from serving.keys import Keys
    from settings import Settings
    from tasks.lake import Lake

KEEP_ALIVE_S = 75
"""Longer than proxies such as nginx keep a connection, so that a request does not meet one that was just closed."""
SWITCH_S = 0.0005
"""How long a thread may keep the interpreter while others wait. A ranking releases it about 200 times; with the usual 5 ms, each time could
cost 5 ms while another thread loads a publication."""


def serve(
    host: Annotated[str | None, typer.Option(help="Address of the API [MINUTEHAND_SERVER__API_HOST]", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the API [MINUTEHAND_SERVER__API_PORT]", min=1, max=65535, show_default=False)
    ] = None,
) -> None:
    """Answer requests over HTTP: recommendations that know an event milliseconds after it was posted."""
    from settings import load

    settings = load()
    server = settings.server
    server = server.model_copy(update={"api_host": host or server.api_host, "api_port": port or server.api_port})
    run(settings.model_copy(update={"server": server}))


def run(settings: Settings) -> None:
    """Serve until a signal. Raises UserError if the API cannot start, with the reason."""
    from filelock import Timeout

    from cli.environment import find_up, serve_lock
    from cli.up.ports import holder, is_free
    from models.errors import UserError
    from serving.keys import Keys

    server = settings.server
    lake = lake_of(settings)
    keys = Keys(settings.home, settings.home_access)
    demand_keys(settings, keys)
    if not is_free(server.api_host, server.api_port):
        remedy = "stop that, or set another with --port or MINUTEHAND_SERVER__API_PORT"
        raise UserError(f"port {server.api_port} is held by {holder(server.api_port)}; {remedy}")
    try:
        with serve_lock(settings.home).acquire(timeout=0):
            _serve(settings, lake, keys)
    except Timeout as error:
        running = find_up(settings.home)
        where = f" at {running.api_url}, started by `minutehand up`" if running and running.api_url else ""
        remedy = "use that one, or stop it, or choose another MINUTEHAND_HOME"
        raise UserError(f"the API of {settings.home} runs already{where}; {remedy}") from error


def _serve(settings: Settings, lake: Lake, keys: Keys) -> None:
    import uvicorn

    from serving.admission import admitted
    from serving.app import create_app
    from serving.connections import Impatient, make_room
    from serving.live import Live
    from serving.segments import Segments
    from tasks import process
    from tasks.ingest.arrivals import bucket_of
    from tasks.ingest.landing import open_landing
    from tasks.lake import migrate
    from tasks.privacy.border import establish
    from tasks.privacy.common_keys import demand_common_keys

    server = settings.server
    migrate(lake)
    demand_common_keys(lake)
    lake = replace(lake, threads=1)  # a publication is loaded next to requests
    process.use_threads(settings.threads or 1)  # one list is too little work to divide: a second thread only adds to the slowest answers
    sys.setswitchinterval(SWITCH_S)
    landing = open_landing(settings.ingest, settings.home)
    segments = Segments(settings.home.resolve() / "serving" / "events", landing, bucket_of(settings.ingest, settings.store))
    live = Live.start(
        lake,
        partial(registry_of, settings),
        settings.encoder,
        settings.ingest.event_weights,
        settings.model.max_events,
        segments,
        settings.home,
        establish(lake, settings.ingest),
    )
    live.published.warm_up()
    process.give_back_memory()
    app = admitted(create_app(live, settings.ingest), server, keys, is_open=server.is_api_open)
    make_room()
    say(f"model version {live.published.version} is ready at {server.api_url}", err=True)
    uvicorn.run(
        app,
        host=server.api_host,
        port=server.api_port,
        http=Impatient,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=KEEP_ALIVE_S,
    )


def demand_keys(settings: Settings, keys: Keys) -> None:
    """Raises UserError if other machines could ask the API without a key, or if the keys of before are gone."""
    from models.errors import UserError

    known = keys.all()
    if settings.server.is_api_open and not known:
        raise UserError(
            f"at {settings.server.api_host} other machines could ask the API, and it has no keys; add one first: minutehand keys add read"
        )
