"""Replay memory: a sample of past windows, recent ones more likely, which prevents forgetting while new events are learnt."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.config import IncrementConfig
from models.events import Events, Ints, Windows, training_windows, usual_span, windows_as_users

WINDOW_EVENTS = 32
CONTEXT_SHARE = 4
"""The first 1/CONTEXT_SHARE of a window cut from a longer history is context only, not a target."""
HELD_OUT_SHARE = 0.1
UNKNOWN = 0
"""The owner of a window that was stored without one."""
LEAST_VOTE = 0.1
"""Events with a vote of at most this share of their weight are not targets, such as a user's fourth click on an item within a day."""


@dataclass(frozen=True)
class Memory:
    """Windows of users' histories, each stored as the whole stream of a user.

    is_held_out: [windows] excluded from training, for the gate. prior: [slots, items] log prior at slot_time (unix seconds,
    ascending), -inf for items that did not exist yet. owner: [windows] whose window it is, a number that only a key can connect with a
    user, so that the windows of one person can be taken out; UNKNOWN in older versions. None stands for all unknown.
    """

    events: Events
    is_held_out: NDArray[np.bool_]
    prior: Tensor
    slot_time: Ints
    owner: Ints | None = None

    @property
    def owners(self) -> Ints:
        """[windows] the owner of each window."""
        return np.full(self.n_windows, UNKNOWN) if self.owner is None else self.owner

    @property
    def n_windows(self) -> int:
        return len(self.is_held_out)

    @property
    def n_teaching(self) -> float:
        """Mean number of targets per window."""
        return np.count_nonzero(self.events.weight) / max(self.n_windows, 1)

    def slot_of(self, time: Ints) -> Ints:
        """The last slot that began at or before each time; the first slot for earlier times."""
        return np.maximum(np.searchsorted(self.slot_time, time, side="right") - 1, 0)

    def draw(self, n: int, rng: np.random.Generator) -> Ints:
        """At most n random windows that are not held out."""
        free = np.flatnonzero(~self.is_held_out)
        return rng.choice(free, min(n, len(free)), replace=False)

    def windows(self, which: Ints) -> Windows:
        """Whole windows."""
        offsets = self.events.offsets
        return Windows(offsets[which], offsets[which], offsets[which + 1])

    def last_events(self, which: Ints) -> Windows:
        """The windows with only their last event as a target."""
        offsets = self.events.offsets
        return Windows(offsets[which], offsets[which + 1] - 1, offsets[which + 1])

    def n_due(self, now: int, elapsed_s: int, config: IncrementConfig, rng: np.random.Generator) -> int:
        """Number of windows to add after elapsed_s, so that a window's chance of being in memory halves with each half-life of age.

        The result does not depend on how often windows are added. A memory that is not full takes more.
        """
        begun = usual_span(self.events.time)[0] if len(self.events) else now
        half_life_s = max(config.memory_half_life_share * (now - begun), 1.0)
        n_aged = int(rng.poisson(min(np.log(2) * max(elapsed_s, 0) / half_life_s, 1.0) * config.memory_windows))
        return max(n_aged, min(config.memory_windows - self.n_windows, max(config.memory_windows // 100, 1)))

    def added(self, events: Events, rng: np.random.Generator, n: int, capacity: int, length: int, owners: Ints | None = None) -> Memory:
        """The memory with the newest windows of at most n users of `events`; in a full memory they replace random windows.

        Their targets exclude events that the gate measures, and events that do not count. owners: of the windows of each user.
        """
        newest = newest_windows(events, length)
        chosen = np.sort(rng.choice(len(newest), min(n, len(newest)), replace=False))
        n_excess = max(self.n_windows + len(chosen) - capacity, 0)
        keep = np.ones(self.n_windows, bool)
        keep[self.draw(n_excess, rng)] = False
        kept = self.windows(np.flatnonzero(keep))
        teaches = is_counted(events, np.arange(len(events))) & ~self._is_measured(events)
        teaching = replace(events, weight=np.where(teaches, events.weight, 0))
        old, new = windows_as_users(self.events, kept), windows_as_users(teaching, _where(newest, chosen))
        held_out = np.concatenate([self.is_held_out[keep], np.zeros(len(chosen), bool)])
        users = events.user[newest.start[chosen]]
        owner = np.concatenate([self.owners[keep], np.full(len(users), UNKNOWN) if owners is None else owners[users]])
        return replace(self, events=_joined(old, new, len(held_out)), is_held_out=held_out, owner=owner)

    def without(self, owners: Collection[int]) -> Memory:
        """The memory without the windows of some owners, and without those whose owner is unknown: they may be theirs."""
        keep = ~np.isin(self.owners, [UNKNOWN, *owners])
        kept = windows_as_users(self.events, self.windows(np.flatnonzero(keep)))
        return replace(self, events=kept, is_held_out=self.is_held_out[keep], owner=self.owners[keep])

    def _is_measured(self, events: Events) -> NDArray[np.bool_]:
        """[events] whether the event may be the last one of a held-out window: same item, same second."""
        rows = self.last_events(np.flatnonzero(self.is_held_out)).stop - 1
        given, kept = (part.time * events.n_items + part.item for part in (events, self.events))
        return np.isin(given, kept[rows])

    def with_slot(self, time: int, prior: Tensor, n_slots: int, spacing_s: int) -> Memory:
        """The memory with the prior of one more time; it replaces the newest one if that is less than spacing_s after its predecessor."""
        keep = len(self.slot_time)
        if keep > 1 and self.slot_time[-1] - self.slot_time[-2] < spacing_s:
            keep -= 1
        first = max(keep + 1 - n_slots, 0)
        return replace(
            self,
            prior=torch.cat([self.prior[first:keep], prior[None].to(self.prior.dtype)]),
            slot_time=np.concatenate([self.slot_time[first:keep], [time]]),
        )

    def with_n_items(self, n_items: int) -> Memory:
        """The memory with additional items without events."""
        more = n_items - self.events.n_items
        prior = torch.cat([self.prior, self.prior.new_full((len(self.prior), more), -torch.inf)], 1)
        return replace(self, events=replace(self.events, n_items=n_items), prior=prior)


def is_counted(events: Events, rows: Ints) -> NDArray[np.bool_]:
    """[rows] whether events may be targets: false if a user repeats an item many times within a day."""
    return events.votes[rows] > LEAST_VOTE * events.weight[rows]


def newest_windows(events: Events, length: int) -> Windows:
    """The last `length` events of every user with events; events with enough context are targets."""
    start, stop = events.offsets[:-1], events.offsets[1:]
    has = stop > start
    start, stop = start[has], stop[has]
    begin = np.maximum(stop - length, start)
    return Windows(begin, np.where(begin > start, begin + length // CONTEXT_SHARE, begin), stop)


@dataclass(frozen=True)
class Sample:
    """Sampled windows, and which of them are held out for the gate; training must not learn their last events."""

    windows: Windows
    is_held_out: NDArray[np.bool_]

    @property
    def held_out_rows(self) -> Ints:
        """The last event of each held-out window."""
        return self.windows.stop[self.is_held_out] - 1


def sample_windows(events: Events, half_life_s: float, capacity: int, length: int, rng: np.random.Generator) -> Sample:
    """A sample of at most `capacity` windows of `length` events, whose chance halves with each half-life of age."""
    windows = training_windows(events, length)
    windows = replace(
        windows,
        target=np.where(windows.start > events.offsets[events.user[windows.start]], windows.start + length // CONTEXT_SHARE, windows.start),
    )
    windows = _where(windows, windows.target < windows.stop)
    last = events.time[windows.stop - 1]
    log_weight = (last - (last.max() if len(last) else 0)) / half_life_s * np.log(2)
    picked = np.sort(np.argsort(-(log_weight + rng.gumbel(size=len(windows))))[:capacity])
    held_out = np.zeros(len(picked), bool)
    held_out[rng.choice(len(picked), int(len(picked) * HELD_OUT_SHARE), replace=False)] = True
    return Sample(_where(windows, picked), held_out)


def _where(windows: Windows, which: Ints | NDArray[np.bool_]) -> Windows:
    return Windows(windows.start[which], windows.target[which], windows.stop[which])


def _joined(old: Events, new: Events, n_windows: int) -> Events:
    pairs = {name: np.concatenate([getattr(old, name), getattr(new, name)]) for name in ("item", "kind", "time", "weight")}
    user = np.concatenate([old.user, new.user + old.n_users])
    return Events(user=user, **pairs, n_users=n_windows, n_items=new.n_items, n_kinds=new.n_kinds)
