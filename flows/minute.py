"""Takes in what landed, learns what just happened and publishes what changes; ends at once where nothing happened and no list is old."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import duckdb
from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows import logs
from flows.ingest import empty_landing, is_waiting
from models.errors import UserError
from settings import Settings, load
from tasks import lake, locks, reading
from tasks.minute import feed

if TYPE_CHECKING:
    from tasks.registry.day_run import Day
    from tasks.registry.versions import Registry, Version

logs.speak()
INGEST_WAIT_S = 30.0
"""How long a minute waits for an ingest under way, so that it can learn what comes of it."""
TURN_WAIT_S = 30.0
"""How long a minute waits for whoever is publishing: the hand-over of a night would otherwise cost the minute that begins during it."""


@flow(name="minute", description=__doc__)
def minute() -> str | None:
    """One minute; gives the version that is live after it, None where there was nothing to do.

    Safe to run again after any interruption: events count as learnt once the lists that follow from them are published.
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
            models = get_ready(settings)
            with after_landing(settings, tables):
                work = look(settings, tables)
                if work is None or (work.is_empty and mine.is_clean):  # what landed was known or refused
                    return None
                return learn_and_publish(settings, tables, models, mine, work)
    except locks.BusyError as error:
        get_run_logger().info("%s", error)
        return None


@contextmanager
def after_landing(settings: Settings, tables: lake.Lake) -> Iterator[None]:
    """Empty the landing folder before the block; where that fails, the block works with what is in the lake, and the error follows it."""
    try:
        empty_landing(settings, tables, wait_s=INGEST_WAIT_S)
    except (UserError, OSError, duckdb.Error) as error:
        get_run_logger().warning("the landing folder could not be emptied; this minute goes on without, and fails at its end: %s", error)
        yield
        raise
    yield


def look(settings: Settings, tables: lake.Lake) -> feed.Work | None:
    """What there is to do now."""
    return feed.look_for_work(tables, settings.ingest.event_weights, settings.model.max_events, settings.publish, _now())


def get_ready(settings: Settings) -> Registry:
    """Load torch and MLflow, which a run without work does without, and open the registry.

    This takes seconds, and so comes before the news are read: what happens meanwhile is learnt in this minute and not in the next.
    """
    from flows import learning  # noqa: F401
    from tasks import process
    from tasks.registry import versions

    process.use_threads(settings.threads)
    return versions.open_registry(settings.tracking_uri, settings.registry.model_name, settings.home.resolve() / "mlflow" / "artifacts")


def learn_and_publish(settings: Settings, tables: lake.Lake, models: Registry, mine: locks.Turn, work: feed.Work) -> str:
    """Mend, encode, predict, learn, register, rank, publish, report."""
    from tasks.publish import pointer
    from tasks.registry import day_run, increments

    live = pointer.live_version(tables) or ""
    for text in increments.reconcile_live(models, live, partial(pointer.is_published, tables)).told:
        get_run_logger().warning(text)
    version, champion = increments.find_live(models, live)
    today = datetime.now(UTC).date()
    day_run.close_days(models, tables, today)
    day = day_run.open_day(models, today, champion.version)
    if not work.is_empty:
        version = update(settings, tables, mine, work, day, version, champion)
    increments.publish_alias(models, version.version)
    day.metrics(day_run.read_minutes(tables, day.missing_since()))
    increments.prune_increments(models, settings.registry.keep_increments, version.version)
    return version.version


def update(
    settings: Settings,
    tables: lake.Lake,
    mine: locks.Turn,
    work: feed.Work,
    day: Day,
    live: Version,
    champion: Version,
) -> Version:
    """Predict the new events, learn what is due, and publish; gives the version that is live then."""
    from flows.learning import learn_news, learn_nothing, stage
    from tasks import encoding
    from tasks.minute import feed, pacing, steps
    from tasks.publish import minute, publication
    from tasks.registry import increments

    marks, news, refresh = work.marks, work.news, work.refresh
    if not news.items.is_empty():
        stage("encode-items", encoding.encode_changed_items)(tables, settings.encoder, progress=False)
    if news.is_empty:
        done = learn_nothing(settings, tables, live, champion, marks, news)
    else:
        done = learn_news(settings, tables, mine.folder / "checkpoint", day, live, champion, marks, news)
    state, learnt, version, verdict = done.state, done.learnt, done.version, done.learnt.verdict
    beside = pacing.users_to_refresh(tables, steps.moved(state, learnt), refresh, exclude=state.step.user_ids)
    others = feed.read_histories(tables, beside.user_ids, settings.ingest.event_weights, settings.model.max_events)
    lists = stage("rank", steps.rank)(state, learnt, others, settings.publish)
    made = publication.Provenance(version.version, version.run_id, str(runtime.flow_run.id), news.snapshot, _now())
    stage("publish", minute.publish_minute)(
        tables,
        learnt.checkpoint.catalog.item_ids,
        lists.users,
        lists.fallback,
        (lists.similar_of, lists.similar),
        state.news,
        beside,
        settings.model.max_events,
        made,
        watermarks_before=marks,
        watermarks_after=done.after,
        champion=champion.version,
        prequential=done.predicted,
        versions={"live": live.version, "nightly": champion.version},
    )
    text = increments.told(version, verdict, done.predicted, len(lists.users.user_ids))
    get_run_logger().log(logging.INFO if verdict.passed else logging.WARNING, text)
    create_markdown_artifact(text, key="minute-report", description="What the minute learnt")
    waits = reading.freshness_by_hour(tables)
    create_table_artifact(table=waits, key="freshness", description="Seconds from what users did to the lists that know it")
    return version


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


if __name__ == "__main__":
    minute()
