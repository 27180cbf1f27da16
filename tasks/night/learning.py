"""Model work of a nightly run, between lake and registry: fit, evaluate, refit, save, rank."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import torch

from models.config import EvaluationConfig, IncrementConfig, RecommenderConfig, TrainConfig
from models.evaluation.baselines import best_baseline, rank_baselines
from models.evaluation.comparison import gains_over_baseline, rank_recommender, summary
from models.evaluation.contest import Contest, contest
from models.evaluation.evaluator import Evaluator
from models.evaluation.new_items import fit_new_items
from models.evaluation.protocols import Task, temporal
from models.evaluation.variety_choice import choose_variety
from models.events import Ints
from models.interests.capture import Capture
from models.interests.vocabulary import Interests
from models.metrics.ranking import Ranking
from models.metrics.segments import Mask
from models.metrics.summary import deciding_metric, means
from models.night import Fit, fit_past, refit
from models.online.begin import make_online_state, sample_memory
from models.ranking.neighbours import neighbours
from models.ranking.prior import Popularity
from models.results import NO_LISTS, MetricRow, Neighbours, RankedLists, SeenItems
from models.sequence.weights import LIST_DELAY_S
from models.text.towers import Words
from models.training.course import Course
from models.training.job import Trainer, train_here
from models.training.passed import Shown
from models.training.training import OnEpoch
from models.version import checkpoint as checkpoints
from models.version.checkpoint import Checkpoint
from tasks.config import PublishConfig
from tasks.night.dataset import Dataset
from tasks.night.shards import Order, People, Shards, rank, rank_in_shards
from tasks.scenarios.resolved import Places, ScenarioLists, place_without_rules
from tasks.searches import SearchLog

log = logging.getLogger("minutehand.night")


@dataclass(frozen=True)
class FittedNight:
    """A model trained on the events before the hold-out, and the held-out events that evaluate it."""

    task: Task
    fit: Fit

    @property
    def evaluator(self) -> Evaluator:
        """The evaluator, with the evaluation rules of this night."""
        return self.task.evaluator

    @property
    def held_out_from(self) -> int:
        """Time of the first held-out event, in unix seconds."""
        assert self.task.split is not None, "a night splits by time"
        return self.task.split.validation_from


@dataclass(frozen=True)
class Judged:
    """Evaluation of a night: all metric rows, the NDCG@10 values for the gate, and the rankings of the test events by model.

    A gate value is None if it could not be measured, for example because no event was held out. The gate values and the choice of the
    best baseline use `ndcg_at_10_served`.
    """

    rows: list[MetricRow]
    ndcg: float | None
    champion_ndcg: float | None
    best_baseline: str | None
    best_baseline_ndcg: float | None
    rankings: Mapping[str, Ranking] = field(default_factory=dict)


def learn(
    dataset: Dataset,
    model: RecommenderConfig,
    train: TrainConfig,
    evaluation: EvaluationConfig,
    seed: int,
    on_epoch: OnEpoch | None = None,
    searches: SearchLog | None = None,
    course: Course | None = None,
    shown: Shown | None = None,
    trainer: Trainer = train_here,
) -> FittedNight:
    """Train on the events before the validation period and choose epochs and blend on it, and whether the model reads the searches.

    shown: impressions without outcome, as weak negatives.
    course: that of an earlier training to repeat, instead of what the time budget allows. trainer: carries out the training.
    """
    task = temporal(dataset.events, evaluation, seed)
    task = replace(task, evaluator=replace(task.evaluator, shown=shown))
    if searches is not None:
        task = replace(task, evaluator=replace(task.evaluator, searches=searches.of_users(dataset.user_ids)))
    evaluator, split, validation = task.evaluator, task.split, task.validation
    return FittedNight(task, fit_past(evaluator, split, validation, dataset.text, model, train, seed, on_epoch, course, trainer))


def judge(
    dataset: Dataset, learnt: FittedNight, champion: Path | None, evaluation: EvaluationConfig, seed: int, words: Words | None = None
) -> Judged:
    """Evaluate the recommender, the champion (trained before its own hold-out) and the baselines on the same test events.

    Words count as they were before the hold-out. Skips a champion whose checkpoint format this version of minutehand cannot read.
    """
    task, fit = learnt.task, learnt.fit
    words = words and words.before_hold_out(dataset.text)
    rankings = {"minutehand": task.rank(lambda evaluator, rows: rank_recommender(evaluator, fit.weights, fit.blend, rows, words))}
    if champion is not None:
        try:
            rankings["champion"] = rank_champion(dataset, task, champion)
        except checkpoints.UnreadableFormatError as error:
            log.warning("no comparison with the champion: %s", error)
    rankings |= rank_baselines(task)
    decides = deciding_metric(rankings.values())
    best = best_baseline(rankings, decides)
    ndcg = {name: means(ranking)[decides] for name, ranking in rankings.items()}
    return Judged(
        rows=[*summary(task, rankings), *gains_over_baseline(task, rankings, evaluation, seed)],
        ndcg=ndcg["minutehand"],
        champion_ndcg=ndcg.get("champion"),
        best_baseline=best,
        best_baseline_ndcg=ndcg[best] if best else None,
        rankings=rankings,
    )


def contend(learnt: FittedNight, judged: Judged, groups: Mapping[str, Mask], evaluation: EvaluationConfig, seed: int) -> Contest | None:
    """The recommender against the champion, also by group of users; None if there is no champion or no test event.

    groups: masks of the test events, of tasks.night.measures.
    """
    rankings, metric = judged.rankings, deciding_metric(judged.rankings.values())
    if "champion" not in rankings:
        return None
    return contest(learnt.task, rankings["minutehand"], rankings["champion"], groups, metric, evaluation.n_bootstrap, seed)


def rank_champion(dataset: Dataset, task: Task, folder: Path) -> Ranking:
    """Rank the test events with an older version on today's catalog; items that the version does not know start from their text vector."""
    old = checkpoints.load(folder)
    kinds = in_kinds_of(old, dataset)
    weights = checkpoints.align(old.past or old.live, old.catalog.item_ids, dataset.catalog.item_ids, _text_for(old, dataset))
    words = words_for(old, dataset)
    words = words and words.before_hold_out(dataset.text)

    def rank(evaluator: Evaluator, rows: Ints) -> Ranking:
        known = evaluator if fits_encoder(old, dataset) else evaluator.without_searches()
        return rank_recommender(known.with_kinds(*kinds), weights, old.blend, rows, words)

    return task.rank(rank)


