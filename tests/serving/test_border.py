"""The border of the API: pseudonyms instead of ids in its log, and nothing in it that is not kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from models.config import EncoderConfig
from serving.live import Live
from serving.segments import Segments, lines_of
from tasks.config import IngestConfig
from tasks.ingest.api_log import ingest_segments
from tasks.ingest.ingestion import ingest
from tasks.ingest.sources import ColumnMapping
from tasks.lake import Lake
from tasks.privacy.border import Border, establish
from tasks.privacy.keyed import load_keys
from tasks.privacy.opt_out import opt_in, opt_out
from tests.serving.test_live import WEIGHTS, answered, event, no_registry, publish
from tests.tasks.fruits import save_checkpoint
from tests.tasks.ingest.taking import rows, take

CONFIG = IngestConfig(pseudonyms=True, keep_columns="query, event_id, recommendation_id, position", keep_context="")
ID = "customer 77/ü"


@pytest.fixture
def live(lake: Lake, tmp_path: Path) -> Iterator[Live]:
    file = tmp_path / "old.csv"
    file.write_text(f"user_id,item_id,event_type,occurred_at\n{ID},apple,view,2026-11-01\n", encoding="utf-8")
    take(lake, str(file), config=CONFIG)
    file.unlink()
    publish(lake, save_checkpoint(tmp_path / "first"), "1")
    segments = Segments(tmp_path / "log", tmp_path / "landing")
    live = Live.start(lake, no_registry, EncoderConfig(), WEIGHTS, 10, segments, lake.home, establish(lake, CONFIG))
    yield live
    live.segments.close()


def test_requests_name_clear_ids_and_neither_the_log_nor_the_lake_has_one(live: Live, lake: Lake, tmp_path: Path) -> None:
    given = event(ID, "fig", event_id="1", value=5, context={"ip": "10.1.2.3"})
    assert answered(live, "POST", "/v1/events", json=[given]).json() == {
        "accepted": 1,
        "duplicates": 0,
        "rejected": [],
        "left_out": ["value", "context"],
    }
    listed = answered(live, "GET", f"/v1/recommend/{quote(ID, safe='')}?k=5").json()
    assert {"apple", "fig"}.isdisjoint(row["item_id"] for row in listed["items"]), "the history and the new event count"
    merged = answered(live, "PUT", f"/v1/users/{quote(ID, safe='')}/merge/session-5")
    assert merged.json() == {"user_id": ID, "merged": "session-5"}
    assert answered(live, "POST", "/v1/recommend", json={"session_id": "session-5", "k": 5}).status_code == 200
    live.segments.close()
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*.jsonl"))
    for text in (b"customer", b"session-5", b"10.1.2.3"):
        assert text not in written
    ingest(lake, "events", [str(tmp_path / "landing" / "events")], ColumnMapping(is_log=True), CONFIG)
    for kind in ("aliases", "served"):
        ingest_segments(lake, tmp_path / "landing", kind, sorted((tmp_path / "landing" / kind / "api").glob("*")))  # type: ignore[arg-type]
    digest = load_keys(lake.home).digest
    assert rows(lake, "select distinct user_id from raw.events") == [(digest(ID),)]
    assert rows(lake, "select alias, user_id from raw.user_aliases") == [(digest("session-5"), digest(ID))]
    assert rows(lake, "select distinct user_id from ops.served order by all") == sorted([(digest(ID),), (digest("session-5"),)])


def test_after_a_restart_with_a_newer_key_the_kept_log_counts_for_the_same_people(live: Live, lake: Lake, tmp_path: Path) -> None:
    assert answered(live, "POST", "/v1/events", json=[event(ID, "fig")]).json()["accepted"] == 1
    live.segments.close()
    held = load_keys(lake.home)
    newer = replace(held, current=2, secrets={**held.secrets, 2: b"n" * 32})
    again = Live.start(lake, no_registry, EncoderConfig(), WEIGHTS, 10, Segments(tmp_path / "log", tmp_path / "l"), border=Border(newer))
    assert list(again.pending) == [newer.digest(ID)]
    assert all(held.digest(ID) == row["user_id"] for file in again.segments.all() for row in lines_of(file))
    again.segments.close()


def test_who_opts_out_gets_the_list_for_everybody_at_once_and_no_served_list_names_them(live: Live, lake: Lake, tmp_path: Path) -> None:
    page = f"/v1/recommend/{quote(ID, safe='')}?k=5"
    assert "apple" not in [row["item_id"] for row in answered(live, "GET", page).json()["items"]]
    opt_out(lake, [ID])
    live.refresh()
    answered(live, "POST", "/v1/events", json=[event(ID, "fig", event_id="1")])
    found = answered(live, "GET", page).json()["items"]
    assert "apple" in [row["item_id"] for row in found]
    assert found == answered(live, "GET", "/v1/recommend/stranger?k=5").json()["items"]
    live.segments.close()
    served = [row for file in sorted((tmp_path / "landing" / "served").rglob("*.jsonl")) for row in lines_of(file)]
    assert [row["user_id"] for row in served][1] is None
    opt_in(lake, [ID])
    live.refresh()
    _, person = live.person((ID,))
    assert [each.event.event_id for each in person.pending] == ["1"]
