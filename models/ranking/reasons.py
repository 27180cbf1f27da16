"""Which event of a user's history a recommendation rests on: exact leave-one-out.

For each item of a user's last events, the sequence model reads the history once more without the events on this item. The new user vector
gives the effect of this item on every row of the list, so one pass explains all rows. All events on an item are left out together,
because a reason names the item: of five views of one kettle, each alone would seem to matter little.

The effect that decides is that on the sequence model's part of the score. An event is cited only if the whole score falls as clearly: the
popularity that the blend adds depends on the history too, for example on its length. An item of which the model knows nothing, neither a
text nor events, is never cited.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.events import Events, Floats, Ints, Windows, offsets_of, ragged_rows
from models.ranking.blend import COLD_GATES, N_REPEAT_FEATURES, Blend, ItemState, find_repeats, gates, user_features
from models.ranking.candidates import Candidates, candidate_scorer
from models.sequence.branches import Branches, branch_vectors
from models.sequence.recommender import Recommender
from models.sequence.users import LastSearches, followed, last_vectors, vectors_at

RECENT_EVENTS = 20
"""Reasons cite one of a user's last events, because people recognise those."""
LEAST_EFFECT = 0.05
"""Least effect of an event on a score that is worth a reason; 0.05 makes an item about 5 % more likely."""
QUICK_TOKENS, QUICK_ITEMS = 50, 3
"""Where time is short, so many events are read again for each user, but at least so many items are left out: nine in ten
cited events stay the same."""
BLOCK_USERS = 256


@dataclass(frozen=True)
class Histories:
    """Users' histories as half-open ranges of events, and the time of their requests.

    now: one time for all users, or one each. trend: trendiness of every event. n_earlier: number of events before each range; None if the
    ranges are complete. last: the searches that the model reads at the end of the histories; None if it reads none.
    """

    events: Events
    start: Ints
    stop: Ints
    now: int | Ints
    trend: Floats
    n_earlier: Ints | None = None
    last: LastSearches | None = None

    def __len__(self) -> int:
        return len(self.start)

    def some(self, users: slice) -> Histories:
        """The histories of some users."""
        now = self.now[users] if isinstance(self.now, np.ndarray) else self.now
        n_earlier = None if self.n_earlier is None else self.n_earlier[users]
        last = None if self.last is None else self.last.at(users)
        return Histories(self.events, self.start[users], self.stop[users], now, self.trend, n_earlier, last)

    def n_read(self, max_events: int) -> Ints:
        """[users] number of events of each history that a model of max_events tokens reads."""
        n_searches = 0 if self.last is None else self.last.is_there.astype(np.int64)
        return np.minimum(self.stop - self.start, max_events - n_searches)

    def features(self, blend: Blend) -> Tensor:
        """User features, [users, N_USER_FEATURES]."""
        last = self.events.time[np.maximum(self.stop - 1, 0)] if len(self.events) else np.zeros(len(self), np.int64)
        gap = np.where(self.stop > self.start, self.now - last, 0)
        return user_features(self.trend, self.start, self.stop, gap, blend.trend, self.n_earlier)


