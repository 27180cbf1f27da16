"""`minutehand doctor`: what is wrong with this installation, and how to fix it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from settings import Settings
    from tasks.lake import Lake

GIB = 1 << 30
LOOK_S = 10.0
"""Time limit for checking files: enough for a small lake; in a large lake only the newest files are checked."""
N_DAMAGES = 5
SEND_HERE = "minutehand doctor"
BACKUP = (
    "restore it from a backup and leave the folder of the Parquet files as it is; without a backup, move the folder lake of the home "
    "away, as a whole, and take the events and items in again"
)
WHY = {
    "duckdb": "the extension wheels fit exactly one version",
    "fastapi": "Prefect's server does not start with later versions",
    "sqlalchemy": "with 2.1 no Prefect schedule ever fires",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    check: str
    state: Literal["ok", "warn", "bad"]
    found: str
    remedy: str = ""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print an array of objects")] = False) -> None:
    """Check versions, extensions, encoder, threads, ports, disk and stores; report each problem and how to fix it."""
    from cli.environment import prepare
    from cli.output import show
    from settings import load

    settings = load()
    writable = check_home(settings)
    findings = [writable]
    if writable.state != "bad":
        prepare(settings)
    for check in CHECKS if writable.state == "bad" else (*CHECKS, *CHECKS_OF_HOME):
        try:
            findings += check(settings)
        except ImportError as error:
            findings.append(Finding(check.__name__.removeprefix("check_"), "bad", str(error), "make setup"))
    show([asdict(finding) for finding in findings], as_json=as_json)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def check_home(settings: Settings) -> Finding:
    """Whether the home folder can be written to."""
    from cli.environment import check_writable
    from models.errors import UserError

    try:
        check_writable(settings.home)
    except UserError as error:
        return Finding("home", "bad", *_split(str(error)))
    return Finding("home", "ok", str(settings.home.resolve()))


def check_access(settings: Settings) -> Iterator[Finding]:
    """Whether other users of this machine can read the lake and the MLflow store."""
    from pathlib import Path

    from tasks.access import OTHERS

    if settings.home_access == "group":
        yield Finding("access", "ok", "the owner and the group, by MINUTEHAND_HOME_ACCESS")
        return
    home = settings.home.resolve()
    folders = [home / "lake", home / "mlflow"] if home.stat().st_mode & OTHERS else []
    if settings.lake.data_path:
        folders.append(Path(settings.lake.data_path))
    loose = [str(folder) for folder in folders if folder.is_dir() and folder.stat().st_mode & OTHERS]
    if loose:
        remedy = f"chmod -R go-rwx {' '.join(loose)}, or set MINUTEHAND_HOME_ACCESS=group"
        yield Finding("access", "warn", f"other users of this machine may read {', '.join(loose)}", remedy)
    else:
        yield Finding("access", "ok", "the owner alone")


def check_python(settings: Settings) -> Iterator[Finding]:
    import platform
    import sys

    fits = (3, 11) <= sys.version_info[:2] < (3, 13)
    yield Finding("python", "ok" if fits else "bad", platform.python_version(), "" if fits else "make setup PYTHON=/path/to/python3.11")


def check_packages(settings: Settings) -> Iterator[Finding]:
    """The installed versions against the bounds in pyproject.toml; one line if all fit, else one for each that does not."""
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(line) for line in requires("minutehand") or () if "extra ==" not in line]
    except PackageNotFoundError:
        yield Finding("packages", "bad", "minutehand is not installed", "make setup")
        return
    found = {}
    for requirement in wanted:
        try:
            found[requirement.name] = version(requirement.name)
        except PackageNotFoundError:
            yield Finding(f"package {requirement.name}", "bad", "not installed", f"pip install '{requirement}'")
    misfits = [need for need in wanted if need.name in found and not need.specifier.contains(found[need.name], prereleases=True)]
    for need in misfits:
        why = f" ({WHY[need.name]})" if need.name in WHY else ""
        yield Finding(f"package {need.name}", "bad", found[need.name], f"pip install '{need}'{why}")
    if not misfits and len(found) == len(wanted):
        shown = ", ".join(f"{name} {found[name]}" for name in ("duckdb", "prefect", "mlflow", "torch", "fastapi", "sqlalchemy"))
        yield Finding("packages", "ok", f"{len(wanted)} within bounds: {shown}")


def check_extensions(settings: Settings) -> Iterator[Finding]:
    import duckdb

    from tasks.lake import NOTHING_FETCHED, LakeError, extension_path, load_extension

    catalog = "postgres_scanner" if settings.lake.catalog.startswith("postgres") else "sqlite_scanner"
    for name in ("ducklake", catalog):
        con = duckdb.connect(config=NOTHING_FETCHED)
        try:
            load_extension(con, name)
            yield Finding(f"duckdb {name}", "ok", "from its wheel" if extension_path(name) else "installed by DuckDB")
        except LakeError as error:
            yield Finding(f"duckdb {name}", "bad", *_split(str(error)))
        finally:
            con.close()


def check_encoder(settings: Settings) -> Iterator[Finding]:
    """Whether the encoder is on this machine and is what it claims to be; fetches nothing."""
    from cli.environment import wants_hub
    from models.text.encoder import PACKAGES, EncoderError, check_weights, find_encoder

    name = settings.encoder.name
    if wants_hub(settings):
        yield Finding(
            "encoder", "warn", f"{name}, from the Hugging Face hub", "the first night fetches it; a local folder needs no network"
        )
        return
    try:
        files = find_encoder(settings.encoder)
        if name in PACKAGES:
            check_weights(files.folder, name)
    except EncoderError as error:
        yield Finding("encoder", "bad", *_split(str(error)))
        return
    yield Finding("encoder", "ok", f"{files.key}, sha256 as expected" if name in PACKAGES else f"{files.key} in {files.folder}")


def check_compute(settings: Settings) -> Iterator[Finding]:
    """Threads, bfloat16 and CUDA."""
    import torch

    from models.device import has_fast_bf16

    n_processors = _n_processors()
    n_threads = settings.threads or n_processors
    crowded = n_threads > n_processors
    remedy = "set MINUTEHAND_THREADS to 0 or at most the number of processors" if crowded else ""
    yield Finding("threads", "warn" if crowded else "ok", f"{n_threads} of {n_processors} processors", remedy)
    fast = has_fast_bf16(torch.device("cpu"))
    yield Finding("bfloat16", "ok", "this processor computes in it" if fast else "not on this processor: float32, about four times slower")
    if torch.cuda.is_available():
        yield Finding("cuda", "ok", torch.cuda.get_device_name())
    elif settings.train.device == "cuda":
        yield Finding(
            "cuda", "bad", "none, but MINUTEHAND_TRAIN__DEVICE=cuda", "set it to auto, or install a driver and a CUDA build of torch"
        )
    else:
        yield Finding("cuda", "ok", "none; the CPU will do")


def check_up(settings: Settings) -> Iterator[Finding]:
    """Whether the schedule runs, and whether its ports are free or its own."""
    from cli.environment import find_up, read_up
    from cli.up.ports import holder, is_free

    running = find_up(settings.home)
    left = read_up(settings.home)
    if running:
        yield Finding(
            "up", "ok", f"process {running.pid}: Prefect at {running.prefect_url}, MLflow at {running.mlflow_url or 'no address'}"
        )
    elif left:
        remedy = "the next `minutehand up` stops its leftover processes and starts again"
        yield Finding("up", "warn", f"was killed without warning as process {left.pid}", remedy)
    else:
        yield Finding("up", "ok", "not running; `minutehand up` starts the schedule")
    yield _api(settings)
    server = settings.server
    own = {running.prefect_url, running.mlflow_url} if running else set()
    if (running and running.api_url) or _is_serving(settings.home):
        own.add((running and running.api_url) or server.api_url)
    ports = [("prefect_port", server.host, server.prefect_port), ("mlflow_port", server.host, server.mlflow_port)]
    for name, host, port in (*ports, ("api_port", server.api_host, server.api_port)):
        if any(url and url.endswith(f":{port}") for url in own):
            yield Finding(f"port {port}", "ok", "held by this home")
        elif is_free(host, port):
            yield Finding(f"port {port}", "ok", "free")
        else:
            yield Finding(f"port {port}", "warn", f"held by {holder(port)}", f"stop that, or set MINUTEHAND_SERVER__{name.upper()}")


def _api(settings: Settings) -> Finding:
    """Whether the API of this home answers."""
    from cli.environment import find_up
    from cli.up.api_server import WAITS
    from cli.up.children import answers, tail

    running = find_up(settings.home)
    url = running.api_url if running else None
    log = settings.home.resolve() / "logs" / "api-server.log"
    if url is None and not _is_serving(settings.home):
        return Finding("api", "ok", "not running; `minutehand up` or `minutehand serve` starts it")
    url = url or settings.server.api_url
    if answers(f"{url}/health/live", 2.0):
        return Finding("api", "ok", f"answers at {url}")
    last = tail(log, 1).strip() if log.exists() else ""
    if last.startswith(WAITS):
        return Finding("api", "ok", last)
    return Finding("api", "warn", f"does not answer at {url}", f"look into {log}, where it says why" if running else "look at its output")


def _is_serving(home: Path) -> bool:
    """Whether an API of this home runs."""
    from filelock import Timeout

    from cli.environment import serve_lock

    try:
        with serve_lock(home).acquire(timeout=0):
            return False
    except Timeout:
        return True


def check_secret(settings: Settings) -> Iterator[Finding]:
    """Whether only the owner of the home can read the secret that the servers ask for."""
    from cli.secret import read_secret, secret_file
    from models.errors import UserError

    if not secret_file(settings.home).exists():
        yield Finding("secret", "ok", "not there yet; the first `minutehand up` makes it")
        return
    try:
        read_secret(settings.home, settings.home_access)
    except UserError as error:
        yield Finding("secret", "bad", *_split(str(error)))
        return
    readers = "its owner alone" if settings.home_access == "owner" else "the owner and the group"
    yield Finding("secret", "ok", f"{secret_file(settings.home)}, readable by {readers}")


def check_disk(settings: Settings) -> Iterator[Finding]:
    import shutil

    home = settings.home.resolve()
    free = shutil.disk_usage(home).free / GIB
    state: Literal["ok", "warn", "bad"] = "ok" if free >= 5 else "warn" if free >= 1 else "bad"
    yield Finding("disk", state, f"{free:,.1f} GiB free", "" if state == "ok" else "make room, or set MINUTEHAND_HOME to a larger disk")


def check_lake(settings: Settings) -> Iterator[Finding]:
    """Whether the lake opens, has all migrations and its own data folder, and whether its files can be read."""
    import duckdb

    from models.errors import UserError
    from tasks.data_folder import check_free
    from tasks.lake import SQL, has_catalog, locate, reading

    try:
        lake = locate(settings.lake, settings.home)
    except UserError as error:
        yield Finding("lake", "bad", *_split(str(error)))
        return
    try:
        if not has_catalog(lake):
            check_free(lake.folder, lake.shown_catalog)
            yield Finding("lake", "ok", "not there yet; the first ingest makes it")
            return
        with reading(lake) as con:
            applied = {name for (name,) in con.execute("select name from ops.migrations").fetchall()}
            (n_events,) = con.execute("select count(*) from raw.events").fetchone() or (0,)
    except duckdb.CatalogException:
        yield Finding("lake", "warn", "without tables: its first writer was stopped", "the next ingest makes them")
        return
    except (UserError, OSError, duckdb.Error) as error:
        yield _unreadable(lake, error)
        yield from _look_into_files(lake)
        return
    pending = sorted({file.stem for file in (SQL / "schema").glob("*.sql")} - applied)
    unknown = sorted(applied - {file.stem for file in (SQL / "schema").glob("*.sql")})
    if unknown:
        yield Finding("lake", "bad", f"made by a newer version: {', '.join(unknown)}", "update minutehand")
    elif pending:
        yield Finding("lake", "warn", f"without migrations {', '.join(pending)}", "the next ingest or nightly applies them")
    else:
        yield Finding("lake", "ok", f"{n_events:,} events, all {len(applied)} migrations")
    yield _whose_folder(lake)
    yield from _look_into_files(lake)


def _unreadable(lake: Lake, error: Exception) -> Finding:
    """Why the lake does not open. An error that sends the user to `minutehand doctor` gets a separate remedy."""
    from models.errors import UserError

    found, remedy = _split(str(error), BACKUP) if isinstance(error, UserError) else (str(error), BACKUP)
    if SEND_HERE in remedy and lake.is_sqlite:
        remedy = f"make {lake.catalog_file} and its folder readable and writable for this user; if the file is damaged, {BACKUP}"
    elif SEND_HERE in remedy:
        remedy = "start that database, or check the address and the password in MINUTEHAND_LAKE__CATALOG; if it has lost tables, restore it"
    return Finding("lake", "bad", found, remedy)


def _whose_folder(lake: Lake) -> Finding:
    """Whether the data folder is this catalog's."""
    from models.errors import UserError
    from tasks.data_files import LET_READ
    from tasks.data_folder import check_owner, read_mark
    from tasks.lake import identity, reading

    try:
        mark = read_mark(lake.folder)
        if mark is None:
            return Finding("data folder", "ok", f"{lake.folder} is not marked as this lake's yet; the next write does")
        with reading(lake) as con:
            check_owner(lake.folder, lake.catalog_file, identity(con), mark)
    except UserError as error:
        return Finding("data folder", "bad", *_split(str(error), BACKUP))
    except OSError as error:
        return Finding("data folder", "bad", str(error), LET_READ)
    return Finding("data folder", "ok", f"{lake.folder} belongs to this lake")


