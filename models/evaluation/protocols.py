"""The two evaluation protocols: how events are divided into training, validation and test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from models.config import EvaluationConfig
from models.errors import UserError
from models.evaluation.evaluator import Evaluator, make_evaluator, rows_with_outdated_list
from models.events import Events, Ints, TemporalSplit, sample
from models.metrics.ranking import Ranking
from models.metrics.segments import Mask, segment_masks, warm_masks
from models.ranking.prior import Slots
from models.sequence.weights import LIST_DELAY_S

PROTOCOLS = ("temporal", "leave-one-out")
LEAST_EVENTS = 3
MAX_SLOTS = 500
MAX_SLOT_CELLS = 50_000_000


@dataclass(frozen=True)
class Task:
    """Training, validation and test events; validation and test are sorted rows of the evaluator's events."""

    evaluator: Evaluator
    train: Events
    validation: Ints
    test: Ints
    split: TemporalSplit | None = None

    @cached_property
    def served(self) -> Evaluator | None:
        """The evaluator for lists made LIST_DELAY_S before each event; None for leave-one-out, which has no split in time."""
        return None if self.split is None else self.evaluator.by_lists_of_before(LIST_DELAY_S)

    def rank(self, rank: Callable[[Evaluator, Ints], Ranking], *, uses_history: bool = True) -> Ranking:
        """Ranking of the test rows by a model, from complete histories; if `served` exists, also from its lists.

        Only rows with an outdated list are ranked twice. uses_history: whether the model's list depends on the user's history.
        """
        ranking = rank(self.evaluator, self.test)
        if self.served is None:
            return ranking
        served = ranking.rank.copy()
        if uses_history and len(less := rows_with_outdated_list(self.served, self.test)):
            served[np.searchsorted(self.test, less)] = rank(self.served, less).rank
        return replace(ranking, served=served)

    @cached_property
    def segments(self) -> dict[str, Mask]:
        """Masks of the test rows by segment; warm users and items have a training event."""
        (users, items), events = warm_masks(self.train), self.evaluator.events
        return segment_masks(users[events.user[self.test]], items[events.item[self.test]])


def make_task(protocol: str, events: Events, config: EvaluationConfig, seed: int) -> Task:
    """Divide the events by one of PROTOCOLS.

    Raises UserError if the protocol leaves no training or no test events.
    """
    if protocol != "temporal":
        return leave_one_out(events, config, seed)
    task = temporal(events, config, seed)
    if not len(task.train):
        raise UserError(
            f"no event is earlier than the {config.train_share:.0%} quantile of time, so there is nothing to learn from "
            f"({len(events):,} events, {len(np.unique(events.time))} different times); try --protocol leave-one-out"
        )
    return task


def temporal(events: Events, config: EvaluationConfig, seed: int) -> Task:
    """Divide the events by quantiles of time, as a nightly run does. The task may have no training events."""
    split = TemporalSplit.by_quantile(events.time, config.train_share, config.validation_share)
    validation, test = held_out(events, split, config.max_events, seed)
    return Task(make_evaluator(events, config), events.before(split.validation_from), validation, test, split)


def held_out(events: Events, split: TemporalSplit, max_events: int, seed: int) -> tuple[Ints, Ints]:
    """Sorted rows of the validation period and of the test period. A period with more than max_events is sampled uniformly."""
    validation = np.flatnonzero((events.time >= split.validation_from) & (events.time < split.test_from))
    return sample(validation, max_events, seed), sample(np.flatnonzero(events.time >= split.test_from), max_events, seed)


def leave_one_out(events: Events, config: EvaluationConfig, seed: int) -> Task:
    """Each user's last event is for test, the second to last for validation, and all others for training.

    All events of a user with fewer than LEAST_EVENTS events are for training. The protocol is from Kang and McAuley 2018,
    "Self-attentive sequential recommendation", but models rank the full catalogue.
    """
    last = (events.offsets[1:] - 1)[np.diff(events.offsets) >= LEAST_EVENTS]
    if not len(last):
        raise UserError(
            f"no user has {LEAST_EVENTS} events, the minimum for leave-one-out ({len(events):,} events, {events.n_users:,} users); "
            "try --protocol temporal"
        )
    is_training = np.ones(len(events), bool)
    is_training[last] = is_training[last - 1] = False
    train = events.where(is_training)
    slots = Slots.over(train.time, max(min(MAX_SLOTS, MAX_SLOT_CELLS // events.n_items), 20))
    return Task(
        Evaluator(events, slots, True, is_training), train, sample(last - 1, config.max_events, seed), sample(last, config.max_events, seed)
    )
