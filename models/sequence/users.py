"""U = f(L): user states, at the events of their streams or at the time of a request."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from models.device import autocast
from models.events import Events, Ints, Windows, target_windows
from models.sequence.recommender import Recommender
from models.sequence.streams import bucket_by_length, make_batch

BATCH_EVENTS, CARD_EVENTS = 4096, 16384
"""Tokens of one forward pass on a CPU, whose cache holds the activations of so many, and on a card."""


@torch.inference_mode()
def user_vectors(
    model: Recommender,
    events: Events,
    windows: Windows,
    batch_events: int | None = None,
    now: int | Ints = 0,
    known: Tensor | None = None,
) -> tuple[Tensor, Ints]:
    """States [targets, dim] of all targets of the windows, and the rows they predict, in the order of the rows.

    known: the vectors of all items, if they have been computed already, as for lists. The states are then in fp32, also where bf16 is
    fast: a user must get the same list alone and among others, and for one user the conversion takes longer than it saves.
    """
    device = next(model.parameters()).device
    batch_events = batch_events or (BATCH_EVENTS if device.type == "cpu" else CARD_EVENTS)
    if model.training:  # it sets a flag in every module, which takes a tenth of the time for one user
        model.eval()
    states, rows = [], []
    with autocast(device) if known is None else nullcontext():
        items, row_of = embed_items(model, events) if known is None else (known.to(device), None)
        for which in bucket_by_length(windows.length, batch_events):
            batch = make_batch(events, windows, which, now).to(device)
            item = batch.item if row_of is None else row_of[batch.item]
            out = model.encode(items, item, batch.kind, batch.event_time, batch.query_time, batch.is_start, batch.place)
            states.append(out[batch.is_target].float().cpu())
            rows.append(batch.rows[batch.is_target].cpu().numpy())
    row = np.concatenate(rows) if rows else np.empty(0, np.int64)
    order = np.argsort(row, kind="stable")
    return torch.cat(states)[torch.from_numpy(order)], row[order]


def embed_items(model: Recommender, events: Events) -> tuple[Tensor, Tensor | None]:
    """Vectors [rows, dim] of the items that occur in the events, and the row of each item; with many events, all items and None.

    A history contains few of a hundred thousand items: the vectors of all would take a hundred times as long as the rest.
    """
    if len(events) >= events.n_items:
        return model.items(), None
    device = next(model.parameters()).device
    rows = np.unique(events.item)
    row_of = torch.zeros(events.n_items, dtype=torch.int64, device=device)
    row_of[torch.from_numpy(rows).to(device)] = torch.arange(len(rows), device=device)
    return model.items(torch.from_numpy(rows).to(device)), row_of


def target_vectors(model: Recommender, events: Events, rows: Ints) -> Tensor:
    """User vectors [rows, dim] at the time of each (sorted) row, computed from the events before it."""
    windows = target_windows(events, rows, model.config.max_events)
    vectors, covered = user_vectors(model, events, windows)
    return vectors[torch.from_numpy(np.searchsorted(covered, rows))]


def vectors_at(model: Recommender, events: Events, start: Ints, stop: Ints, now: int | Ints, known: Tensor | None = None) -> Tensor:
    """The state after each user's last event, [users, dim]; users without events share the start state. known: as in `user_vectors`."""
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
        out[torch.from_numpy(has)] = last_vectors(model, events, windows, times[has], known)
    return out


def last_vectors(model: Recommender, events: Events, windows: Windows, now: int | Ints, known: Tensor | None = None) -> Tensor:
    """The vectors of windows with one target each, in the order of the windows. known: as in `user_vectors`."""
    order = np.argsort(windows.target, kind="stable")
    vectors, _ = user_vectors(model, events, windows, now=now, known=known)
    out = torch.empty_like(vectors)
    out[torch.from_numpy(order)] = vectors
    return out
