"""The scenarios of a home folder for people: what each allows, and every mistake in scenarios.toml."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from models.errors import UserError
from tasks.lake import Lake, reading, statement
from tasks.scenarios.conditions import meets, read_items
from tasks.scenarios.file import DEFAULT, FILE, Scenario, ScenarioError, load_scenarios, nearest, read_scenarios


@dataclass(frozen=True)
class Overview:
    """One row for each right scenario, and one line for each mistake."""

    rows: list[dict[str, Any]]
    problems: list[str]


def overview(lake: Lake, home: Path, event_weights: Mapping[str, float]) -> Overview:
    """The scenarios of a home folder, with the number of items that each allows and the first of them."""
    scenarios, problems = read_scenarios(home)
    with reading(lake) as con:
        known = _event_types(con, event_weights) if any(each.hide for each in scenarios.values()) else frozenset()
        rows = []
        for each in scenarios.values():
            wrong = _unknown_types(each, known)
            try:
                row = _row(con, each)
            except UserError as error:
                wrong.append(f"{FILE}: [{each.name}] {error}")
            problems += wrong
            if not wrong:
                rows.append(row)
    return Overview(rows, problems)


def right_scenarios(lake: Lake, home: Path, event_weights: Mapping[str, float]) -> dict[str, Scenario]:
    """Like load_scenarios; also raises ScenarioError for conditions that do not work and for unknown event types."""
    scenarios = load_scenarios(home)
    if (home / FILE).exists():
        problems = overview(lake, home, event_weights).problems
        if problems:
            raise ScenarioError("\n".join(problems))
    return scenarios


def _row(con: duckdb.DuckDBPyConnection, scenario: Scenario) -> dict[str, Any]:
    items = read_items(con, f"{scenario.where} title")
    is_available = items["is_available"].to_numpy(zero_copy_only=False).astype(bool)
    is_allowed = is_available & meets(items, scenario.where, is_strict=True) if scenario.where else is_available
    first = np.flatnonzero(is_allowed)[:1]
    example = None if not len(first) else f"{items['item_id'][first[0]]}, {items['title'][first[0]]}"
    return {
        "scenario": scenario.name,
        "items": int(is_allowed.sum()),
        "of": len(items),
        "example": example,
        "hide": ", ".join(f"{event_type} {days:g} d" for event_type, days in scenario.hide.items()) or None,
        "where": scenario.where or None,
        "max_per_category": scenario.max_per_category,
        "variety": scenario.variety,
        "new_item_slots": scenario.new_item_slots or None,
        "lists_in": _tables_of(scenario),
    }


def _tables_of(scenario: Scenario) -> str:
    if scenario.name == DEFAULT:
        return "API, recs.recommendations"
    return "API, recs.scenario_recommendations" if scenario.in_tables else "API"


def _event_types(con: duckdb.DuckDBPyConnection, event_weights: Mapping[str, float]) -> frozenset[str]:
    return frozenset(event_weights) | {name for (name,) in con.execute(statement("scenarios/event_types")).fetchall()}


def _unknown_types(scenario: Scenario, known: Collection[str]) -> list[str]:
    return [
        f"{FILE}: [{scenario.name}] hide.{name}: no event has the type {name!r} and no setting names it; "
        + nearest(name, known, f"the types are {', '.join(sorted(known))}")
        for name in scenario.hide
        if name not in known
    ]
