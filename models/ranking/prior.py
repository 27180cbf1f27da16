"""The prior: how likely an item is at time t for an unknown user, from a mixture of popularities and the item's age."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.events import Events, Floats, Ints

HALF_LIVES_H = (2.0, 8.0, 24.0, 72.0, 240.0, 1000.0)
N_SHARES = len(HALF_LIVES_H) + 2
N_PARAMETERS = N_SHARES + 3


@dataclass(frozen=True)
class Slots:
    """Time in slots of equal length; predictions in a slot know the events before it began."""

    first: int
    seconds: int

    @staticmethod
    def over(time: Ints, n_slots: int = 4000, min_seconds: int = 900) -> Slots:
        """The shortest slots, at least min_seconds long, of which at most n_slots contain an event.

        Outliers, such as events with a time wrong by decades, make slots no longer, because the slots in between are empty.
        """
        moments = np.unique(time)
        first = int(moments[0]) if len(moments) else 0

        def n_held(seconds: int) -> int:
            return int(np.count_nonzero(np.diff((moments - first) // seconds))) + 1

        if not len(moments) or n_held(min_seconds) <= n_slots:
            return Slots(first, min_seconds)
        too_short, seconds = min_seconds, int(moments[-1] - first) // n_slots + 1
        while seconds - too_short > max(too_short // 50, 1):
            middle = (too_short + seconds) // 2
            too_short, seconds = (too_short, middle) if n_held(middle) <= n_slots else (middle, seconds)
        return Slots(first, seconds)

    def of(self, time: Ints) -> Ints:
        """The slot of each time."""
        return (time - self.first) // self.seconds

    def begin(self, slot: int) -> int:
        """Begin of a slot, unix seconds."""
        return self.first + slot * self.seconds


class Popularity:
    """Decayed event counts per item, advanced in time; the state is O(items), whatever the length of the history."""

    def __init__(self, n_items: int) -> None:
        self.counts = np.zeros((len(HALF_LIVES_H) + 1, n_items))
        self.first_seen = np.full(n_items, np.iinfo(np.int64).max)
        self.now: int | None = None

    def advance(self, now: int, item: Ints, time: Ints, weight: Floats) -> None:
        """Add events that happened before `now`, and decay all counts to `now`. The last row of counts never decays."""
        n_items = len(self.first_seen)
        half_lives_s = np.array([*HALF_LIVES_H, np.inf]) * 3600
        if self.now is not None:
            self.counts *= np.exp2(-(now - self.now) / half_lives_s)[:, None]
        if len(item):
            decay = np.exp2(-(now - time) / half_lives_s[:, None])
            for row, kept in enumerate(decay):
                self.counts[row] += np.bincount(item, weight * kept, minlength=n_items)
            np.minimum.at(self.first_seen, item, time)
        self.now = now

    def with_n_items(self, n_items: int) -> Popularity:
        """A copy with additional items without events."""
        other, n_old = Popularity(n_items), len(self.first_seen)
        other.counts[:, :n_old], other.first_seen[:n_old], other.now = self.counts, self.first_seen, self.now
        return other

    def features(self) -> Floats:
        """[items, N_SHARES + 2]: share at each half-life, over all time and uniform; log age in days; whether it has no events."""
        n_items = len(self.first_seen)
        total = self.counts.sum(1, keepdims=True)
        share = np.where(total > 1e-6, self.counts / np.maximum(total, 1e-6), 1 / n_items)
        is_new = self.counts[-1] <= 0
        age_s = np.where(is_new, 0, (self.now or 0) - self.first_seen)
        return np.vstack([share, np.full(n_items, 1 / n_items), np.log1p(age_s / 86400), is_new]).T.astype(np.float32)


def popularity_by_slot(events: Events, slots: Slots, wanted: Ints) -> Iterator[tuple[int, Popularity]]:
    """Popularity at the beginning of each wanted slot (sorted, unique), in order of time."""
    order = events.by_time
    item, time, votes = events.item[order], events.time[order], events.votes[order]
    popularity = Popularity(events.n_items)
    done = 0
    for slot in wanted:
        now = slots.begin(int(slot))
        until = int(np.searchsorted(time, now, side="left"))
        popularity.advance(now, item[done:until], time[done:until], votes[done:until])
        done = until
        yield int(slot), popularity


def slot_features(events: Events, slots: Slots, wanted: Ints) -> Tensor:
    """Features [wanted, items, features] of the popularities of `popularity_by_slot`."""
    out = np.empty((len(wanted), events.n_items, N_SHARES + 2), np.float32)
    for n, (_, popularity) in enumerate(popularity_by_slot(events, slots, wanted)):
        out[n] = popularity.features()
    return torch.from_numpy(out)


def log_prior(features: Tensor, parameters: Tensor) -> Tensor:
    """power * log(mixture of shares) + age and novelty, [.., items] from features [.., items, N_SHARES + 2].

    parameters: N_SHARES logits of the mixture, power, weight of log age, weight of items without events.
    """
    mixture = features[..., :N_SHARES] @ parameters[:N_SHARES].softmax(0)
    return parameters[N_SHARES] * mixture.clamp_min(1e-12).log() + features[..., N_SHARES:] @ parameters[N_SHARES + 1 :]


def single_popularity(half_life_row: int) -> Floats:
    """Parameters that rank by one popularity only; row len(HALF_LIVES_H) is popularity over all time."""
    parameters = np.full(N_PARAMETERS, -30.0, np.float32)
    parameters[half_life_row], parameters[N_SHARES - 1] = 0.0, -20.0
    parameters[N_SHARES], parameters[N_SHARES + 1 :] = 1.0, 0.0
    return parameters


def slot_log_prior(events: Events, slots: Slots, wanted: Ints, parameters: Floats) -> Tensor:
    """[wanted, items] log prior at the beginning of each wanted slot, computed without storing the features of all slots."""
    out = torch.empty(len(wanted), events.n_items)
    weights = torch.from_numpy(parameters)
    for n, (_, popularity) in enumerate(popularity_by_slot(events, slots, wanted)):
        out[n] = log_prior(torch.from_numpy(popularity.features()), weights)
    return out
