"""What a run says in its log: the project's own progress, and no traceback for what the user can mend."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import ParamSpec, TypeVar

from models.errors import UserError, error_text, without_secrets
from models.visible import visible
from tasks.lake import is_disk_full

P = ParamSpec("P")
R = TypeVar("R")
OWN = "minutehand"
FORMATTER = logging.Formatter()


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
        logging.getLogger(name).addFilter(make_printable)
    for name in ("", "prefect.extra", "prefect.flow_runs", "prefect.task_runs"):
        for handler in logging.getLogger(name).handlers:
            handler.addFilter(make_printable)
    sys.excepthook = tell


def is_news(record: logging.LogRecord) -> bool:
    """False for the traceback of an error that the user can mend: the run's final state, logged next, has its message."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, UserError) or (isinstance(error, Exception) and is_disk_full(error)))


def make_printable(record: logging.LogRecord) -> bool:
    """Always True: every line goes on, without passwords and with control characters spelt out, its traceback included."""
    record.msg, record.args = _shown(record.getMessage()), None
    if record.exc_info and not record.exc_text:
        record.exc_text = _shown(FORMATTER.formatException(record.exc_info))
    return True


def printable_errors(work: Callable[P, R]) -> Callable[P, R]:
    """The work, whose errors Prefect can show: it puts the text of an error into the state of the run as it is."""

    @wraps(work)
    def call(*given: P.args, **named: P.kwargs) -> R:
        try:
            return work(*given, **named)
        except Exception as error:
            fit = _fit_to_show(error)
            if fit is error:
                raise
            raise fit from error

    return call


def _fit_to_show(error: Exception) -> Exception:
    """The error, without passwords and with control characters spelt out; another of its name where its text cannot be changed."""
    error.args = tuple(_shown(part) if isinstance(part, str) else part for part in error.args)
    text = str(error)
    if _shown(text) == text:
        return error
    kind = type(error)
    return type(kind.__name__, (Exception,), {"__module__": kind.__module__})(_shown(text))


def _shown(text: str) -> str:
    return visible(without_secrets(text))


def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print why a process ends that nobody else watches, such as `python -m flows.maintain`."""
    print(error_text(kind, error, trace), end="", file=sys.stderr)
