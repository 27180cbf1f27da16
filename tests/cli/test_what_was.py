"""`minutehand what-was`: the list of a user at a time, and what is behind it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from models.errors import UserError
from tasks.lake import Lake, LakeConfig, locate, migrate, writing
from tasks.reading import list_at
from tests.cli.test_ingest import minutehand
from tests.tasks.publish.test_night import add_events, put, ranked, rows

DAYS = {version: datetime(2026, 11, day, 12) for version, day in (("1", 1), ("2", 2), ("3", 3))}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three nights; the list of `u` changes in each, and `gone` has one only in the first."""
    home = tmp_path_factory.mktemp("home")
    lake = locate(LakeConfig(), home)
    migrate(lake)
    add_events(lake, ("u", "a", "view", 1))
    for version, lists in zip(DAYS, ({"u": [0, 1], "gone": [2, 3]}, {"u": [1, 0]}, {"u": [3, 0]}), strict=True):
        put(lake, ranked(lists), version)
        with writing(lake) as con:
            asked = {"at": DAYS[version], "version": version}
            con.execute("update recs.list_history set published_at = $at where model_version = $version", asked)
    return home


@pytest.fixture
def nights(shop: Path) -> Lake:
    return locate(LakeConfig(), shop)


@pytest.mark.parametrize(
    ("moment", "items", "version"),
    [
        (datetime(2026, 11, 1, 12), ["a", "b"], "1"),
        (datetime(2026, 11, 2, 11, 59, 59), ["a", "b"], "1"),
        (datetime(2026, 11, 2, 12), ["b", "a"], "2"),
        (datetime(2027, 1, 1), ["d", "a"], "3"),
    ],
)
def test_the_list_of_a_time_is_the_last_one_until_then(nights: Lake, moment: datetime, items: list[str], version: str) -> None:
    found = list_at(nights, "u", moment, 10)
    assert found.note is None
    assert [(row["rank"], row["item_id"], row["model_version"]) for row in found.rows] == [
        (rank, item, version) for rank, item in enumerate(items, 1)
    ]


def test_the_past_list_has_scores_and_origin_of_the_published_one(nights: Lake) -> None:
    columns = "score, source, reason, mlflow_run_id, flow_run_id, data_snapshot, generated_at"
    published = rows(nights, f"select {columns} from recs.recommendations where user_id = 'u' order by rank")
    found = list_at(nights, "u", datetime(2027, 1, 1), 10).rows
    assert [tuple(row[name] for name in columns.split(", ")) for row in found] == published
    assert found[0]["probability"] == 0.5


@pytest.mark.parametrize(
    ("user", "moment", "note"),
    [
        ("gone", datetime(2026, 11, 2, 12), "user gone had no list of their own then; this was the list for anyone"),
        ("nobody", datetime(2026, 11, 2), "user nobody had no list of their own then; this was the list for anyone"),
    ],
)
def test_a_user_without_a_list_of_their_own_had_that_for_anyone(nights: Lake, user: str, moment: datetime, note: str) -> None:
    found = list_at(nights, user, moment, 10)
    assert (found.note, [row["item_id"] for row in found.rows]) == (note, ["a", "b"])


def test_before_the_history_no_list_is_known(nights: Lake) -> None:
    with pytest.raises(UserError, match="at 2026-10-01 00:00:00 UTC is known: the history of lists begins at 2026-11-01 12:00:00 UTC"):
        list_at(nights, "u", datetime(2026, 10, 1), 10)
    with pytest.raises(UserError, match=r"no list of scenario 'cart' .* is empty"):
        list_at(nights, "u", datetime(2026, 12, 1), 10, "cart")


@pytest.mark.slow
def test_what_was_shows_list_and_origin_and_refuses_what_is_no_time(shop: Path) -> None:
    shown = minutehand("what-was", "u", "--at", "2026-11-02T13:00+01:00", home=shop).stdout
    assert "user u, from 2026-11-02 12:00:00 UTC on: model version 2," in shown
    (row,) = json.loads(minutehand("what-was", "u", "--at", "2026-11-03", "-k", "1", "--json", home=shop).stdout)
    assert (row["user_id"], row["item_id"], row["mlflow_run_id"]) == ("u", "b", "mlflow-2")
    refused = minutehand("what-was", "u", "--at", "noon", home=shop)
    assert refused.returncode == 1
    assert refused.stderr == "error: --at 'noon' is no time; give one such as 2026-11-01 or 2026-11-01T12:00, in UTC\n"
