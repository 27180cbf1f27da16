"""`minutehand diff` of versions that published lists, and what it says where it cannot compare."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cli import app
from models.errors import UserError
from tasks.compare.published import items_of, lists_of_version, live_lists, published_difference
from tasks.lake import Lake, LakeConfig, locate, migrate, writing
from tests.tasks.publish.test_night import WEIGHTS, add_events, add_item, put, ranked

DAYS = {"1": datetime(2026, 11, 1), "2": datetime(2026, 11, 2), "3": datetime(2026, 11, 3)}

OLD = """
    insert into recs.publications by name
    select * replace ('old' as publication_id, '0' as model_version, '2025-01-01'::timestamp as published_at)
    from recs.publications limit 1
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three nights: the list of `u` changes in the second, that of `v` in the third."""
    home = tmp_path_factory.mktemp("home")
    lake = locate(LakeConfig(), home)
    migrate(lake)
    for item in "abcd":
        add_item(lake, item, f"Title {item}")
    add_events(lake, *(("u", "a", "view", n) for n in range(6)), ("u", "b", "view", 9), ("v", "c", "search", 9), ("v", "d", "search", 9))
    for version, lists in zip(DAYS, ({"u": [0, 1], "v": [2, 3]}, {"u": [0, 3], "v": [2, 3]}, {"u": [0, 3], "v": [3, 2]}), strict=True):
        put(lake, ranked(lists), version)
        with writing(lake) as con:
            for table in ("recs.list_history", "recs.publications"):
                asked = {"at": DAYS[version], "version": version}
                con.execute(f"update {table} set published_at = $at where model_version = $version", asked)
    return home


@pytest.fixture
def nights(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("MINUTEHAND_HOME", str(shop))
    return locate(LakeConfig(), shop)


def test_the_lists_of_a_version_are_those_that_were_live_with_it_whichever_version_made_them(nights: Lake) -> None:
    found = {version: lists_of_version(nights, version, 10) for version in ("1", "2", "3", "9")}
    assert found.pop("9") is None, "it never published"
    shown = [dict(zip(lists["user_id"], lists["item_ids"].to_list(), strict=True)) for lists in found.values() if lists is not None]
    assert shown == [{"u": ["a", "b"], "v": ["c", "d"]}, {"u": ["a", "d"], "v": ["c", "d"]}, {"u": ["a", "d"], "v": ["d", "c"]}]


def test_new_items_that_were_drawn_are_no_difference_between_versions(tmp_path: Path) -> None:
    lake = locate(LakeConfig(), tmp_path)
    migrate(lake)
    drawn = replace(ranked({"u": [0, 1], "v": [2, 3]}), is_drawn=np.array([[False, True], [False, False]]))
    put(lake, drawn, "1")
    found = lists_of_version(lake, "1", 10)
    assert found is not None
    for lists in (found, live_lists(lake, ["u", "v"])):
        assert dict(zip(lists["user_id"], lists["item_ids"].to_list(), strict=True)) == {"u": ["a"], "v": ["c", "d"]}


def test_lists_from_before_the_history_are_not_taken_for_those_of_today(nights: Lake) -> None:
    with writing(nights) as con:
        con.execute(OLD)
    assert lists_of_version(nights, "0", 10) is None


def test_popular_items_have_the_first_half_of_the_events_and_searches_do_not_count(nights: Lake) -> None:
    items = items_of(nights, ["search"])
    assert dict(zip(items["item_id"], items["popularity"], strict=True)) == {"a": "popular", "b": "middle", "c": "rare", "d": "rare"}


def test_published_lists_are_compared_over_all_users(nights: Lake) -> None:
    found = published_difference(nights, "1", "3", 10, WEIGHTS)
    assert found is not None
    assert (found.n_users, found.changed, found.changed_items, found.replaced) == (2, 1.0, 0.5, 0.25)
    limited = published_difference(nights, "1", "3", 1, WEIGHTS)
    assert limited is not None
    assert (limited.n_users, limited.n_only_before) == (1, 0), "both versions have the same sample of users"


def test_diff_prints_80_columns_with_users_exposure_and_titles(nights: Lake) -> None:
    done = CliRunner().invoke(app, ["diff", "1", "2"])
    assert done.exit_code == 0, done.output
    assert "version 1 to version 2: the lists that were live with each version" in done.output
    assert "user u: overlap" in done.output
    assert "  - Title b\n  + Title d" in done.output
    assert max(map(len, done.output.splitlines())) <= 80
    found = json.loads(CliRunner().invoke(app, ["diff", "1", "2", "--json"]).output)
    assert (found["before"], found["after"], found["n_users"], found["changed"]) == ("1", "2", 2, 0.5)
    assert found["examples"][0]["user_id"] == "u"


def test_a_version_is_not_compared_with_itself_and_without_a_home_nothing_is(
    nights: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="both versions are 2; name two, as minutehand models lists them"):
        CliRunner().invoke(app, ["diff", "2", "2"], catch_exceptions=False)
    monkeypatch.setenv("MINUTEHAND_HOME", str(tmp_path / "none"))
    for words in (["diff", "1", "2"], ["models"]):
        with pytest.raises(UserError, match="there is no minutehand home at"):
            CliRunner().invoke(app, words, catch_exceptions=False)
    assert not (tmp_path / "none").exists()