def fits_encoder(old: Checkpoint, dataset: Dataset) -> bool:
    """Whether the checkpoint used today's encoder, so that it can read today's texts and searches."""
    return dataset.encoder == old.encoder and dataset.text.shape[1] == len(old.whitening.centre)


def _text_for(old: Checkpoint, dataset: Dataset) -> np.ndarray:
    """Today's text vectors, whitened by the checkpoint's whitening; zeros if the checkpoint used another encoder."""
    if not fits_encoder(old, dataset):
        return np.zeros((len(dataset.catalog), old.whitening.projection.shape[1]), np.float32)
    return old.whitening.apply(dataset.text)


def words_for(old: Checkpoint, dataset: Dataset) -> Words | None:
    """The checkpoint's towers over today's items; None if it has none, or if it used another encoder."""
    if old.words is None or not fits_encoder(old, dataset):
        return None
    row = {item_id: n for n, item_id in enumerate(old.catalog.item_ids)}
    return old.words.on_catalog(torch.tensor([row.get(item_id, -1) for item_id in dataset.catalog.item_ids]), dataset.text)


def in_kinds_of(old: Checkpoint, dataset: Dataset) -> tuple[Ints, int]:
    """Today's event types in the numbering of the checkpoint, and its number of types; unknown types become type 0."""
    number = {name: n for n, name in enumerate(old.kinds)}
    table = np.array([number.get(name, 0) for name in dataset.kinds])
    return table[dataset.events.kind], len(old.kinds)


