"""The fit of the capture heads: the interests of a user's next items should be likely, given what was known before."""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from models.events import Events, Floats, Ints, offsets_of, ragged_rows
from models.interests.capture import HORIZONS, LONG_S, Capture, Head, blocks, log_softmax_by_group
from models.interests.profiles import SOURCES, Evidence, Moments, Tables, group_sums, near_texts, popular_at
from models.ranking.prior import Slots

log = logging.getLogger("minutehand.interests")
MAX_CELLS = 30_000_000
"""Moments x interests x sources of the training; of more moments, the newest are used."""
N_PERIODS = 4
"""Training has so many consecutive periods of as many events; each knows the transitions of the time before it."""
WARM_SHARE = 0.2
"""Share of the training events, the oldest, that only teach transitions."""
EPOCHS = 4
BATCH, LEAST_BATCH = 1024, 64
N_STEPS = 200
"""Steps at least; with few moments, batches are smaller and epochs more."""
LEARNING_RATE = 1e-2
WARM_UP = 20
MAX_LONG = 50
"""Items that the long horizon counts at most."""
MAX_SLOTS = 1000
MAX_POPULAR_CELLS = 10_000_000
SHARPNESS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2)
LEAST_LESSONS, LEAST_HELD_OUT = 200, 50
"""With fewer moments to learn from or to choose by, the head stays as it starts."""


