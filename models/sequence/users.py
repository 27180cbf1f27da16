"""U = f(L): user states, at the events of their streams or at the time of a request."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.device import autocast
from models.events import Events, Floats, Ints, Windows, ragged_rows, target_windows
from models.sequence.recommender import Recommender
from models.sequence.streams import bucket_by_length, make_batch

BATCH_EVENTS, CARD_EVENTS = 4096, 16384
"""Tokens of one forward pass on a CPU, whose cache holds the activations of so many, and on a card."""


@dataclass(frozen=True)
class LastSearches:
    """A search after the last event of each history: vectors of the encoder [users, dim], zero without one; time: unix seconds."""

    vectors: Floats
    time: Ints

    @property
    def is_there(self) -> NDArray[np.bool_]:
        """[users] whether there is one."""
        found: NDArray[np.bool_] = np.any(self.vectors != 0, axis=1)
        return found

    def at(self, which: slice | Ints | NDArray[np.bool_]) -> LastSearches:
        """Those of some users."""
        return LastSearches(self.vectors[which], self.time[which])


def followed(events: Events, start: Ints, stop: Ints, last: LastSearches) -> tuple[Events, Ints, Ints, Floats]:
    """Histories, given as half-open ranges of events, with the search at their end as one more event, and the vectors of these searches.

    The item of a search is n_items + its row in the vectors, as in Streams.
    """
    number, row = ragged_rows(start, stop)
    asking = np.flatnonzero(last.is_there)
    nothing = np.zeros(len(asking), np.int64)
    user = np.concatenate([number, asking])
    order = np.argsort(user, kind="stable")
    columns = (
        np.concatenate([events.item[row], events.n_items + np.arange(len(asking))]),
        np.concatenate([events.kind[row], nothing]),
        np.concatenate([events.time[row], last.time[asking]]),
        np.concatenate([events.weight[row], nothing.astype(np.float32)]),
    )
    item, kind, time, weight = (column[order] for column in columns)
    whole = Events(user[order], item, kind, time, weight, len(start), events.n_items, events.n_kinds)
    return whole, whole.offsets[:-1], whole.offsets[1:], last.vectors[asking]


@torch.inference_mode()
def user_vectors(
    model: Recommender,
    events: Events,
    windows: Windows,
    batch_events: int | None = None,
    now: int | Ints = 0,
    known: Tensor | None = None,
    texts: Floats | None = None,
) -> tuple[Tensor, Ints]:
    """States [targets, dim] of all targets of the windows, and the rows they predict, in the order of the rows.

    texts: vectors of the encoder of the searches among the events, as in Streams.
    known: the vectors of all items, if they have been computed already, as for lists. The states are then in fp32, also where bf16 is
    fast: a user must get the same list alone and among others, and for one user the conversion takes longer than it saves.
    """
    device = model.start.device
    batch_events = batch_events or (BATCH_EVENTS if device.type == "cpu" else CARD_EVENTS)
    if model.training:  # it sets a flag in every module, which takes a tenth of the time for one user
        model.eval()
    states, rows = [], []
    with autocast(device) if known is None else nullcontext():
        searched = None if texts is None or model.searches is None else model.searches(model.searches.whitened(texts))
        n_searches = 0 if searched is None else len(searched)
        items, row_of = embed_items(model, events, n_searches) if known is None else (known.to(device), None)
        for which in bucket_by_length(windows.length, batch_events):
            batch = make_batch(events, windows, which, now).to(device)
            item = batch.item if row_of is None else row_of[batch.item]
            out = model.encode(items, item, batch.kind, batch.event_time, batch.query_time, batch.is_start, batch.place, searched)
            states.append(out[batch.is_target].float().cpu())
            rows.append(batch.rows[batch.is_target].cpu().numpy())
    row = np.concatenate(rows) if rows else np.empty(0, np.int64)
    order = np.argsort(row, kind="stable")
    return torch.cat(states)[torch.from_numpy(order)], row[order]


def embed_items(model: Recommender, events: Events, n_searches: int = 0) -> tuple[Tensor, Tensor | None]:
    """Vectors [rows, dim] of the items that occur in the events, and the row of each item; with many events, all items and None.

    A history contains few of a hundred thousand items: the vectors of all would take a hundred times as long as the rest. The rows of
    n_searches searches, whose items begin at n_items, follow those of the items.
    """
    n_items = events.n_items
    if len(events) >= n_items:
        return model.items(), None
    device = next(model.parameters()).device
    rows = np.unique(np.minimum(events.item, n_items - 1))
    row_of = torch.zeros(n_items + n_searches, dtype=torch.int64, device=device)
    row_of[torch.from_numpy(rows).to(device)] = torch.arange(len(rows), device=device)
    row_of[n_items:] = torch.arange(len(rows), len(rows) + n_searches, device=device)
    return model.items(torch.from_numpy(rows).to(device)), row_of


def target_vectors(model: Recommender, events: Events, rows: Ints, texts: Floats | None = None) -> Tensor:
    """User vectors [rows, dim] at the time of each (sorted) row, computed from the events before it. texts: as in `user_vectors`."""
    windows = target_windows(events, rows, model.config.max_events)
    vectors, covered = user_vectors(model, events, windows, texts=texts)
    return vectors[torch.from_numpy(np.searchsorted(covered, rows))]


def vectors_at(
    model: Recommender,
    events: Events,
    start: Ints,
    stop: Ints,
    now: int | Ints,
    known: Tensor | None = None,
    last: LastSearches | None = None,
) -> Tensor:
    """The state after each user's last event or, in a model that reads searches, the search after it, [users, dim].

    Users without events and search share the start state. known: as in `user_vectors`. last: by user; None without searches.
    """
    asking = np.zeros(len(start), bool) if last is None or model.searches is None else last.is_there
    if last is None or not asking.any():
        return _states(model, events, start, stop, now, known)
    times, out = np.broadcast_to(now, len(start)), torch.empty(len(start), model.config.dim)
    if not asking.all():
        out[torch.from_numpy(~asking)] = _states(model, events, start[~asking], stop[~asking], times[~asking], known)
    start, stop = start[asking], stop[asking]
    start = np.maximum(start, stop - model.config.max_events + 1)  # the search takes the place of the oldest event
    whole, start, stop, texts = followed(events, start, stop, last.at(asking))
    out[torch.from_numpy(asking)] = _states(model, whole, start, stop, times[asking], known, texts)
    return out


def _states(
    model: Recommender,
    events: Events,
    start: Ints,
    stop: Ints,
    now: int | Ints,
    known: Tensor | None = None,
    texts: Floats | None = None,
) -> Tensor:
    zero = np.zeros(1, np.int64)
    times = np.broadcast_to(now, len(start))
    out = torch.empty(len(start), model.config.dim)
    has = stop > start
    if not has.all():  # one time serves all: the start token has no gap to the time of the request
        lone = events if len(events) else Events(zero, zero, zero, zero, np.ones(1, np.float32), 1, events.n_items, events.n_kinds)
        out[torch.from_numpy(~has)] = user_vectors(model, lone, Windows(zero, zero, zero + 1), known=known)[0][:1]
    if has.any():
        after = stop[has] + 1
        windows = Windows(np.maximum(after - model.config.max_events, start[has]), stop[has], after)
        out[torch.from_numpy(has)] = last_vectors(model, events, windows, times[has], known, texts)
    return out


def last_vectors(
    model: Recommender, events: Events, windows: Windows, now: int | Ints, known: Tensor | None = None, texts: Floats | None = None
) -> Tensor:
    """The vectors of windows with one target each, in the order of the windows. known, texts: as in `user_vectors`."""
    order = np.argsort(windows.target, kind="stable")
    vectors, _ = user_vectors(model, events, windows, now=now, known=known, texts=texts)
    out = torch.empty_like(vectors)
    out[torch.from_numpy(order)] = vectors
    return out
