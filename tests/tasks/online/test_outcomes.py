"""Which outcome counts for which impression, and that the tables stay right whatever comes late, twice or under two ids."""

from __future__ import annotations

import re
from typing import Any

import pytest

from models.experiments.allocation import arms_of
from tasks.config import RetentionConfig
from tasks.experiments.experiment import key_of
from tasks.lake import Lake, reading, writing
from tasks.online.outcomes import count_outcomes
from tasks.online.rates import rates_by
from tasks.upkeep import maintain
from tests.conftest import ROOT
from tests.tasks.online.made import NOON, WEIGHTS, act, at, count, publish, serve
from tests.tasks.publish.test_night import rows, snapshot_of


def outcomes(lake: Lake, columns: str = "user_id, item_id, clicked_at is not null, bought_at is not null, value, rating") -> list[Any]:
    return rows(lake, f"select {columns} from eval.outcomes order by shown_at, item_id")


def rates(lake: Lake) -> dict[str, tuple[float, float]]:
    """Sums of numerator and denominator by metric."""
    found = rows(lake, "select metric, sum(numerator), sum(denominator) from eval.online group by metric")
    return {metric: (numerator, denominator) for metric, numerator, denominator in found}


@pytest.mark.slow
def test_an_outcome_counts_for_the_list_that_it_names_with_version_source_and_position(lake: Lake) -> None:
    serve(lake, "r1", "u", ["a", "b"], "7", "cart", propensities=[1, 0.25])
    act(lake, 0, "u", "a", recommendation_id="r1", position=1)
    act(lake, 0, "u", "b", recommendation_id="r1")
    act(lake, 5, "u", "b", "click", recommendation_id="r1", position=2)
    act(lake, 6, "u", "b", "purchase", value=30.0)
    act(lake, 7, "u", "b", "rating", value=2.0)
    act(lake, 8, "u", "b", "rating", value=4.0)
    done = count(lake)
    assert (done.n_shown, done.n_clicks_without) == (2, 0)
    assert outcomes(lake) == [("u", "a", False, False, None, None), ("u", "b", True, True, 30.0, 4.0)]
    of_list = outcomes(lake, "recommendation_id, position, scenario, source, slot, propensity, model_version, arm")
    assert of_list == [
        ("r1", 1, "cart", "sequence", "ranked", 1.0, "7", None),
        ("r1", 2, "cart", "sequence", "exploration", 0.25, "7", None),
    ]
    assert rates(lake) == {"ctr": (1, 2), "conversion": (1, 2), "value": (30, 2), "satisfaction": (4, 1)}
    assert rows(lake, "select distinct hour from eval.online") == [(NOON,)]


@pytest.mark.slow
def test_an_outcome_without_a_list_counts_for_the_last_impression_of_the_same_user_and_item_in_the_window(lake: Lake) -> None:
    for number, user in enumerate(("u", "u", "v")):
        serve(lake, f"r{number}", user, ["a", "b"], str(number))
        act(lake, 60 * number, user, "a", recommendation_id=f"r{number}")
    act(lake, 200, "u", "a", "click")
    act(lake, 200, "u", "b", "click")
    act(lake, 60 + 25 * 60, "u", "a", "purchase", value=1.0)
    assert count(lake).n_clicks_without == 1, "item b was not shown"
    assert outcomes(lake, "model_version, clicked_at is not null") == [("0", False), ("1", True), ("2", False)]
    assert rates(lake)["conversion"] == (0, 3), "the purchase is outside the window"


def test_a_click_that_names_a_list_counts_for_it_even_if_a_later_list_showed_the_item_too(lake: Lake) -> None:
    for number in range(2):
        serve(lake, f"r{number}", "u", ["a"], str(number))
        act(lake, number, "u", "a", recommendation_id=f"r{number}")
    act(lake, 5, "u", "a", "view", recommendation_id="r0")
    count(lake)
    assert outcomes(lake, "model_version, clicked_at") == [("0", at(5)), ("1", None)]


@pytest.mark.slow
def test_an_impression_without_a_list_belongs_to_the_list_that_the_user_had_then_else_to_that_for_anyone(lake: Lake) -> None:
    publish(lake, 0, "*", ["x", "a"], "1")
    publish(lake, 0, "u", ["a", "b"], "1")
    publish(lake, 60, "u", ["b", "a"], "2")
    publish(lake, 60, "u", ["c"], "2", "cart")
    publish(lake, 120, "u", [], "3")
    for minutes, user, item in ((1, "u", "a"), (61, "u", "a"), (62, "u", "c"), (63, "u", "x"), (121, "u", "x"), (122, "stranger", "a")):
        act(lake, minutes, user, item)
    done = count(lake)
    assert outcomes(lake, "user_id, item_id, model_version, scenario, position") == [
        ("u", "a", "1", "default", 1),
        ("u", "a", "2", "default", 2),
        ("u", "c", "2", "cart", 1),
        ("u", "x", "1", "default", 1),
        ("stranger", "a", "1", "default", 2),
    ]
    assert done.n_unlisted == 1, "x at minute 63 was in no list of u"


