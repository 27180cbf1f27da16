"""Padded batches of windows, cut from the flat arrays by index arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from models.events import Events, Floats, Ints, Windows

MOST_ASKED = 0.5
"""Maximum share of tokens for which a batch requests the states of some tokens only."""


@dataclass(frozen=True)
class Batch:
    """Tokens [batch, time] and the states to compute; padding at the end of each row.

    place: [batch, asked] positions of the tokens whose states are requested; None for all, which is cheaper than requesting most.
    rows: [batch, asked] the event that each state predicts, one past the user's last event to predict the next one.
    is_target: whether that prediction counts.
    """

    item: Tensor
    kind: Tensor
    event_time: Tensor
    query_time: Tensor
    is_start: Tensor
    rows: Tensor
    is_target: Tensor
    place: Tensor | None

    def to(self, device: torch.device) -> Batch:
        if device.type == "cpu":
            return self
        return replace(self, **{name: value.to(device, non_blocking=True) for name, value in vars(self).items() if value is not None})


@dataclass(frozen=True)
class Streams:
    """Events and searches of users by time, for training; the item of a search is n_items + its row in texts, its weight is zero.

    row: place of each event in `events`. texts: vectors of the encoder, [texts, text_dim]. Of an event and a search in the same second,
    the event comes first: a search does not explain what happened at the same time. Of searches without an event in between, only the
    last is a token, and none without a later event, as in lists; so there are never more searches than events.
    """

    events: Events
    row: Ints
    texts: Floats

    @staticmethod
    def mix(events: Events, user: Ints, time: Ints, text: Ints, texts: Floats) -> Streams:
        """user, time, text: of the searches; text is a row in texts. A zero vector stands for no search."""
        known = (texts != 0).any(axis=1)[text]
        user, time, text = user[known], time[known], text[known]
        users, times = np.concatenate([events.user, user]), np.concatenate([events.time, time])
        is_search = np.arange(len(users)) >= len(events)
        order = np.lexsort((is_search, times, users))
        leads = np.append((users[order][:-1] == users[order][1:]) & ~is_search[order][1:], False)
        order = order[~is_search[order] | leads]
        row = np.empty(len(users), np.int64)
        row[order] = np.arange(len(order))
        wanted, place = np.unique(text, return_inverse=True)
        nothing = np.zeros(len(user), np.int64)
        mixed = Events(
            user=users[order],
            item=np.concatenate([events.item, events.n_items + place])[order],
            kind=np.concatenate([events.kind, nothing])[order],
            time=times[order],
            weight=np.concatenate([events.weight, nothing]).astype(np.float32)[order],
            n_users=events.n_users,
            n_items=events.n_items,
            n_kinds=events.n_kinds,
        )
        return Streams(mixed, row[: len(events)], texts[wanted])


def teaching_windows(events: Events, windows: Windows) -> Windows:
    """The windows with a target of some weight."""
    n_before = np.concatenate([[0], np.cumsum(events.weight > 0)])
    teaches = n_before[windows.stop] > n_before[windows.target]
    return Windows(windows.start[teaches], windows.target[teaches], windows.stop[teaches])


def padded_length(length: int, longest: int) -> int:
    """The length to which a batch is padded: one of eight lengths per octave, at most `longest`.

    Libraries create and cache a matrix-product kernel for each shape. With unrestricted lengths, this takes a third of a
    step's time and gigabytes of memory.
    """
    step = 1 << max(int(length).bit_length() - 4, 0)
    return min(-(-length // step) * step, longest)


def make_batch(events: Events, windows: Windows, which: Ints, now: int | Ints = 0) -> Batch:
    """The batch of the given windows; a window that ends one past a user's last event predicts the next event at `now`.

    now: one time for all windows, or one per window.
    """
    start, begin, stop = windows.start[which], windows.target[which], windows.stop[which]
    time = padded_length(int((stop - start).max()), int(windows.length.max()))
    row = start[:, None] + np.arange(time)
    valid = row < stop[:, None]
    user_start = events.offsets[np.searchsorted(events.offsets, start, side="right") - 1] if len(events) else start
    is_start = row == user_start[:, None]
    last = len(events) - 1
    token = np.clip(row - 1, 0, last)
    target = np.minimum(row, last)
    is_asked = row >= events.offsets[np.searchsorted(events.offsets, start, side="right")][:, None]
    asked_at = now[which][:, None] if isinstance(now, np.ndarray) else now
    query_time = np.where(is_asked, asked_at, events.time[target])
    event_time = np.where(is_start, query_time, events.time[token])
    n_asked = padded_length(int((stop - begin).max()), time)
    place = None
    if n_asked <= MOST_ASKED * time:
        place = (stop - start)[:, None] - n_asked + np.arange(n_asked)
        row = start[:, None] + place
        valid = place >= 0
    return Batch(
        item=torch.from_numpy(events.item[token]),
        kind=torch.from_numpy(events.kind[token]),
        event_time=torch.from_numpy(event_time),
        query_time=torch.from_numpy(query_time),
        is_start=torch.from_numpy(is_start),
        rows=torch.from_numpy(row),
        is_target=torch.from_numpy(valid & (row >= begin[:, None])),
        place=None if place is None else torch.from_numpy(np.maximum(place, 0)),
    )


def bucket_by_length(length: Ints, batch_events: int, rng: np.random.Generator | None = None, *, shuffles: bool = True) -> Iterator[Ints]:
    """Groups of windows of similar length, each at most batch_events tokens including padding.

    rng: mixes windows of equal length, and shuffles the groups unless `shuffles` is False: then they begin with the longest windows.
    """
    noise = rng.random(len(length)) if rng is not None else np.zeros(len(length))
    order = np.lexsort((noise, length))
    ordered = length[order]
    groups: list[Ints] = []
    stop = len(order)
    while stop > 0:
        size = max(batch_events // max(padded_length(int(ordered[stop - 1]), int(ordered[-1])), 1), 1)
        groups.append(order[max(stop - size, 0) : stop])
        stop -= size
    if rng is not None and shuffles:
        rng.shuffle(groups)
    yield from groups
