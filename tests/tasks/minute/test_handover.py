"""Which version goes live after a night, and which events it still has to learn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.lake import Lake, newest_snapshot
from tasks.minute.handover import find_base
from tasks.night.dataset import load_dataset
from tasks.registry.versions import Version
from tasks.upkeep import maintain
from tasks.watermarks import Watermarks
from tests.lakes import put
from tests.tasks.publish.test_night import add_events

WEIGHTS = {"view": 1.0, "search": 0.0}


def version(number: int, snapshot: int, champion: int | None = None) -> Version:
    tags = {"snapshot": str(snapshot)} | ({"champion": str(champion)} if champion else {})
    return Version(str(number), "run", Path("checkpoint"), tags)


def test_a_new_champion_starts_with_the_histories_of_its_snapshot_and_learns_later_events(lake: Lake) -> None:
    put(lake, [("anna", "lamp", 1), ("ben", "rug", 2)])
    pinned = newest_snapshot(lake)
    put(lake, [("anna", "vase", 3)])
    published = newest_snapshot(lake)
    put(lake, [("cleo", "vase", 4)])
    live, champion = version(5, 1, champion=1), version(6, pinned)
    base = find_base(lake, champion, live, Watermarks(published, published), pinned, newest_snapshot(lake), WEIGHTS, 8)
    assert (base.version, base.before) == (champion, Watermarks(pinned, pinned))
    assert base.news.events.select("user_id", "item_id", "is_new").rows() == [("anna", "vase", True), ("cleo", "vase", True)]
    assert base.news.histories.select("user_id", "item_ids", "weights", "n_events").rows() == [("anna", ["lamp"], [1.0], 1)]


def test_the_histories_of_a_snapshot_have_earlier_items(lake: Lake) -> None:
    put(lake, [("anna", item, hour) for hour, item in enumerate(["vase", "rug", "vase", "lamp", "tent"])])
    pinned = newest_snapshot(lake)
    put(lake, [("anna", "sofa", 9)])
    base = find_base(lake, version(6, pinned), None, None, pinned, newest_snapshot(lake), WEIGHTS, 2)
    found = base.news.histories.select("item_ids", "earlier_item_ids", "n_events").rows()
    assert found == [(["lamp", "tent"], ["rug", "vase"], 5)]


def test_after_a_refused_night_the_live_increment_continues_from_its_watermarks(lake: Lake) -> None:
    put(lake, [("anna", "lamp", 1)])
    marks = Watermarks(newest_snapshot(lake), newest_snapshot(lake))
    put(lake, [("ben", "rug", 2)])
    live = version(5, marks.learnt, champion=4)
    base = find_base(lake, version(4, 1), live, marks, newest_snapshot(lake), newest_snapshot(lake), WEIGHTS, 8)
    assert (base.version, base.before) == (live, marks)
    assert base.news.events["user_id"].to_list() == ["ben"]


@pytest.mark.parametrize("live", [None, version(5, 1, champion=3)])
def test_an_unpublished_champion_of_an_earlier_night_learns_from_its_own_snapshot_on(lake: Lake, live: Version | None) -> None:
    put(lake, [("anna", "lamp", 1)])
    its_own = newest_snapshot(lake)
    put(lake, [("anna", "rug", 2)])
    pinned = newest_snapshot(lake)
    put(lake, [("anna", "vase", 3)])
    marks = Watermarks(pinned, pinned) if live else None
    base = find_base(lake, version(4, its_own), live, marks, pinned, newest_snapshot(lake), WEIGHTS, 8)
    assert base.news.events.select("item_id", "is_new").rows() == [("rug", False), ("vase", True)]
    assert base.news.histories["item_ids"].to_list() == [["lamp", "rug"]]


@pytest.mark.slow
def test_a_champion_with_an_expired_snapshot_learns_the_events_since_the_night(lake: Lake) -> None:
    put(lake, [("anna", "lamp", 1)])
    its_own = newest_snapshot(lake)
    put(lake, [("anna", "rug", 2)])
    put(lake, [("anna", "tent", 2.5)])
    maintain(lake, keep_publications=0, keep_hours=0, now=datetime.now(UTC) + timedelta(hours=1))
    pinned = newest_snapshot(lake)
    put(lake, [("anna", "vase", 3)])
    base = find_base(lake, version(4, its_own), None, None, pinned, newest_snapshot(lake), WEIGHTS, 8)
    assert base.before == Watermarks(pinned, pinned)
    assert base.news.events["item_id"].to_list() == ["vase"]


@pytest.mark.slow
@pytest.mark.parametrize("is_refused", [False, True])
def test_the_news_begins_at_the_night_if_the_snapshot_of_the_watermarks_has_expired(lake: Lake, is_refused: bool) -> None:
    put(lake, [("anna", "lamp", 1)])
    marks = Watermarks(newest_snapshot(lake), newest_snapshot(lake))
    put(lake, [("anna", "rug", 2)])
    put(lake, [("anna", "tent", 2.5)])
    maintain(lake, keep_publications=0, keep_hours=0, now=datetime.now(UTC) + timedelta(hours=1))
    pinned = newest_snapshot(lake)
    put(lake, [("anna", "vase", 3)])
    live = version(5, pinned, champion=4) if is_refused else None
    base = find_base(lake, version(4, pinned), live, marks, pinned, newest_snapshot(lake), WEIGHTS, 8)
    assert base.version == (live or version(4, pinned))
    assert base.before == Watermarks(pinned, pinned)
    assert base.news.events["item_id"].to_list() == base.waiting.events["item_id"].to_list() == ["vase"]
    assert base.news.histories["item_ids"].to_list() == [["lamp", "rug", "tent"]]


def test_no_event_in_histories_or_news_is_later_than_its_arrival(lake: Lake) -> None:
    ahead = 4_000_000_000
    add_events(lake, ("anna", "lamp", "view", ahead + 9), ("anna", "rug", "view", ahead))
    pinned = newest_snapshot(lake)
    add_events(lake, ("anna", "vase", "view", ahead - 9))
    base = find_base(lake, version(6, pinned), None, None, pinned, newest_snapshot(lake), WEIGHTS, 8)
    data = load_dataset(lake, newest_snapshot(lake), WEIGHTS, "none")
    assert base.news.histories["item_ids"].to_list() == [["lamp", "rug"]]
    assert [data.catalog.item_ids[item] for item in data.events.item] == ["lamp", "rug", "vase"]
    (known,), new = base.news.histories["times_s"].to_list(), base.news.events["time_s"].to_list()
    assert [*known, *new] == data.events.time.tolist()
    assert data.events.time.max() <= datetime.now(UTC).timestamp() + 1


@pytest.mark.slow
@pytest.mark.parametrize("is_refused", [True, False])
def test_searches_and_unchanged_snapshots_do_not_count_as_news(lake: Lake, is_refused: bool) -> None:
    put(lake, [("anna", "lamp", 1)])
    then = newest_snapshot(lake)

    def has_moved_on() -> bool:
        live, marks = version(5, then, champion=4), Watermarks(newest_snapshot(lake), newest_snapshot(lake))
        champion = version(4 if is_refused else 6, then)
        return find_base(lake, champion, live, marks, then, newest_snapshot(lake), WEIGHTS, 8).has_moved_on

    assert not has_moved_on()
    put(lake, [("anna", None, 2)], event_type="search")
    assert not has_moved_on()
    put(lake, [], {"vase": "a vase"})
    assert has_moved_on()


@pytest.mark.slow
def test_unpublished_events_are_those_since_the_last_publish_for_any_version_that_goes_live(lake: Lake) -> None:
    put(lake, [("anna", "lamp", 1)])
    pinned = newest_snapshot(lake)
    put(lake, [("anna", "vase", 3)])
    published = newest_snapshot(lake)
    put(lake, [("cleo", "vase", 4)])
    live, marks = version(5, 1, champion=1), Watermarks(published, published)
    for champion in (version(1, 1), version(6, pinned)):
        base = find_base(lake, champion, live, marks, pinned, newest_snapshot(lake), WEIGHTS, 8)
        assert base.waiting.events["user_id"].to_list() == ["cleo"]
    base = find_base(lake, version(6, pinned), None, None, pinned, newest_snapshot(lake), WEIGHTS, 8)
    assert base.waiting.events["user_id"].to_list() == ["anna", "cleo"]
