"""The challenger's arm of an experiment, within a minute or the end of a night: it learns, ranks and is published with the control."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from prefect import get_run_logger, runtime

from flows.learning import learn_news, learn_nothing
from flows.stages import timed
from models.errors import UserError
from models.results import NO_LISTS, RankedLists
from settings import Settings
from tasks import lake, locks, searches, watermarks
from tasks.experiments import Experiment, changes, current
from tasks.experiments.experiment import RUNNING, STOPPED, STOPPING
from tasks.experiments.standing import standing
from tasks.minute import feed, steps
from tasks.night import dataset, learning
from tasks.publish.past import feed_floor
from tasks.publish.publication import Arm, Files, Provenance
from tasks.registry import day_run, increments, versions
from tasks.registry.errors import DamagedError, RegistryError
from tasks.registry.names import CHALLENGER
from tasks.scenarios import Places
from tasks.scenarios.resolved import ScenarioLists

BOTH_WITHIN_S = 50.0
"""Both arms must have learnt within so many seconds of a minute; otherwise the challenger is frozen until the next one."""


def of_minute(
    settings: Settings,
    tables: lake.Lake,
    models: versions.Registry,
    mine: locks.Turn,
    day: day_run.Day,
    work: feed.Work,
    audience: steps.Audience,
    lists: steps.MinuteLists,
    places: Places,
    spent_s: float,
) -> tuple[steps.MinuteLists, Arm | None]:
    """The lists of the control without those of the challenger's users, and the challenger's part of the publish.

    spent_s: seconds that the control took for learning and ranking. Without an experiment, nothing changes.
    """
    experiment = work.experiment
    if experiment is None:
        return lists, None
    if not experiment.has_arm:
        return lists, returned(experiment)
    try:
        version = versions.find_version(models, experiment.version[0])
    except RegistryError as error:
        get_run_logger().warning("the experiment ends, and everybody gets the lists of the control: %s", error)
        return lists, replace(returned(experiment), state=STOPPING)
    began = time.monotonic()
    with timed("challenger"):
        own = of_challenger(settings, experiment)
        news = read_news(settings, tables, work, experiment)
        before = watermarks.Watermarks(work.marks.published, experiment.version[1])
        night = champion_of(models, version)
        has_time = 2 * spent_s <= BOTH_WITHIN_S
        if news is not None and has_time and not (news.events.is_empty() and news.items.is_empty()):
            done = learn_news(own, tables, mine.folder / "challenger", day, version, night, before, news)
            frozen = None if done.learnt.decision.passed else f"the last update was discarded: {done.learnt.decision.reason}"
        else:
            done = learn_nothing(own, tables, version, night, before, work.news if news is None else news)
            frozen = why_frozen(news, spent_s, has_time=has_time)
        wanted = {user_id for user_id in lists.users.user_ids if experiment.is_challenger(user_id)}
        active = set(done.state.step.user_ids)
        others = audience.others.filter(audience.others["user_id"].is_in(sorted(wanted - active)))
        state = replace(done.state, floors=None)  # the control publishes the neighbours
        ranked = steps.rank(state, done.learnt, replace(audience, others=others, searching=()), settings.publish, places)
    get_run_logger().info("challenger %s: %d lists in %.1f s", done.version.version, len(wanted), time.monotonic() - began)
    arm = arm_of(experiment, done.version, work.news.snapshot, done.after.learnt, frozen, done.learnt.checkpoint.catalog.item_ids)
    mine_of = with_lists(arm, ranked.users, ranked.in_places, wanted)
    return replace(lists, users=without(lists.users, wanted), in_places=places_without(lists.in_places, wanted)), mine_of


def of_night(
    settings: Settings,
    tables: lake.Lake,
    models: versions.Registry,
    data: dataset.Dataset,
    trend: np.ndarray,
    asked: searches.SearchLog | None,
    lists: learning.Lists,
    places: Places,
    experiment: Experiment | None,
    staging: Path,
    *,
    is_ended: bool = False,
) -> tuple[learning.Lists, Arm | None]:
    """As of_minute, for the lists of all users; the challenger learns nothing. is_ended: whether this publication ends the experiment.

    staging: folder for the challenger's lists if there are many.
    """
    if experiment is None:
        return lists, None
    if is_ended or not experiment.has_arm:
        return lists, returned(experiment)
    try:
        version = versions.find_version(models, experiment.version[0])
    except RegistryError as error:
        get_run_logger().warning("the experiment ends, and everybody gets the lists of the control: %s", error)
        return lists, returned(experiment)
    with timed("challenger"):
        ranked = learning.make_lists(data, trend, version.checkpoint_folder, settings.publish, asked, places, staging)
    arm = arm_of(experiment, version, places.snapshot, experiment.version[1], experiment.frozen, data.catalog.item_ids)
    if lists.shards is not None and ranked.shards is not None:
        places_of = [ScenarioLists(each.name, NO_LISTS, NO_LISTS) for each in ranked.in_places]
        of_arm = replace(ranked.shards, is_kept=experiment.is_challenger)
        of_control = replace(lists.shards, is_kept=lambda user_id: not experiment.is_challenger(user_id))
        return replace(lists, shards=of_control), replace(arm, in_places=places_of, shards=of_arm)
    wanted = set(experiment.challengers(lists.users.user_ids))
    mine = with_lists(arm, ranked.users, ranked.in_places, wanted)
    return replace(lists, users=without(lists.users, wanted), in_places=places_without(lists.in_places, wanted)), mine


def of_challenger(settings: Settings, experiment: Experiment) -> Settings:
    """The settings under which the challenger learns: those of its night, where they were recorded."""
    known = json.loads(experiment.challenger_settings)
    parts = {name: type(getattr(settings, name)).model_validate(values) for name, values in known.items()}
    return settings.model_copy(update=parts)


def read_news(settings: Settings, tables: lake.Lake, work: feed.Work, experiment: Experiment) -> feed.News | None:
    """The news since the challenger's own watermark; None if the lake does not have its beginning any more.

    An erasure rewrites files, so that older events would seem to be new ones.
    """
    since = watermarks.Watermarks(work.marks.published, experiment.version[1])
    with lake.reading(tables) as con:
        if since.learnt < feed_floor(con):
            return None
    try:
        return feed.read_news(tables, since, work.news.snapshot, settings.ingest.event_weights, settings.model.max_events)
    except UserError as error:
        get_run_logger().warning("the challenger learns nothing: %s", error)
        return None


def why_frozen(news: feed.News | None, spent_s: float, *, has_time: bool) -> str | None:
    """Why the challenger did not learn; None if there was nothing to learn."""
    if news is None:
        return "the lake no longer tells the events that it has to learn from older ones; the next night trains it again"
    if not has_time:
        return f"the control alone took {spent_s:.0f} s, so a minute cannot hold both"
    return None


def champion_of(models: versions.Registry, version: versions.Version) -> versions.Version:
    """The nightly version that a version descends from; itself if that one is damaged."""
    if version.champion == version.version:
        return version
    try:
        return versions.find_version(models, version.champion)
    except (DamagedError, RegistryError):
        return version


def arm_of(
    experiment: Experiment, version: versions.Version, snapshot: int, learnt: int, frozen: str | None, item_ids: Sequence[str]
) -> Arm:
    """The challenger's part of a publish, still without lists."""
    made = Provenance(version.version, version.run_id, str(runtime.flow_run.id), snapshot, datetime.now(UTC).replace(tzinfo=None))
    files = Files(version.checkpoint_folder, version.digest)
    return Arm(experiment, RUNNING, learnt, frozen, made, files, item_ids, NO_LISTS, NO_LISTS)


