"""Lists of a sample of users, ranked by a version from the events of a night, and the time that takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from models.events import Events, Floats, Ints, Windows, ragged_rows, sample, windows_as_users
from models.ranking.scorer import Scorer
from models.results import RankedLists
from models.sequence.weights import LIST_DELAY_S
from models.version import checkpoint as checkpoints
from tasks.compare.difference import LISTS, spread
from tasks.night.dataset import Dataset
from tasks.night.learning import as_of, fits_encoder, in_kinds_of, renewed
from tasks.scenarios.resolved import Place, Places, place_without_rules
from tasks.searches import SearchLog

N_TIMED = 40


@dataclass(frozen=True)
class Ranker:
    """A version with today's catalogue and popularity. events: today's, in the numbering of the version; trend: of each event."""

    scorer: Scorer
    events: Events
    trend: Floats
    place: Place
    now: int
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    searches: SearchLog | None

    @staticmethod
    def of(data: Dataset, trend: Floats, folder: Path, searches: SearchLog | None = None, places: Places | None = None) -> Ranker:
        """The version in a folder. places: the scenarios, of which the first counts, `default`; None for no rules."""
        version = checkpoints.load(folder)
        current = renewed(version, data)
        kind, n_kinds = in_kinds_of(version, data)
        events = replace(data.events, kind=kind, n_kinds=n_kinds)
        now = (as_of(data) if searches is None else max(as_of(data), searches.newest_s + 1)) + LIST_DELAY_S
        asked = searches if searches is not None and fits_encoder(version, data) else None
        place = place_without_rules(current.variety)
        if places is not None:
            place = places.resolved(data.catalog.item_ids, current.variety, now)[0]
        return Ranker(current.scorer(), events, trend, place, now, data.user_ids, data.catalog.item_ids, asked)

    def rank(self, users: Ints, k: int) -> RankedLists:
        """Lists of the users in these rows, without reasons."""
        start, stop = self.events.offsets[users], self.events.offsets[users + 1]
        theirs = windows_as_users(self.events, Windows(start, start, stop))
        user_ids = [self.user_ids[user] for user in users]
        row = {item_id: n for n, item_id in enumerate(self.item_ids)} if len(self.place.hidden) else {}
        ranked = self.scorer.rank(
            theirs,
            len(users),
            k,
            now=self.now,
            trend=self.trend[ragged_rows(start, stop)[1]],
            searches=None if self.searches is None else self.searches.of_users(user_ids),
            choice=self.place.choice,
            hidden=self.place.hidden_rows(user_ids, row),
            explain=False,
        )
        return replace(ranked, user_ids=tuple(user_ids))

    def lists(self, users: Ints, k: int) -> pl.DataFrame:
        """The same as rows of LISTS."""
        return self.named(users, self.rank(users, k))

    def named(self, users: Ints, ranked: RankedLists) -> pl.DataFrame:
        """The lists of `rank` as rows of LISTS."""
        items = [[self.item_ids[item] for item in items if item >= 0] for items in ranked.item]
        return pl.DataFrame({"user_id": [self.user_ids[user] for user in users], "item_ids": items}, schema=LISTS)


def sampled_users(data: Dataset, n_users: int, seed: int) -> Ints:
    """Rows of at most n_users users with events."""
    return sample(np.flatnonzero(np.diff(data.events.offsets) > 0), n_users, seed)


def median_ms(rankers: Sequence[Ranker], users: Ints, k: int) -> list[float]:
    """Median time of ranking one user by each version, in milliseconds. The versions take turns, so that all have the same machine."""
    timed = users[spread(len(users), N_TIMED)]
    for ranker in rankers:  # what is computed once is not part of a list's time
        ranker.rank(timed[:1], k)
    spent: list[list[float]] = [[] for _ in rankers]
    for n, user in enumerate(timed):
        for place in range(len(rankers)) if n % 2 else reversed(range(len(rankers))):
            started = time.perf_counter()
            rankers[place].rank(np.array([user]), k)
            spent[place].append(1000 * (time.perf_counter() - started))
    return [float(np.median(each)) for each in spent]
