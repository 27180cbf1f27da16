"""What changes for users if one model version takes the place of another."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from models.events import Ints
from models.interests.labels import normal, split_label
from models.metrics.agreement import is_changed, rank_biased_overlap, replaced

TOP = 10
N_EXAMPLES, N_CATEGORIES = 10, 10
WITHOUT = "(none)"
GROUPS = ("popular", "middle", "rare")
"""Items that have the first half of all events between them, the next four tenths, and the rest (sql/compare/items.sql)."""
PUBLISHED = "the lists that were live with each version"
RANKED = "lists of a sample of users, ranked by both versions from the same events"
LISTS = pl.Schema({"user_id": pl.String(), "item_ids": pl.List(pl.String())})
Row = dict[str, Any]


@dataclass(frozen=True)
class Exposure:
    """Share of the places of the top tens that a group of items has. The places of an item count in equal parts for its categories."""

    group: str
    before: float
    after: float

    @property
    def moved(self) -> float:
        """Gain of the group."""
        return self.after - self.before


@dataclass(frozen=True)
class Example:
    """A user whose list changes: the items that leave the top ten and those that come in, by title, in the order of the lists."""

    user_id: str
    overlap: float
    gone: Sequence[str]
    new: Sequence[str]


@dataclass(frozen=True)
class Difference:
    """The difference between the lists of two versions, over the users who have a list in both.

    before, after: the versions. basis: where the lists come from. changed: share of users whose top ten has other items or another order;
    changed_items: other items.
    replaced: mean share of the places of a top ten that get items from outside of it. overlap: mean rank-biased overlap of the whole lists,
    overlap_low: its tenth percentile over users. categories: those whose share moves most. moved_between_categories, moved_by_popularity:
    share of all places that go to another group.
    """

    before: str
    after: str
    basis: str
    n_users: int
    n_only_before: int
    n_only_after: int
    changed: float
    changed_items: float
    replaced: float
    overlap: float
    overlap_low: float
    categories: Sequence[Exposure]
    moved_between_categories: float
    popularity: Sequence[Exposure]
    moved_by_popularity: float
    examples: Sequence[Example]

    def as_json(self, *, with_users: bool) -> Row:
        """For JSON. with_users: whether the examples name their users."""
        found = asdict(self)
        for name in ("categories", "popularity"):
            found[name] = [{**asdict(each), "moved": each.moved} for each in getattr(self, name)]
        if not with_users:
            for each in found["examples"]:
                del each["user_id"]
        return found

    def text(self, *, indent: int = 1) -> str:
        """JSON for an artifact, which names no user, as nothing erases people from artifacts."""
        return json.dumps(self.as_json(with_users=False), indent=indent, ensure_ascii=False)


def difference_of(before: str, after: str, lists: tuple[pl.DataFrame, pl.DataFrame], items: pl.DataFrame, basis: str) -> Difference | None:
    """The difference between two versions. lists: of each, as LISTS. items: as sql/compare/items.sql. None if no user has both lists."""
    first, second = lists
    both = first.join(second, on="user_id", how="inner", suffix="_after").sort("user_id")
    if both.is_empty():
        return None
    listed = {item_id for column in ("item_ids", "item_ids_after") for each in both[column].to_list() for item_id in each}
    items = items.filter(items["item_id"].is_in(list(listed)))
    row = {item_id: n for n, item_id in enumerate(items["item_id"])}
    old, new = as_rows(both["item_ids"], row), as_rows(both["item_ids_after"], row)
    overlap, new_share = rank_biased_overlap(old, new), replaced(old, new, TOP)
    categories, moved = exposures(old[:, :TOP], new[:, :TOP], _weights(items))
    popularity, shifted = exposures(old[:, :TOP], new[:, :TOP], [{group: 1.0} for group in items["popularity"]], GROUPS)
    return Difference(
        before=before,
        after=after,
        basis=basis,
        n_users=len(both),
        n_only_before=len(first) - len(both),
        n_only_after=len(second) - len(both),
        changed=float(is_changed(old, new, TOP).mean()),
        changed_items=float((new_share > 0).mean()),
        replaced=float(new_share.mean()),
        overlap=float(overlap.mean()),
        overlap_low=float(np.quantile(overlap, 0.1)),
        categories=sorted(categories, key=lambda each: (-abs(each.moved), each.group))[:N_CATEGORIES],
        moved_between_categories=moved,
        popularity=popularity,
        moved_by_popularity=shifted,
        examples=_examples(both["user_id"], old, new, overlap, _titles(items, row)),
    )


def as_rows(lists: pl.Series, row: dict[str, int]) -> Ints:
    """Lists of item ids as rows [users, ranks], -1 after the end of a shorter list. An unknown item gets the next row, which row keeps."""
    found = [[row.setdefault(item_id, len(row)) for item_id in items] for items in lists.to_list()]
    out = np.full((len(found), max(map(len, found), default=0)), -1, np.int64)
    for n, rows in enumerate(found):
        out[n, : len(rows)] = rows
    return out


def exposures(
    before: Ints, after: Ints, weights: Sequence[Mapping[str, float]], groups: Sequence[str] = ()
) -> tuple[list[Exposure], float]:
    """The share of all places of each group, and the share of places that goes to another group (total variation distance).

    weights: the groups of each item row, in parts that sum to one; other rows count as WITHOUT. groups: in this order, also if absent.
    """
    shares = [_shares(lists, weights) for lists in (before, after)]
    names = list(dict.fromkeys([*groups, *sorted({*shares[0], *shares[1]})]))
    found = [Exposure(name, shares[0].get(name, 0.0), shares[1].get(name, 0.0)) for name in names]
    return found, sum(abs(each.moved) for each in found) / 2


def _shares(lists: Ints, weights: Sequence[Mapping[str, float]]) -> dict[str, float]:
    shown = np.bincount(lists[lists >= 0].ravel())
    total, found = max(int(shown.sum()), 1), dict[str, float]()
    for item in np.flatnonzero(shown).tolist():
        for group, part in (weights[item] if item < len(weights) else {WITHOUT: 1.0}).items():
            found[group] = found.get(group, 0.0) + shown[item] * part / total
    return found


def _weights(items: pl.DataFrame) -> list[dict[str, float]]:
    """The categories of each item in equal parts. A text such as 'drama|war' names two, and case does not count, as for interests."""
    paths = [[path for text in texts or () for path in split_label(text)] for texts in items["categories"].to_list()]
    spelled: dict[str, str] = {}
    distinct = [list(dict.fromkeys(spelled.setdefault(normal(name), name) for name in map(" > ".join, each))) for each in paths]
    return [dict.fromkeys(names, 1 / len(names)) if names else {WITHOUT: 1.0} for names in distinct]


def _titles(items: pl.DataFrame, row: Mapping[str, int]) -> list[str]:
    """What to call each row: its title, or the item id if it has none."""
    known = dict(items.select("item_id", "title").iter_rows())
    return [known.get(item_id) or item_id for item_id in row]


def _examples(user_ids: pl.Series, old: Ints, new: Ints, overlap: np.ndarray, titles: Sequence[str]) -> list[Example]:
    """Users at even steps from the list that changes most to the one that changes least; users without a change are left out."""
    changed = np.flatnonzero(is_changed(old, new, TOP))
    ordered = changed[np.argsort(overlap[changed], kind="stable")]
    chosen = ordered[spread(len(ordered), N_EXAMPLES)]

    def named(rows: Ints) -> list[str]:
        return [titles[row] for row in rows]

    def of(user: int) -> Example:
        first, second = (lists[user, :TOP][lists[user, :TOP] >= 0] for lists in (old, new))
        gone, come = first[~np.isin(first, second)], second[~np.isin(second, first)]
        return Example(str(user_ids[int(user)]), float(overlap[user]), named(gone), named(come))

    return [of(user) for user in chosen]


def spread(n: int, n_chosen: int) -> Ints:
    """At most n_chosen of the numbers 0..n-1, at even steps, with the first and the last."""
    return np.unique(np.linspace(0, n - 1, min(n_chosen, n)).round().astype(np.int64))
