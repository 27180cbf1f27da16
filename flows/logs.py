"""What a run says in its log: the project's own progress, and no traceback for what the user can mend."""

from __future__ import annotations

import logging

from models.errors import UserError

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


def is_news(record: logging.LogRecord) -> bool:
    """False for the traceback of an error that the user can mend: the run's final state, logged next, has its message."""
    return not (record.exc_info and isinstance(record.exc_info[1], UserError))
