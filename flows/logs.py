"""What a run says in its log: the project's own progress, and no traceback for what the user can mend."""

from __future__ import annotations

import logging
import sys
from types import TracebackType

from models.errors import UserError
from tasks.lake import is_disk_full

OWN = "minutehand"


def speak() -> None:
    """Let the project's loggers speak in the logs of Prefect's runs; whoever imports a flow has Prefect's logging set up already.

    PREFECT_LOGGING_EXTRA_LOGGERS would give them Prefect's handler, but not its level, and would have to be set for every worker.
    """
    own = logging.getLogger(OWN)
    own.setLevel(logging.getLogger("prefect").level or logging.INFO)
    for handler in logging.getLogger("prefect.extra").handlers:
        own.addHandler(handler)
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(is_news)
    sys.excepthook = tell


def is_news(record: logging.LogRecord) -> bool:
    """False for the traceback of an error that the user can mend: the run's final state, logged next, has its message."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, UserError) or (isinstance(error, Exception) and is_disk_full(error)))


def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """How a process ends that nobody else watches, such as `python -m flows.maintain`: in one line, if the user can mend it."""
    if isinstance(error, UserError):
        print(f"error: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