@dataclass(frozen=True)
class PopularTimes:
    """What is popular at the beginning of each slot of time: shares [wanted slots, interests, POPULAR_H]."""

    slots: Slots
    wanted: Ints
    shares: Floats

    @staticmethod
    def over(events: Events, shares: csr_matrix, group: Ints, time: Ints) -> PopularTimes:
        """Popularity for the given times."""
        slots = Slots.over(time, max(min(MAX_SLOTS, MAX_POPULAR_CELLS // max(len(group), 1)), 20))
        wanted = np.unique(slots.of(time))
        states = popular_at(events, shares, wanted * slots.seconds + slots.first)
        found = [state.shares(group) for state in states]
        return PopularTimes(slots, wanted, np.stack(found) if found else np.empty((0, len(group), 0), np.float32))

    def place(self, time: Ints) -> Ints:
        """Row of the slot of each time."""
        return np.searchsorted(self.wanted, self.slots.of(time))


@dataclass(frozen=True)
class Lessons:
    """Moments with their evidence, and the shares of what came: target [moments, interests, horizons]; popular: place in PopularTimes."""

    evidence: tuple[Tensor, Tensor, Tensor]
    place: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.place)

    def seen(self, rows: Tensor, group: Ints) -> tuple[Tensor, Tensor, Tensor]:
        """What the head sees of some moments."""
        counts, mass, context = self.evidence
        return counts[rows], mass[rows][:, group], context[rows]

    @staticmethod
    def of(events: Events, rows: Ints, shares: csr_matrix, group: Ints, tables: Tables, times: PopularTimes) -> Lessons:
        """Just before each of the given events. The long horizon ends at the latest with the last event of `events`."""
        moments = Moments.before(events, rows)
        parts = [Evidence.of(events, moments[block], shares, tables, group) for block in blocks(len(rows), len(group))]
        columns = zip(*((part.counts, part.mass, part.context) for part in parts), strict=True)
        evidence = tuple(torch.from_numpy(np.concatenate(column)) for column in columns)
        target = np.stack([shares[events.item[rows]].toarray(), long_shares(events, rows, shares, group)], -1)
        return Lessons(evidence, torch.from_numpy(times.place(moments.time)), torch.from_numpy(target))  # type: ignore[arg-type]

    @staticmethod
    def joined(parts: Sequence[Lessons]) -> Lessons:
        """All lessons, one after the other."""
        evidence = tuple(torch.cat(column) for column in zip(*(part.evidence for part in parts), strict=True))
        return Lessons(evidence, torch.cat([part.place for part in parts]), torch.cat([part.target for part in parts]))  # type: ignore[arg-type]


def fit_capture(
    events: Events,
    shares: csr_matrix,
    group: Ints,
    validation_from: int,
    seed: int,
    text: Floats | None = None,
    vectors: Floats | None = None,
) -> Capture:
    """The capture heads, trained on the events before the validation period [validation_from, inf) and tuned on the events in it.

    shares: [items, interests], whose rows sum to 1 or 0 within each group. What the heads know of everybody comes from all given events.
    text, vectors: of the items and of the interests, by the encoder, not whitened; without them, texts are no evidence.
    With too little to learn from, the heads return smoothed counts.
    """
    started = clock.monotonic()
    group = np.unique(group, return_inverse=True)[1]
    near = None if text is None or vectors is None else near_texts(text, vectors, group)
    rows = teaching(events, shares)
    is_past = events.time[rows] < validation_from
    n_moments = max(MAX_CELLS // (max(len(group), 1) * len(SOURCES)), BATCH)
    past, held_out = newest(events, rows[is_past], n_moments), newest(events, rows[~is_past], n_moments // 4)
    head, sharpness = Head(len(group)), np.ones(len(HORIZONS), np.float32)
    if len(past) >= LEAST_LESSONS:
        times = PopularTimes.over(events, shares, group, events.time[np.concatenate([past, held_out])])
        known = events.before(validation_from)
        past = np.searchsorted(np.flatnonzero(events.time < validation_from), past)
        lessons = _by_period(known, past, shares, group, near, times)
        judged = Lessons.of(events, held_out, shares, group, Tables.learn(known, shares, group, near), times)
        head, sharpness = _train(head, lessons, judged, torch.from_numpy(times.shares), group, seed)
    as_of = int(events.time.max(initial=validation_from - 1)) + 1
    (popular,) = popular_at(events, shares, np.array([as_of]))
    log.info("%d interests, %d moments, %d held out in %.1f s", len(group), len(past), len(held_out), clock.monotonic() - started)
    head = head.eval().requires_grad_(requires_grad=False)
    return Capture(head, group, sharpness, Tables.learn(events, shares, group, near), popular)


def teaching(events: Events, shares: csr_matrix) -> Ints:
    """The events that teach: those of some weight on items with interests."""
    return np.flatnonzero((events.weight > 0) & (np.diff(shares.indptr)[events.item] > 0))


def newest(events: Events, rows: Ints, n: int) -> Ints:
    """The newest n of some rows, in the order of rows."""
    return np.sort(rows[np.argsort(events.time[rows], kind="stable")[max(len(rows) - n, 0) :]])


def long_shares(events: Events, rows: Ints, shares: csr_matrix, group: Ints) -> Floats:
    """Mean shares [rows, interests] of the items that the user of each row has from then on, within LONG_S seconds."""
    first = int(events.time.min()) if len(events) else 0
    span = int(events.time.max() if len(events) else 0) - first + LONG_S + 1
    key = events.user * span + events.time - first
    stop = np.minimum(np.searchsorted(key, key[rows] + LONG_S), offsets_of(events, events.n_users)[events.user[rows] + 1])
    stop = np.minimum(stop, rows + MAX_LONG)
    out = np.empty((len(rows), len(group)), np.float32)
    for block in blocks(len(rows), len(group)):
        _, then = ragged_rows(rows[block], stop[block])
        indptr = np.concatenate([[0], np.cumsum(stop[block] - rows[block])])
        item, column = np.unique(events.item[then], return_inverse=True)
        counts = (csr_matrix((events.weight[then], column, indptr), shape=(len(indptr) - 1, len(item))) @ shares[item]).toarray()
        sums = group_sums(counts, group)[:, group]
        out[block] = np.divide(counts, sums, out=np.zeros_like(counts), where=sums > 0)
    return out


def _by_period(events: Events, rows: Ints, shares: csr_matrix, group: Ints, near: csr_matrix | None, times: PopularTimes) -> Lessons:
    """Lessons of the given rows without the first WARM_SHARE; each period knows the tables of the time before it."""
    time = events.time[rows]
    begins = np.unique(np.quantile(time, np.linspace(WARM_SHARE, 1, N_PERIODS + 1)[:-1], method="higher"))
    ends = [*begins[1:], np.iinfo(np.int64).max]
    parts = []
    for begin, end in zip(begins, ends, strict=True):
        tables = Tables.learn(events.before(int(begin)), shares, group, near)
        parts.append(Lessons.of(events, rows[(time >= begin) & (time < end)], shares, group, tables, times))
    return Lessons.joined(parts)


def _train(head: Head, lessons: Lessons, judged: Lessons, popular: Tensor, group: Ints, seed: int) -> tuple[Head, Floats]:
    """The head of the epoch that predicts the judged moments best, and its sharpness. `head`, before training, is one of the choices."""
    if len(lessons) < LEAST_LESSONS or len(judged) < LEAST_HELD_OUT:
        return head, np.ones(len(HORIZONS), np.float32)
    generator = torch.manual_seed(seed)
    fresh = Head(len(group))
    optimizer = torch.optim.AdamW(fresh.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    best, lowest, step = head, _losses(_logits(head, judged, popular, group), judged, group).mean(), 0
    batch = min(max(len(lessons) * EPOCHS // N_STEPS, LEAST_BATCH), BATCH)
    n_a_pass = -(-len(lessons) // batch)
    n_epochs = max(EPOCHS, -(-N_STEPS // n_a_pass))
    n_steps = n_epochs * n_a_pass
    for _ in range(n_epochs):
        for rows in torch.randperm(len(lessons), generator=generator).split(batch):
            for parameters in optimizer.param_groups:
                parameters["lr"] = LEARNING_RATE * min(1, (step + 1) / WARM_UP) * (1 - step / n_steps)
            logits = fresh(*lessons.seen(rows, group), popular[lessons.place[rows]])
            loss = -(lessons.target[rows] * log_softmax_by_group(logits, group)).sum() / len(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        found = _losses(_logits(fresh, judged, popular, group), judged, group).mean()
        if np.isfinite(found) and found < lowest:
            best, lowest = deepcopy(fresh), found
    logits = _logits(best, judged, popular, group)
    by_factor = np.stack([_losses(logits * factor, judged, group) for factor in SHARPNESS])
    return best, np.array(SHARPNESS, np.float32)[by_factor.argmin(0)]


@torch.inference_mode()
def _logits(head: Head, lessons: Lessons, popular: Tensor, group: Ints) -> Tensor:
    rows = torch.arange(len(lessons)).split(BATCH)
    return torch.cat([head(*lessons.seen(each, group), popular[lessons.place[each]]) for each in rows])


def _losses(logits: Tensor, lessons: Lessons, group: Ints) -> Floats:
    """Cross-entropy of each horizon, in nats."""
    return -(lessons.target * log_softmax_by_group(logits, group)).sum((0, 1)).div(len(lessons)).numpy()
