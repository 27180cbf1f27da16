"""A rating teaches as low, middling or high, and a night and a minute read it alike."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl

from models.events import number_of_kind
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import Lake, newest_snapshot, reading, statement, writing
from tasks.night.dataset import load_dataset
from tests.lakes import put

WEIGHTS = {"event_types": list(EVENT_WEIGHTS), "weights": list(EVENT_WEIGHTS.values())}
STARS = {"a": 1, "b": 3, "c": 5, "d": 4}


def rated(lake: Lake) -> int:
    """A lake with a user's ratings and a view; returns the snapshot before them."""
    before = newest_snapshot(lake)
    put(lake, [("u", item, hour) for hour, item in enumerate(STARS)], event_type="rating")
    put(lake, [("u", "e", 9)])
    with writing(lake) as con:
        for item, stars in STARS.items():
            con.execute("update raw.events set value = $stars where item_id = $item", {"stars": stars, "item": item})
    return before


def test_a_night_and_a_minute_learn_the_same_kinds_from_ratings(lake: Lake) -> None:
    before = rated(lake)
    kinds = ["rating:low", "rating", "rating:high", "rating:high", "view"]
    data, snapshot = load_dataset(lake, newest_snapshot(lake), EVENT_WEIGHTS, "none"), newest_snapshot(lake)
    assert [data.kinds[kind] for kind in data.events.kind] == kinds
    assert data.events.weight.tolist() == [1.0] * len(kinds)
    with reading(lake) as con:
        con.register("at_hand", pl.DataFrame({"user_id": ["u"]}))
        feed = con.execute(statement("minute/events"), {"learnt": before, "published": before, "until": snapshot, **WEIGHTS}).pl()
        (history,) = con.execute(statement("minute/histories_at"), {"snapshot": snapshot, "max_events": 10, **WEIGHTS}).pl().to_dicts()
    assert sorted(set(feed["event_type"])) == sorted(set(kinds))
    assert history["event_types"] == kinds
    assert history["weights"] == [1.0] * len(kinds)
    with writing(lake) as con:
        con.register("trends", pl.DataFrame({"user_id": ["u"], "trends": [[0.0]]}))
        about = {"snapshot": snapshot, "ignored_types": ["search"], "max_events": 10, "updated_at": datetime(2026, 1, 1, tzinfo=UTC)}
        con.execute(statement("publish/insert_histories"), about)
        assert con.execute("select event_types from features.user_histories").fetchall() == [(kinds,)]


def test_a_version_that_knew_only_ratings_reads_low_and_high_ones_as_ratings() -> None:
    number = {"other": 0, "rating": 1, "view": 2}
    assert [number_of_kind(kind, number) for kind in ("rating:low", "rating", "view", "sale:big", "")] == [1, 1, 2, 0, 0]
    assert np.array_equal([number_of_kind("rating:low", number | {"rating:low": 3})], [3])
