"""User vectors of many variants of one history: the tokens before the first difference are read once.

A causal model gives equal first tokens equal states, so each variant, a branch, needs new states only from the last token before the
first difference on: that token predicts another event. One row of a batch holds the trunk of a user and the own tokens of all branches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.events import Events, Floats, Ints, ragged_rows
from models.sequence.recommender import Packed, Recommender
from models.sequence.streams import bucket_by_length, padded_length
from models.sequence.users import BATCH_EVENTS, CARD_EVENTS


@dataclass(frozen=True)
class Branches:
    """Variants of histories by user.

    trunk, begin: the events, and where each user's history begins. has_start: [users] whether a history is read from its start token.
    events, start, stop: the events of the branches, at least one each, as half-open ranges. user: of each branch, rising. n_shared: how
    many first events of a branch are those of the trunk. now: time of the request of each branch.
    """

    trunk: Events
    begin: Ints
    has_start: NDArray[np.bool_]
    events: Events
    start: Ints
    stop: Ints
    user: Ints
    n_shared: Ints
    now: Ints

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class _Tokens:
    """The tokens of all users, the trunk and then the branches of each.

    offsets: [users + 1] of each user's tokens. n_seen: how many first tokens of the trunk each token sees, itself included in the trunk.
    part: number of the branch that a token belongs to, counted from 1 for each user; 0 for the trunk. order: place in the history.
    ends: [branches] the last token of each branch, counted from the first token of its user.
    """

    offsets: Ints
    item: Ints
    kind: Ints
    event_time: Ints
    query_time: Ints
    is_start: NDArray[np.bool_]
    order: Ints
    n_seen: Ints
    part: Ints
    ends: Ints


@torch.inference_mode()
def branch_vectors(model: Recommender, branches: Branches, items: Tensor, texts: Floats | None = None) -> Tensor:
    """The state after the last token of each branch, [branches, dim]. items: C. texts: as in `user_vectors`."""
    device = model.start.device
    if model.training:
        model.eval()
    searched = None if texts is None or model.searches is None else model.searches(model.searches.whitened(texts))
    items, tokens = items.to(device), _lay_out(branches)
    out = torch.empty(len(branches), model.config.dim)
    first = np.searchsorted(branches.user, np.arange(len(branches.begin) + 1))
    length = np.diff(tokens.offsets)
    reading = np.flatnonzero(length)
    for some in bucket_by_length(length[reading], BATCH_EVENTS if device.type == "cpu" else CARD_EVENTS):
        which = reading[some]
        time = padded_length(int(length[which].max()), int(length.max()))
        is_there = np.arange(time) < length[which][:, None]
        at = np.minimum(tokens.offsets[which][:, None] + np.arange(time), tokens.offsets[-1] - 1)
        number, branch = ragged_rows(first[which], first[which + 1])
        slot = branch - first[which][number]
        place = np.zeros((len(which), int(slot.max()) + 1), np.int64)
        place[number, slot] = tokens.ends[branch]
        part, n_seen = np.where(is_there, tokens.part[at], -1), np.where(is_there, tokens.n_seen[at], 0)
        packed = Packed(*(torch.from_numpy(values).to(device) for values in (tokens.order[at], part, n_seen)))
        columns = (tokens.item, tokens.kind, tokens.event_time, tokens.query_time, tokens.is_start)
        item, kind, event_time, query_time, is_start = (torch.from_numpy(values[at]).to(device) for values in columns)
        asked = torch.from_numpy(place).to(device)
        states = model.encode(items, item, kind, event_time, query_time, is_start, asked, searched, packed)
        out[torch.from_numpy(branch)] = states[torch.from_numpy(number), torch.from_numpy(slot)].float().cpu()
    return out


def _lay_out(branches: Branches) -> _Tokens:
    n_users, n_trunk_events, user = len(branches.begin), len(branches.trunk), branches.user
    n_first = branches.has_start.astype(np.int64)  # tokens before the first event
    own_from = np.maximum(branches.n_shared - 1 + n_first[user], 0)  # the last shared token predicts another event
    n_own = branches.stop - branches.start + n_first[user] - own_from
    n_trunk = np.zeros(n_users, np.int64)
    np.maximum.at(n_trunk, user, own_from)

    # a segment is a trunk or the own part of a branch
    owner = np.concatenate([np.arange(n_users), user])
    by_user = np.argsort(owner, kind="stable")  # trunks come first
    from_ = np.concatenate([np.zeros(n_users, np.int64), own_from])[by_user]
    length = np.concatenate([n_trunk, n_own])[by_user]
    event_0 = np.concatenate([branches.begin - n_first, n_trunk_events + branches.start - n_first[user]])[by_user]  # event of token 0
    end = np.concatenate([np.full(n_users, -1), n_trunk_events + branches.stop])[by_user]
    now = np.concatenate([np.zeros(n_users, np.int64), branches.now])[by_user]
    owner = owner[by_user]
    segment_of_user = np.searchsorted(owner, np.arange(n_users + 1))
    part = np.arange(len(owner)) - segment_of_user[owner]

    segment, order = ragged_rows(from_, from_ + length)
    row = event_0[segment] + order
    is_start = (order == 0) & branches.has_start[owner[segment]]
    times = np.concatenate([branches.trunk.time, branches.events.time])
    query_time = np.where(row + 1 == end[segment], now[segment], times[np.minimum(row + 1, len(times) - 1)])
    row = np.maximum(row, 0)
    borders = np.concatenate([[0], np.cumsum(length)])
    offsets = borders[segment_of_user]
    is_branch = part > 0
    return _Tokens(
        offsets=offsets,
        item=np.concatenate([branches.trunk.item, branches.events.item])[row],
        kind=np.concatenate([branches.trunk.kind, branches.events.kind])[row],
        event_time=np.where(is_start, query_time, times[row]),
        query_time=query_time,
        is_start=is_start,
        order=order,
        n_seen=np.where(is_branch[segment], from_[segment], order + 1),
        part=part[segment],
        ends=(borders[1:] - offsets[owner] - 1)[is_branch],
    )
