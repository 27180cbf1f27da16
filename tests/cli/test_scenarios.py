"""`minutehand scenarios`, and `minutehand recommend --scenario`, as a user runs them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.lake import LakeConfig, locate, migrate
from tests.cli.test_ingest import minutehand
from tests.tasks.publish.test_minute import in_cart
from tests.tasks.publish.test_night import add_events, add_item, put, ranked


@pytest.fixture
def shop(home: Path) -> Path:
    """A home with a published scenario `cart`."""
    lake = replace(locate(LakeConfig(), home), threads=1)
    migrate(lake)
    add_item(lake, "c", "Gamma")
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 0]}), in_places=in_cart("u")["in_places"])
    (home / "scenarios.toml").write_text("[cart]\nin_tables = true\nhide = { purchase = 90 }\n[page]\nneeds_item = true\n")
    return home


@pytest.mark.slow
def test_the_scenarios_are_shown_and_a_wrong_file_gives_exit_code_1(shop: Path) -> None:
    shown = minutehand("scenarios", home=shop)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [line.split()[0] for line in shown.stdout.splitlines()[1:]] == ["scenario", "default", "cart", "page"]
    assert "c, Gamma" in shown.stdout
    assert "purchase 90 d" in shown.stdout
    (shop / "scenarios.toml").write_text("[cart]\nmax_per_categry = 2\n[page]\nwhere = 'price < 3'")
    wrong = minutehand("scenarios", home=shop)
    assert wrong.returncode == 1
    assert wrong.stderr == "error: scenarios.toml: [cart] has no setting 'max_per_categry'; did you mean max_per_category?\n"
    as_json = minutehand("scenarios", "--json", home=shop)
    assert as_json.returncode == 1
    found = json.loads(as_json.stdout)
    assert [(row["scenario"], row["items"], row["of"]) for row in found["scenarios"]] == [("default", 1, 1), ("page", 0, 1)]
    assert len(found["problems"]) == 1


@pytest.mark.slow
def test_recommend_reads_the_lists_of_a_scenario_in_tables(shop: Path) -> None:
    found = json.loads(minutehand("recommend", "u", "stranger", "--scenario", "cart", "--json", home=shop).stdout)
    assert [(row["user_id"], row["item_id"], row["title"]) for row in found] == [
        ("u", "c", "Gamma"),
        ("u", "d", None),
        ("stranger", "a", None),
        ("stranger", "b", None),
    ]
    default = json.loads(minutehand("recommend", "u", "--scenario", "default", "--json", home=shop).stdout)
    assert [row["item_id"] for row in default] == ["b", "a"]


@pytest.mark.slow
def test_recommend_says_what_to_do_about_a_scenario_without_lists(shop: Path) -> None:
    unknown = minutehand("recommend", "u", "--scenario", "crat", home=shop)
    assert (unknown.returncode, unknown.stderr) == (1, "error: no scenario 'crat' in scenarios.toml; did you mean cart?\n")
    page = minutehand("recommend", "u", "--scenario", "page", home=shop)
    assert page.stderr.startswith("error: scenario 'page' has no lists in tables; set in_tables = true in scenarios.toml")
    (shop / "scenarios.toml").write_text("[new]\nin_tables = true")
    new = minutehand("recommend", "u", "--scenario", "new", home=shop)
    assert new.stderr == "error: no lists of scenario 'new' are published yet; the next `minutehand minute` makes them\n"
    text = minutehand("recommend", "u", "--scenario", "cart", "--text", "tent", home=shop)
    assert "leave out --text" in text.stderr
