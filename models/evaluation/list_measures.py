"""Measures of whole lists on the test events: accuracy at 10, diversity, novelty, calibration, and fairness to groups of users and items.

Each user has one list: that of the first test event, made from all events before it. It is judged by everything that the user chose
from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix

from models.config import EvaluationConfig
from models.evaluation.protocols import Task
from models.events import Floats, Ints, ragged_rows
from models.interests.vocabulary import Interests
from models.metrics.accuracy import Hits
from models.metrics.calibration import Calibration, calibrate, item_interests
from models.metrics.diversity import intra_list_distance
from models.metrics.exposure import PER_DEMAND, exposure, exposure_by_group, gini, lorenz, popularity_groups
from models.metrics.groups import by_attribute, thirds
from models.metrics.intervals import bootstrap_interval, bootstrap_means
from models.metrics.novelty import age_days, first_seen, novelty, popularity_rank, serendipity, users_of_items
from models.metrics.ranking import Ranking
from models.metrics.segments import Mask
from models.metrics.summary import deciding_metric, summarise
from models.results import MetricRow

GINI, EXPOSURE = "gini_at_10", "exposure_at_10"
CALIBRATION = "calibration_at_10"
POPULARITIES = ("head", "middle", "tail", "new")
MAX_TOPICS = 12
"""Only the interests with the most test events are item groups."""
LEAST_AGE_S = 3600
"""An account that is younger has no age yet."""


@dataclass(frozen=True)
class About:
    """What is known about the items and users of a task.

    vectors: [items, dim], of unit length or zero, for distances. interests: of the catalogue; None if it has none. attribute: its name, and
    its value by user row; None if no attribute was asked for.
    """

    vectors: Floats
    interests: Interests | None = None
    attribute: tuple[str, Sequence[str | None]] | None = None


@dataclass(frozen=True)
class Measured:
    """Rows of all models; the Lorenz curve of each; of the first model, the names of interests and their shares in histories and lists.

    groups: masks of the test rows by group of users.
    """

    rows: list[MetricRow]
    lorenz: dict[str, Floats] = field(default_factory=dict)
    interests: tuple[str, ...] = ()
    wanted: Floats = field(default_factory=lambda: np.empty(0, np.float32))
    shown: Floats = field(default_factory=lambda: np.empty(0, np.float32))
    groups: Mapping[str, Mask] = field(default_factory=dict)


def measure_lists(task: Task, rankings: Mapping[str, Ranking], about: About, config: EvaluationConfig, seed: int) -> Measured:
    """All measures of the rankings of the test rows; nothing without test rows."""
    if not len(task.test):
        return Measured([])
    events = task.evaluator.events
    user, first, number = np.unique(events.user[task.test], return_index=True, return_inverse=True)
    row = task.test[first]
    lists = _Lists.of(task, row)
    groups = {name: mask[number] for name, mask in _user_groups(task, user, row, about).items()}
    shares = None if about.interests is None else item_interests(about.interests.shares)
    per_user, rows, curves, found = [], list[MetricRow](), dict[str, Floats](), list[Calibration]()
    for model, ranking in rankings.items():
        top = ranking.top[first]
        values = lists.values(top, about.vectors)
        if shares is not None:
            found.append(calibrate(lists.history, top, shares))
            values[CALIBRATION] = found[-1].divergence
        per_user.append(values)
        count = exposure(ranking.top, events.n_items)
        curves[model] = lorenz(count)
        rows.append(MetricRow(model, "all", GINI, gini(count), len(task.test)))
        rows += _exposure_rows(model, count, task, about.interests)
    rows += _means(dict(zip(rankings, per_user, strict=True)), config, seed) + _group_rows(task, rankings, groups, config, seed)
    if about.interests is None or not found:
        return Measured(rows, curves, groups=groups)
    return Measured(rows, curves, about.interests.names, found[0].wanted, found[0].shown, groups)


@dataclass(frozen=True)
class _Lists:
    """What the lists of some users are judged by. row: their events; number, item: what each chose from then on; history: before it."""

    row: Ints
    now: Ints
    number: Ints
    item: Ints
    history: csr_matrix
    n_users_of: Ints
    n_users: int
    popularity_rank: Ints
    first_seen: Ints

    @staticmethod
    def of(task: Task, row: Ints) -> _Lists:
        events = task.evaluator.events
        number, after = ragged_rows(row, events.offsets[events.user[row] + 1])
        start, stop = task.evaluator.histories(row)
        _, before = ragged_rows(start, stop)
        ends = np.concatenate([[0], np.cumsum(stop - start)])
        history = csr_matrix((np.ones(len(before), np.float32), events.item[before], ends), shape=(len(row), events.n_items))
        n_users_of, n_users = users_of_items(task.train)
        rank = popularity_rank(np.bincount(task.train.item, minlength=events.n_items))
        return _Lists(
            *(row, events.time[row], number, events.item[after], history),
            *(n_users_of, n_users, rank, first_seen(events)),
        )

    def values(self, top: Ints, vectors: Floats) -> dict[str, Floats]:
        """[lists] of each metric."""
        hits = Hits.of(top, self.number, self.item, len(self.first_seen))
        return {
            "recall_at_10": hits.recall(),
            "precision_at_10": hits.precision(),
            "map_at_10": hits.average_precision(),
            "novelty_at_10": novelty(top, self.n_users_of, self.n_users),
            "distance_at_10": intra_list_distance(top, vectors),
            "serendipity_at_10": serendipity(hits, top, self.popularity_rank),
            "age_days_at_10": age_days(top, self.now, self.first_seen),
        }


def _means(values: Mapping[str, Mapping[str, Floats]], config: EvaluationConfig, seed: int) -> list[MetricRow]:
    """The mean over users of each model's metrics, with its interval; all share the resamples. n_events is the number of users."""
    keys = [(model, metric) for model, metrics in values.items() for metric in metrics]
    columns = np.stack([values[model][metric] for model, metric in keys], 1)
    lows, highs = bootstrap_means(columns, config.n_bootstrap, seed)
    rows = []
    for n, (model, metric) in enumerate(keys):
        known = columns[:, n][np.isfinite(columns[:, n])]
        interval = (float(lows[n]), float(highs[n])) if len(known) else (None, None)
        rows.append(MetricRow(model, "all", metric, float(known.mean()) if len(known) else None, len(known), *interval))
    return rows


