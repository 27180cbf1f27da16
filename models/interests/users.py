"""The interests of users: the probabilities of their strongest interests, and the items that speak for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from models.events import Events, Floats, Ints, offsets_of, ragged_rows
from models.interests.vocabulary import TAG, TOPIC, Interests

SHORT, LONG = "short", "long"
HORIZONS = (SHORT, LONG)
HALF_LIVES_S = {SHORT: 24 * 3600.0, LONG: 60 * 24 * 3600.0}
PRIOR_EVENTS = 2.0
"""A user without events is as likely to have an interest as people are; a history counts against this many events of others."""
N_TOPICS = 10
N_FACETS = 3
"""So many interests of each user are kept in each group that is neither topics nor tags."""
LEAST_PROBABILITY = 0.01
N_EVIDENCE = 3
BLOCK_USERS = 8192


@dataclass(frozen=True)
class UserInterests:
    """The strongest interests of users, sorted by user, horizon and falling probability.

    user: row of the user, -1 for everybody; horizon: index into HORIZONS; interest: row of the interest; evidence: [rows, N_EVIDENCE]
    items of the user that speak most for the interest, best first, padded with -1.
    """

    user: Ints
    horizon: Ints
    interest: Ints
    probability: Floats
    evidence: Ints

    def __len__(self) -> int:
        return len(self.user)


def last_events(events: Events, n_users: int, max_events: int) -> Events:
    """The last max_events events of each user."""
    stop = offsets_of(events, n_users)[1:]
    start = np.maximum(stop - max_events, offsets_of(events, n_users)[:-1])
    keep = np.zeros(len(events), bool)
    keep[ragged_rows(start, stop)[1]] = True
    return events.where(keep)


def priors_of(interests: Interests, popularity: Mapping[str, Floats]) -> dict[str, Floats]:
    """How likely each interest is for anybody, [interests] by horizon. popularity: share of each item by horizon."""
    return {
        horizon: interests.normalised((interests.shares.T @ share.astype(np.float32)).reshape(1, -1))[0]
        for horizon, share in popularity.items()
    }


def find_interests(interests: Interests, events: Events, n_users: int, now: int, priors: Mapping[str, Floats]) -> UserInterests:
    """The strongest interests of all users, and of everybody. events: the last ones of each user; now: unix seconds."""
    offsets, found = offsets_of(events, n_users), [_of_everybody(interests, priors)]
    for first in range(0, n_users, BLOCK_USERS):
        last = min(first + BLOCK_USERS, n_users)
        part = slice(int(offsets[first]), int(offsets[last]))
        block = (events.user[part] - first, events.item[part], events.time[part])
        posteriors = {horizon: decayed_counts(interests, *block, last - first, now, horizon, priors[horizon]) for horizon in HORIZONS}
        found.append(_strongest(interests, posteriors, block, first, now))
    names = ("user", "horizon", "interest", "probability", "evidence")
    return UserInterests(*(np.concatenate([getattr(each, name) for each in found]) for name in names))


def decayed_counts(interests: Interests, user: Ints, item: Ints, time: Ints, n_users: int, now: int, horizon: str, prior: Floats) -> Floats:
    """P(interest | behaviour) [users, interests] by counts of events that fade with the half-life of the horizon, smoothed by the prior."""
    weight = fading(time, now, horizon)
    profile = csr_matrix((weight, (user, item)), shape=(n_users, interests.n_items)) @ interests.shares
    return interests.normalised(np.asarray(profile.todense(), np.float32) + PRIOR_EVENTS * prior)


def fading(time: Ints, now: int, horizon: str) -> Floats:
    """Weight of events by their age: 1 now, 1/2 after the half-life of the horizon."""
    age = np.maximum(now - time, 0)
    return np.exp2(-age / HALF_LIVES_S[horizon]).astype(np.float32)


def _of_everybody(interests: Interests, priors: Mapping[str, Floats]) -> UserInterests:
    return _strongest(interests, {horizon: priors[horizon].reshape(1, -1) for horizon in HORIZONS}, (np.zeros(0, np.int64),) * 3, -1, now=0)


def _strongest(
    interests: Interests, posteriors: Mapping[str, Floats], block: tuple[Ints, Ints, Ints], first: int, now: int
) -> UserInterests:
    """The most probable interests of a block of users by group, with their evidence. first: row of the first user."""
    columns: list[Sequence[np.ndarray]] = []
    for number, horizon in enumerate(HORIZONS):
        probability = posteriors[horizon]
        for group, rows in interests.group_rows.items():
            n = min(N_TOPICS if group in (TOPIC, TAG) else N_FACETS, len(rows))
            part = probability[:, rows]
            best = np.argpartition(-part, n - 1, axis=1)[:, :n]
            value = np.take_along_axis(part, best, 1)
            user, place = np.nonzero(value >= LEAST_PROBABILITY)
            columns.append((user, np.full(len(user), number), rows[best[user, place]], value[user, place]))
    user, horizon_number, interest, value = (np.concatenate(each) for each in zip(*columns, strict=True))
    order = np.lexsort((interest, -value, horizon_number, user))
    user, horizon_number, interest, value = user[order], horizon_number[order], interest[order], value[order]
    evidence = _evidence(interests, user, horizon_number, interest, block, now)
    return UserInterests(user + first, horizon_number, interest, value.astype(np.float32), evidence)


def _evidence(interests: Interests, user: Ints, horizon: Ints, interest: Ints, block: tuple[Ints, Ints, Ints], now: int) -> Ints:
    """For each row the user's items that speak most for the interest: by share and age, each item once."""
    out = np.full((len(user), N_EVIDENCE), -1, np.int64)
    of_user, item, time = block
    if not len(item) or not len(user):
        return out
    begins = interests.shares.indptr.astype(np.int64)
    event, entry = ragged_rows(begins[item], begins[item + 1])
    n = len(interests)
    for number, name in enumerate(HORIZONS):
        rows = np.flatnonzero(horizon == number)
        wanted = user[rows] * n + interest[rows]
        by_key = np.argsort(wanted)
        key = of_user[event] * n + interests.shares.indices[entry]
        place = np.minimum(np.searchsorted(wanted[by_key], key), max(len(rows) - 1, 0))
        is_hit = wanted[by_key][place] == key if len(rows) else np.zeros(len(key), bool)
        row, what = rows[by_key[place[is_hit]]], item[event[is_hit]]
        said = interests.shares.data[entry[is_hit]] * fading(time[event[is_hit]], now, name)
        pair = row * interests.n_items + what
        distinct, which = np.unique(pair, return_inverse=True)
        total = np.bincount(which, said, minlength=len(distinct))
        row, what = distinct // interests.n_items, distinct % interests.n_items
        order = np.lexsort((what, -total, row))
        row, what = row[order], what[order]
        nth = np.arange(len(row)) - np.searchsorted(row, row)
        kept = nth < N_EVIDENCE
        out[row[kept], nth[kept]] = what[kept]
    return out
