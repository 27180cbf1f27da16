"""The items of a publication in memory: titles, prices and labels by catalog row, and which items a filter lets through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.events import Ints

Mask = NDArray[np.bool_]
Prices = NDArray[np.float64]
Label = Annotated[str, Field(min_length=1, max_length=512)]
Labels = Annotated[tuple[Label, ...], Field(max_length=1000)]


class Price(BaseModel):
    """Bounds of a price; an item without a price is within none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    lt: float | None = None
    lte: float | None = None
    gt: float | None = None
    gte: float | None = None

    def holds(self, price: Prices) -> Mask:
        """Whether each price is within the bounds; NaN is not."""
        out = np.isfinite(price)
        for bound, is_within in ((self.lt, np.less), (self.lte, np.less_equal), (self.gt, np.greater), (self.gte, np.greater_equal)):
            if bound is not None:
                out &= is_within(price, bound)
        return out


class Filter(BaseModel):
    """Which items a list may hold. All conditions must hold.

    A category is named as a whole, `Home > Kitchen`, or by one of its parts, `Kitchen`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    categories_any: Labels | None = None
    categories_all: Labels | None = None
    tags_any: Labels | None = None
    price: Price | None = None
    is_available: bool | None = Field(None, description="True changes nothing, as lists hold available items only; false is refused")
    item_ids: Annotated[tuple[str, ...], Field(max_length=10_000)] | None = None


@dataclass(frozen=True)
class Item:
    """What is known, or was put, about one item. A field that is None says nothing."""

    item_id: str
    title: str | None = None
    description: str | None = None
    categories: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    price: float | None = None
    is_available: bool | None = None
    first_seen_at: datetime | None = None
    updated_at: datetime | None = None

    def then(self, later: Item) -> Item:
        """The item after something else was put."""
        given = {each.name: getattr(later, each.name) for each in fields(later)}
        return replace(self, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class ItemTable:
    """The items of a catalogue by row.

    described: what the lake says about items, as of sql/serving/items; place: row of each item in it, -1 for an item without a description.
    price: NaN for an item without one. categories, tags: the rows of the items that have a label. changed: items that were put since the
    publication, by row.
    """

    ids: Sequence[str]
    row_of: Mapping[str, int]
    described: pl.DataFrame
    place: Ints
    price: Prices
    is_available: Mask
    categories: Mapping[str, Ints]
    tags: Mapping[str, Ints]
    changed: Mapping[int, Item] = field(default_factory=dict)

    @staticmethod
    def build(frame: pl.DataFrame, ids: Sequence[str], is_available: Mask) -> ItemTable:
        """The table of a catalogue. frame: as of sql/serving/items; is_available: by row, for items without a description."""
        row_of = {item_id: n for n, item_id in enumerate(ids)}
        row = np.array([row_of.get(item_id, -1) for item_id in frame["item_id"]], np.int64)
        described = frame.filter(pl.Series(row >= 0))
        row = row[row >= 0]
        place, price, available = np.full(len(ids), -1), np.full(len(ids), np.nan), is_available.copy()
        place[row] = np.arange(len(row))
        price[row] = described["price"].fill_null(float("nan")).to_numpy()
        available[row] = described["is_available"].to_numpy()
        categories, tags = _rows_by(described["categories"], row, parts_of), _rows_by(described["tags"], row, _whole)
        return ItemTable(ids, row_of, described, place, price, available, categories, tags)

    def __len__(self) -> int:
        return len(self.ids)

    def name(self, row: int) -> str:
        """What reasons call an item: its title, or its id without one."""
        return (self.title(row) or "").strip(" ") or self.ids[row]

    def title(self, row: int) -> str | None:
        """The title of an item."""
        if row in self.changed:
            return self.changed[row].title
        place = int(self.place[row])
        title: str | None = self.described["title"][place] if place >= 0 else None
        return title

    def item(self, row: int) -> Item:
        """What is known about an item."""
        if row in self.changed:
            return self.changed[row]
        place, item_id = int(self.place[row]), self.ids[row]
        if place < 0:
            return Item(item_id)
        known = self.described.row(place, named=True)
        labels: dict[str, Any] = {name: None if known[name] is None else tuple(known[name]) for name in ("categories", "tags")}
        rest = {name: value for name, value in known.items() if name not in ("item_id", *labels)}
        return Item(item_id, **rest, **labels)

    def with_items(self, items: Iterable[Item]) -> ItemTable:
        """The table after some items were put; items outside the catalogue are left out."""
        put = {row: self.item(row).then(item) for item in items if (row := self.row_of.get(item.item_id)) is not None}
        if not put:
            return self
        available = self.is_available.copy()
        for row, item in put.items():
            if item.is_available is not None:
                available[row] = item.is_available
        return replace(self, is_available=available, changed={**self.changed, **put})

    def allowed(self, wanted: Filter) -> Mask:
        """Whether each item passes the filter."""
        out = np.ones(len(self), bool)
        if wanted.categories_any is not None:
            out &= self._any(self.categories, wanted.categories_any)
        for label in wanted.categories_all or ():
            out &= self._any(self.categories, (label,))
        if wanted.tags_any is not None:
            out &= self._any(self.tags, wanted.tags_any)
        if wanted.price is not None:
            out &= wanted.price.holds(self.price)
        if wanted.item_ids is not None:
            named = np.zeros(len(self), bool)
            named[[self.row_of[item_id] for item_id in wanted.item_ids if item_id in self.row_of]] = True
            out &= named
        for row, item in self.changed.items():
            out[row] = _passes(item, wanted)
        return out

    def _any(self, rows_of: Mapping[str, Ints], labels: Sequence[str]) -> Mask:
        out = np.zeros(len(self), bool)
        for label in labels:
            out[rows_of.get(normal(label), np.empty(0, np.int64))] = True
        return out


def normal(label: str) -> str:
    """A label with single spaces around each `>`."""
    return " > ".join(part.strip() for part in label.split(">"))


def parts_of(category: str) -> list[str]:
    """The names under which a category is found: itself, the broader ones, and each part."""
    parts = [part.strip() for part in category.split(">")]
    return [*parts, *(" > ".join(parts[: n + 1]) for n in range(len(parts)))]


def _whole(tag: str) -> list[str]:
    return [normal(tag)]


def _rows_by(labels: pl.Series, row: Ints, names_of: Callable[[str], list[str]]) -> dict[str, Ints]:
    """The rows of each name of a label. labels: a list for each row."""
    pairs = pl.DataFrame({"label": labels, "row": row}).explode("label", empty_as_null=False).drop_nulls()
    names = pairs["label"].unique()
    named = pl.DataFrame({"label": names, "name": pl.Series([names_of(label) for label in names], dtype=pl.List(pl.String))})
    named = named.explode("name", empty_as_null=False)
    found = pairs.join(named, on="label").group_by("name").agg(pl.col("row").unique().sort())
    return {name: np.array(rows, np.int64) for name, rows in found.iter_rows()}


def _passes(item: Item, wanted: Filter) -> bool:
    categories = {name for category in item.categories or () for name in parts_of(category)}
    tags = {normal(tag) for tag in item.tags or ()}
    price = np.array([np.nan if item.price is None else item.price])
    return (
        (wanted.categories_any is None or not categories.isdisjoint(map(normal, wanted.categories_any)))
        and all(normal(label) in categories for label in wanted.categories_all or ())
        and (wanted.tags_any is None or not tags.isdisjoint(map(normal, wanted.tags_any)))
        and (wanted.price is None or bool(wanted.price.holds(price)[0]))
        and (wanted.item_ids is None or item.item_id in wanted.item_ids)
    )
