"""The work of a minute run. This module loads torch and MLflow, so flows/minute.py imports it only if there is work."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import polars as pl
from prefect import get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows import arms
from flows.learning import Learning, learn_news, learn_nothing
from flows.registry import open_models
from flows.run_names import WORK, tag_run
from flows.stages import stage, timed
from models.text.encoder import find_encoder
from settings import Settings
from tasks import encoding, lake, locks, process, reading, searches
from tasks.experiments import current
from tasks.experiments.experiment import listed_users
from tasks.minute import feed, handover, pacing, steps
from tasks.publish import minute, past, pointer, publication, reason_texts
from tasks.registry import day_run, increments, promotion, versions
from tasks.scenarios import Places

FRESHNESS = (
    "Seconds until a user's list reflects their newest event. arrived: since the event reached the lake. happened: since the event "
    "happened, for users whose events reached the lake within an hour."
)


def get_ready(settings: Settings) -> versions.Registry:
    """Set the threads, and open the registry."""
    process.use_threads(settings.threads)
    return open_models(settings)


def learn_and_publish(settings: Settings, tables: lake.Lake, models: versions.Registry, mine: locks.Turn, work: feed.Work) -> str:
    """Repair, encode, predict, learn, register, rank, publish, report; returns the version that is live afterwards."""
    tag_run(WORK)
    published = pointer.live_version(tables) or ""
    live, champion = find_live(tables, models, published)
    if live.version != published:
        work = handover.learnt_again(tables, work, live, settings.ingest.event_weights, settings.model.max_events)
    with timed("day"):
        today = datetime.now(UTC).date()
        day_run.close_days(models, tables, today)
        day = day_run.open_day(models, today, champion.version)
    version = live if work.is_empty else update(settings, tables, models, mine, work, day, live, champion)
    with timed("alias"):
        increments.publish_alias(models, version.version)
        if work.experiment is not None:
            arms.follow_alias(models, current(tables))
            arms.stop_at_guard_rail(tables)
    with timed("log"):
        day.metrics(day_run.read_minutes(tables, day.missing_since()))
        if day.is_due(datetime.now(UTC).replace(tzinfo=None)):
            day.draw(day_run.read_minutes(tables, day.began))
    with timed("prune"):
        increments.prune_increments(models, settings.registry.keep_increments, version.version, spare=past.rollback_versions(tables))
    return version.version


def find_live(tables: lake.Lake, models: versions.Registry, published: str) -> tuple[versions.Version, versions.Version]:
    """Remove the leftovers of a killed minute run, then return the live version, or its replacement if it is damaged, and its champion."""
    with timed("reconcile"):
        promotion.follow(models, past.newest_promotion(tables))
        repaired = increments.reconcile_live(models, published, partial(pointer.is_published, tables))
    for text in repaired.messages:
        get_run_logger().warning(text)
    with timed("registry"):
        return increments.find_live(models, published)


def update(
    settings: Settings,
    tables: lake.Lake,
    models: versions.Registry,
    mine: locks.Turn,
    work: feed.Work,
    day: day_run.Day,
    live: versions.Version,
    champion: versions.Version,
) -> versions.Version:
    """Predict the new events, learn the due ones, and publish; returns the version that is live afterwards."""
    marks, news, began = work.marks, work.news, time.monotonic()
    if not news.items.is_empty() and encoding.is_encoder_of(live.checkpoint_folder, settings.encoder):
        stage("encode-items", encoding.encode_changed_items)(tables, settings.encoder, progress=False)
    if not news.has_news:
        done = learn_nothing(settings, tables, live, champion, marks, news)
    else:
        done = learn_news(settings, tables, mine.folder / "checkpoint", day, live, champion, marks, news)
    asked = encode_searches(settings, tables, done)
    audience = gather(settings, tables, work, done, asked)
    places = Places(tables, news.snapshot, work.scenarios)
    lists = stage("rank", steps.rank)(done.state, done.learnt, audience, settings.publish, places)
    lists, arm = arms.of_minute(settings, tables, models, mine, day, work, audience, lists, places, time.monotonic() - began)
    if settings.generator.minute_reasons:
        stage("word-reasons", reason_texts.word_reasons)(
            tables, done.learnt.checkpoint.catalog.item_ids, lists.users, news.snapshot, settings.generator, is_night=False
        )
    content = publication.Content(
        item_ids=done.learnt.checkpoint.catalog.item_ids,
        lists=lists.users,
        fallback=lists.fallback,
        neighbours=lists.similar,
        neighbours_of=lists.similar_of,
        max_events=settings.model.max_events,
        provenance=publication.Provenance(
            done.version.version, done.version.run_id, str(runtime.flow_run.id), news.snapshot, datetime.now(UTC).replace(tzinfo=None)
        ),
        champion=champion.version,
        seen_items=lists.seen_items,
        watermarks=done.after,
        news=done.state.news,
        prequential=done.predicted,
        versions={"live": live.version, "nightly": champion.version},
        interests=steps.interests(
            done.state, done.learnt, audience, settings.model.max_events, is_renewed=work.read_at != marks or news.is_again
        ),
        searches=None if asked is None else publication.Searched(asked, done.learnt.checkpoint.encoder),
        checkpoint=publication.Files(done.version.checkpoint_folder, done.version.digest),
        in_places=lists.in_places,
        rules=work.rules,
        barred=lists.barred,
        arm=arm,
    )
    stage("publish", minute.publish_minute)(tables, content, work.read_at, audience.to_refresh, settings.ingest.event_weights)
    report(tables, done, len(content.user_ids))
    return done.version


def encode_searches(settings: Settings, tables: lake.Lake, done: Learning) -> pl.DataFrame | None:
    """The new searches with their vectors, if the model can use them; None if there are none."""
    new, model = done.state.news.searches, done.learnt.checkpoint
    if new.is_empty() or model.words is None or model.encoder != find_encoder(settings.encoder).key:
        return None
    return stage("encode-searches", searches.encoded)(new, settings.encoder, model.encoder).last_of_each()


def gather(settings: Settings, tables: lake.Lake, work: feed.Work, done: Learning, asked: pl.DataFrame | None) -> steps.Audience:
    """Who gets a list besides the users with new events: who searched, hid an item or was merged, who has an old or stale list,
    and whose arm an experiment changes.
    """
    active, merged = done.state.step.user_ids, done.state.news.merged
    with timed("refresh"), lake.reading(tables) as con:
        searching = sorted({*merged["user_id"], *([] if asked is None else asked["user_id"])} - set(active))
        hiding = sorted({*work.rules.hiding} - {*active, *searching, *merged["alias"]})
        items = steps.affected_items(done.state, done.learnt, allows_others=work.rules.is_changed)
        to_refresh = pacing.users_to_refresh(con, items, work.refresh, exclude=[*active, *searching, *hiding, *merged["alias"]])
        if work.rules.is_changed and work.refresh.n_most:  # this publish may empty lists: the next run makes them again
            to_refresh = replace(to_refresh, is_settled=False)
        user_ids = [*searching, *hiding, *to_refresh.user_ids]
        if work.experiment is not None and work.experiment.is_due:
            known_already = {*active, *user_ids, *merged["alias"]}
            user_ids += [user for user in work.experiment.challengers(listed_users(con)) if user not in known_already]
        others = feed.read_histories(con, user_ids, settings.ingest.event_weights, settings.model.max_events)
        known = searches.last_searches(con, [*active, *user_ids], done.learnt.checkpoint.encoder)
    last = known if asked is None else searches.newer(known, asked)
    return steps.Audience(to_refresh, others, tuple(searching), last)


def report(tables: lake.Lake, done: Learning, n_lists: int) -> None:
    """Log one line about the run, and write the freshness of the last hours as an artifact."""
    text = increments.describe_minute(done.version, done.learnt.decision, done.predicted, n_lists)
    get_run_logger().log(logging.INFO if done.learnt.decision.passed else logging.WARNING, text)
    create_markdown_artifact(text, key="minute-report", description="What this run learnt")
    waits = reading.freshness_by_hour(tables)
    create_table_artifact(table=waits, key="freshness", description=FRESHNESS)
