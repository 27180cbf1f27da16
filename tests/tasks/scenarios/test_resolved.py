"""What scenarios allow and hide, read from a lake; how they differ from those of the last publication."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from tasks.config import PublishConfig
from tasks.lake import Lake, reading, writing
from tasks.minute.feed import look_for_work
from tasks.scenarios import Scenario, ScenarioError, hidden_pairs, hidden_rows, load_scenarios, resolve
from tasks.scenarios.changes import note_rules, read_rules
from tasks.scenarios.overview import overview, right_scenarios
from tests.tasks.minute.test_feed import MADE
from tests.tasks.publish.test_night import WEIGHTS, add_events, put, ranked, rows, snapshot_of

DAY = 86_400
NOW = datetime(2026, 3, 1)
DEFAULT = {"default": Scenario(name="default")}


def describe(lake: Lake, **prices: float) -> None:
    """Items with a price, and their name as the narrowest of two categories."""
    with writing(lake) as con:
        for item_id, price in prices.items():
            con.execute(
                "insert into raw.items values ($id, 'Tent', null, ['all', $id[1]], [], $price, true, now()::timestamp, now()::timestamp)",
                {"id": item_id, "price": price},
            )


def test_a_scenario_is_resolved_over_the_catalogue_also_for_items_without_a_description(lake: Lake) -> None:
    describe(lake, a1=3, a2=30, b1=4)
    catalog = ("b1", "unknown", "a2", "a1")
    with reading(lake) as con:
        plain = resolve(con, DEFAULT["default"], catalog, 0.2)
        choice = resolve(con, Scenario(name="x", where="price < 10", max_per_category=2, variety=0.0), catalog, 0.2)
        available = resolve(con, Scenario(name="x", where="is_available and price is null"), catalog, 0.2)
    assert (plain.allowed, plain.category, plain.max_per_category, plain.variety) == (None, None, None, 0.2)
    assert choice.allowed is not None
    assert choice.category is not None
    assert choice.allowed.tolist() == [True, False, False, True]
    assert choice.category.tolist() == [1, -1, 0, 0]
    assert (choice.max_per_category, choice.variety) == (2, 0.0)
    assert available.allowed is not None
    assert available.allowed.tolist() == [False, True, False, False]


def test_an_item_is_hidden_for_its_days_after_the_last_event_of_each_type(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 0), ("u", "a", "purchase", 10), ("u", "b", "view", 2 * DAY), ("v", "a", "view", DAY))
    add_events(lake, ("u", None, "search", 2 * DAY), ("u", "c", "odd", 2 * DAY), ("u", "b", "view", 2 * DAY + 5))
    hide = {"view": 1.0, "purchase": 3.0, "search": 9.0}

    def hidden(as_of: int, users: list[str] | None = None, hide: Mapping[str, float] = hide) -> list[tuple[str, str, float]]:
        with reading(lake) as con:
            return hidden_pairs(con, hide, as_of, users).rows()

    assert hidden(2 * DAY + 9) == [("u", "a", 3 * DAY + 10), ("u", "b", 3 * DAY + 5)]
    assert hidden(DAY) == [("u", "a", 3 * DAY + 10), ("u", "b", 3 * DAY + 5), ("v", "a", 2 * DAY)]
    assert hidden(DAY, ["v", "nobody"]) == [("v", "a", 2 * DAY)]
    assert hidden(3 * DAY + 10) == []
    assert hidden(DAY, []) == []
    assert hidden(DAY, hide={"view": 0.0}) == []
    with writing(lake) as con:
        con.execute("insert into raw.user_aliases values ('v', 'merged', now()::timestamp)")
    assert hidden(DAY, ["merged"]) == [("merged", "a", 2 * DAY)], "an alias counts as its user"
    assert [row[0] for row in hidden(DAY)] == ["merged", "u", "u"]
    with reading(lake) as con:
        pairs = hidden_pairs(con, hide, DAY, None)
    user, item = hidden_rows(pairs, ("merged", "nobody", "u"), {"b": 0, "a": 1})
    assert np.array_equal(user, [0, 2, 2])
    assert np.array_equal(item, [1, 0, 1])


@pytest.mark.slow
def test_only_a_change_of_the_rules_or_of_the_allowed_items_counts_and_only_until_it_is_published(lake: Lake) -> None:
    describe(lake, a=3, b=30)
    cheap = Scenario(name="cart", where="price < 10", in_tables=True)

    def rules(scenarios: Mapping[str, Scenario], days: int) -> tuple[bool, datetime | None]:
        found = read_rules(lake, snapshot_of(lake), scenarios, NOW + timedelta(days=days))
        with writing(lake) as con:
            note_rules(con, found)
        return found.is_changed, found.since

    assert rules(DEFAULT, 0) == (False, None)
    assert rules(DEFAULT | {"page": Scenario(name="page", variety=1)}, 1) == (False, None), "it is not in tables"
    assert rows(lake, "select * from ops.scenarios") == []
    assert rules(DEFAULT | {"cart": cheap}, 2) == (True, NOW + timedelta(days=2))
    assert rules(DEFAULT | {"cart": cheap}, 3) == (False, NOW + timedelta(days=2))
    describe(lake, c=50)
    assert rules(DEFAULT | {"cart": cheap}, 4) == (False, NOW + timedelta(days=2)), "the new item is not allowed"
    describe(lake, d=5)
    assert rules(DEFAULT | {"cart": cheap}, 5) == (True, NOW + timedelta(days=2)), "its lists need not all be made again"
    assert rules(DEFAULT | {"cart": cheap.model_copy(update={"variety": 0.5})}, 6) == (True, NOW + timedelta(days=6))
    assert rules(DEFAULT, 7) == (True, None), "a scenario that is gone leaves no list to make"


@pytest.mark.slow
def test_a_minute_has_work_if_rules_changed_or_an_event_without_weight_hides_an_item(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1), ("v", "a", "view", 1))
    put(lake, ranked({"u": [1], "v": [1]}))

    def look(scenarios: Mapping[str, Scenario]) -> tuple[bool, bool, tuple[str, ...]]:
        work = look_for_work(lake, WEIGHTS, 4, PublishConfig(), MADE + timedelta(hours=1), scenarios)
        assert work is not None
        return work.is_empty, work.refresh.is_due, work.rules.hiding

    assert look(DEFAULT) == (True, False, ())
    hiding = {"default": Scenario(name="default", hide={"return": 3, "view": 2})}
    assert look(hiding) == (False, True, ()), "all lists follow other rules"
    with writing(lake) as con:
        note_rules(con, replace(read_rules(lake, snapshot_of(lake), hiding, datetime(2025, 1, 1))))
    assert look(hiding) == (True, False, ())
    add_events(lake, ("u", "a", "return", 9), ("nobody", "a", "return", 9))
    assert look(hiding) == (False, False, ("u",)), "who has no history has no own list"
    assert look(DEFAULT)[2] == ()


def test_the_overview_counts_allowed_items_and_lists_every_mistake(lake: Lake, home: Path) -> None:
    describe(lake, a=3, b=30)
    add_events(lake, ("u", "a", "odd", 1))
    (home / "scenarios.toml").write_text(
        "[cart]\nwhere = 'price > 10'\nhide = { odd = 1, purchase = 2 }\n[a]\nhide = { purchse = 2 }\n[b]\nwhere = 'prize > 1'\n"
        "[c]\nwhere = 'title::integer > 1'\n[d]\nvariety = 3"
    )
    found = overview(lake, home, {"purchase": 1.0})
    assert [(row["scenario"], row["items"], row["of"], row["example"], row["hide"]) for row in found.rows] == [
        ("default", 2, 2, "a, Tent", None),
        ("cart", 1, 2, "b, Tent", "odd 1 d, purchase 2 d"),
    ]
    about = [line.split(": ", 1)[1] for line in found.problems]
    assert [line[:3] for line in about] == ["[d]", "[a]", "[b]", "[c]"]
    assert "hide.purchse: no event has the type 'purchse' and no setting names it; did you mean purchase?" in about[1]
    assert "did you mean price?" in about[2]
    assert "Could not convert string 'Tent' to INT32" in about[3]
    with pytest.raises(UserError, match=r"\[d\] variety = 3"):
        load_scenarios(home)
    (home / "scenarios.toml").write_text("[a]\nhide = { purchse = 2 }\n[b]\nwhere = 'prize > 1'")
    with pytest.raises(ScenarioError, match="did you mean purchase") as raised:
        right_scenarios(lake, home, {"purchase": 1.0})
    assert len(str(raised.value).splitlines()) == 2