@dataclass(frozen=True)
class Variants:
    """Histories without the events on one item each, by user, the item of the newest event first.

    whole, begin: the users' histories, and the first event of each that the model reads. has_start: [users] whether it reads them from
    their start token. left: what is left of each history. n_shared: number of events before the first one that is left out.
    user: index of its user. item, kind: the item that is left out, and the type of the newest event on it.
    """

    whole: Histories
    begin: Ints
    has_start: NDArray[np.bool_]
    left: Histories
    n_shared: Ints
    user: Ints
    item: Ints
    kind: Ints

    def __len__(self) -> int:
        return len(self.user)

    @cached_property
    def slot(self) -> Tensor:
        """Number of each variant among those of its user."""
        return torch.from_numpy(np.arange(len(self)) - np.searchsorted(self.user, self.user))

    def first(self, n_users: int) -> Ints:
        """Number of each user's first variant."""
        return np.searchsorted(self.user, np.arange(n_users))

    def padded(self, values: Tensor, n_users: int) -> Tensor:
        """Values [variants, ..] as [users, slots, ..]; zeros where a user has fewer variants."""
        out = torch.zeros(n_users, int(self.slot.max()) + 1, *values.shape[1:])
        out[torch.from_numpy(self.user), self.slot] = values
        return out

    def vectors(self, model: Recommender, items: Tensor) -> Tensor:
        """The user vector of each variant, [variants, dim]; a variant without events and search is a cold start. items: C."""
        events, start, stop, texts = self.left.events, self.left.start, self.left.stop, None
        if self.left.last is not None and self.left.last.is_there.any():
            events, start, stop, texts = followed(events, start, stop, self.left.last)
        now, out = np.broadcast_to(self.left.now, len(self)), torch.empty(len(self), model.config.dim)
        n_left, has_start = stop - start, self.has_start[self.user]
        is_left, is_lone = n_left > 0, (n_left == 1) & ~has_start
        if not is_left.all():
            zero = np.zeros(1, np.int64)
            out[torch.from_numpy(~is_left)] = vectors_at(model, self.left.events, zero, zero, 0, items)
        if is_lone.any():  # a window needs two tokens, so a single event is read from the start
            windows = Windows(start[is_lone], stop[is_lone], stop[is_lone] + 1)
            out[torch.from_numpy(is_lone)] = last_vectors(model, events, windows, now[is_lone], items, texts)
        own = is_left & ~is_lone
        if own.any():
            columns = (values[own] for values in (start, stop, self.user, self.n_shared, now))
            branches = Branches(self.whole.events, self.begin, self.has_start, events, *columns)
            out[torch.from_numpy(own)] = branch_vectors(model, branches, items, texts)
        return out


def recent_items(users: Histories, n_recent: int) -> tuple[Ints, Ints]:
    """(user, row of the newest event) of each distinct item of each user's last n_recent events; by user, the newest first."""
    number, row = ragged_rows(np.maximum(users.start, users.stop - n_recent), users.stop)
    key = number * users.events.n_items + users.events.item[row]
    distinct, from_end = np.unique(key[::-1], return_index=True)
    newest, user = row[::-1][from_end], distinct // users.events.n_items
    order = np.lexsort((-newest, user))
    return user[order], newest[order]


def leave_out(users: Histories, user: Ints, newest: Ints, max_events: int) -> Variants:
    """The variants of histories without some items. user, newest: as from recent_items.

    A variant is what the model reads of the history, its last max_events events, less the events on the item. No older event takes
    their place, so that variants are the same if only the last events of a user are known. A search at the end stays.
    """
    events, start, stop = users.events, users.start, users.stop
    begin = stop - users.n_read(max_events)
    variant, row = ragged_rows(begin[user], stop[user])
    keep = events.item[row] != events.item[newest][variant]
    n_shared = stop[user] - begin[user]
    first_out, at = np.unique(variant[~keep], return_index=True)
    n_shared[first_out] = row[~keep][at] - begin[user][first_out]
    variant, row = variant[keep], row[keep]
    columns = (variant, events.item[row], events.kind[row], events.time[row], events.weight[row])
    left = Events(*columns, len(user), events.n_items, events.n_kinds)
    offsets = offsets_of(left, len(user))
    n_earlier = (begin - start if users.n_earlier is None else begin - start + users.n_earlier)[user]
    now = users.now[user] if isinstance(users.now, np.ndarray) else users.now
    last = None if users.last is None else users.last.at(user)
    room = max_events if users.last is None else max_events - users.last.is_there
    histories = Histories(left, offsets[:-1], offsets[1:], now, users.trend[row], n_earlier, last)
    has_start = np.asarray(stop - start < room)
    return Variants(users, begin, has_start, histories, n_shared, user, events.item[newest], events.kind[newest])


