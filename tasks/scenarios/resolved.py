"""Scenarios as the ranking uses them: the rules of each place over the items and events of one snapshot of the lake."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.events import Ints
from models.results import RankedLists
from tasks.lake import Lake, reading, statement
from tasks.privacy.keyed import load_keys
from tasks.scenarios.conditions import meets, read_items
from tasks.scenarios.file import DEFAULT, Scenario

if TYPE_CHECKING:
    from models.ranking.choice import Choice  # loads torch
    from models.ranking.exploration import Draws
    from models.version.checkpoint import Checkpoint

DAY_S = 86_400
HIDDEN = pl.Schema({"user_id": pl.String(), "item_id": pl.String(), "until_s": pl.Float64()})


@dataclass(frozen=True)
class ScenarioLists:
    """The lists of one scenario besides `default`. fallback: the list for users without one."""

    name: str
    users: RankedLists
    fallback: RankedLists


@dataclass(frozen=True)
class Place:
    """One scenario, resolved: what it allows, and the pairs that it hides (columns of HIDDEN). key: of its draws of new items."""

    name: str
    choice: Choice
    hidden: pl.DataFrame
    key: bytes = b""

    def draws(self, version: Checkpoint, asked_s: int, user_ids: Sequence[str]) -> Draws | None:
        """The draws for the slots of new items in the lists of these users; None without slots. asked_s: of the publication."""
        n_slots = self.choice.new_item_slots
        if not n_slots:
            return None
        lottery = version.new_items.lottery(self.key, asked_s, version.catalog.item_ids)
        return lottery.draws(self.key, self.name, asked_s, user_ids, n_slots)

    def hidden_rows(self, user_ids: Sequence[str], row_of_item: Mapping[str, int]) -> tuple[Ints, Ints] | None:
        """(user row, item row) of the hidden pairs of these users; None if there are none."""
        return None if self.hidden.is_empty() else hidden_rows(self.hidden, user_ids, row_of_item)

    def barred(self, is_available: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether each item must be in no list of the place."""
        return ~is_available if self.choice.allowed is None else ~(is_available & self.choice.allowed)

    def fallback(self, version: Checkpoint, k: int) -> RankedLists:
        """The list for users without one."""
        from models.ranking.scorer import best_popularity_column, fallback_list

        column, vectors = best_popularity_column(version.blend), version.live.item_vectors() if self.choice.variety else None
        return fallback_list(version.popularity, version.catalog.is_available, column, k, self.choice, vectors)


@dataclass(frozen=True)
class Places:
    """Scenarios and the snapshot of the lake that their rules are read from. scenarios: as load_scenarios gives them."""

    lake: Lake
    snapshot: int
    scenarios: Mapping[str, Scenario]

    def resolved(self, item_ids: Sequence[str], variety: float, as_of: int, user_ids: Collection[str] | None = None) -> list[Place]:
        """Each scenario in tables, `default` first. as_of: the time for which lists are made, in unix seconds; user_ids: None for all."""
        published = [each for each in self.scenarios.values() if each.is_published]
        key = key_of_draws(self.lake, published)
        with reading(self.lake, self.snapshot) as con:
            return [
                Place(each.name, resolve(con, each, item_ids, variety), hidden_pairs(con, each.hide, as_of, user_ids), key)
                for each in published
            ]


def key_of_draws(lake: Lake, scenarios: Iterable[Scenario]) -> bytes:
    """The key of the draws of new items: that of the home's digests; empty if no scenario has slots for them."""
    if not any(each.new_item_slots for each in scenarios):
        return b""
    keys = load_keys(lake.home)
    return keys.secrets[keys.current]


def place_without_rules(variety: float) -> Place:
    """The place `default` without scenarios.toml."""
    from models.ranking.choice import Choice

    return Place(DEFAULT, Choice(variety=variety), pl.DataFrame(schema=HIDDEN))


def resolve(con: duckdb.DuckDBPyConnection, scenario: Scenario, item_ids: Sequence[str], checkpoint_variety: float) -> Choice:
    """What a scenario allows, over the items that the connection sees. item_ids: the catalogue.

    An item without a description has nulls in all columns except item_id and is_available. Raises UserError for a wrong `where`.
    """
    from models.ranking.choice import Choice

    variety = checkpoint_variety if scenario.variety is None else scenario.variety
    has_cap = scenario.max_per_category is not None
    if not scenario.where and not has_cap:
        return Choice(variety=variety, new_item_slots=scenario.new_item_slots)
    catalog = pl.DataFrame({"item_id": pl.Series(list(item_ids), dtype=pl.String)})
    described = pl.DataFrame(read_items(con, f"{scenario.where} categories" if has_cap else scenario.where))
    items = catalog.join(described, on="item_id", how="left", maintain_order="left").with_columns(pl.col("is_available").fill_null(True))
    return Choice(
        allowed=meets(items.to_arrow(), scenario.where) if scenario.where else None,
        category=_narrowest(items["categories"]) if has_cap else None,
        max_per_category=scenario.max_per_category,
        variety=variety,
        new_item_slots=scenario.new_item_slots,
    )


def _narrowest(categories: pl.Series) -> Ints:
    """A code for the last category of each item; -1 without one."""
    last = categories.list.last()
    code = last.rank("dense").cast(pl.Int64) - 1
    return code.fill_null(-1).to_numpy(writable=True)


def hidden_pairs(con: duckdb.DuckDBPyConnection, hide: Mapping[str, float], as_of: int, user_ids: Collection[str] | None) -> pl.DataFrame:
    """The pairs that are hidden at as_of (unix seconds): user_id, item_id, until_s (when the item is shown again).

    Read from the events that the connection sees. user_ids: None for all users.
    """
    days = {event_type: value for event_type, value in hide.items() if value > 0}
    if not days or (user_ids is not None and not len(user_ids)):
        return pl.DataFrame(schema=HIDDEN)
    limits = {"event_types": list(days), "seconds": [value * DAY_S for value in days.values()], "as_of": as_of}
    if user_ids is None:
        return con.execute(statement("scenarios/hidden_of_all"), limits).pl()
    con.register("at_hand", pl.DataFrame({"user_id": pl.Series(list(user_ids), dtype=pl.String)}))
    return con.execute(statement("scenarios/hidden_of_some"), limits).pl()


def hidden_rows(pairs: pl.DataFrame, user_ids: Sequence[str], row_of_item: Mapping[str, int]) -> tuple[Ints, Ints]:
    """The pairs as (user row, item row), sorted by user. Leaves out other users, and items that are not in the catalogue."""
    users = pl.DataFrame({"user_id": pl.Series(list(user_ids), dtype=pl.String)}).with_row_index("user")
    rows = pl.Series(list(row_of_item.values()), dtype=pl.Int64)
    items = pl.DataFrame({"item_id": pl.Series(list(row_of_item), dtype=pl.String), "item": rows})
    found = pairs.join(users, on="user_id").join(items, on="item_id").sort("user", "item")
    return found["user"].cast(pl.Int64).to_numpy(writable=True), found["item"].to_numpy(writable=True)  # torch wants them writable
