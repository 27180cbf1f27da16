"""What `minutehand doctor` finds in the services of a large installation: which answer, with which rights, and how fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from cli.findings import Finding, split

if TYPE_CHECKING:
    from settings import Settings
    from tasks.config import StoreConfig

Found = TypeVar("Found")
WAIT_S = 5.0
"""Time limit for an answer."""
PROBE = b"written by minutehand doctor, which deletes it at once\n"
NO_ANSWER = "start it, or correct the address"


def check_services(settings: Settings) -> Iterator[Finding]:
    """The services that the settings name; nothing for an installation of one machine."""
    import os

    os.environ.setdefault("PGCONNECT_TIMEOUT", f"{WAIT_S:.0f}")
    if settings.lake.catalog.startswith("postgres"):
        yield _catalog(settings.lake.catalog)
    yield from _object_stores(settings)
    if settings.tracking_uri.startswith(("http:", "https:")):
        yield _mlflow(settings.tracking_uri)
    url = os.environ.get("PREFECT_API_URL", "")
    if url and not _is_own(settings, url):
        yield _prefect(url)


def _catalog(address: str) -> Finding:
    """Whether PostgreSQL lets this user create tables."""
    import duckdb

    from models.errors import without_secrets
    from tasks.lake import NOTHING_FETCHED, LakeError, load_extension, one_line, quote, statement

    def ask() -> tuple[str, bool, bool, bool]:
        with duckdb.connect(config=NOTHING_FETCHED) as con:
            load_extension(con, "postgres_scanner")
            con.execute(f"attach {quote(address.removeprefix('postgres:'))} as catalog (type postgres, read_only)")
            row = con.execute(f"from postgres_query('catalog', {quote(statement('lake/rights'))})").fetchone()
            assert row is not None
            return row[0], row[1], row[2], row[3]

    try:
        seconds, (user, may_read, may_create, is_replica) = _timed(ask)
    except (duckdb.Error, LakeError) as error:
        reason = without_secrets(one_line(str(error)))
        return Finding("lake catalog", "bad", reason, f"check MINUTEHAND_LAKE__CATALOG and the database; {NO_ANSWER}")
    if is_replica:
        return Finding(
            "lake catalog", "bad", "PostgreSQL is a replica, which takes no writes", "name the primary by MINUTEHAND_LAKE__CATALOG"
        )
    if not (may_read and may_create):
        return Finding(
            "lake catalog",
            "bad",
            f"{user} may not create tables",
            f"let its owner run: grant usage, create on schema public to {user}",
        )
    return Finding("lake catalog", "ok", f"PostgreSQL answers in {seconds * 1000:.0f} ms; {user} may read and create tables")


def _object_stores(settings: Settings) -> Iterator[Finding]:
    """One line for each address in an object store."""
    from tasks.store import is_remote

    named = (("lake files", settings.lake.data_path), ("artifacts", settings.registry.artifacts), ("landing", settings.ingest.landing))
    for name, address in named:
        if is_remote(address):
            yield _object_store(name, address, settings.store)


def _object_store(name: str, address: str, config: StoreConfig) -> Finding:
    """Whether objects can be listed, written, read and deleted below an address."""
    from tasks import store

    place = store.place_of(address, config.model_copy(update={"timeout_s": min(config.timeout_s, WAIT_S)}))
    assert isinstance(place, store.Bucket)
    probe, times = f".minutehand-doctor-{uuid4().hex}", {}
    steps: dict[str, Callable[[], object]] = {
        "list": lambda: next(store.entries(place), None),
        "write": lambda: store.write(place, probe, PROBE),
        "read": lambda: store.read(place, probe),
        "delete": lambda: store.delete(place, [probe]),
    }
    try:
        store.access_of(place)  # imports boto3, which takes longer than an answer
    except store.StoreError as error:
        return Finding(name, "bad", *split(str(error)))
    for step, do in steps.items():
        try:
            times[step], found = _timed(do)
        except store.StoreError as error:
            what, remedy = split(str(error))
            return Finding(name, "bad", f"cannot {step}: {what}", remedy)
        if step == "read" and found != PROBE:
            return Finding(name, "bad", f"{place} does not give back what was written", "use a store that is consistent, as S3 is")
    shown = ", ".join(f"{step} {seconds * 1000:.0f} ms" for step, seconds in times.items())
    return Finding(name, "ok", f"{place}: {shown}")


def _mlflow(uri: str) -> Finding:
    """Whether the MLflow server answers this user."""
    import os

    from models.errors import without_secrets

    user, token = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_TOKEN")
    login = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}" if user else ""
    answer = _ask(f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1", login=login, token=token or "")
    return _answered("mlflow server", without_secrets(uri), answer, "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")


def _prefect(url: str) -> Finding:
    """Whether the Prefect server answers this user."""
    import os

    from models.errors import without_secrets

    login, key = os.environ.get("PREFECT_API_AUTH_STRING", ""), os.environ.get("PREFECT_API_KEY", "")
    answer = _ask(f"{url.rstrip('/')}/flows/count", login=login, token=key, body=b"{}")
    return _answered("prefect server", without_secrets(url), answer, "PREFECT_API_AUTH_STRING or PREFECT_API_KEY")


def _answered(name: str, shown: str, answer: tuple[float, int | str], secrets: str) -> Finding:
    seconds, status = answer
    if status == 200:
        return Finding(name, "ok", f"{shown} answers this user in {seconds * 1000:.0f} ms")
    if status in (401, 403):
        return Finding(name, "bad", f"{shown} refuses this user ({status})", f"set {secrets}")
    return Finding(name, "bad", f"{shown} does not answer as it should: {status}", NO_ANSWER)


def _ask(url: str, *, login: str = "", token: str = "", body: bytes | None = None) -> tuple[float, int | str]:
    """Seconds until the answer, and its status; the reason if there is none. login: user:password."""
    import base64
    from urllib.error import HTTPError, URLError
    from urllib.parse import urlsplit, urlunsplit
    from urllib.request import Request, urlopen

    parts = urlsplit(url)
    if parts.username:
        login = f"{parts.username}:{parts.password or ''}"
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    headers = {"Content-Type": "application/json"}
    if login:
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    elif token:
        headers["Authorization"] = f"Bearer {token}"

    def get() -> int | str:
        try:
            with urlopen(Request(url, data=body, headers=headers), timeout=WAIT_S) as response:
                return int(response.status)
        except HTTPError as error:
            error.close()
            return error.code
        except (URLError, OSError, ValueError) as error:
            return str(getattr(error, "reason", error))

    return _timed(get)


def _is_own(settings: Settings, url: str) -> bool:
    """Whether a URL is that of the Prefect server of this home, which another check looks at."""
    from cli.environment import find_up

    running = find_up(settings.home)
    return running is not None and url == running.prefect_api_url


def _timed(do: Callable[[], Found]) -> tuple[float, Found]:
    """Seconds that a call took, and its result."""
    import time

    began = time.perf_counter()
    found = do()
    return time.perf_counter() - began, found
