"""The last part of a nightly run: the winning version learns the events that arrived during it, and its lists go live for all users."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from prefect import get_run_logger

from flows import arms
from flows.learning import learn_news
from flows.stages import retried, stage
from models.evaluation.evaluator import make_evaluator
from models.events import Floats
from models.results import MetricRow, RankedLists
from models.text.encoder import find_encoder
from settings import Settings
from tasks import encoding, lake, locks, searches, watermarks
from tasks.experiments import current
from tasks.minute import feed, handover, steps
from tasks.night import dataset, interests, learning, shards
from tasks.night.shards import People
from tasks.privacy import ledger
from tasks.publish import night, past, pointer, publication, reason_texts
from tasks.registry import day_run, increments, promotion, versions
from tasks.registry.errors import DamagedError
from tasks.scenarios import Places, Scenario, ScenarioError
from tasks.scenarios.changes import read_rules
from tasks.scenarios.overview import right_scenarios

PATIENCE_S = 600.0  # long enough for a minute run with a large backlog; giving up earlier would lose the work of the night

encode_items = retried("encode-new-items", encoding.encode_changed_items)
load_again = retried("load-dataset-of-now", dataset.load_dataset)
read_searches = retried("read-searches-of-now", searches.read_search_log)
make_lists = stage("rank", learning.make_lists)
find_interests = stage("user-interests", interests.interests_of_all)
write_histories = retried("histories", shards.write_histories)
word_reasons = stage("word-reasons", reason_texts.word_reasons)
publish = retried("publish", night.publish_night)


def hand_over(
    settings: Settings,
    tables: lake.Lake,
    models: versions.Registry,
    data: dataset.Dataset,
    trend: Floats,
    asked: searches.SearchLog | None,
    champion: versions.Version,
    flow_run_id: str,
    scenarios: Mapping[str, Scenario],
    decision: publication.GateNote | None = None,
    cadence: str = night.NIGHTLY,
) -> tuple[versions.Version, RankedLists, tuple[str, ...]]:
    """Catch up, rank all users, publish; returns the live version, some of its lists and the item titles. Minute runs wait until it ends.

    data, trend, asked, scenarios: the dataset of the night, its event trends, its searches, and the scenarios at its start. The previous
    live version predicts the events since the last publish; the version that goes live learns them. A version that a person has made
    live since the snapshot of data stays live, whatever the gate said. decision: of the gate, if it gave one. cadence: of the publication.
    """
    weights, max_events = settings.ingest.event_weights, settings.model.max_events
    with locks.publishing_turn(tables, PATIENCE_S) as mine:
        live = repair_live(tables, models)
        champion = still_champion(tables, models, champion, data.snapshot)
        encode_items(tables, settings.encoder, progress=False)
        snapshot, marks = lake.newest_snapshot(tables), watermarks.read_watermarks(tables)
        base = handover.find_base(tables, champion, live, marks, data.snapshot, snapshot, weights, max_events)
        rows, by = predict(settings, tables, models, live, base.waiting)
        version, after = catch_up(settings, tables, models, mine, base, champion)
        if base.has_moved_on or ledger.last_snapshot(tables) > data.snapshot:  # the night has seen people who are erased since
            data = load_again(tables, snapshot, weights, data.encoder)
            trend = make_evaluator(data.events, settings.evaluation).trend
            asked = read_searches(tables, snapshot, settings.encoder, data.encoder)
        scenarios = scenarios_now(settings, tables, scenarios)
        rules = read_rules(tables, snapshot, scenarios, datetime.now(UTC).replace(tzinfo=None))  # the lists are newer than the rules
        places, experiment = Places(tables, snapshot, scenarios), current(tables)
        staging = mine.folder / "shards"
        lists = make_lists(data, trend, version.checkpoint_folder, settings.publish, asked, places, staging)
        some = lists.some
        if lists.shards is not None:
            write_histories(tables, lists.shards, People(data.user_ids, data.events, trend), snapshot, weights, max_events)
        is_by_hand = cadence in past.BY_HAND  # another control, so that the experiment compares nothing any more
        lists, arm = arms.of_night(
            settings, tables, models, data, trend, asked, lists, places, experiment, staging / "challenger", is_ended=is_by_hand
        )
        word_reasons(tables, data.catalog.item_ids, some, snapshot, settings.generator, is_night=True)
        content = publication.Content(
            item_ids=data.catalog.item_ids,
            lists=lists.users,
            fallback=lists.fallback,
            neighbours=lists.neighbours,
            max_events=max_events,
            provenance=publication.Provenance(
                version.version, version.run_id, flow_run_id, snapshot, datetime.now(UTC).replace(tzinfo=None)
            ),
            champion=version.champion,
            seen_items=lists.seen_items,
            watermarks=after,
            news=base.waiting,
            prequential=rows,
            versions=by,
            interests=find_interests(tables, data, version.checkpoint_folder, max_events, asked, lists.shards),
            searches=None if lists.searches is None else publication.Searched(lists.searches, data.encoder),
            checkpoint=publication.Files(version.checkpoint_folder, version.digest),
            in_places=lists.in_places,
            rules=rules,
            arm=arm,
            gate=decision,
            shards=lists.shards,
        )
        trends = None if lists.shards else learning.user_trends(data, trend, max_events)
        publish(tables, content, weights, trends, cadence)
        if not promotion.follow(models, past.newest_promotion(tables)):
            versions.keep_champion(models, version.champion)
            increments.publish_alias(models, version.version)
        arms.follow_alias(models, current(tables))
    return version, some, data.titles


def still_champion(tables: lake.Lake, models: versions.Registry, champion: versions.Version, pinned: int) -> versions.Version:
    """The champion, or the one of a version that a person has made live since the snapshot of the night."""
    promoted = past.promoted_since(tables, pinned)
    if promoted is None or promoted.champion == champion.version:
        return champion
    get_run_logger().warning(
        "version %s was made live by hand during this night, and stays; version %s can follow: minutehand promote %s",
        *(promoted.version, champion.version, champion.version),
    )
    return versions.find_version(models, promoted.champion)


def scenarios_now(settings: Settings, tables: lake.Lake, before: Mapping[str, Scenario]) -> Mapping[str, Scenario]:
    """The scenarios of the home; those of the start of the night if the file has become wrong, so that the night is not lost."""
    try:
        return right_scenarios(tables, settings.home, settings.ingest.event_weights)
    except ScenarioError as error:
        get_run_logger().warning("%s\nthis night uses the scenarios of its start", error)
        return before


def repair_live(tables: lake.Lake, models: versions.Registry) -> versions.Version | None:
    """Remove the leftovers of a killed minute run, then return the live version.

    None before the first publish, or if the registry no longer has a usable live version.
    """
    origin = pointer.live_origin(tables)
    if origin is None:
        return None
    live = origin[0]
    if origin not in {(str(found.version), str(found.run_id)) for found in versions.all_versions(models)}:
        get_run_logger().warning(
            "version %s made the current lists, but is no longer in the registry; the version of this night replaces it", live
        )
        return None
    for text in increments.reconcile_live(models, live, partial(pointer.is_published, tables)).messages:
        get_run_logger().warning(text)
    try:
        return versions.find_version(models, live)
    except DamagedError as error:
        get_run_logger().warning("%s; the version of this night replaces it", error)
        return None


def predict(
    settings: Settings, tables: lake.Lake, models: versions.Registry, live: versions.Version | None, waiting: feed.News
) -> tuple[list[MetricRow], dict[str, str]]:
    """How well the previous live version predicts the unpublished events: metric rows, and the version number behind each model name."""
    if live is None or not waiting.has_news:
        return [], {}
    _, before = increments.find_live(models, live.version)
    key = find_encoder(settings.encoder).key
    state = steps.prepare(tables, live.checkpoint_folder, before.checkpoint_folder, waiting, key)
    return steps.predict_events(state, settings.increment).rows, {"live": live.version, "nightly": before.version}


def catch_up(
    settings: Settings,
    tables: lake.Lake,
    models: versions.Registry,
    mine: locks.Turn,
    base: handover.Base,
    champion: versions.Version,
) -> tuple[versions.Version, watermarks.Watermarks]:
    """An increment of the base version that has learnt the news; the base itself if there is no news or the gate discards the update."""
    news = base.news
    if news.events.is_empty() and news.items.is_empty():
        return base.version, watermarks.Watermarks(news.snapshot, news.snapshot)
    if not news.items.is_empty():  # items may have arrived after the encoding in hand_over
        encode_items(tables, settings.encoder, progress=False)
    today = datetime.now(UTC).date()
    day_run.close_days(models, tables, today)
    day = day_run.open_day(models, today, champion.version)
    done = learn_news(settings, tables, mine.folder / "checkpoint", day, base.version, champion, base.before, news)
    text = increments.describe_minute(done.version, done.learnt.decision, done.predicted, len(done.state.step.user_ids))
    get_run_logger().info("caught up: %s", text)
    return done.version, done.after