@pytest.mark.slow
def test_repeats_bots_and_items_that_the_list_did_not_hold_count_nowhere(lake: Lake) -> None:
    serve(lake, "r1", None, ["a", "b", "c"])
    for minutes, user, item in ((0, "u", "a"), (29, "u", "a"), (58, "u", "a"), (100, "u", "a"), (1, "u", "z")):
        act(lake, minutes, user, item, recommendation_id="r1")
    for number in range(5):
        act(lake, number / 10, "bot", "abc"[number % 3], recommendation_id="r1")
    act(lake, 2, "bot", "a", "click", recommendation_id="r1")
    act(lake, 59, "u", "a", "click")
    done = count(lake, bot_impressions=4)
    assert (done.n_shown, done.n_repeats, done.n_bots, done.n_foreign) == (2, 2, 5, 1)
    assert outcomes(lake, "user_id, shown_at, clicked_at") == [("u", at(0), at(59)), ("u", at(100), None)]


@pytest.mark.slow
def test_a_second_run_changes_nothing_and_writes_no_snapshot(lake: Lake) -> None:
    serve(lake, "r1", "u", ["a"])
    act(lake, 0, "u", "a", recommendation_id="r1")
    act(lake, 1, "u", "a", "click")
    count(lake, 10)
    before = (snapshot_of(lake), outcomes(lake, "*"), rates(lake))
    assert count(lake, 20).n_shown == 1, "events of the last hour are read again"
    act(lake, 300, "u", "a", "search", received=300)
    assert (snapshot_of(lake) - 1, outcomes(lake, "*"), rates(lake)) == before


@pytest.mark.slow
def test_late_outcomes_change_their_hour_and_no_other_row_until_it_is_final(lake: Lake) -> None:
    act(lake, -10, "u", "a", "view")
    for number in range(3):
        serve(lake, f"r{number}", "u", ["a"])
        act(lake, 24 * 60 * number, "u", "a", recommendation_id=f"r{number}")
    count(lake, 5000)
    act(lake, 2, "u", "a", "click", received=5010)
    act(lake, 24 * 60 + 2, "u", "a", "click", received=5010)
    count(lake, 5020, final_days=1)
    assert outcomes(lake, "clicked_at, built_at") == [(None, at(5000)), (at(24 * 60 + 2), at(5020)), (None, at(5000))]
    assert rates(lake)["ctr"] == (1, 3)
    count(lake, 5030, final_days=7)
    assert rates(lake)["ctr"] == (2, 3), "the hour of the first click is not final under this setting"


@pytest.mark.slow
def test_sessions_that_are_merged_count_as_their_user_even_in_hours_that_are_final(lake: Lake) -> None:
    for number in range(2):
        serve(lake, f"r{number}", "s", ["a"])
        act(lake, 24 * 60 * 9 * number, "s", "a", recommendation_id=f"r{number}")
    act(lake, 24 * 60 * 9 + 1, "u", "a", "click")
    count(lake, 24 * 60 * 9 + 2)
    assert outcomes(lake, "user_id, clicked_at is not null") == [("s", False), ("s", False)]
    with writing(lake) as con:
        con.execute("insert into raw.user_aliases values ('s', 'u', $at)", {"at": at(24 * 60 * 9 + 100)})
    count(lake, 24 * 60 * 9 + 200)
    assert outcomes(lake, "user_id, clicked_at is not null") == [("u", False), ("u", True)]


def test_a_user_and_an_item_are_warm_once_an_event_that_teaches_came_before(lake: Lake) -> None:
    serve(lake, "r1", "u", ["a", "b"])
    act(lake, -10, "v", "a", "view")
    for minutes, item in ((0, "a"), (0, "b")):
        act(lake, minutes, "u", item, recommendation_id="r1")
    act(lake, 1, "u", "b", "click")
    act(lake, 90, "u", "b", recommendation_id="r1")
    count(lake)
    assert outcomes(lake, "segment") == [("cold_user_warm_item",), ("cold_user_cold_item",), ("warm_user_warm_item",)]


@pytest.mark.slow
def test_after_an_erasure_the_rates_lose_the_person_also_in_hours_that_are_final(lake: Lake) -> None:
    for number, user in enumerate("uvw"):
        serve(lake, f"r{number}", user, ["a"])
        act(lake, 24 * 60 * 30 * number, user, "a", recommendation_id=f"r{number}")
    count(lake, 24 * 60 * 61)
    assert rates(lake)["ctr"] == (0, 3)
    with writing(lake) as con:
        for table in ("raw.events", "eval.outcomes"):
            con.execute(f"delete from {table} where user_id = 'v'")
    count(lake, 24 * 60 * 62)
    assert rates(lake)["ctr"] == (0, 2)
    before = snapshot_of(lake)
    count(lake, 24 * 60 * 62)
    assert snapshot_of(lake) == before


