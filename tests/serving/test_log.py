"""What the API takes in besides events: items, merges and served lists; in memory at once, in the lake exactly once."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.item_rules import accept_item, item_of, line_of_item
from serving.items import Item
from serving.live import Live
from serving.rules import RefusedError
from serving.segments import SECONDS_UNTIL_AGAIN, Segments
from tasks.config import IngestConfig
from tasks.ingest.aliases import Aliases, MergeError
from tasks.ingest.api_log import ingest_segments, waiting_segments
from tasks.ingest.ingestion import ingest
from tasks.ingest.landing import ingest_landed_files
from tasks.ingest.log_names import folder_of
from tasks.ingest.sources import ColumnMapping
from tasks.lake import Lake, newest_snapshot, reading
from tests.serving.test_live import answered, event, items, post, publish, start  # noqa: F401

CONFIG = IngestConfig()
Start = Callable[[], Live]


def rows(lake: Lake, query: str) -> list[tuple[Any, ...]]:
    with reading(lake) as con:
        return con.execute(query).fetchall()


def take_in(lake: Lake, landing: Path) -> None:
    """Empty the landing folder, as a minute does."""
    for kind in ("items", "events"):
        files = sorted(folder_of(landing, kind).glob("api-*.jsonl"))  # type: ignore[arg-type]
        if files:
            ingest_landed_files(lake, landing, kind, files, CONFIG)  # type: ignore[arg-type]
    for kind in ("aliases", "served"):
        files = [file for of, file in waiting_segments(landing) if of == kind]
        if files:
            ingest_segments(lake, landing, kind, files)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_withdrawn_item_leaves_lists_at_once_and_the_lake_takes_the_last_value(start: Start, lake: Lake, tmp_path: Path) -> None:  # noqa: F811
    live = start()
    assert "fig" in items(live, "new")
    put = [{"item_id": "fig", "title": "Fig", "price": 3}, {"item_id": "fig", "is_available": False}, {"item_id": "plum", "price": -1}]
    found = answered(live, "PUT", "/v1/items", json=put).json()
    assert found == {"accepted": 2, "rejected": [{"index": 2, "reason": "price is negative"}], "new": []}
    assert "fig" not in items(live, "new")
    assert "fig" not in items(start(), "new"), "a restart finds it in the log"
    for is_available in (True, False, False, True):
        answered(live, "PUT", "/v1/items", json=[{"item_id": "fig", "is_available": is_available}])
    assert "fig" in items(live, "new")
    live.segments.close()
    take_in(lake, tmp_path / "landing")
    assert rows(lake, "select title, price, is_available from raw.items where item_id = 'fig'") == [("Fig", 3.0, True)]


@pytest.mark.slow
def test_a_merge_joins_both_histories_at_once_and_after_a_restart_and_is_in_the_lake_once(
    start: Start,  # noqa: F811
    lake: Lake,
    tmp_path: Path,
) -> None:
    live = start()
    post(live, event("s9", "fig"), event("old", "plum"))
    assert answered(live, "PUT", "/v1/users/old/merge/s9").json() == {"user_id": "old", "merged": "s9"}
    assert answered(live, "PUT", "/v1/users/old/merge/s9").status_code == 200
    for each in (live, start()):
        assert {"apple", "plum", "fig"}.isdisjoint(items(each, "old"))
        assert items(each, "s9") == items(each, "old")
    for path in ("/v1/users/s9/merge/old", "/v1/users/old/merge/old", "/v1/users/else/merge/s9"):
        assert answered(live, "PUT", path).status_code == 409
    live.segments.close()
    take_in(lake, tmp_path / "landing")
    assert rows(lake, "select alias, user_id from raw.user_aliases") == [("s9", "old")]
    publish(lake, tmp_path / "first", "2")
    assert rows(lake, "select user_id, item_ids from features.user_histories") == [("old", ["apple", "fig", "plum"])]
    assert live.refresh()
    assert live.pending == {}
    assert {"apple", "plum", "fig"}.isdisjoint(items(live, "s9"))


def test_chains_are_resolved_and_cycles_are_refused() -> None:
    aliases = Aliases([("a", "b")])
    assert aliases.target("b", "c") == "c"
    assert aliases.add("b", "c") == ["b", "a"]
    assert aliases.user_of == {"a": "c", "b": "c"}
    assert aliases.ids_of("a") == ["c", "b", "a"]
    assert aliases.target("d", "a") == "c"
    assert aliases.target("a", "b") is None
    for alias, user_id, reason in (("c", "a", "already merged into 'c'"), ("a", "z", "already merged into 'c'"), ("z", "z", "itself")):
        with pytest.raises(MergeError, match=reason):
            aliases.target(alias, user_id)


def test_served_lists_are_in_the_lake_once_however_often_their_segment_is_handed_over(
    start: Start,  # noqa: F811
    lake: Lake,
    tmp_path: Path,
) -> None:
    live = start()
    listed = answered(live, "GET", "/v1/recommend/new?k=2").json()
    live.segments.close()
    landing = tmp_path / "landing"
    (file,) = folder_of(landing, "served").glob("*.jsonl")
    shutil.copy(file, tmp_path / file.name)
    take_in(lake, landing)
    shutil.copy(tmp_path / file.name, file)
    before = newest_snapshot(lake)
    take_in(lake, landing)
    assert newest_snapshot(lake) == before
    assert waiting_segments(landing) == []
    assert rows(lake, "select recommendation_id, user_id, scenario, item_ids from ops.served") == [
        (listed["recommendation_id"], "new", "default", [row["item_id"] for row in listed["items"]])
    ]


def test_a_served_list_that_an_earlier_version_wrote_counts_as_ranked(start: Start, lake: Lake, tmp_path: Path) -> None:  # noqa: F811
    live = start()
    answered(live, "GET", "/v1/recommend/new?k=2")
    live.segments.close()
    (file,) = folder_of(tmp_path / "landing", "served").glob("*.jsonl")
    row = json.loads(file.read_text(encoding="utf-8"))
    del row["slots"], row["propensities"]
    file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    take_in(lake, tmp_path / "landing")
    assert rows(lake, "select slots, propensities from ops.served") == [(["ranked", "ranked"], [1.0, 1.0])]


@pytest.mark.slow
def test_a_segment_is_kept_until_all_its_lines_are_taken_in_and_is_handed_over_again_if_its_copy_is_gone(
    start: Start,  # noqa: F811
    lake: Lake,
    tmp_path: Path,
) -> None:
    live = start()
    post(live, event("new", "fig", event_id="1"), event("new", "plum", event_id="2"))
    live.segments.close()
    landing = tmp_path / "landing"
    (file,) = folder_of(landing, "events").glob("*.jsonl")
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.index(b"\n") + 1])  # half of it
    take_in(lake, landing)
    publish(lake, tmp_path / "first", "2")
    live.refresh()
    assert len(live.known) == 2
    live.segments._handed_over = {name: at - SECONDS_UNTIL_AGAIN - 1 for name, at in live.segments._handed_over.items()}
    live.refresh()
    assert file.read_bytes() == whole
    take_in(lake, landing)
    publish(lake, tmp_path / "first", "3")
    live.refresh()
    assert (live.known, live.segments.all()) == ({}, [])
    assert rows(lake, "select event_id from raw.events where user_id = 'new' order by event_id") == [("1",), ("2",)]
    assert rows(lake, "select kind, n_lines from ops.api_positions order by n_lines") == [("events", 1), ("events", 2)]


@pytest.mark.slow
def test_no_mapping_file_applies_to_the_log(start: Start, lake: Lake, tmp_path: Path) -> None:  # noqa: F811
    live, landing = start(), tmp_path / "landing"
    (landing / "mapping.toml").write_text('events.map.user_id = "Kundennr"\n', encoding="utf-8")
    post(live, event("new", "fig"))
    live.segments.close()
    take_in(lake, landing)
    assert rows(lake, "select count(*) from raw.events where user_id = 'new'") == [(1,)]


def test_sessions_impressions_and_the_answered_list_get_into_the_lake(start: Start, lake: Lake, tmp_path: Path) -> None:  # noqa: F811
    live = start()
    answer = {"recommendation_id": "r1", "position": 3}
    post(live, {"session_id": "s", "item_id": "fig", "event_type": "impression", **answer})
    live.segments.close()
    take_in(lake, tmp_path / "landing")
    columns = "user_id, event_type, recommendation_id, position"
    assert rows(lake, f"select {columns} from raw.events where user_id = 's'") == [("s", "impression", "r1", 3)]
    assert CONFIG.event_weights["impression"] == 0
    assert IngestConfig(event_weights={"purchase": 5}).event_weights["impression"] == 0


def _random_item(random_: random.Random) -> dict[str, Any]:
    texts = [" a b ", "", "x\0y", "[1]", "a|b", "null", "日本 🙂", "1.50", "q" * 3000, None, 7, "\ud800"]
    numbers = [0, 1, 1.234, 1e-7, 1e300, -1, float("nan"), 10**400, True, "3", None]
    lists = [[], ["a", " b "], ["", "\0"], ["a|b", "[1]"], "a", [1], None, ["Home > Pans"]]
    choices: dict[str, list[Any]] = {
        "item_id": [f"i{random_.random()}", f" {random_.random()}x ", random_.randrange(10**9), "", "None", "1.0", "[1]", "z" * 600],
        "title": texts,
        "description": texts,
        "categories": lists,
        "tags": lists,
        "price": numbers,
        "is_available": [True, False, None, 1, "yes"],
    }
    return {name: random_.choice(values) for name, values in choices.items() if random_.random() < 0.6 or name == "item_id"}


def test_every_accepted_item_gets_into_the_lake_as_the_state_in_memory_knows_it(lake: Lake, tmp_path: Path) -> None:
    random_ = random.Random(1)
    accepted: dict[str, Item] = {}
    for _ in range(3000):
        try:
            item = accept_item(_random_item(random_), CONFIG)
        except RefusedError:
            continue
        accepted.setdefault(item.item_id, item)
        assert item_of(json.loads(line_of_item(item))) == item
    assert len(accepted) > 200
    log = Segments(tmp_path / "log", tmp_path / "landing")
    log.append([line_of_item(item) for item in accepted.values()]).result()
    log.close()
    files = [str(file) for file in folder_of(tmp_path / "landing", "items").glob("*.jsonl")]
    done = ingest(lake, "items", files, ColumnMapping(is_log=True), CONFIG)
    assert (done.new, done.rejected, done.values_refused) == (len(accepted), 0, 0)
    found = rows(lake, "select item_id, title, description, categories, tags, price, is_available from raw.items")
    for item_id, title, description, categories, tags, price, is_available in found:
        item = accepted[item_id]
        assert (title, description, price) == (item.title, item.description, item.price)
        assert (categories and tuple(categories), tags and tuple(tags)) == (item.categories, item.tags)
        assert is_available == (item.is_available is not False)