def _look_into_files(lake: Lake) -> Iterator[Finding]:
    """Whether every file that the catalog names is there and can be read; nothing where the catalog cannot name them."""
    import duckdb

    from models.errors import UserError
    from tasks.data_files import REMEDY
    from tasks.lake import examine

    try:
        done = examine(lake, LOOK_S)
    except (UserError, OSError, duckdb.Error):
        return
    summary = f"{done.n_checked:,} of {done.n_files:,} checked, {done.n_read:,} of them read in full"
    if not done.damages:
        yield Finding("lake files", "ok", summary)
        return
    for damage in done.damages[:N_DAMAGES]:
        yield Finding("lake files", "bad", damage.message, damage.remedy)
    if len(done.damages) > N_DAMAGES:
        yield Finding("lake files", "bad", f"{len(done.damages):,} damaged files in all; {summary}", REMEDY)


def check_models(settings: Settings) -> Iterator[Finding]:
    """Whether the store of runs and models opens."""
    import sqlite3
    from pathlib import Path

    from models.errors import without_secrets

    uri = settings.tracking_uri
    if not uri.startswith("sqlite:///"):
        yield Finding("mlflow store", "ok", f"{without_secrets(uri)}, not looked into")
        return
    path = Path(uri.removeprefix("sqlite:///"))
    if not path.exists() or path.stat().st_size == 0:
        yield Finding("mlflow store", "ok", "not there yet; the first night makes it")
        return
    try:
        con = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            (made,) = con.execute("select count(*) from sqlite_master where name = 'runs'").fetchone()
            n_runs = con.execute("select count(*) from runs").fetchone()[0] if made else 0
        finally:
            con.close()
    except sqlite3.Error as error:
        yield Finding(
            "mlflow store", "bad", f"{path}: {error}", "restore it from a backup, or delete it: the next night registers a first model"
        )
        return
    yield Finding("mlflow store", "ok", f"{n_runs} runs")
    yield from _look_into_versions(settings, path)


def _look_into_versions(settings: Settings, store: Path) -> Iterator[Finding]:
    """Whether the files of the model versions are those that were registered."""
    import sqlite3

    from tasks.registry.examination import examine_versions

    try:
        done = examine_versions(store, settings.registry.model_name, settings.home.resolve() / "mlflow" / "artifacts", LOOK_S)
    except sqlite3.Error as error:
        yield Finding("model versions", "warn", f"{store}: {error}", "look again when no night is starting")
        return
    for damage in done.damages:
        yield Finding("model versions", "bad" if damage.stops else "warn", damage.problem, damage.remedy)
    if not done.damages:
        yield Finding("model versions", "ok", f"{done.n_checked:,} of {done.n_versions:,} checked")


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_extensions,
    check_encoder,
    check_compute,
)
CHECKS_OF_HOME: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    check_access,
    check_up,
    check_secret,
    check_disk,
    check_lake,
    check_models,
)


def _n_processors() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _split(message: str, remedy: str = "") -> tuple[str, str]:
    """What was found and its remedy, from a message that says both."""
    found, _, advice = message.rpartition("; ")
    return (found, advice) if found else (message, remedy)
