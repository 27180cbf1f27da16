"""Recommendation lists for users, by exact scoring in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.device import BLOCK_CELLS
from models.events import Earlier, Events, Floats, Ints, offsets_of, seen_items
from models.ranking.blend import Blend, ItemState, Repeats, combine, contributions, find_repeats, user_features
from models.ranking.choice import Choice, choose, forbid
from models.ranking.exploration import Draws, fill_slots
from models.ranking.prior import HALF_LIVES_H
from models.ranking.reasons import Explainer, Histories, cites_search
from models.ranking.searches import Asked, Searches, search_term
from models.ranking.sources import sample_of, sources_of
from models.results import RankedLists
from models.sequence.users import LastSearches, vectors_at
from models.sequence.weights import LIST_DELAY_S, Weights
from models.text.towers import Words


@dataclass(frozen=True)
class ScoredItems:
    """A block of users: scores and U . C [users, items], user features, the items' state and vectors, repeats and seen pairs.

    searched: the part of the users' searches in the scores, [users, items]; None if no search counts. by_events: U . C without the searches
    that the model reads; None if it reads none, and where nothing is explained: then searched is the term alone. last: the searches that
    the model reads.
    """

    users: slice
    scores: Tensor
    sequence: Tensor
    features: Tensor
    items: ItemState
    vectors: Tensor
    repeats: Repeats | None
    seen: tuple[Ints, Ints] | None
    searched: Tensor | None = None
    by_events: Tensor | None = None
    last: LastSearches | None = None


@dataclass(frozen=True)
class Scorer:
    """Ranks items for users at one time; values that do not depend on the user are computed once."""

    weights: Weights
    blend: Blend
    popularity: Tensor
    is_available: NDArray[np.bool_]
    hide_seen: bool
    as_of: int
    words: Words | None = None

    @cached_property
    def vectors(self) -> Tensor:
        """C, [items, dim]."""
        return self.weights.item_vectors()

    @cached_property
    def items(self) -> ItemState:
        """State of the items, which is the same for every user."""
        return ItemState(self.popularity, self.vectors @ self.weights.mean_vector, self.weights.is_cold)

    @cached_property
    def explainer(self) -> Explainer:
        """What finds the reasons of the lists."""
        return Explainer(self.weights.model, self.blend, self.items, self.vectors, not self.hide_seen)

    @cached_property
    def sample(self) -> Tensor:
        """Rows of items that stand for the catalogue."""
        return sample_of(self.is_available)

    @cached_property
    def gone(self) -> Tensor:
        """Rows of the items that are not available."""
        return torch.from_numpy(np.flatnonzero(~self.is_available))

    def rank(
        self,
        events: Events,
        n_users: int,
        k: int,
        *,
        now: int | Ints | None = None,
        trend: Floats | None = None,
        earlier: Earlier | None = None,
        searches: Searches | None = None,
        request: Tensor | None = None,
        choice: Choice | None = None,
        hidden: tuple[Ints, Ints] | None = None,
        explain: bool = True,
        depth: int | None = None,
        is_quick: bool = False,
        draws: Draws | None = None,
    ) -> RankedLists:
        """The k best items for each of the users 0..n_users-1 of events; users without events are cold starts.

        now: time of the request, one for all users or one each; by default, the usual time of a look at a list made at as_of.
        trend: trendiness of every event; by default the mean trendiness in training.
        earlier: earlier history of every user; None if events are complete. searches: of these users; the last of each counts in versions
        with words, and the model reads it if no event has followed and it learnt to. request: the term of the users' requests in words,
        [users, items]; it takes the place of searches.
        choice: rules of the place where the lists are shown. hidden: (user, item row) pairs sorted by user, which no list shows.
        The probability is the share among all items that the user may be shown; the rows are in the order in which they are shown.
        explain: whether to look for the events on which the rows rest, which takes several times as long as the ranking.
        depth: length of the lists for which events are looked for, if it is more than k.
        is_quick: look only at the events of long histories that are likely to matter. draws: for the slots of new items in the lists of
        these users; None for lists without slots.
        """
        parts = self.blocks(
            events,
            n_users,
            k,
            now=now,
            trend=trend,
            earlier=earlier,
            searches=searches,
            request=request,
            choice=choice,
            hidden=hidden,
            explain=explain,
            depth=depth,
            is_quick=is_quick,
            draws=draws,
        )
        return RankedLists.joined((), list(parts))

    def blocks(
        self,
        events: Events,
        n_users: int,
        k: int,
        *,
        now: int | Ints | None,
        trend: Floats | None,
        earlier: Earlier | None,
        searches: Searches | None,
        explain: bool,
        is_quick: bool,
        request: Tensor | None = None,
        choice: Choice | None = None,
        hidden: tuple[Ints, Ints] | None = None,
        depth: int | None = None,
        draws: Draws | None = None,
    ) -> Iterator[RankedLists]:
        """The lists of `rank` in blocks of users."""
        offsets = offsets_of(events, n_users)
        now = self.as_of + LIST_DELAY_S if now is None else now
        known_trend = self._usual_trend(events) if trend is None else trend
        users = Histories(events, offsets[:-1], offsets[1:], now, known_trend, None if earlier is None else earlier.n_events)
        for scored in self.score_blocks(
            events, n_users, now=now, trend=trend, earlier=earlier, searches=searches, request=request, explain=explain
        ):
            scores, part = scored.scores, scored.users
            forbid(scores, choice, hidden, part)
            whole = choose(scores, choice, max(k, depth or 0), self.vectors)
            filled = None if draws is None or choice is None else fill_slots(scores, whole, choice, draws.some(part))
            whole = whole if filled is None else filled.rows
            item = whole[:, :k]
            rows = item.clamp_min(0)
            best = scores.gather(1, rows).masked_fill(item < 0, -torch.inf)
            probability = (best - scores.logsumexp(1, keepdim=True)).exp()
            values = best.nan_to_num(neginf=0.0).numpy()
            lists = RankedLists((), item.numpy(), values, probability.nan_to_num(0.0).numpy(), np.full(item.shape, -1))
            if filled is not None:
                lists = replace(lists, is_drawn=filled.is_drawn[:, :k].numpy(), propensity=filled.propensity[:, :k].numpy())
            if explain:
                asking = replace(users.some(part), last=scored.last)
                cited = self.explainer.cite(asking, whole.clamp_min(0), scored.sequence.gather(1, rows), is_quick=is_quick)
                by_search = cites_search(scored.searched, rows, cited.effect)
                lists = replace(lists, because=np.where(by_search, -1, cited.item), kind=np.where(by_search, -1, cited.kind))
                repeats, by_events = scored.repeats, scored.sequence if scored.by_events is None else scored.by_events
                sources = sources_of(self.blend, scored.features, by_events, scored.searched, scored.items, repeats, rows, self.sample)
                lists = replace(lists, by_search=by_search, source=sources)
            yield lists

    def score_blocks(
        self,
        events: Events,
        n_users: int,
        *,
        now: int | Ints | None,
        trend: Floats | None,
        earlier: Earlier | None,
        searches: Searches | None = None,
        request: Tensor | None = None,
        explain: bool = False,
    ) -> Iterator[ScoredItems]:
        """The scores of every item in blocks of users; -inf for items that must not be shown.

        explain: whether to find out how much the searches that the model reads count.
        """
        now = self.as_of + LIST_DELAY_S if now is None else now
        n_items = len(self.is_available)
        offsets = offsets_of(events, n_users)
        start, stop = offsets[:-1], offsets[1:]
        trend = self._usual_trend(events) if trend is None else trend
        asked = None if request is not None else self._asked(searches, events, n_users, now, (start, stop))
        model, last = self.weights.model, None
        if asked is not None and model.searches is not None:
            found = asked.unanswered(np.broadcast_to(now, n_users))
            last = found if found.is_there.any() else None
        vectors = vectors_at(model, events, start, stop, now, self.vectors, last)
        by_events = vectors if last is None or not explain else self._by_events(events, start, stop, now, vectors, last)
        gap = np.where(stop > start, now - events.time[np.maximum(stop - 1, 0)], 0) if len(events) else np.zeros(n_users, np.int64)
        users = user_features(trend, start, stop, gap, self.blend.trend, None if earlier is None else earlier.n_events)
        block = max(BLOCK_CELLS // n_items, 1)
        for first in range(0, max(n_users, 1), block):  # without users, one empty block
            part = slice(first, first + block)
            sequence = vectors[part] @ self.vectors.T
            repeats = None if self.hide_seen else find_repeats(events, start[part], stop[part], np.broadcast_to(now, n_users)[part])
            scores = combine(self.blend, users[part], {"sequence": sequence}, self.items, repeats)
            searched = None if request is None else request[part]
            if searched is not None:
                scores += searched
            elif asked is not None and self.words is not None and self.words.counts_searches and asked.vectors[part].any():
                searched = search_term(self.words, asked.at(part), is_new=(stop == start)[part])
                scores += searched
            read, plain = None if last is None else last.at(part), None
            if explain and read is not None and read.is_there.any():
                asking, plain = torch.from_numpy(read.is_there), sequence.clone()
                plain[asking] = by_events[part][asking] @ self.vectors.T
                of_model = self.explainer.part_of_searches(users[part], sequence, plain)
                searched = of_model if searched is None else searched + of_model
            scores[:, self.gone] = -torch.inf
            seen = seen_items(events, offsets, earlier, part) if self.hide_seen else None
            if seen is not None:
                scores[torch.from_numpy(seen[0]), torch.from_numpy(seen[1])] = -torch.inf
            yield ScoredItems(part, scores, sequence, users[part], self.items, self.vectors, repeats, seen, searched, plain, read)

    def _by_events(self, events: Events, start: Ints, stop: Ints, now: int | Ints, vectors: Tensor, last: LastSearches) -> Tensor:
        """The user vectors as they would be without the searches that the model reads."""
        out, asking = vectors.clone(), last.is_there
        times = np.broadcast_to(now, len(start))[asking]
        out[torch.from_numpy(asking)] = vectors_at(self.weights.model, events, start[asking], stop[asking], times, self.vectors)
        return out

    def terms(self, scored: ScoredItems) -> dict[str, Tensor]:
        """The terms of scores, [users, items] by name; without items that must not be shown, their sum is `scored.scores`."""
        sequence = scored.sequence if scored.by_events is None else scored.by_events
        parts = contributions(self.blend, scored.features, {"sequence": sequence}, scored.items, scored.repeats)
        return parts if scored.searched is None else parts | {"search": scored.searched}

    def _asked(self, searches: Searches | None, events: Events, n_users: int, now: int | Ints, known: tuple[Ints, Ints]) -> Asked | None:
        """The last search of every user; None if no search counts."""
        if (self.words is None and self.weights.model.searches is None) or searches is None or not len(searches):
            return None
        return searches.asked(events, np.arange(n_users), np.broadcast_to(now, n_users), known)

    def _usual_trend(self, events: Events) -> Floats:
        """The mean trendiness in training for every event: neutral for the user."""
        return np.full(len(events), self.blend.trend[0], np.float32)


def fallback_list(
    popularity: Floats,
    is_available: NDArray[np.bool_],
    column: int,
    k: int,
    choice: Choice | None = None,
    vectors: Tensor | None = None,
) -> RankedLists:
    """The list for unknown users: one popularity, as a share of all events. vectors: of the items, for a choice with variety."""
    is_shown = is_available if choice is None or choice.allowed is None else is_available & choice.allowed
    share = np.where(is_shown, popularity[:, column], -1.0)
    item = _largest(share, min(k, int(is_shown.sum())))
    if choice is not None and (choice.has_cap or choice.variety):
        scores = torch.from_numpy(np.where(is_shown, np.log(share.clip(1e-12)), -np.inf).astype(np.float32))
        chosen = choose(scores[None], choice, k, torch.zeros(len(scores), 1) if vectors is None else vectors)
        item = chosen[0][chosen[0] >= 0].numpy()
    kept = share[item]
    return RankedLists(("*",), item[None], np.log(kept.clip(1e-12))[None], kept[None].astype(np.float32), np.full((1, len(item)), -1))


def _largest(values: Floats, n: int) -> Ints:
    """Rows of the n largest values, largest first, ties in order of the rows. A full sort would take ten times as long."""
    if not n:
        return np.empty(0, np.int64)
    rows = np.flatnonzero(values >= np.partition(values, len(values) - n)[len(values) - n])
    return rows[np.argsort(-values[rows], kind="stable")[:n]]


def best_popularity_column(blend: Blend) -> int:
    """The popularity with the greatest weight for a user without history, among half-lives of a day or more."""
    return int(np.argmax((blend.mixture[0] + blend.mixture[1])[2 : len(HALF_LIVES_H)])) + 2


def newly_popular_items(before: Floats, after: Floats, blend: Blend, n_most: int = 50, n_visible: int = 100, factor: float = 2.0) -> Ints:
    """Items among the n_visible most popular whose popularity has risen by at least the factor; at most n_most, largest rise first."""
    mixture = torch.from_numpy(blend.mixture[0]).softmax(0).numpy()
    share = [features[:, : len(mixture)] @ mixture for features in (before, after)]
    rise = share[1] / np.maximum(share[0], 1e-12)
    rows = np.argsort(-share[1], kind="stable")[:n_visible]
    rows = rows[rise[rows] >= factor]
    return rows[np.argsort(-rise[rows], kind="stable")[:n_most]]
