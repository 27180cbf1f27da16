"""Scenarios in memory: what each place allows, and which items it hides from whom, by the rules that the tables follow."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from models.errors import UserError
from models.events import Ints
from models.ranking.choice import Choice
from serving.items import Item, ItemTable, normal
from serving.rules import Event
from tasks.lake import Lake, reading
from tasks.scenarios import DEFAULT, FILE, Scenario, hidden_pairs, read_scenarios, resolve
from tasks.scenarios.conditions import COLUMNS, meets
from tasks.scenarios.resolved import DAY_S

log = logging.getLogger("minutehand.serving")
ITEM = pa.schema(
    {
        "item_id": pa.string(),
        "title": pa.string(),
        "description": pa.string(),
        "categories": pa.list_(pa.string()),
        "tags": pa.list_(pa.string()),
        "price": pa.float64(),
        "is_available": pa.bool_(),
        "first_seen_at": pa.timestamp("us"),
        "updated_at": pa.timestamp("us"),
    }
)
"""The columns of raw.items, for the conditions of scenarios."""


@dataclass(frozen=True)
class Hidden:
    """Pairs of users and items that a place hides at the publication.

    row_of_user: row of each user in start, [users + 1], the half-open ranges of item and until_s (unix seconds, when it is shown again).
    """

    row_of_user: Mapping[str, int]
    start: Ints
    item: Ints
    until_s: NDArray[np.float64]

    @staticmethod
    def build(pairs: pl.DataFrame, row_of_item: Mapping[str, int]) -> Hidden:
        """pairs: of tasks.scenarios.hidden_pairs, by user; items outside the catalogue are left out."""
        items = pl.DataFrame({"item_id": list(row_of_item), "item": np.arange(len(row_of_item))}, schema_overrides={"item_id": pl.String})
        known = pairs.join(items, on="item_id", maintain_order="left")
        users = known["user_id"].unique(maintain_order=True)
        start = np.append(known["user_id"].rle_id().search_sorted(np.arange(len(users))), known.height).astype(np.int64)
        return Hidden({user: row for row, user in enumerate(users)}, start, known["item"].to_numpy(), known["until_s"].to_numpy())

    def of(self, user_id: str, now: int) -> Ints:
        """The catalog rows that are hidden from a user at a time."""
        row = self.row_of_user.get(user_id)
        part = slice(0, 0) if row is None else slice(int(self.start[row]), int(self.start[row + 1]))
        return self.item[part][self.until_s[part] > now]


@dataclass(frozen=True)
class Place:
    """One scenario: its rules, and what they mean for the items and events of a publication."""

    scenario: Scenario
    choice: Choice
    hidden: Hidden

    def hides(self, user_ids: Sequence[str], pending: Iterable[Event], row_of_item: Mapping[str, int], now: int) -> Ints:
        """The catalog rows that are hidden from a person at a time. pending: their events since the publication."""
        rows = [self.hidden.of(user_id, now) for user_id in user_ids]
        days = self.scenario.hide
        fresh = [
            row_of_item[item_id]
            for event in pending
            if (item_id := event.item_id or "") in row_of_item
            and (n_days := days.get(event.event_type, 0)) > 0
            and event.time_s + n_days * DAY_S > now
        ]
        return np.concatenate([*rows, np.array(fresh, np.int64)])

    def with_items(self, items: ItemTable, put: Sequence[Item]) -> Place:
        """The place after some items were put. items: what is known about them now."""
        rows = sorted({items.row_of[item.item_id] for item in put if item.item_id in items.row_of})
        if not rows:
            return self
        place = replace(self, choice=_with_categories(self.choice, items, rows))
        if not self.scenario.where or self.choice.allowed is None:
            return place
        allowed = self.choice.allowed.copy()
        try:
            allowed[rows] = meets(_as_rows([items.item(row) for row in rows]), self.scenario.where)
        except UserError as error:  # such as a condition that takes too long
            log.error("%s: scenario %s shows none of the items that were put: %s", FILE, self.scenario.name, error)
            allowed[rows] = False
        return replace(place, choice=replace(place.choice, allowed=allowed))


def _with_categories(choice: Choice, items: ItemTable, rows: Sequence[int]) -> Choice:
    """The rules with the categories of some items as they are now: the last one of each counts for its cap."""
    if choice.category is None:
        return choice
    category, left = choice.category.copy(), set(rows)

    def last(row: int) -> str | None:
        return (items.item(row).categories or (None,))[-1]

    for row in rows:
        label = last(row)
        named = () if label is None else (*items.categories.get(normal(label), ()), *items.changed)
        alike = (int(category[other]) for other in named if int(other) not in left and last(int(other)) == label)
        category[row] = -1 if label is None else next(alike, int(category.max()) + 1)
        left.discard(row)
    return replace(choice, category=category)


def load_places(
    lake: Lake, snapshot: int, scenarios: Mapping[str, Scenario], row_of_item: Mapping[str, int], variety: float, asked_s: int
) -> dict[str, Place]:
    """The scenarios over a snapshot of the lake. asked_s: no list is asked for before, in unix seconds. variety: of the model version.

    A scenario whose `where` is wrong is left out, and the log says why.
    """
    places = {}
    with reading(lake, snapshot) as con:
        for name, each in scenarios.items():
            try:
                choice = resolve(con, each, list(row_of_item), variety)
            except UserError as error:
                log.error("%s: scenario %s is left out: %s", FILE, name, error)
                if name != DEFAULT:
                    continue
                choice = Choice(variety=variety, new_item_slots=each.new_item_slots)
            places[name] = Place(each, choice, Hidden.build(hidden_pairs(con, each.hide, asked_s, None), row_of_item))
    return places


def scenarios_of(home: Path | None) -> Mapping[str, Scenario]:
    """The right scenarios of a home; the log names the mistakes of the others. Without a home, there is only `default`."""
    if home is None:
        return {DEFAULT: Scenario(name=DEFAULT)}
    scenarios, problems = read_scenarios(home)
    for line in problems:
        log.error("%s", line)
    return scenarios


def changed_at(home: Path | None) -> tuple[int, int]:
    """A value that changes with the file of scenarios."""
    try:
        found = None if home is None else (home / FILE).stat()
    except OSError:
        found = None
    return (0, 0) if found is None else (found.st_mtime_ns, found.st_size)


def _as_rows(items: Sequence[Item]) -> pa.Table:
    rows = [
        {
            "item_id": item.item_id,
            "title": item.title,
            "description": item.description,
            "categories": item.categories,
            "tags": item.tags,
            "price": item.price,
            "is_available": True if item.is_available is None else item.is_available,
            "first_seen_at": item.first_seen_at,
            "updated_at": item.updated_at,
        }
        for item in items
    ]
    return pa.Table.from_pylist(rows, schema=ITEM).select(list(COLUMNS))
