"""Going back to an earlier version on a tiny shop: lists, aliases, what is learnt afterwards, and a kill at any point."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.promote import promote, rollback
from models.errors import UserError
from tasks.registry import gate, versions
from tasks.registry.gate import Decision
from tests.conftest import ROOT
from tests.flows.effects import boundaries
from tests.flows.shop import Shop, learnt, open_shop
from tests.lakes import put

LATE = 12 * 24.0
LISTS = "select user_id, list(item_id order by rank) from recs.recommendations group by user_id order by user_id"


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Shop]:
    """Version 1 of a night, 2 of a minute, 3 of a second night, with a copy of that state, and one of before the second night."""
    with open_shop(tmp_path_factory.mktemp("promotion")) as shop, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINUTEHAND_REGISTRY__GATE_TOLERANCE", "1")
        shop.spend_night()
        put(shop.lake, [("u03", "i01", LATE)], event_type="cart")
        assert shop.spend_minute() == "2"
        shop.keep("first-night")
        put(shop.lake, [("u04", "i02", LATE + 1), ("novel", "fresh", LATE + 1)], {"fresh": "red tent"}, event_type="cart")
        patch.setenv("MINUTEHAND_SEED", "7")
        assert shop.spend_night() == "3"
        shop.keep("second-night")
        yield shop


@pytest.fixture
def shop(two_nights: Shop) -> Shop:
    """The shop restored to its state after the second night."""
    two_nights.go_back("second-night")
    return two_nights


@pytest.fixture(autouse=True)
def at_home(two_nights: Shop, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Use the home of the shop instead of the test's own."""
    monkeypatch.setenv("MINUTEHAND_HOME", str(two_nights.home))


def lists(shop: Shop) -> dict[str, list[str]]:
    return dict(shop.ask(LISTS))


@pytest.mark.slow
def test_a_rollback_brings_the_lists_of_before_the_night_back_and_the_next_minute_learns_the_events_since_once(shop: Shop) -> None:
    after_night = lists(shop)
    shop.go_back("first-night")
    before, knew = lists(shop), learnt(shop)
    shop.go_back("second-night")
    rollback()
    found = lists(shop)
    assert found["novel"] == found["*"] == before["*"]
    same = [user for user in before if found[user] == before[user]]
    assert {*before} - {*same} <= {"u04"}, "u04 has bought what was in the list"
    assert found != after_night
    assert versions.aliases(shop.models) == {"champion": "1", "live": "2", "previous": "3"}
    assert learnt(shop) == knew

    assert shop.spend_minute() == "4"
    assert learnt(shop) == {**knew, "i02": knew["i02"] + 1, "fresh": 1}
    assert versions.aliases(shop.models) == {"champion": "1", "live": "4", "previous": "3"}
    assert shop.value("select count(distinct model_version) from recs.similar_items") == 1
    assert len(lists(shop)["novel"]) == 5
    assert shop.value("select max(model_version) from recs.recommendations where user_id = 'novel'") == "4"
    assert shop.spend_minute() is None
    rollback()
    assert versions.aliases(shop.models) == {"champion": "3", "live": "3", "previous": "1"}
    assert lists(shop) == after_night


@pytest.mark.slow
def test_a_challenger_that_was_refused_goes_live_by_ranking_and_a_rollback_undoes_that(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "decide", lambda *figures, **more: Decision(promoted=False, beats_baseline=True, reason="the test says so"))
    assert shop.spend_night() == "3"
    before = lists(shop)
    put(shop.lake, [("u05", "i03", LATE + 2)], event_type="cart")
    promote("4")
    live = shop.live
    assert versions.find_version(shop.models, live).champion == "4"
    assert versions.aliases(shop.models) == {"champion": "4", "live": live, "previous": "3"}
    assert shop.ask("select cadence, champion from recs.publications order by published_at desc limit 1") == [("promote", "4")]
    assert shop.ask("select distinct model_version from recs.recommendations") == [(live,)]
    assert shop.ask("select distinct model_version from graph.nodes") == [(live,)]
    assert learnt(shop)["i03"] >= 1
    assert shop.spend_minute() is None
    rollback()
    assert shop.live == "3"
    assert {user for user, items in lists(shop).items() if items != before[user]} <= {"u05"}


@pytest.mark.slow
def test_a_rollback_during_a_night_stays_whatever_the_gate_says(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*figures: Any, **more: Any) -> Decision:
        rollback()
        return Decision(promoted=True, beats_baseline=True, reason="the test says so")

    monkeypatch.setattr(gate, "decide", late)
    live = shop.spend_night()
    assert versions.find_version(shop.models, live).champion == "1"
    assert shop.live == live
    assert versions.aliases(shop.models)["champion"] == "1"
    assert versions.aliases(shop.models)["live"] == live
    assert "4" in shop.versions, "the version of the night can be promoted"


@pytest.mark.slow
def test_a_killed_rollback_has_happened_or_has_not_and_the_next_minute_repairs_the_aliases(shop: Shop, prefect_server: str) -> None:
    after_night = lists(shop)
    file = shop.home.parent / "effects.json"
    environment = {**os.environ, "PREFECT_API_URL": prefect_server}
    command = [sys.executable, "-m", "tests.flows.forker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def run(order: dict[str, object]) -> int:
            shop_orders = json.dumps([order])
            print(shop_orders, file=process.stdin, flush=True)
            (code,) = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            return int(code)

        assert run({"rollback": True, "effects": str(file)}) == 0
        done, effects = lists(shop), json.loads(file.read_text(encoding="utf-8"))
        assert effects.count("lake: commit") == 1
        commit = effects.index("lake: commit")
        for n in boundaries(effects):
            shop.go_back("second-night")
            assert run({"rollback": True, "kill_before": n}) == -signal.SIGKILL, effects[n]
            has_happened = n > commit
            assert lists(shop) == (done if has_happened else after_night), effects[n]
            assert shop.live == ("2" if has_happened else "3"), effects[n]
            assert run({}) == 0
            wanted = {"champion": "1", "live": "4", "previous": "3"} if has_happened else {"champion": "3", "live": "3", "previous": "1"}
            assert versions.aliases(shop.models) == wanted, effects[n]
            assert (shop.home / "minute" / "running.json").exists() is False
        process.stdin.close()


@pytest.mark.slow
def test_what_cannot_go_live_is_refused_with_a_remedy(shop: Shop) -> None:
    with pytest.raises(UserError, match="version 3 is live already"):
        promote("3")
    with pytest.raises(UserError, match=r"no version '99' of minutehand \(found: 1, 2, 3\)"):
        promote("99")
