"""Results of a night of training, for the tables and the registry."""

from __future__ import annotations

from dataclasses import dataclass

from models.events import Floats, Ints


@dataclass(frozen=True)
class RankedLists:
    """Recommendation lists, best item first; all arrays are [users, ranks].

    item: catalog rows, -1 after the end of a shorter list. because: the item of the user's history that explains the
    recommendation best, -1 if its popularity does.
    """

    user_ids: tuple[str, ...]
    item: Ints
    score: Floats
    probability: Floats
    because: Ints


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