def complete(
    dataset: Dataset,
    learnt: FittedNight,
    model: RecommenderConfig,
    train: TrainConfig,
    increment: IncrementConfig,
    seed: int,
    folder: Path,
    words: Words | None = None,
    interests: tuple[Interests | None, Capture | None] = (None, None),
    tried: Mapping[str, tuple[float, float]] | None = None,
    trainer: Trainer = train_here,
) -> Checkpoint:
    """Refit on all events with the chosen epochs and blend, and save the checkpoint with the state for later increments.

    tried: what slots for new items have shown, as in models.ranking.exploration.NewItemLayer. trainer: carries out the training.
    """
    variety = choose_variety(learnt.evaluator, learnt.fit.weights, learnt.fit.blend, learnt.task.validation, seed, words)
    version = completed(dataset, learnt, model, train, increment, seed, trainer)
    n_votes, held_out = float(popularity_now(dataset).counts[-1].sum()), np.union1d(learnt.task.validation, learnt.task.test)
    layer = fit_new_items(learnt.evaluator, learnt.fit.weights, learnt.fit.blend, held_out, n_votes, seed, words)
    layer = replace(layer, tried=tried or {})
    version = replace(version, words=words, interests=interests[0], capture=interests[1], variety=variety, layer=layer)
    checkpoints.save(version, folder)
    return version


def completed(
    dataset: Dataset,
    learnt: FittedNight,
    model: RecommenderConfig,
    train: TrainConfig,
    increment: IncrementConfig,
    seed: int,
    trainer: Trainer = train_here,
) -> Checkpoint:
    """The checkpoint that `complete` saves."""
    popularity = popularity_now(dataset)
    sample = sample_memory(dataset.events, increment, model.max_events, seed)
    live, curve = refit(learnt.evaluator, learnt.fit, dataset.text, model, train, seed, sample.held_out_rows, trainer)
    online = make_online_state(learnt.evaluator, learnt.fit, sample, curve.squares, popularity, increment, learnt.held_out_from)
    if dataset.owners is not None:
        online = replace(online, memory=replace(online.memory, owner=dataset.owners[dataset.events.user[sample.windows.start]]))
    return Checkpoint(
        catalog=dataset.catalog,
        kinds=dataset.kinds,
        encoder=dataset.encoder,
        hide_seen=learnt.evaluator.hide_seen,
        as_of=as_of(dataset),
        popularity=popularity.features(),
        blend=learnt.fit.blend,
        prior=learnt.fit.prior,
        whitening=learnt.fit.whitening,
        live=live,
        past=learnt.fit.weights,
        online=online,
        seen_items=learnt.evaluator.seen_items,
    )


def as_of(dataset: Dataset) -> int:
    """The reference time of the lists: one second after the newest event, so that old data works too."""
    return int(dataset.events.time.max()) + 1


def popularity_now(dataset: Dataset) -> Popularity:
    """Item popularity at as_of."""
    events = dataset.events
    popularity = Popularity(events.n_items)
    popularity.advance(as_of(dataset), events.item, events.time, events.votes)
    return popularity


@dataclass(frozen=True)
class Lists:
    """All lists that a publish writes, and the last search of each user; None without searches.

    in_places: the lists of scenarios besides `default`. shards: the lists of users if they are in files; then `users` and those of
    in_places are empty.
    """

    users: RankedLists
    fallback: RankedLists
    neighbours: Neighbours
    seen_items: SeenItems
    searches: pl.DataFrame | None = None
    in_places: Sequence[ScenarioLists] = ()
    shards: Shards | None = None

    @property
    def some(self) -> RankedLists:
        """Lists to show: of all users, or of those of the first shard."""
        return self.users if self.shards is None else self.shards.lists(0)[0]