@dataclass(frozen=True)
class Cited:
    """For each row of each list, [users, ranks]: the cited item of the history, the type of the newest event on it, and its effect.

    The effect is how much the sequence model's part of the score falls without the events on that item. item and kind are -1, and the
    effect is 0, where no event is worth a reason.
    """

    item: Ints
    kind: Ints
    effect: Floats

    @staticmethod
    def nothing(shape: tuple[int, ...]) -> Cited:
        return Cited(np.full(shape, -1), np.full(shape, -1), np.zeros(shape, np.float32))


@dataclass(frozen=True)
class Explainer:
    """What finds reasons: the sequence model, the blend, the items' state and vectors C, and whether lists may repeat items."""

    model: Recommender
    blend: Blend
    items: ItemState
    vectors: Tensor
    shows_seen: bool

    def cite(self, users: Histories, listed: Tensor, sequence: Tensor, *, is_quick: bool = False) -> Cited:
        """For the first items of each list, [users, ranks], the event that raises the score most. sequence: U . C of these items.

        listed: the whole lists, [users, ranks]. is_quick: leave out only those items of long histories that are likely to matter to them.
        """
        out = Cited.nothing(tuple(sequence.shape))
        for first in range(0, len(users), BLOCK_USERS):
            part = slice(first, first + BLOCK_USERS)
            rows = Cited(out.item[part], out.kind[part], out.effect[part])
            self._cite(users.some(part), listed[part], sequence[part], rows, is_quick=is_quick)
        return out

    def every_effect(self, users: Histories, listed: Tensor, sequence: Tensor) -> tuple[Variants, Tensor, Tensor]:
        """The effects of all events that the model reads, not only of the last."""
        max_events = self.model.config.max_events
        variants = leave_out(users, *recent_items(users, max_events), max_events)
        if not len(variants):
            return variants, torch.zeros(0, listed.shape[1]), torch.zeros(0, listed.shape[1])
        return variants, *self.effects(users, variants, listed, sequence)

    def _cite(self, users: Histories, listed: Tensor, sequence: Tensor, out: Cited, *, is_quick: bool) -> None:
        """Fill in the rows of some users."""
        recent = recent_items(users, RECENT_EVENTS)
        variants = leave_out(users, *(self._likely(users, listed, *recent) if is_quick else recent), self.model.config.max_events)
        if not len(variants):
            return
        listed = listed[:, : sequence.shape[1]]
        on_sequence, on_score = self.effects(users, variants, listed, sequence)
        # where the model likes an item no more than it does for the average user, the item would be as high without any history
        is_personal = sequence > self.items.mean_score[listed]
        is_blank = ~self.vectors[torch.from_numpy(variants.item)].any(1, keepdim=True)
        effect = on_sequence.masked_fill((on_score < LEAST_EFFECT) | is_blank | ~is_personal[torch.from_numpy(variants.user)], 0)
        most = variants.padded(effect, len(users)).max(1)
        chosen = np.minimum(variants.first(len(users))[:, None] + most.indices.numpy(), len(variants) - 1)
        is_worth = (most.values >= LEAST_EFFECT).numpy()
        for values, filled in ((variants.item[chosen], out.item), (variants.kind[chosen], out.kind), (most.values.numpy(), out.effect)):
            filled[is_worth] = values[is_worth]

    def _likely(self, users: Histories, listed: Tensor, user: Ints, newest: Ints) -> tuple[Ints, Ints]:
        """At most QUICK_TOKENS / history of each user's items, but QUICK_ITEMS or more; both are given and returned as by recent_items.

        Of more items, those that are most similar to the listed items, summed over the list, and the newest.
        """
        n_read = users.n_read(self.model.config.max_events)
        most = np.maximum(QUICK_TOKENS // np.maximum(n_read, 1), QUICK_ITEMS)
        if (np.bincount(user, minlength=len(users)) <= most).all():
            return user, newest
        alike = (self.vectors[torch.from_numpy(users.events.item[newest])] * self.vectors[listed].sum(1)[torch.from_numpy(user)]).sum(1)
        first = np.searchsorted(user, user)
        alike[np.arange(len(user)) == first] = torch.inf
        order = np.lexsort((-alike.numpy(), user))
        kept = np.sort(order[np.arange(len(user)) - first < most[user]])
        return user[kept], newest[kept]

    def effects(self, users: Histories, variants: Variants, listed: Tensor, sequence: Tensor) -> tuple[Tensor, Tensor]:
        """How much each variant lowers the sequence model's part of each listed score, and the whole score; both [variants, ranks]."""
        user, n = torch.from_numpy(variants.user), len(users)
        left = variants.padded(variants.vectors(self.model, self.vectors), n).bmm(self.vectors[listed].transpose(1, 2))[user, variants.slot]
        features, of_left = users.features(self.blend), variants.left.features(self.blend)
        weight = gates(features, torch.from_numpy(self.blend.gate))
        by_item = torch.where(self.items.is_cold[listed] > 0, weight[COLD_GATES["sequence"]], weight["sequence"])
        whole = self._scores(users, features, listed, sequence)
        return (sequence[user] - left) * by_item[user], whole[user] - self._scores(variants.left, of_left, listed[user], left)

    def part_of_searches(self, features: Tensor, sequence: Tensor, by_events: Tensor) -> Tensor:
        """How much the scores of all items, [users, items], fall if the model does not read the search at the end of the histories.

        sequence, by_events: U . C with and without the search.
        """
        weight = gates(features, torch.from_numpy(self.blend.gate))
        return (sequence - by_events) * torch.where(self.items.is_cold > 0, weight[COLD_GATES["sequence"]], weight["sequence"])

    def _scores(self, users: Histories, features: Tensor, listed: Tensor, sequence: Tensor) -> Tensor:
        """The blend's scores of a few items for each user, [users, ranks]."""
        nothing = torch.zeros(listed.shape, dtype=torch.bool)
        candidates = Candidates(
            popularity=self.items.popularity[listed],
            sequence=sequence,
            mean_score=self.items.mean_score[listed],
            is_cold=self.items.is_cold[listed],
            repeats=self._repeats(users, listed),
            is_out=nothing,
            is_target=nothing,
            users=features,
        )
        return candidate_scorer(candidates)(*(torch.from_numpy(part) for part in (self.blend.mixture, self.blend.gate, self.blend.repeat)))

    def _repeats(self, users: Histories, listed: Tensor) -> Tensor:
        """Repeat features of listed items, [users, ranks, N_REPEAT_FEATURES]; zeros for items that are not in the history."""
        out = torch.zeros(*listed.shape, N_REPEAT_FEATURES)
        if not self.shows_seen or not len(users.events):
            return out
        found = find_repeats(users.events, users.start, users.stop, np.broadcast_to(users.now, len(users)))
        known = (found.row * users.events.n_items + found.item).numpy()  # sorted
        asked = (torch.arange(len(users))[:, None] * users.events.n_items + listed).numpy()
        place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        is_known = torch.from_numpy(known[place] == asked) if len(known) else torch.zeros(listed.shape, dtype=torch.bool)
        if len(known):
            out[is_known] = found.features[torch.from_numpy(place)[is_known]]
        return out


def cites_search(term: Tensor | None, listed: Tensor, effect: Floats) -> NDArray[np.bool_]:
    """Whether each listed item, [users, ranks], rests on the user's search more than on any event.

    term: the search's part of all scores, [users, items]; None without searches. effect: of the cited event, 0 without one. The search
    lifts an item if its part is positive, and greater than that of the average item.
    """
    if term is None:
        return np.zeros(tuple(listed.shape), bool)
    part = term.gather(1, listed)
    lift = torch.minimum(part, part - term.mean(1, keepdim=True)).numpy()
    return (lift >= LEAST_EFFECT) & (lift > effect)
