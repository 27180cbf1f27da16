"""`minutehand serve`: the HTTP API."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from cli.lake import lake_of, registry_of
from cli.output import say


def serve(
    port: Annotated[int, typer.Option(help="Port of the API", min=1, max=65535)] = 8000,
) -> None:
    """Answer requests over HTTP on this machine: recommendations that know an event milliseconds after it was posted."""
    import uvicorn

    from serving.app import create_app
    from serving.guard import Guard
    from serving.live import Live
    from serving.segments import Segments
    from settings import load
    from tasks import process
    from tasks.ingest.landing import open_landing
    from tasks.lake import migrate

    settings = load()
    lake = lake_of(settings)
    migrate(lake)
    process.use_threads(settings.threads)
    landing = open_landing(settings.ingest, settings.home)
    segments = Segments(settings.home.resolve() / "serving" / "events", landing)
    live = Live.start(
        lake, partial(registry_of, settings), settings.encoder, settings.ingest.event_weights, settings.model.max_events, segments
    )
    live.published.checkpoint.scorer().vectors  # noqa: B018  the first request shall not pay for it
    say(f"model version {live.published.version} is ready at http://127.0.0.1:{port}", err=True)
    app = Guard(create_app(live, settings.ingest), settings.server.accepted_hosts)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, server_header=False)
