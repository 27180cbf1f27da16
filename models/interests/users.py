"""The interests of users: the probabilities of their strongest interests, and the items that speak for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.events import Events, Floats, Ints, offsets_of, ragged_rows
from models.interests.capture import HORIZONS, Capture
from models.interests.vocabulary import TAG, TOPIC, Interests

HALF_LIVES_S = (24 * 3600.0, 60 * 24 * 3600.0)
"""How fast the evidence of each horizon fades, backwards from the last event of a user."""
SHORT = HORIZONS.index("short")
N_TOPICS = 10
N_FACETS = 3
"""So many interests of each user are kept in each group that is neither topics nor tags."""
LEAST_PROBABILITY = 0.01
N_EVIDENCE = 3
BLOCK_USERS = 8192


@dataclass(frozen=True)
class UserInterests:
    """The strongest interests of users, sorted by user, horizon and falling probability.

    user: row of the user; horizon: index into HORIZONS; interest: row of the interest; evidence: [rows, N_EVIDENCE] items of the user that
    speak most for the interest, best first, padded with -1.
    """

    user: Ints
    horizon: Ints
    interest: Ints
    probability: Floats
    evidence: Ints

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class Spoken:
    """What users have just searched for.

    user: [searches] ascending rows of users; probability: P(interest | words) [searches, interests]; trust: [searches] its share in the
    short horizon, from 0 to 1.
    """

    user: Ints
    probability: Floats
    trust: Floats

    def mixed(self, posterior: Floats, first: int) -> Floats:
        """The posterior [horizons, users, interests] of users from row `first` on, with the searches in its short horizon."""
        start, stop = np.searchsorted(self.user, [first, first + posterior.shape[1]])
        rows, trust, out = self.user[start:stop] - first, self.trust[start:stop, None], posterior.copy()
        out[SHORT, rows] = (1 - trust) * posterior[SHORT, rows] + trust * self.probability[start:stop]
        return out


def last_events(events: Events, n_users: int, max_events: int) -> Events:
    """The last max_events events of each user."""
    stop = offsets_of(events, n_users)[1:]
    start = np.maximum(stop - max_events, offsets_of(events, n_users)[:-1])
    keep = np.zeros(len(events), bool)
    keep[ragged_rows(start, stop)[1]] = True
    return events.where(keep)


def find_interests(
    interests: Interests, capture: Capture, events: Events, n_users: int, now: int, spoken: Spoken | None = None
) -> UserInterests:
    """The strongest interests of n_users users, and of one more without any event, who stands for everybody.

    events: the last ones of each user; now: unix seconds; spoken: their searches.
    """
    offsets, found = offsets_of(events, n_users + 1), []
    for first in range(0, n_users + 1, BLOCK_USERS):
        n = min(BLOCK_USERS, n_users + 1 - first)
        part = slice(int(offsets[first]), int(offsets[first + n]))
        user, item, kind, time, weight = (getattr(events, name)[part] for name in ("user", "item", "kind", "time", "weight"))
        block = Events(user - first, item, kind, time, weight, n, events.n_items, events.n_kinds)
        posterior = capture.posterior(block, interests.shares, n, now)
        found.append(_strongest(interests, posterior if spoken is None else spoken.mixed(posterior, first), block, first))
    names = ("user", "horizon", "interest", "probability", "evidence")
    return UserInterests(*(np.concatenate([getattr(each, name) for each in found]) for name in names))


def _strongest(interests: Interests, posterior: Floats, events: Events, first: int) -> UserInterests:
    """The most probable interests of a block of users by group, with their evidence.

    posterior: [horizons, users, interests]; first: row of the first user.
    """
    columns: list[Sequence[np.ndarray]] = []
    for number, probability in enumerate(posterior):
        for group, rows in interests.group_rows.items():
            n = min(N_TOPICS if group in (TOPIC, TAG) else N_FACETS, len(rows))
            part = probability[:, rows]
            best = np.argpartition(-part, n - 1, axis=1)[:, :n]
            value = np.take_along_axis(part, best, 1)
            user, place = np.nonzero(value >= LEAST_PROBABILITY)
            columns.append((user, np.full(len(user), number), rows[best[user, place]], value[user, place]))
    user, horizon, interest, value = (np.concatenate(each) for each in zip(*columns, strict=True))
    order = np.lexsort((interest, -value, horizon, user))
    user, horizon, interest, value = user[order], horizon[order], interest[order], value[order]
    return UserInterests(user + first, horizon, interest, value.astype(np.float32), _evidence(interests, user, horizon, interest, events))


def _evidence(interests: Interests, user: Ints, horizon: Ints, interest: Ints, events: Events) -> Ints:
    """For each row the user's items that speak most for the interest: by share and age, each item once."""
    out = np.full((len(user), N_EVIDENCE), -1, np.int64)
    if not len(events) or not len(user):
        return out
    last = np.zeros(events.n_users, np.int64)
    np.maximum.at(last, events.user, events.time)
    begins = interests.shares.indptr.astype(np.int64)
    event, entry = ragged_rows(begins[events.item], begins[events.item + 1])
    key = events.user[event] * len(interests) + interests.shares.indices[entry]
    for number, half_life_s in enumerate(HALF_LIVES_S):
        rows = np.flatnonzero(horizon == number)
        if not len(rows):
            continue
        wanted = user[rows] * len(interests) + interest[rows]
        by_key = np.argsort(wanted)
        place = np.minimum(np.searchsorted(wanted[by_key], key), len(rows) - 1)
        is_hit = wanted[by_key][place] == key
        row, item, of = rows[by_key[place[is_hit]]], events.item[event[is_hit]], event[is_hit]
        fading = np.exp2(-(last[events.user[of]] - events.time[of]) / half_life_s)
        distinct, which = np.unique(row * interests.n_items + item, return_inverse=True)
        said = np.bincount(which, interests.shares.data[entry[is_hit]] * fading, minlength=len(distinct))
        row, item = distinct // interests.n_items, distinct % interests.n_items
        order = np.lexsort((item, -said, row))
        row, item = row[order], item[order]
        nth = np.arange(len(row)) - np.searchsorted(row, row)
        kept = nth < N_EVIDENCE
        out[row[kept], nth[kept]] = item[kept]
    return out
