"""An id that came in through every entrance is found in every place, and after an erasure in none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest

from serving.segments import line_of
from tasks.config import IngestConfig
from tasks.ingest import landing as landings
from tasks.ingest.ingestion import ingest
from tasks.ingest.sources import ColumnMapping
from tasks.privacy.scan import scan
from tests.conftest import ROOT
from tests.serving.shop import Shop, open_shop

PERSON, OTHER = "mia-00042", "u03"
HEADER = "user_id,item_id,occurred_at\n"
pytestmark = pytest.mark.slow
LONG_AGO = 1_790_000_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop after its first night, into which nobody has brought the person yet."""
    return open_shop(tmp_path_factory.mktemp("shop"))


def places(shop: Shop, *ids: str) -> dict[str, int]:
    return {f"{found.store}: {found.place}": found.count for found in scan(shop.home, shop.lake, ids or (PERSON,)) if found.count}


def new_places(shop: Shop, plant: Callable[[], object]) -> set[str]:
    """The places that a plant brings the person into, or more of them."""
    before = places(shop)
    plant()
    return {place for place, n in places(shop).items() if n > before.get(place, 0)}


def has(found: set[str], *words: str) -> bool:
    return any(all(word in place for word in words) for place in found)


def by_file(shop: Shop) -> None:
    """An ingest of a file outside the home: a good row, a bad one, and one of another user that names the person in its context."""
    path = shop.home.parent / "events.jsonl"
    rows: list[Mapping[str, object]] = [
        {"user_id": PERSON, "item_id": "i01", "occurred_at": "2026-01-20T10:00:00"},
        {"user_id": PERSON, "item_id": "i02", "occurred_at": "never"},
        {"user_id": OTHER, "item_id": "i03", "occurred_at": "2026-01-20T11:00:00", "context": {"gift_for": PERSON}},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest(shop.lake, "events", [str(path)], ColumnMapping(), IngestConfig())


def by_landing(shop: Shop) -> None:
    """A file in the landing folder, taken in."""
    folder = landings.open_landing(IngestConfig(), shop.home)
    file = folder / "events" / "own.csv"
    file.write_text(f"{HEADER}{PERSON},i04,2026-01-20T12:00:00\n")
    os.utime(file, (LONG_AGO, LONG_AGO))
    landings.ingest_landed_files(shop.lake, folder, "events", [file], IngestConfig())


def by_api(shop: Shop) -> None:
    """An event, a merge and a served list in the log of the API, taken in."""
    live = shop.start("serving/events")
    event = {"user_id": PERSON, "item_id": "i05", "event_type": "view", "occurred_at": "2026-01-20T13:00:00"}
    served = {
        "recommendation_id": "r1", "user_id": PERSON, "scenario": "default", "model_version": "1", "item_ids": ["i01"],
        "sources": ["popular"], "served_at": "2026-01-20T13:00:00",
    }  # fmt: skip
    merge = {"alias": "session-77", "user_id": PERSON, "merged_at": "2026-01-20T13:00:00"}
    lines = [json.dumps({"event_id": "e5", **event}).encode(), line_of("served", served), line_of("alias", merge)]
    live.segments.append(lines).result()
    live.segments.close()
    shop.take_in()


def by_a_killed_writer(shop: Shop) -> None:
    """A writer that is killed after it has written a Parquet file and before it commits."""
    lake = shop.lake
    words = [sys.executable, "-m", "tests.privacy.killed_writer", lake.catalog, lake.data_path, str(lake.lock_path), PERSON]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == 9


def plant(shop: Shop) -> dict[str, set[str]]:
    """Bring the person in through every entrance; the places where a scan sees it."""
    entrances = (by_file, by_landing, by_api, by_a_killed_writer)
    return {entrance.__name__: new_places(shop, lambda entrance=entrance: entrance(shop)) for entrance in entrances}  # type: ignore[misc]


def test_an_id_is_found_in_every_place_that_its_entrance_brings_it_into(shop: Shop) -> None:
    assert places(shop) == {}
    found = plant(shop)
    assert has(found["by_file"], "raw.events")
    assert has(found["by_file"], "raw.rejected")
    assert has(found["by_landing"], "landing: landing/done")
    assert has(found["by_api"], "log of the API: serving/events")
    assert has(found["by_api"], "landing: landing/done")
    assert has(found["by_api"], "ops.served")
    assert has(found["by_api"], "raw.user_aliases")
    assert has(found["by_a_killed_writer"], "tables: raw.events, in no snapshot")
    found["by_minute"] = new_places(shop, shop.minute)
    assert has(found["by_minute"], "recs.recommendations")
    assert has(found["by_minute"], "features.user_histories")
