"""`minutehand doctor`: what is wrong with this installation, and how to fix it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.findings import Finding, split
from cli.services import check_services
from cli.stores import check_lake, check_models

if TYPE_CHECKING:
    from pathlib import Path

    from settings import Settings

GIB = 1 << 30
WHY = {
    "duckdb": "the extension wheels fit exactly one version",
    "fastapi": "Prefect's server does not start with later versions",
    "sqlalchemy": "with 2.1 no Prefect schedule ever fires",
}


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
        return Finding("home", "bad", *split(str(error)))
    return Finding("home", "ok", str(settings.home.resolve()))


def check_access(settings: Settings) -> Iterator[Finding]:
    """Whether other users of this machine can read the lake and the MLflow store."""
    from pathlib import Path

    from tasks.access import OTHERS
    from tasks.store import is_remote

    if settings.home_access == "group":
        yield Finding("access", "ok", "the owner and the group, by MINUTEHAND_HOME_ACCESS")
        return
    home = settings.home.resolve()
    folders = [home / "lake", home / "mlflow"] if home.stat().st_mode & OTHERS else []
    if settings.lake.data_path and not is_remote(settings.lake.data_path):
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
    from tasks.store import is_remote

    catalog = "postgres_scanner" if settings.lake.catalog.startswith("postgres") else "sqlite_scanner"
    in_store = ("httpfs",) if is_remote(settings.lake.data_path) else ()
    for name in ("ducklake", catalog, *in_store):
        con = duckdb.connect(config=NOTHING_FETCHED)
        try:
            load_extension(con, name)
            yield Finding(f"duckdb {name}", "ok", "from its wheel" if extension_path(name) else "installed by DuckDB")
        except LakeError as error:
            yield Finding(f"duckdb {name}", "bad", *split(str(error)))
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
        yield Finding("encoder", "bad", *split(str(error)))
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
        yield Finding("secret", "bad", *split(str(error)))
        return
    readers = "its owner alone" if settings.home_access == "owner" else "the owner and the group"
    yield Finding("secret", "ok", f"{secret_file(settings.home)}, readable by {readers}")


def check_disk(settings: Settings) -> Iterator[Finding]:
    import shutil

    home = settings.home.resolve()
    free = shutil.disk_usage(home).free / GIB
    state: Literal["ok", "warn", "bad"] = "ok" if free >= 5 else "warn" if free >= 1 else "bad"
    yield Finding("disk", state, f"{free:,.1f} GiB free", "" if state == "ok" else "make room, or set MINUTEHAND_HOME to a larger disk")


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
    check_services,
    check_lake,
    check_models,
)


def _n_processors() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
