"""Takes in landed files, learns the new events and publishes the lists that change; ends at once if there is no news and no stale list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import duckdb
from prefect import flow, get_run_logger

from flows import logs
from flows.ingest import empty_landing, is_waiting
from flows.run_names import name_moment
from flows.stages import timed
from models.errors import UserError
from settings import Settings, load
from tasks import lake, locks
from tasks.minute import feed

logs.speak()
INGEST_WAIT_S = 30.0
"""How long a minute waits for an ingest in flight, so that it can learn the events of that ingest."""
TURN_WAIT_S = 30.0
"""How long a minute waits for another publisher: otherwise the hand-over of a night would cost the minute that begins during it."""


@flow(name="minute", flow_run_name=name_moment, description=__doc__)
@logs.printable_errors
def minute() -> str | None:
    """One minute; returns the version that is live after it, None if there was nothing to do.

    Safe to run again after any interruption: events count as learnt once the lists that they change are published.
    """
    settings = load()
    tables = replace(lake.locate(settings.lake, settings.home), threads=settings.threads)
    try:
        with failing_at_the_end() as attempt, locks.publishing_turn(settings.home, TURN_WAIT_S) as mine, lake.explained():
            lake.migrate(tables)
            work = look(settings, tables)
            if work is None:
                empty_landing(settings, tables, wait_s=INGEST_WAIT_S)
                get_run_logger().info("there are no lists yet to keep up to date; the first night makes them: minutehand nightly")
                return None
            if work.is_empty and mine.is_clean and not is_waiting(settings):
                return None
            with timed("load"):  # for seconds, so before the news are read: events that come in meanwhile are learnt in this minute
                from flows import minute_work

                models = minute_work.get_ready(settings)
            attempt(empty_landing, settings, tables, wait_s=INGEST_WAIT_S)
            with timed("read"):
                work = look(settings, tables)
            if work is None or (work.is_empty and mine.is_clean):  # what landed was known or refused
                return None
            return minute_work.learn_and_publish(settings, tables, models, mine, work)
    except locks.BusyError as error:
        get_run_logger().info("%s", error)
        return None


@contextmanager
def failing_at_the_end() -> Iterator[Callable[..., None]]:
    """Gives a call whose failure is logged at once and raised when the block has ended, and with it the turn to publish.

    A landed file that did not get in must fail the run, but not stop what the run learns from the others; and a run that has done all
    its work must not look like one that was killed.
    """
    failures: list[Exception] = []

    def attempt(call: Callable[..., None], *given: Any, **named: Any) -> None:
        try:
            call(*given, **named)
        except (UserError, OSError, duckdb.Error) as error:
            get_run_logger().warning("the landing folder needs a look; this minute goes on, and fails at its end: %s", error)
            failures.append(error)

    yield attempt
    for error in failures:
        raise error


def look(settings: Settings, tables: lake.Lake) -> feed.Work | None:
    """The work that waits now; None before the first publish."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return feed.look_for_work(tables, settings.ingest.event_weights, settings.model.max_events, settings.publish, now)


if __name__ == "__main__":
    minute()
