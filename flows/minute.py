"""Takes in landed files, learns the new events and publishes the lists that change; ends at once if there is no news and no stale list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

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
        with locks.publishing_turn(settings.home, TURN_WAIT_S) as mine, lake.explained():
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
            with after_landing(settings, tables):
                with timed("read"):
                    work = look(settings, tables)
                if work is None or (work.is_empty and mine.is_clean):  # what landed was known or refused
                    return None
                return minute_work.learn_and_publish(settings, tables, models, mine, work)
    except locks.BusyError as error:
        get_run_logger().info("%s", error)
        return None


@contextmanager
def after_landing(settings: Settings, tables: lake.Lake) -> Iterator[None]:
    """Empty the landing folder before the block. Where a file did not get in, the block works with what did, and the error follows it."""
    try:
        empty_landing(settings, tables, wait_s=INGEST_WAIT_S)
    except (UserError, OSError, duckdb.Error) as error:
        get_run_logger().warning("the landing folder needs a look; this minute goes on, and fails at its end: %s", error)
        yield
        raise
    yield


def look(settings: Settings, tables: lake.Lake) -> feed.Work | None:
    """The work that waits now; None before the first publish."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return feed.look_for_work(tables, settings.ingest.event_weights, settings.model.max_events, settings.publish, now)


if __name__ == "__main__":
    minute()
