"""What a night of training hands to the tables and to the registry."""

from __future__ import annotations

from dataclasses import dataclass

from models.events import Floats, Ints


@dataclass(frozen=True)
class RankedLists:
    """The best items of some users, best first; all arrays [users, ranks] of catalog rows or numbers.

    item: -1 where a list ends early. because: the item of the user's history that speaks most for it, -1 where its
    popularity does.
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
    """Whether lists leave out what their user already had, and why.

    setting: `hide`, `show` or `auto`. repeat_share: of the training events, those that repeat an earlier pair of user and item.
    Both are None where an older version did not note them.
    """

    are_hidden: bool
    setting: str | None = None
    repeat_share: float | None = None


@dataclass(frozen=True)
class MetricRow:
    """One figure of an evaluation; low and high are the ends of its 95 % interval where there is one."""

    model: str
    segment: str
    metric: str
    value: float | None
    n_events: int
    low: float | None = None
    high: float | None = None
