"""Results of a night of training, for the tables and the registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.events import Floats, Ints

COLUMNS = (
    *("item", "score", "probability", "because", "kind_or_unknown"),
    *("is_by_search", "source_or_unknown", "is_by_draw", "propensity_or_one"),
)
"""The arrays of RankedLists, without None, in the order of its fields."""


@dataclass(frozen=True)
class RankedLists:
    """Recommendation lists in the order in which they are shown; all arrays are [users, ranks].

    item: catalog rows, -1 after the end of a shorter list. because: the item of the user's history on which the recommendation rests
    most, -1 if it rests on none. kind: the type of the user's newest event on that item, as a row of kind_names; -1 if unknown.
    by_search: whether it rests on the user's last search more than on any event. source: index into
    models.ranking.sources.SOURCES of the source that lifted the row most; -1 if unknown. is_drawn: whether a draw among the new items put
    the item there; propensity: the probability of this draw, 1 for other rows. asked_s: the time for which the lists are made,
    in unix seconds; None if unknown.
    """

    user_ids: tuple[str, ...]
    item: Ints
    score: Floats
    probability: Floats
    because: Ints
    kind: Ints | None = None
    by_search: NDArray[np.bool_] | None = None
    source: Ints | None = None
    is_drawn: NDArray[np.bool_] | None = None
    propensity: Floats | None = None
    kind_names: tuple[str, ...] = field(default=(), kw_only=True)
    asked_s: int | None = field(default=None, kw_only=True)

    @property
    def kind_or_unknown(self) -> Ints:
        """`kind`; -1 everywhere if it is None."""
        return np.full_like(self.because, -1) if self.kind is None else self.kind

    @property
    def is_by_search(self) -> NDArray[np.bool_]:
        """`by_search`; False everywhere if it is None."""
        return np.zeros(self.because.shape, bool) if self.by_search is None else self.by_search

    @property
    def source_or_unknown(self) -> Ints:
        """`source`; -1 everywhere if it is None."""
        return np.full_like(self.because, -1) if self.source is None else self.source

    @property
    def is_by_draw(self) -> NDArray[np.bool_]:
        """`is_drawn`; False everywhere if it is None."""
        return np.zeros(self.because.shape, bool) if self.is_drawn is None else self.is_drawn

    @property
    def propensity_or_one(self) -> Floats:
        """`propensity`; 1 everywhere if it is None."""
        return np.ones(self.because.shape, np.float32) if self.propensity is None else self.propensity

    def of_rows(self, rows: Ints) -> RankedLists:
        """The lists of some users, by row."""
        users = tuple(self.user_ids[row] for row in rows)
        return RankedLists(users, *(getattr(self, name)[rows] for name in COLUMNS), kind_names=self.kind_names, asked_s=self.asked_s)

    @staticmethod
    def joined(user_ids: tuple[str, ...], parts: Sequence[RankedLists]) -> RankedLists:
        """The lists of several parts, one after the other."""
        return RankedLists(user_ids, *(np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS))


NO_LISTS = RankedLists((), *(np.empty((0, 0), dtype) for dtype in (np.int64, np.float32, np.float32, np.int64)))
"""The lists of nobody."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest items of each catalog row [items, ranks], nearest first; -1 where there are fewer."""

    item: Ints
    similarity: Floats


@dataclass(frozen=True)
class SeenItems:
    """Whether lists hide items that the user already had, and why.

    setting: `hide`, `show` or `auto`. repeat_share: share of training events that repeat an earlier pair of user and item.
    Both are None in older versions, which did not store them.
    """

    are_hidden: bool
    setting: str | None = None
    repeat_share: float | None = None


@dataclass(frozen=True)
class MetricRow:
    """One figure of an evaluation; low and high bound its 95 % interval, if it has one."""

    model: str
    segment: str
    metric: str
    value: float | None
    n_events: int
    low: float | None = None
    high: float | None = None
