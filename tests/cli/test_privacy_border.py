"""`minutehand pseudonyms`, `opt-out` and `opt-in`, and ids of people in other commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import app
from cli.environment import serve_lock
from tasks.lake import Lake
from tasks.privacy import files
from tasks.privacy.border import stored_ids
from tests.tasks.conftest import empty_lake, lake, lake_config, write  # noqa: F401
from tests.tasks.ingest.taking import rows, take
from tests.tasks.publish.test_night import put, ranked

FILE = "user_id,item_id,occurred_at\ncustomer-u,a,2024-01-01\ncustomer-v,b,2024-01-02\n"


def run(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def listed(user_id: str) -> list[dict[str, Any]]:
    return json.loads(run("recommend", user_id, "--json"))  # type: ignore[no-any-return]


@pytest.mark.slow
def test_clear_ids_lead_to_lists_before_and_after_pseudonyms_and_rotations_and_an_erasure_finds_the_person(
    lake: Lake,  # noqa: F811
    write: Callable[[str, str], str],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "READERS_S", 0)
    take(lake, write("a.csv", FILE))
    put(lake, ranked({"customer-u": [1], "customer-v": [0]}))
    assert [row["item_id"] for row in listed("customer-u")] == ["b"]
    assert "ids of people in the lake: clear" in run("pseudonyms")
    assert "2 ids are pseudonyms now" in run("pseudonyms", "rewrite")
    assert "pseudonyms already, under key 1" in run("pseudonyms", "rewrite")
    with serve_lock(lake.home), pytest.raises(Exception, match="stop it, and run this again"):
        run("pseudonyms", "rotate")
    assert "2 pseudonyms are rewritten to the new key" in run("pseudonyms", "rotate")
    (state,) = json.loads(run("pseudonyms", "--json"))
    assert (state["is_on"], state["key"], state["keys_held"]) == (False, 2, [1, 2])
    assert [row["item_id"] for row in listed("customer-u")] == ["b"]
    assert "1 person opted out now" in run("opt-out", "customer-u")
    assert [row["item_id"] for row in listed("customer-u")] == ["a", "b"]
    assert "1 person opted in again" in run("opt-in", "customer-u")
    run("erase", "customer-v", "--yes")
    assert rows(lake, "select distinct user_id from raw.events") == [tuple(stored_ids(lake, ["customer-u"]))]


def test_a_plan_and_a_budget_do_not_go_together() -> None:
    with pytest.raises(Exception, match="--plan fixes the number of epochs, so --minutes has nothing to decide"):
        run("nightly", "--plan", "1", "--minutes", "3")