def returned(experiment: Experiment) -> Arm:
    """The part of a publish that gives everybody the lists of the control, and ends the experiment."""
    version = experiment.arm_version
    made = Provenance(version, experiment.arm_run_id, str(runtime.flow_run.id), 0, datetime.now(UTC).replace(tzinfo=None))
    files = None if experiment.checkpoint is None else Files(Path(experiment.checkpoint), experiment.checkpoint_sha256)
    return Arm(experiment, STOPPED, experiment.learnt, experiment.frozen, made, files, (), NO_LISTS, NO_LISTS)


def with_lists(arm: Arm, users: RankedLists, in_places: Sequence[ScenarioLists], wanted: set[str]) -> Arm:
    """The part with the lists of the wanted users."""
    places = [ScenarioLists(each.name, within(each.users, wanted), NO_LISTS) for each in in_places]
    return replace(arm, lists=within(users, wanted), in_places=places)


def within(lists: RankedLists, wanted: set[str]) -> RankedLists:
    """The lists of the wanted users."""
    return lists.of_rows(np.flatnonzero([user_id in wanted for user_id in lists.user_ids]))


def without(lists: RankedLists, others: set[str]) -> RankedLists:
    """The lists of all but some users."""
    return lists.of_rows(np.flatnonzero([user_id not in others for user_id in lists.user_ids]))


def places_without(in_places: Sequence[ScenarioLists], others: set[str]) -> list[ScenarioLists]:
    """The lists of scenarios for all but some users."""
    return [replace(each, users=without(each.users, others)) for each in in_places]


def stop_at_guard_rail(tables: lake.Lake) -> None:
    """Ask the next publication to return everybody to the control if the challenger surely loses more than a guard rail allows."""
    experiment = current(tables)
    if experiment is None or experiment.state != RUNNING:
        return
    verdict = standing(tables, experiment).verdict
    if verdict.is_stop:
        changes.end(tables, verdict.text)
        get_run_logger().warning("%s", verdict.text)


def retrains(experiment: Experiment) -> bool:
    """Whether a night trains the challenger again: not if the settings behind it are unknown."""
    return experiment.has_arm and experiment.challenger_settings != "{}"


def renew(tables: lake.Lake, models: versions.Registry, experiment: Experiment, run_id: str, snapshot: int) -> None:
    """Let the next minute take the version that this night has trained for the challenger. snapshot: that of the night."""
    version = versions.aliases(models)[CHALLENGER]
    changes.renew(tables, experiment, version, run_id, snapshot)
    get_run_logger().info("version %s is trained with the settings of the challenger; the next minute publishes its lists", version)


def follow_alias(models: versions.Registry, experiment: Experiment | None) -> None:
    """Set the alias of the version behind the challenger's lists, which keeps it from being pruned; delete it without an experiment."""
    increments.follow_experiment(models, experiment.arm_version if experiment is not None and experiment.has_arm else None)
