"""Prequential evaluation: new events are predicted before they are learnt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from models.events import Earlier, Events, Floats, Ints, offsets_of, seen_items
from models.metrics.ranking import Ranking, rank_events
from models.ranking.candidates import Candidates, pick_candidates
from models.ranking.scorer import Scorer
from models.ranking.searches import Searches


@dataclass(frozen=True)
class Queries:
    """Requests for lists, and the events that followed.

    events: the events of user q are the history of query q. now: [queries] time of each request. trend: trendiness of every event
    of the histories, NaN if unknown. query, item: [rows] the query (ascending) and the item of each event to predict.
    earlier: earlier history of each user; None if events are complete. searches: of these users, as far as the lists know them.
    """

    events: Events
    now: Ints
    trend: Floats
    query: Ints
    item: Ints
    earlier: Earlier | None = None
    searches: Searches | None = None


@dataclass(frozen=True)
class Predictions:
    """Rank of each event before it was learnt, and the candidate items of the lists."""

    ranking: Ranking
    candidates: Candidates | None


def predict(scorer: Scorer, queries: Queries, n_candidates: int = 0) -> Predictions:
    """Rank every event within the whole catalogue by the list of its query; candidates of one event per query."""
    rankings, candidates = [], []
    trend = np.where(np.isnan(queries.trend), scorer.blend.trend[0], queries.trend).astype(np.float32)
    for scored in scorer.score_blocks(
        queries.events, len(queries.now), now=queries.now, trend=trend, earlier=queries.earlier, searches=queries.searches
    ):
        first, last = np.searchsorted(queries.query, [scored.users.start, scored.users.stop])
        place, item = queries.query[first:last] - scored.users.start, queries.item[first:last]
        if n_candidates and len(item):
            begin = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1]]))
            asked = torch.from_numpy(place[begin])  # a query has no event if its user only has events to learn again
            target = torch.zeros(len(scored.scores), dtype=torch.int64).index_copy_(0, asked, torch.from_numpy(item[begin]))
            picked = pick_candidates(scored.features, scored.sequence, scored.items, scored.repeats, scored.seen, target, n_candidates)
            candidates.append(picked.at(asked))
        for part in np.array_split(np.arange(len(item)), max(len(item) * scored.scores.shape[1] // 20_000_000, 1)):
            rankings.append(rank_events(scored.scores[torch.from_numpy(place[part])], item[part], None))
    return Predictions(Ranking.join(rankings), Candidates.join(candidates) if candidates else None)


def rank_popular(share: Floats, queries: Queries, *, hide_seen: bool) -> Ranking:
    """Rank every event by one popularity [items]; seen items are hidden as in predict."""
    offsets = offsets_of(queries.events, len(queries.now))
    parts = []
    for part in np.array_split(np.arange(len(queries.item)), max(len(queries.item) * len(share) // 20_000_000, 1)):
        seen = seen_items(queries.events, offsets, queries.earlier, queries.query[part]) if hide_seen else None
        parts.append(rank_events(torch.from_numpy(share).expand(len(part), -1).clone(), queries.item[part], seen))
    return Ranking.join(parts)
