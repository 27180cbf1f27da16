"""The live state: an accepted event is in the next list, and stays in it across publications and restarts, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from models.config import EncoderConfig
from models.version import checkpoint as checkpoints
from serving.admission import admitted
from serving.app import create_app
from serving.keys import Keys
from serving.live import Live
from serving.ranking import Asked
from serving.rules import accept
from serving.segments import Segments
from tasks.config import IngestConfig, ServerConfig
from tasks.ingest.ingestion import ingest
from tasks.ingest.sources import ColumnMapping
from tasks.lake import Lake, newest_snapshot
from tasks.publish.night import publish_night
from tasks.publish.publication import Content, Files, Provenance
from tasks.registry.integrity import digest_of
from tasks.registry.versions import Registry
from tests.tasks.fruits import ITEMS, save_checkpoint
from tests.tasks.publish.test_night import ranked

WEIGHTS = {"view": 1.0, "search": 0.0, "return": 0.0}
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
Post = Callable[..., None]


def no_registry() -> Registry:
    raise AssertionError("the registry was opened")


def publish(lake: Lake, folder: Path, version: str) -> None:
    """Publish what the lake has, as a night."""
    made = Provenance(version, "run", f"flow-{version}", newest_snapshot(lake), datetime.now(UTC).replace(tzinfo=None))
    checkpoint = checkpoints.load(folder)
    fallback, near = ranked({"*": [0, 1]}), checkpoints_neighbours(len(checkpoint.catalog))
    lists = ranked({"nobody": [0]})
    content = Content(checkpoint.catalog.item_ids, lists, fallback, near, 10, made, checkpoint=Files(folder, digest_of(folder)))
    publish_night(lake, content, WEIGHTS)


def checkpoints_neighbours(n_items: int) -> Any:
    from models.results import Neighbours

    return Neighbours(np.full((n_items, 1), -1), np.zeros((n_items, 1), np.float32))


def event(user_id: str, item_id: str, minute: int = 0, **more: Any) -> Mapping[str, Any]:
    return {"user_id": user_id, "item_id": item_id, "occurred_at": (NOW + timedelta(minutes=minute)).isoformat(), **more}


def take_in(lake: Lake, landing: Path) -> None:
    files = [str(path) for path in sorted(landing.rglob("api-*.jsonl"))]
    ingest(lake, "events", files, ColumnMapping(), IngestConfig())


@pytest.fixture
def start(lake: Lake, tmp_path: Path) -> Iterator[Callable[[], Live]]:
    """A function that starts the state over a lake with one publication; it may be called again, as after a crash."""
    ingest_file = tmp_path / "old.csv"
    ingest_file.write_text("user_id,item_id,event_type,occurred_at\nold,apple,view,2026-11-01\n", encoding="utf-8")
    ingest(lake, "events", [str(ingest_file)], ColumnMapping(), IngestConfig())
    publish(lake, save_checkpoint(tmp_path / "first"), "1")
    started: list[Live] = []

    def run() -> Live:
        segments = Segments(tmp_path / "log", tmp_path / "landing")
        started.append(Live.start(lake, no_registry, EncoderConfig(), WEIGHTS, 10, segments))
        return started[-1]

    yield run
    for live in started:
        live.segments.close()


def items(live: Live, user_id: str | None, k: int = 5) -> list[str]:
    return [row["item_id"] for row in live.recommend(Asked(user_id, k=k, now=int(NOW.timestamp()) + 3600))]


def post(live: Live, *events: Mapping[str, Any]) -> None:
    live.accept([accept(dict(each), NOW, IngestConfig()) for each in events]).result()


def test_an_accepted_event_is_in_the_next_list(start: Callable[[], Live]) -> None:
    live = start()
    assert sorted(items(live, "new")) == sorted(ITEMS)
    assert "apple" not in items(live, "old"), "this version hides what a user had"
    post(live, event("new", "fig"), event("old", "plum"))
    assert "fig" not in items(live, "new")
    assert {"apple", "plum"}.isdisjoint(items(live, "old"))
    assert sorted(items(live, "other")) == sorted(ITEMS)


def test_a_client_that_goes_away_does_not_stop_its_events(start: Callable[[], Live]) -> None:
    live = start()
    promise = live.accept([accept(dict(event("new", "fig", event_id="1")), NOW, IngestConfig())])
    assert not promise.cancel()
    promise.result(5)
    assert live.is_known("1")


def test_events_survive_a_restart_and_are_dropped_when_a_publication_contains_them(
    start: Callable[[], Live], lake: Lake, tmp_path: Path
) -> None:
    live = start()
    post(live, event("new", "fig", event_id="1"), event("new", "fig", event_id="1"))
    again = start()
    assert [each.event.event_id for each in again.pending["new"]] == ["1"]
    assert again.is_known("1")
    live.segments.close()
    take_in(lake, tmp_path / "landing")
    publish(lake, tmp_path / "first", "2")
    post(again, event("new", "plum", 1, event_id="2"))
    assert again.refresh()
    assert not again.refresh()
    assert (again.published.version, [each.event.event_id for each in again.pending["new"]]) == ("2", ["2"])
    assert {"fig", "plum"}.isdisjoint(items(again, "new"))


def test_the_list_is_that_of_the_scorer_for_the_same_history(start: Callable[[], Live], lake: Lake, tmp_path: Path) -> None:
    live = start()
    post(live, event("old", "fig"))
    now = int(NOW.timestamp()) + 3600
    rows = live.recommend(Asked("old", k=3, now=now))
    history = {"item_ids": ["apple", "fig"], "event_types": ["view", "view"], "occurred_at": [datetime(2026, 11, 1), NOW]}
    expected = live.published.checkpoint.recommend([history], datetime.fromtimestamp(now, UTC), 3)[0]
    assert [row["item_id"] for row in rows] == [item for item, _ in expected]
    assert [row["probability"] for row in rows] == pytest.approx([share for _, share in expected], abs=1e-4)


def test_unknown_items_and_types_without_weight_change_nothing(start: Callable[[], Live]) -> None:
    live = start()
    before = items(live, "new")
    post(live, event("new", "unheard of"), event("new", "fig", event_type="return"))
    assert items(live, "new") == before
    assert items(live, None) == before


HERE = "http://127.0.0.1"


def client(live: Live) -> httpx.AsyncClient:
    app = admitted(create_app(live, IngestConfig()), ServerConfig(), Keys(live.segments.folder))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE)


def answered(live: Live, method: str, path: str, **more: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with client(live) as http:
            return await http.request(method, path, **more)

    return asyncio.run(ask())


def test_the_api_accepts_events_one_by_one_and_says_why_it_refuses_others(start: Callable[[], Live]) -> None:
    live = start()
    given = [event("new", "fig", event_id="1"), {"user_id": ""}, event("new", "plum", event_id="2"), event("new", "fig", event_id="1")]
    found = answered(live, "POST", "/v1/events", json=given)
    assert (found.status_code, found.json()) == (
        202,
        {"accepted": 2, "duplicates": 1, "rejected": [{"index": 1, "reason": "user_id is empty"}]},
    )
    assert answered(live, "POST", "/v1/events", json=given).json()["accepted"] == 0
    listed = answered(live, "GET", "/v1/recommend/new?k=2").json()
    assert (listed["model_version"], len(listed["items"])) == ("1", 2)
    assert {"fig", "plum"}.isdisjoint(row["item_id"] for row in listed["items"])
    assert answered(live, "GET", "/health/ready").json()["pending_events"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("POST", "/v1/events", {"content": b"{"}, 400),
        ("POST", "/v1/events", {"json": {"user_id": "u"}}, 400),
        ("POST", "/v1/events", {"json": [{}] * 1001}, 413),
        ("POST", "/v1/events", {"content": b" " * 5_000_000}, 413),
        ("GET", "/v1/recommend/u?k=0", {}, 422),
        ("POST", "/v1/recommend", {"json": {"usr": "u"}}, 422),
        ("GET", "/nothing", {}, 404),
        ("POST", "/v1/events", {"json": [], "headers": {"origin": "http://evil.example"}}, 403),
        ("GET", "/v1/recommend/u", {"headers": {"host": "evil.example"}}, 400),
    ],
)
def test_odd_requests_get_a_clear_answer(start: Callable[[], Live], method: str, path: str, more: dict[str, Any], status: int) -> None:
    assert answered(start(), method, path, **more).status_code == status


def test_ids_with_slashes_and_emoji_and_excluded_items_work(start: Callable[[], Live]) -> None:
    live = start()
    post(live, event("a/b 🙂", "fig"))
    found = answered(live, "GET", "/v1/recommend/a%2Fb%20%F0%9F%99%82?k=5").json()
    assert "fig" not in [row["item_id"] for row in found["items"]]
    found = answered(live, "POST", "/v1/recommend", json={"user_id": "a/b 🙂", "exclude": ["plum"], "k": 5}).json()
    assert {"fig", "plum"}.isdisjoint(row["item_id"] for row in found["items"])


@pytest.mark.parametrize(("number", "reason"), [(28, "No space left on device"), (30, "Read-only file system")])
def test_if_the_disk_refuses_nothing_is_acknowledged(
    start: Callable[[], Live], monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    live = start()

    def refuse(*_: Any) -> int:
        raise OSError(number, reason)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("serving.segments.os.write", refuse)
        found = [
            answered(live, "POST", "/v1/events", json=[event("new", "fig")]),
            answered(live, "PUT", "/v1/items", json=[{"item_id": "fig", "is_available": False}]),
            answered(live, "PUT", "/v1/users/new/merge/old"),
        ]
    assert [each.status_code for each in found] == [503, 503, 503]
    assert all(reason in each.json()["detail"] for each in found)
    assert "fig" in items(live, "new")


def test_many_events_of_one_request_count_as_several_requests(start: Callable[[], Live], tmp_path: Path) -> None:
    live, keys = start(), Keys(tmp_path)
    secret, _ = keys.add(["events"])
    app = admitted(create_app(live, IngestConfig()), ServerConfig(api_requests_per_s=0.01, api_burst=6), keys)

    async def statuses(*sizes: int) -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE, headers={"x-api-key": secret}) as http:
            given = [[event("new", "fig", event_id=f"{size}-{n}") for n in range(size)] for size in sizes]
            return [(await http.post("/v1/events", json=each)).status_code for each in given]

    assert asyncio.run(statuses(1, 100, 101, 2)) == [202, 202, 429, 202]


def test_if_too_many_events_wait_for_a_publication_more_are_refused(start: Callable[[], Live], monkeypatch: pytest.MonkeyPatch) -> None:
    live = start()
    monkeypatch.setattr("serving.live.N_PENDING", 2)
    given = [event("new", "fig", event_id=str(n)) for n in range(3)]
    assert answered(live, "POST", "/v1/events", json=given[:2]).status_code == 202
    found = answered(live, "POST", "/v1/events", json=given[2:])
    assert (found.status_code, "2 events wait for a publication" in found.json()["detail"]) == (503, True)


@pytest.mark.slow
def test_an_event_that_is_sent_again_after_its_publication_counts_once(start: Callable[[], Live], lake: Lake, tmp_path: Path) -> None:
    live = start()
    given = event("new", "fig", event_id="1")
    post(live, given)
    live.segments.close()
    take_in(lake, tmp_path / "landing")
    publish(lake, tmp_path / "first", "2")
    assert live.refresh()
    assert answered(live, "POST", "/v1/events", json=[given]).json() == {"accepted": 0, "duplicates": 1, "rejected": []}


def test_without_a_rule_an_item_is_shown_right_after_it_was_clicked(start: Callable[[], Live]) -> None:
    live = start()
    place = live.published.places["default"]
    clicked = accept(dict(event("new", "fig")), NOW, IngestConfig())
    assert len(place.hides(("new",), [clicked], live.published.row_of_item, clicked.time_s - 1)) == 0


def test_a_whole_number_with_decimals_is_the_same_id_in_events_and_in_requests(start: Callable[[], Live]) -> None:
    live = start()
    post(live, {**event("12.0", "fig"), "user_id": "12.0"})
    assert list(live.pending) == ["12"]
    assert "fig" not in [row["item_id"] for row in answered(live, "GET", "/v1/recommend/12.0?k=5").json()["items"]]
