"""The interests of a catalogue: what they are called, how they are nested, and which items belong to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from models.events import Floats, Ints
from models.interests.labels import normal, split_label
from models.text.requests import decade_of

TOPIC, TAG, DECADE, PRICE = "topic", "tag", "decade", "price"
ARRAYS = ("parents", "vectors", "item", "interest", "weight", "price_bounds")
TEXTS = ("interest_ids", "kinds", "groups", "names", "terms", "n_items", "next_cluster", "is_nested")


@dataclass(frozen=True)
class Descriptions:
    """What is known about some items: [items] titles, categories, tags, and prices (NaN if unknown)."""

    titles: Sequence[str]
    categories: Sequence[Sequence[str]]
    tags: Sequence[Sequence[str]]
    prices: Floats

    def __len__(self) -> int:
        return len(self.titles)


@dataclass(frozen=True)
class Interests:
    """The interests of a catalogue, and the share of each in each item.

    One interest per row: interest_ids stay the same across nights; kinds: label, facet or cluster; groups: topic, tag, or the name of a
    facet such as decade or price; parents: row of the broader interest, or -1; terms: the words that distinguish it; vectors:
    [interests, text_dim], unit vectors of the encoder, not whitened (labels and facets: of their name; clusters: the centroid).

    One membership per entry of item, interest and weight, sorted by item, then interest. An item belongs to its narrowest interests only,
    so that no share counts twice. The weights of an item sum to 1 within each group in which it has an interest, so a distribution over
    interests is normalised within each group. price_bounds: upper bounds of all price bands but the last. next_cluster: the number of the
    next new cluster; numbers are never used twice. is_nested: whether a list of categories is one path from broad to narrow.
    """

    interest_ids: tuple[str, ...]
    kinds: tuple[str, ...]
    groups: tuple[str, ...]
    parents: Ints
    names: tuple[str, ...]
    terms: tuple[tuple[str, ...], ...]
    vectors: Floats
    item: Ints
    interest: Ints
    weight: Floats
    n_items: int
    price_bounds: Floats
    next_cluster: int = 0
    is_nested: bool = False

    def __len__(self) -> int:
        return len(self.interest_ids)

    @cached_property
    def shares(self) -> csr_matrix:
        """Share of each interest in each item, sparse [items, interests]."""
        return csr_matrix((self.weight, (self.item, self.interest)), shape=(self.n_items, len(self)), dtype=np.float32)

    @cached_property
    def group_rows(self) -> dict[str, Ints]:
        """The rows of the interests of each group."""
        names = np.array(self.groups)
        return {group: np.flatnonzero(names == group) for group in sorted(set(self.groups))}

    @property
    def group_numbers(self) -> Ints:
        """The number of the group of each interest."""
        return np.unique(np.array(self.groups), return_inverse=True)[1].astype(np.int64)

    @cached_property
    def items_of(self) -> Ints:
        """Number of items of each interest, those of narrower interests included."""
        pairs = {(int(item), row) for item, interest in zip(self.item, self.interest, strict=True) for row in self.line(int(interest))}
        return np.bincount(np.array([row for _, row in pairs], np.int64), minlength=len(self))

    def line(self, row: int) -> list[int]:
        """An interest and all broader ones, narrowest first."""
        out = [row]
        while self.parents[out[-1]] >= 0:
            out.append(int(self.parents[out[-1]]))
        return out

    def normalised(self, values: Floats) -> Floats:
        """Values [rows, interests], not negative, as distributions within each group; a group without any value stays zero."""
        out = values.astype(np.float32, copy=True)
        for rows in self.group_rows.values():
            total = out[:, rows].sum(1, keepdims=True)
            out[:, rows] = np.divide(out[:, rows], total, out=np.zeros_like(out[:, rows]), where=total > 0)
        return out

    def of(self, described: Descriptions, text: Floats | None) -> Interests:
        """The same interests with the memberships of exactly these items. text: vectors of the encoder; None without texts."""
        item, interest, weight = memberships(self, described, text)
        return replace(self, item=item, interest=interest, weight=weight, n_items=len(described))

    def with_n_items(self, n_items: int) -> Interests:
        """The same with more items at the end, which have no interest yet."""
        return replace(self, n_items=n_items)

    def with_items(self, rows: Ints, described: Descriptions, text: Floats | None) -> Interests:
        """The same after some items have got a description, or another one. rows: the items that are described."""
        if not len(rows):
            return self
        item, interest, weight = memberships(self, described, text)
        kept = ~np.isin(self.item, rows)
        items = np.concatenate([self.item[kept], rows[item]])
        interests, weights = np.concatenate([self.interest[kept], interest]), np.concatenate([self.weight[kept], weight])
        order = np.lexsort((interests, items))
        return replace(self, item=items[order], interest=interests[order], weight=weights[order])

    def tensors(self) -> dict[str, Tensor]:
        """The arrays as named tensors, for a checkpoint."""
        return {name: torch.from_numpy(np.ascontiguousarray(getattr(self, name))) for name in ARRAYS}

    def described(self) -> dict[str, Any]:
        """Everything else as JSON values, for a checkpoint."""
        return {name: getattr(self, name) for name in TEXTS}

    @staticmethod
    def from_parts(tensors: dict[str, Tensor], described: dict[str, Any]) -> Interests:
        """The inverse of `tensors` and `described`."""
        parts: dict[str, Any] = {name: value.numpy() for name, value in tensors.items()}
        parts |= {name: tuple(described[name]) for name in ("interest_ids", "kinds", "groups", "names")}
        parts |= {name: described[name] for name in ("n_items", "next_cluster", "is_nested")}
        return Interests(**parts, terms=tuple(tuple(words) for words in described["terms"]))


def memberships(interests: Interests, described: Descriptions, text: Floats | None) -> tuple[Ints, Ints, Floats]:
    """(item, interest, weight) of items by the rules of a vocabulary: labels and facets by name, clusters by the nearest centroid."""
    row = {interest_id: n for n, interest_id in enumerate(interests.interest_ids)}
    clusters = np.array([n for n, kind in enumerate(interests.kinds) if kind == "cluster"], np.int64)
    number = nearest(interests.vectors[clusters], text) if len(clusters) and text is not None else np.full(len(described), -1)
    items: list[int] = []
    found: list[int] = []
    weights: list[float] = []
    for item in range(len(described)):
        rows = {narrow for path in label_paths(described, item, interests.is_nested) if (narrow := _narrowest(path, row)) is not None}
        rows -= {broad for each in rows for broad in interests.line(each)[1:]}
        for facet_id in facets_of(described.titles[item], float(described.prices[item]), interests.price_bounds):
            if facet_id in row:
                rows.add(row[facet_id])
        if number[item] >= 0:
            rows.add(int(clusters[number[item]]))
        groups = [interests.groups[each] for each in rows]
        for each in sorted(rows):
            items.append(item)
            found.append(each)
            weights.append(1 / groups.count(interests.groups[each]))
    return np.array(items, np.int64), np.array(found, np.int64), np.array(weights, np.float32)


def label_paths(described: Descriptions, item: int, is_nested: bool) -> list[tuple[str, ...]]:
    """The labels of an item as normalised paths from broad to narrow, categories first."""
    return [tuple(normal(part) for part in path) for path in spelled_paths(described, item, is_nested)]


def spelled_paths(described: Descriptions, item: int, is_nested: bool) -> list[tuple[str, ...]]:
    """The labels of an item as paths from broad to narrow, spelled as in the catalogue."""
    categories = [parts for raw in described.categories[item] for parts in split_label(raw)]
    if is_nested and categories:
        joined: tuple[str, ...] = tuple(part for parts in categories for part in parts)
        categories = [joined]
    return [*categories, *(parts for raw in described.tags[item] for parts in split_label(raw))]


def label_id(path: Sequence[str]) -> str:
    """The id of a normalised path."""
    return "label:" + " > ".join(path)


def facets_of(title: str, price: float, price_bounds: Floats) -> list[str]:
    """The ids of the facets of an item: its decade and its price band."""
    decade = decade_of(title)
    out = [] if decade is None else [f"decade:{decade}"]
    if len(price_bounds) and np.isfinite(price):
        out.append(f"price:{1 + int(np.searchsorted(price_bounds, price, side='right'))}")
    return out


def _narrowest(path: tuple[str, ...], row: dict[str, int]) -> int | None:
    """The narrowest interest on a path."""
    for length in range(len(path), 0, -1):
        found = row.get(label_id(path[:length]))
        if found is not None:
            return found
    return None


def nearest(centroids: Floats, text: Floats) -> Ints:
    """The number of the nearest centroid of each item; -1 without text."""
    if text.shape[1] != centroids.shape[1]:
        return np.full(len(text), -1)
    blocks = [(text[start : start + 8192] @ centroids.T).argmax(1) for start in range(0, len(text), 8192)]
    number = np.concatenate(blocks) if blocks else np.zeros(0, np.int64)
    return np.where(np.abs(text).sum(1) > 0, number, -1)