def _user_groups(task: Task, user: Ints, row: Ints, about: About) -> dict[str, Mask]:
    """Masks of the users by group: how much they did before their list, age of the account at that time, and value of the attribute."""
    events = task.evaluator.events
    start, stop = task.evaluator.histories(row)
    age_s = events.time[row] - events.time[start]
    groups = thirds("activity", ("low", "medium", "high"), stop - start)
    groups |= thirds("account_age", ("young", "medium", "old"), np.where(age_s >= LEAST_AGE_S, age_s, 0))
    if about.attribute is not None:
        name, value = about.attribute
        groups |= by_attribute(f"attribute {name}", [value[each] for each in user])
    return groups


def _group_rows(
    task: Task, rankings: Mapping[str, Ranking], groups: Mapping[str, Mask], config: EvaluationConfig, seed: int
) -> list[MetricRow]:
    """The means over the test events of each group of users; the deciding metric of the first model has its interval."""
    decides, user = deciding_metric(rankings.values()), task.evaluator.events.user[task.test]
    ours, out = next(iter(rankings)), []
    for row in summarise(rankings, groups):
        interval: tuple[float, ...] = ()
        if (row.model, row.metric) == (ours, decides) and row.n_events:
            mask = groups[row.segment]
            interval = bootstrap_interval(getattr(rankings[ours], decides)[mask], user[mask], config.n_bootstrap, seed)
        out.append(MetricRow(row.model, row.segment, row.metric, row.value, row.n_events, *interval))
    return out


def _exposure_rows(model: str, count: Ints, task: Task, interests: Interests | None) -> list[MetricRow]:
    """The share of all places that each group of items has, and that share relative to the group's share of the test events."""
    n_events = np.bincount(task.train.item, minlength=len(count))
    chosen = np.bincount(task.evaluator.events.item[task.test], minlength=len(count))
    share = (popularity_groups(n_events)[:, None] == np.arange(len(POPULARITIES))).astype(np.float32)
    names = [f"popularity={name}" for name in POPULARITIES]
    if interests is not None:
        demand = chosen @ interests.shares
        _, first_of_name = np.unique(interests.names, return_index=True)
        topics = first_of_name[np.argsort(-demand[first_of_name], kind="stable")[:MAX_TOPICS]]
        names += [f"interest={interests.names[topic]}" for topic in topics]
        share = np.hstack([share, interests.shares[:, topics].toarray()])
    shown, wanted = exposure_by_group(count, share), exposure_by_group(chosen, share)
    rows = []
    for name, of_lists, of_events in zip(names, shown, wanted, strict=True):
        n = round(float(of_events) * int(chosen.sum()))
        rows.append(MetricRow(model, name, EXPOSURE, float(of_lists), n))
        rows.append(MetricRow(model, name, PER_DEMAND, float(of_lists / of_events) if of_events else None, n))
    return rows
