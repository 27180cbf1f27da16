"""One night of training: fit on the past, choose on the validation period, then refit on all events."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from models.config import RecommenderConfig, TrainConfig
from models.device import matmul_dtype, pick_device
from models.evaluation.blend_choice import MAX_BLEND_ROWS, choose_blend
from models.evaluation.evaluator import Evaluator
from models.evaluation.search_choice import has_searches_to_judge_by, reads_searches
from models.events import Events, Floats, Ints, TemporalSplit, sample
from models.ranking.blend import Blend
from models.ranking.prior import Slots, slot_log_prior
from models.sequence.recommender import Recommender
from models.sequence.streams import Streams
from models.sequence.users import target_vectors
from models.sequence.weights import Weights
from models.sequence.whitening import Whitening
from models.training.course import Course
from models.training.job import Trainer, Training, train_here
from models.training.judge import Judge
from models.training.prior_fit import fit_prior
from models.training.training import N_SAMPLED_ITEMS, Curve, Offsets, OnEpoch, Sampling

log = logging.getLogger("minutehand.fitting")
MAX_JUDGE_ROWS = 2000


@dataclass(frozen=True)
class Fit:
    """Result of training on the past and choosing on the validation period. sampling: how training steps sampled the catalogue."""

    weights: Weights
    blend: Blend
    whitening: Whitening
    curve: Curve
    prior: Floats
    sampling: Sampling | None = None

    @property
    def course(self) -> Course:
        """What the clock decided, to repeat this training."""
        return Course(self.curve.n_epochs, tuple(self.curve.planned), self.sampling is not None)


def training_offsets(events: Events, slots: Slots, prior: Floats, device: torch.device) -> Offsets:
    """The log prior of each training slot, -inf for items whose first event comes after the slot."""
    wanted, place = np.unique(slots.of(events.time), return_inverse=True)
    first_seen = np.full(events.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first_seen, events.item, events.time)
    table = slot_log_prior(events, slots, wanted, prior)
    for row, slot in enumerate(wanted):
        table[row, torch.from_numpy(first_seen >= slots.begin(int(slot) + 1))] = -torch.inf
    return Offsets(table.to(device, matmul_dtype(device)), place)


def new_model(
    config: RecommenderConfig, text: Floats, n_kinds: int, device: torch.device, seed: int, whitening: Whitening | None = None
) -> Recommender:
    """An untrained model on whitened text [items, dim]. whitening: for a model that reads searches."""
    generator = torch.manual_seed(seed)  # linear layers are initialised from the global generator
    return Recommender(config, torch.from_numpy(text), n_kinds, generator, whitening).to(device)


@dataclass(frozen=True)
class Lessons:
    """What a model trains on: events, their offsets, and the whitened texts of the searches among the events; None without searches."""

    events: Events
    offsets: Offsets
    searches: Tensor | None = None

    @staticmethod
    def of(model: Recommender, events: Events, offsets: Offsets, evaluator: Evaluator, until: int | None = None) -> Lessons:
        """The events with the weak negatives; for a model that reads searches, also the searches of the evaluator before a time."""
        shown = evaluator.shown
        if model.searches is None:
            return Lessons(events, replace(offsets, passed=None if shown is None else shown.passed(events, until)))
        streams = streams_of(evaluator, events, until)
        slot = np.zeros(len(streams.events), np.int64)
        slot[streams.row] = offsets.slot
        offsets = replace(offsets, slot=slot, passed=None if shown is None else shown.passed(streams.events, until))
        return Lessons(streams.events, offsets, model.searches.whitened(streams.texts))


def streams_of(evaluator: Evaluator, events: Events, until: int | None = None) -> Streams:
    """Events with the searches of the evaluator before a time."""
    searches = evaluator.searches
    assert searches is not None, "a model reads searches only if there are some"
    is_known = np.ones(len(searches), bool) if until is None else searches.time < until
    return Streams.mix(events, searches.user[is_known], searches.time[is_known], searches.text[is_known], searches.vectors)


def to_weights(model: Recommender, events: Events, rows: Ints, n_trained: Ints) -> Weights:
    """The trained model with the mean user vector over the given rows."""
    vectors = target_vectors(model, events, rows) if len(rows) else torch.zeros(1, model.config.dim)
    return Weights(model, vectors.mean(0), torch.from_numpy((n_trained == 0).astype(np.float32)))


def fit_past(
    evaluator: Evaluator,
    split: TemporalSplit | None,
    validation: Ints,
    text: Floats,
    model_config: RecommenderConfig,
    train_config: TrainConfig,
    seed: int,
    on_epoch: OnEpoch | None = None,
    course: Course | None = None,
    trainer: Trainer = train_here,
) -> Fit:
    """Train on the events before the validation period, and choose epochs and blend on the validation rows.

    Without a split in time, training uses all counted events. If the validation events can tell whether it helps, the model also learns to
    read searches; it forgets how to if that does not help.
    course: that of an earlier training to repeat, instead of what the time budget allows. trainer: carries out the training.
    """
    events, slots = evaluator.events, evaluator.slots
    until = None if split is None else split.validation_from
    past = evaluator.counted if until is None else events.before(until)
    device = pick_device(train_config.device)
    n_trained = np.bincount(past.item, minlength=events.n_items)
    whitening = Whitening.fit(text, model_config.dim, n_trained > 0)
    can_read = until is not None and _fits(evaluator, text) and has_searches_to_judge_by(evaluator, validation)
    model = new_model(model_config, whitening.apply(text), events.n_kinds, device, seed, whitening if can_read else None)
    prior = fit_prior(past, slots)
    judge = make_judge(evaluator, sample(validation, MAX_JUDGE_ROWS, seed), prior, can_read) if len(validation) else None
    offsets = training_offsets(past, slots, prior, device)
    lessons = Lessons.of(model, past, offsets, evaluator, until)
    sampled = Sampling(events.n_items, N_SAMPLED_ITEMS) if course is not None and course.is_sampled else None
    curve, sampling = trainer(
        Training(
            *(model, lessons.events, replace(lessons.offsets, sampling=sampled), train_config, seed),
            searches=lessons.searches,
            judge=judge,
            course=course,
            chooses=course is None,
        ),
        on_epoch,
    )
    weights = to_weights(model, events, sample(validation if len(validation) else np.arange(len(events)), MAX_BLEND_ROWS, seed), n_trained)
    blend = choose_blend(evaluator, weights, validation, until, seed)
    if can_read and not reads_searches(evaluator, weights, blend, validation, seed):
        model.searches = None
        blend = choose_blend(evaluator, weights, validation, until, seed)
    return Fit(weights, blend, whitening, curve, prior, sampling)


def _fits(evaluator: Evaluator, text: Floats) -> bool:
    """Whether items and searches have texts by the same encoder."""
    return evaluator.searches is not None and evaluator.searches.vectors.shape[1] == text.shape[1] and bool(text.any())


def make_judge(evaluator: Evaluator, rows: Ints, prior: Floats, reads_searches: bool = False) -> Judge:
    """The judge of a model by these rows of the events."""
    events, slots = evaluator.events, evaluator.slots
    wanted, place = np.unique(slots.of(events.time[rows]), return_inverse=True)
    if len(wanted) * events.n_items > 50_000_000:
        wanted = wanted[: max(50_000_000 // events.n_items, 1)]
        rows, place = rows[place < len(wanted)], place[place < len(wanted)]
    table = slot_log_prior(evaluator.counted, slots, wanted, prior)
    target, seen = events.item[rows], evaluator.seen(rows)
    if not reads_searches:
        return Judge(events, rows, target, table, place, seen)
    streams = streams_of(evaluator, events)
    return Judge(streams.events, streams.row[rows], target, table, place, seen, streams.texts)


def refit(
    evaluator: Evaluator,
    fit: Fit,
    text: Floats,
    model_config: RecommenderConfig,
    train_config: TrainConfig,
    seed: int,
    but: Ints | None = None,
    trainer: Trainer = train_here,
) -> tuple[Weights, Curve]:
    """A new model trained the same way on all events except the rows `but`, for the best number of epochs."""
    events = evaluator.events
    if but is not None:
        weight = events.weight.copy()
        weight[but] = 0
        events = replace(events, weight=weight)
    device, whitening = pick_device(train_config.device), None if fit.weights.model.searches is None else fit.whitening
    model = new_model(model_config, fit.whitening.apply(text), events.n_kinds, device, seed, whitening)
    offsets = replace(training_offsets(events, evaluator.slots, fit.prior, device), sampling=fit.sampling)
    lessons = Lessons.of(model, events, offsets, evaluator)
    training = Training(model, lessons.events, lessons.offsets, train_config, seed, lessons.searches, n_epochs=fit.curve.n_best or 1.0)
    curve, _ = trainer(training, None)
    newest = np.sort(np.argsort(events.time, kind="stable")[-MAX_BLEND_ROWS:])
    return to_weights(model, events, newest, np.bincount(events.item, minlength=events.n_items)), curve
