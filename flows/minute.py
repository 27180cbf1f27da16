"""Loads landed files, learns the new events and publishes the changed lists. Ends at once if there is no news and no stale list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import duckdb
from prefect import flow, get_run_logger

from flows import logs, priority
from flows.ingest import empty_landing, is_waiting
from flows.run_names import name_moment
from flows.stages import timed
from models.errors import UserError
from settings import Settings, load
from tasks import lake, locks
from tasks.erasure import progress
from tasks.minute import feed
from tasks.privacy.common_keys import demand_common_keys
from tasks.scenarios import load_scenarios

logs.speak()
priority.give_way()
INGEST_WAIT_S = 30.0
"""Seconds to wait for an ingest in flight, so that this run learns the events of that ingest."""
TURN_WAIT_S = 30.0
"""Seconds to wait for another publisher: without the wait, a run that begins during the publish of a night would be skipped."""


@flow(name="minute", flow_run_name=name_moment, description=__doc__)
@logs.printable_errors
def minute() -> str | None:
    """One minute run; returns the version that is live afterwards, None if there was nothing to do.

    Idempotent after any interruption: an event counts as learnt only when the lists that it changes are published.
    """
    settings = load()
    tables = replace(lake.locate(settings.lake, settings.home, settings.store), threads=settings.threads)
    version = run(settings, tables)
    if progress.is_due(tables, settings.home.resolve()):  # nothing waits to be learnt now, so that earlier snapshots may go
        from flows import erasing

        erasing.go_on(settings, tables)
    return version


def run(settings: Settings, tables: lake.Lake) -> str | None:
    """As `minute`, without erasures."""
    try:
        with failing_at_the_end() as attempt, locks.publishing_turn(tables, TURN_WAIT_S) as mine, lake.explained():
            lake.migrate(tables)
            demand_common_keys(tables)
            work = look(settings, tables)
            if work is None:
                empty_landing(settings, tables, wait_s=INGEST_WAIT_S)
                get_run_logger().info("there are no lists yet to keep up to date; the first night makes them: minutehand nightly")
                return None
            if work.is_empty and mine.is_clean and not is_waiting(settings):
                return None
            with timed("load"):  # loading takes seconds: load before the read, so that this run learns the events that arrive during it
                from flows import minute_work

                models = minute_work.get_ready(settings)
            attempt(empty_landing, settings, tables, wait_s=INGEST_WAIT_S)
            with timed("read"):
                work = look(settings, tables)
            if work is None or (work.is_empty and mine.is_clean):  # all landed rows were duplicates or refused
                return None
            return minute_work.learn_and_publish(settings, tables, models, mine, work)
    except locks.BusyError as error:
        get_run_logger().info("%s", error)
        return None


@contextmanager
def failing_at_the_end() -> Iterator[Callable[..., None]]:
    """Yields a function that runs a call, logs its failure at once, and raises the failure when the block has ended.

    A landed file that was not loaded must fail the run, but the run still learns from the other files. The failure is raised after the
    publishing lock is released, so that a finished run does not look like a killed one.
    """
    failures: list[Exception] = []

    def attempt(call: Callable[..., None], *given: Any, **named: Any) -> None:
        try:
            call(*given, **named)
        except (UserError, OSError, duckdb.Error) as error:
            get_run_logger().warning("the landing folder needs attention; this run continues, and fails at its end: %s", error)
            failures.append(error)

    yield attempt
    for error in failures:
        raise error


def look(settings: Settings, tables: lake.Lake) -> feed.Work | None:
    """The pending work; None before the first publish."""
    now = datetime.now(UTC).replace(tzinfo=None)
    scenarios = load_scenarios(settings.home)
    return feed.look_for_work(tables, settings.ingest.event_weights, settings.model.max_events, settings.publish, now, scenarios)


if __name__ == "__main__":
    minute()
