"""Posted events are judged as an ingest judges rows: nothing that was accepted is refused later."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serving.rules import Event, RefusedError, accept
from tasks.config import IngestConfig
from tasks.ingest.ingestion import ingest
from tasks.ingest.sources import ColumnMapping
from tasks.lake import Lake, reading

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CONFIG = IngestConfig()
ODD: list[dict[str, Any]] = [
    {"user_id": "u", "item_id": "a"},
    {"user_id": " u ", "item_id": "a b", "event_type": "CART", "value": 2},
    {"user_id": "u", "item_id": "a", "event_type": "purchase", "value": -1},
    {"user_id": "u", "event_type": "search", "query": "red\0 tent", "item_id": "ignored"},
    {"user_id": "u", "event_type": "search", "query": " \n"},
    {"user_id": "", "item_id": "a"},
    {"item_id": "a"},
    {"user_id": "u"},
    {"user_id": "u", "item_id": "null"},
    {"user_id": "None", "item_id": "a"},
    {"user_id": "17850.0", "item_id": "a"},
    {"user_id": "u\0", "item_id": "a"},
    {"user_id": "u" * 513, "item_id": "a"},
    {"user_id": '{"a": 1}', "item_id": "a"},
    {"user_id": "[1]", "item_id": "a"},
    {"user_id": "u", "item_id": "a", "event_type": "x" * 513},
    {"user_id": "u", "item_id": "a", "event_id": "e\0"},
    {"user_id": "u", "item_id": "a", "value": 1e308},
    {"user_id": "u", "item_id": "a", "occurred_at": "1900-01-01"},
    {"user_id": "u", "item_id": "a", "occurred_at": "2026-11-28T13:00:00+02:00"},
    {"user_id": "u", "item_id": "a", "occurred_at": "2026-12-28T13:00:00Z"},
    {"user_id": "u", "item_id": "a", "occurred_at": "yesterday"},
    {"user_id": "u", "item_id": "a", "context": {"page": "home", "n": 1}},
    {"user_id": "u", "item_id": "a", "context": "home"},
    {"user_id": "中文 🙂/..", "item_id": "日本"},
    {"user_id": 42, "item_id": 7},
]


def judged(given: dict[str, Any]) -> Event | None:
    try:
        return accept(given, NOW, CONFIG)
    except RefusedError:
        return None


def test_everything_that_is_accepted_gets_into_the_lake_as_the_state_in_memory_knows_it(lake: Lake, tmp_path: Path) -> None:
    accepted = [event for given in ODD if (event := judged({**given})) is not None]
    file = tmp_path / "api.jsonl"
    file.write_bytes(b"".join(event.line + b"\n" for event in accepted))
    done = ingest(lake, "events", [str(file)], ColumnMapping(), CONFIG)
    assert (done.new, done.rejected) == (len({event.event_id for event in accepted}), 0)
    with reading(lake) as con:
        rows = con.execute("select event_id, user_id, item_id, event_type, query, epoch(occurred_at)::bigint from raw.events").fetchall()
    assert sorted(rows, key=str) == sorted(
        {(event.event_id, event.user_id, event.item_id, event.event_type, event.query, event.time_s) for event in accepted}, key=str
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("text", "not a JSON object"),
        ({"user": "u"}, "unknown field 'user'"),
        ({"user_id": ""}, "user_id is empty"),
        ({"user_id": "u"}, "item_id is empty"),
        ({"user_id": True, "item_id": "a"}, "user_id is not a text"),
        ({"user_id": "u", "event_type": "search"}, "a search has no query"),
        ({"user_id": "u", "item_id": "a", "value": float("nan")}, "value is not finite"),
        ({"user_id": "u", "item_id": "a", "value": "3"}, "value is not a number"),
        ({"user_id": "u", "item_id": "a", "occurred_at": 5}, "occurred_at is not a time"),
        ({"user_id": "u\ud800", "item_id": "a"}, "user_id is not valid Unicode"),
    ],
)
def test_a_refusal_names_the_rule(given: Any, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        accept(given, NOW, CONFIG)


def test_an_event_without_a_time_happens_now_and_one_without_an_id_gets_the_same_one_for_the_same_content() -> None:
    first, second = (accept({"user_id": "u", "item_id": "a"}, NOW, CONFIG) for _ in range(2))
    later = accept({"user_id": "u", "item_id": "a"}, NOW + timedelta(seconds=1), CONFIG)
    assert first.time_s == int(NOW.timestamp())
    assert first.event_id == second.event_id != later.event_id
    assert json.loads(first.line)["occurred_at"] == "2026-11-28T12:00:00.000000Z"


def test_what_the_ingest_or_the_tables_could_not_take_is_refused_at_once() -> None:
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    for given, reason in (
        ({"user_id": "u", "item_id": "i", "context": {"a": "x" * 3_000_000}}, "longer than"),
        ({"user_id": "*", "item_id": "i"}, "stands for unknown users"),
        ({"user_id": "u", "item_id": "i", "occurred_at": "0001-01-01T00:00:00+14:00"}, "not a time"),
        ({"user_id": "u", "item_id": "i", "occurred_at": "9999-12-31T23:59:59-14:00"}, "not a time"),
    ):
        with pytest.raises(RefusedError, match=reason):
            accept(given, now, IngestConfig())


def test_an_event_of_a_clock_that_is_ahead_happened_when_it_arrived() -> None:
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    event = accept({"user_id": "u", "item_id": "i", "occurred_at": "2026-11-28T20:00:00Z"}, now, IngestConfig())
    assert event.time_s == now.timestamp()
