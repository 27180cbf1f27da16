"""Going back to an earlier version on a tiny shop: lists, aliases, what is learnt afterwards, and a kill at any point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.promote import rollback
from tasks.registry import versions
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