@pytest.mark.slow
def test_rates_outlive_the_outcomes_that_retention_deletes(lake: Lake) -> None:
    for day in (0, 40):
        serve(lake, f"r{day}", "u", ["a"], minutes=24 * 60 * day)
        act(lake, 24 * 60 * day, "u", "a", recommendation_id=f"r{day}")
    count(lake, 24 * 60 * 40)
    kept = RetentionConfig(served_days=30, figures_days=365)
    for day, n_kept in ((41, 1), (100, 0)):
        now = at(24 * 60 * day)
        maintain(lake, retention=kept, now=now)
        count_outcomes(lake, WEIGHTS, retention=kept, now=now)
        assert len(outcomes(lake)) == n_kept
        assert rates(lake)["ctr"] == (0, 2)
    maintain(lake, retention=RetentionConfig(figures_days=80), now=at(24 * 60 * 100))
    assert rates(lake)["ctr"] == (0, 1)


def test_a_run_that_is_killed_before_it_commits_leaves_both_tables_as_they_were(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(lake, "r1", "u", ["a"])
    act(lake, 0, "u", "a", recommendation_id="r1")
    with reading(lake) as con:
        assert con.execute("select count(*) from eval.outcomes").fetchone() == (0,)
    from tasks.online import outcomes as module

    def stop(name: str) -> str:
        if name == "online/insert_rates":
            raise KeyboardInterrupt
        return statement(name)

    statement = module.statement
    monkeypatch.setattr(module, "statement", stop)
    with pytest.raises(KeyboardInterrupt):
        count_outcomes(lake, WEIGHTS)
    monkeypatch.undo()
    assert (outcomes(lake), rates(lake)) == ([], {})
    count(lake)
    assert (len(outcomes(lake)), rates(lake)["ctr"]) == (1, (0, 1))


def test_during_an_experiment_an_impression_has_the_arm_of_its_user_and_the_list_for_anyone_has_none(lake: Lake) -> None:
    experiment = dict.fromkeys(["metric", "guard_rails", "control_version", "control_settings", "challenger_version"], "x")
    experiment |= dict.fromkeys(["challenger_settings", "arm_version", "arm_run_id"], "x") | {"name": "n", "state": "stopped"}
    with writing(lake) as con:
        columns = ", ".join(f"${name} as {name}" for name in experiment)
        con.execute(
            "insert into ops.experiments by name select 'x1' as experiment_id, 0.5 as share, 1 as learnt, $a as started_at,"
            f" $b as stopped_at, {columns}",
            experiment | {"a": at(0), "b": at(100)},
        )
    publish(lake, -50, "*", ["b"], "1")
    users = [f"u{number}" for number in range(6)]
    for user in users:
        serve(lake, user, user, ["a"])
        act(lake, 10, user, "a", recommendation_id=user)
    for minutes in (-40, 110):
        act(lake, minutes, "u0", "a", recommendation_id="u0")
    act(lake, 20, "u0", "b")
    with writing(lake) as con:
        con.execute("update recs.list_history set sources = ['popular']")
    count(lake)
    by_hash = arms_of(key_of(lake.home), "x1", users, 0.5)
    arms = dict(rows(lake, "select user_id, arm from eval.outcomes where arm is not null"))
    assert arms == {user: "challenger" if theirs else "control" for user, theirs in zip(users, by_hash, strict=True)}
    shown = {row["arm"]: row["shown"] for row in rates_by(lake, "arm")}
    assert (shown.pop("no experiment"), sum(shown.values())) == (3, 6)


def test_the_statements_of_the_guide_run_and_agree_with_the_command(lake: Lake) -> None:
    serve(lake, "r1", "u", ["a", "b"])
    for item in "ab":
        act(lake, 24 * 60 * 172, "u", item, recommendation_id="r1")
    act(lake, 24 * 60 * 172 + 1, "u", "b", "purchase", value=3.0)
    count(lake, 24 * 60 * 172 + 2)
    guide = (ROOT / "docs" / "guides" / "outcomes.md").read_text(encoding="utf-8")
    found = [rows(lake, text) for text in re.findall(r"^```sql\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)]
    assert found == [
        [("1", "conversion", 0.5, 2), ("1", "ctr", 0, 2), ("1", "value", 1.5, 2)],
        [(1, "ranked", 0, 1), (2, "ranked", 0, 1)],
        [("1", 3.0, 1)],
        [(at(24 * 60 * 172), "u", "b", 2, "sequence", 3.0)],
    ]