def make_lists(
    dataset: Dataset,
    trend: np.ndarray,
    folder: Path,
    publish: PublishConfig,
    searches: SearchLog | None = None,
    places: Places | None = None,
    staging: Path | None = None,
) -> Lists:
    """Lists for every user with a history or a recent search, made by the version in a folder from today's events and catalog.

    places: the scenarios; None for `default` without rules. staging: a folder to be created for the lists, if there are more users than
    one shard has; None keeps all lists in memory.
    """
    version = checkpoints.load(folder)
    current = renewed(version, dataset)
    kind, n_kinds = in_kinds_of(version, dataset)
    events = replace(dataset.events, kind=kind, n_kinds=n_kinds)
    now = as_of(dataset) if searches is None else max(as_of(dataset), searches.newest_s + 1)
    last = None if searches is None else searches.last_of_each(now)
    user_ids = dataset.user_ids if last is None else with_searchers(dataset.user_ids, last)
    asked_s = now + LIST_DELAY_S
    asked = None if searches is None or not fits_encoder(version, dataset) else searches
    resolved = [place_without_rules(current.variety)]
    if places is not None:
        resolved = places.resolved(dataset.catalog.item_ids, current.variety, asked_s)
    people, order = People(user_ids, events, trend), Order(publish.n_recommendations, asked_s, asked, resolved)
    shards = None
    if staging is not None and (len(people) > publish.shard_users or publish.workers > 1):
        shards = rank_in_shards(current, order, people, staging, publish)
    ranked = rank(current, order, people) if shards is None else [NO_LISTS] * len(resolved)
    default, *in_places = (
        ScenarioLists(place.name, users, place.fallback(current, order.k)) for place, users in zip(resolved, ranked, strict=True)
    )
    return Lists(
        users=default.users,
        fallback=default.fallback,
        neighbours=neighbours(current.live.item_vectors(), dataset.catalog.is_available, publish.n_similar, publish.approximate_above),
        seen_items=current.seen_items or SeenItems(current.hide_seen),
        searches=last,
        in_places=in_places,
        shards=shards,
    )


def with_searchers(user_ids: tuple[str, ...], last: pl.DataFrame) -> tuple[str, ...]:
    """The users, and after them those who have only searched. last: SearchLog.last_of_each."""
    known = set(user_ids)
    return (*user_ids, *(user for user in last["user_id"] if user not in known))


def renewed(version: Checkpoint, dataset: Dataset) -> Checkpoint:
    """The version with today's catalog and popularity."""
    live = checkpoints.align(version.live, version.catalog.item_ids, dataset.catalog.item_ids, _text_for(version, dataset))
    return replace(
        version,
        catalog=dataset.catalog,
        as_of=as_of(dataset),
        popularity=popularity_now(dataset).features(),
        live=live,
        words=words_for(version, dataset),
    )


def example(dataset: Dataset, n_events: int = 3) -> list[dict[str, Any]]:
    """The newest events of the first two users, in the input format of the registered model."""
    events = dataset.events
    ends = events.offsets[1:3]
    return [
        {
            "item_ids": [dataset.catalog.item_ids[item] for item in events.item[max(end - n_events, start) : end]],
            "event_types": [dataset.kinds[kind] for kind in events.kind[max(end - n_events, start) : end]],
            "occurred_at": [
                datetime.fromtimestamp(time, UTC).replace(tzinfo=None) for time in events.time[max(end - n_events, start) : end]
            ],
        }
        for start, end in zip(events.offsets[:2], ends, strict=False)
    ]


def user_trends(dataset: Dataset, trend: np.ndarray, max_events: int) -> pa.Table:
    """Table of user_id and trends: the trends of each user's last max_events events, oldest first."""
    return People(dataset.user_ids, dataset.events, trend).trends(max_events)
