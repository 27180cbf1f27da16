"""Run logs: the project's own progress messages, and no traceback for errors that the user can fix."""

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
    """Send the project's log records to the Prefect run logs. Importing a flow has already set up Prefect's logging.

    PREFECT_LOGGING_EXTRA_LOGGERS would add Prefect's handler, but not its level, and would have to be set for every worker.
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
    """False for the traceback of an error that the user can fix: the run's final state, logged next, contains the message."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, UserError) or (isinstance(error, Exception) and is_disk_full(error)))


def make_printable(record: logging.LogRecord) -> bool:
    """Remove passwords and spell out control characters in the record and its traceback. Always True: no record is dropped."""
    record.msg, record.args = _shown(record.getMessage()), None
    if record.exc_info and not record.exc_text:
        record.exc_text = _shown(FORMATTER.formatException(record.exc_info))
    return True


def printable_errors(work: Callable[P, R]) -> Callable[P, R]:
    """Wrap the work so that its error texts are safe to show: Prefect copies them unchanged into the state of the run."""

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
    """The error without passwords and control characters; a new exception with the same class name if its text cannot be changed."""
    error.args = tuple(_shown(part) if isinstance(part, str) else part for part in error.args)
    text = str(error)
    if _shown(text) == text:
        return error
    kind = type(error)
    return type(kind.__name__, (Exception,), {"__module__": kind.__module__})(_shown(text))


def _shown(text: str) -> str:
    return visible(without_secrets(text))


def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the error that ends a process run on its own, such as `python -m flows.maintain`."""
    print(error_text(kind, error, trace), end="", file=sys.stderr)
