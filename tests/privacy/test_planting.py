"""An id that came in through every entrance is found in every place, and after an erasure and one night in none."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest

from flows import nightly
from serving.segments import Segments, line_of
from settings import load
from tasks.config import IngestConfig
from tasks.erasure.at_once import erase
from tasks.ingest.ingestion import ingest
from tasks.ingest.sources import ColumnMapping
from tasks.privacy import files
from tasks.privacy.certificate import page
from tasks.privacy.keyed import load_keys
from tasks.privacy.ledger import erasures
from tasks.privacy.scan import Finding, scan
from tests.conftest import ROOT
from tests.flows.shop import UNPOOLED, Shop, open_shop

pytestmark = pytest.mark.slow
PERSON, OTHER = "mia-00042", "u03"
AN_HOUR_AGO = 1_790_000_000
Places = dict[str, set[str]]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Shop]:
    """A shop after its first night, into which nobody has brought the person yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", prefect_server)
        patch.setattr(files, "READERS_S", 0.0)
        if request.param == "postgres":
            server = f"host=127.0.0.1 port={request.getfixturevalue('postgres_port')} user=minutehand"
            subprocess.run(["psql", "-q", f"{server} dbname=postgres", "-c", "create database planted"], check=True)
            patch.setenv("MINUTEHAND_LAKE__CATALOG", f"postgres:{server} dbname=planted")
        with open_shop(tmp_path_factory.mktemp("planted")) as made:
            made.spend_night()
            yield made


@pytest.fixture(scope="module")
def planted(shop: Shop) -> Places:
    """For each entrance the places that it has brought the person into, or into which it has brought more of them."""
    assert places(shop) == {}
    entrances = (by_file, by_landing, by_api, by_a_minute, by_a_killed_minute, by_a_killed_writer, by_runs)
    return {entrance.__name__: new_places(shop, entrance) for entrance in entrances}


def findings(shop: Shop) -> tuple[Finding, ...]:
    return scan(shop.home, shop.lake, [PERSON])


def places(shop: Shop) -> dict[str, int]:
    return {f"{found.store}: {found.place}": found.count for found in findings(shop) if found.count}


def new_places(shop: Shop, entrance: Callable[[Shop], object]) -> set[str]:
    before = places(shop)
    entrance(shop)
    return {place for place, n in places(shop).items() if n > before.get(place, 0)}


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
    """A file in the landing folder that waits for the next minute."""
    file = shop.home / "landing" / "events" / "own.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"user_id,item_id,occurred_at\n{PERSON},i04,2026-01-20T12:00:00\n")
    os.utime(file, (AN_HOUR_AGO, AN_HOUR_AGO))


def by_api(shop: Shop) -> None:
    """An event, a served list and a merge in the log of the API, handed to the landing folder."""
    segments = Segments(shop.home / "serving" / "events", shop.home / "landing")
    event = {"event_id": "e5", "user_id": PERSON, "item_id": "i05", "event_type": "view", "occurred_at": "2026-01-20T13:00:00"}
    served = {
        "recommendation_id": "r1", "user_id": PERSON, "scenario": "default", "model_version": "1", "item_ids": ["i01"],
        "sources": ["popular"], "served_at": "2026-01-20T13:00:00",
    }  # fmt: skip
    merge = {"alias": "session-77", "user_id": PERSON, "merged_at": "2026-01-20T13:00:00"}
    segments.append([json.dumps(event).encode(), line_of("served", served), line_of("alias", merge)]).result()
    segments.close()
    for path in segments.all():  # an erasure leaves young segments to the API, which may still write to them
        os.utime(path, (AN_HOUR_AGO, AN_HOUR_AGO))


def by_a_minute(shop: Shop) -> None:
    shop.spend_minute()


def by_a_killed_minute(shop: Shop) -> None:
    """A minute that learns new events of the person and is killed before it publishes."""
    path = shop.home.parent / "later.csv"
    path.write_text(f"user_id,item_id,occurred_at\n{PERSON},i06,2026-01-21T10:00:00\n")
    ingest(shop.lake, "events", [str(path)], ColumnMapping(), IngestConfig())
    order = json.dumps([{"kill": "tasks.publish.minute:publish_minute:before"}])
    environment = {name: value for name, value in os.environ.items() if name != UNPOOLED[0]}
    words = [sys.executable, "-m", "tests.flows.forker"]
    done = subprocess.run(words, input=order + "\n", stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment, check=True)
    assert json.loads(done.stdout) == [-signal.SIGKILL]


def by_a_killed_writer(shop: Shop) -> None:
    """A writer that is killed after it has written a Parquet file and before it commits."""
    lake = shop.lake
    words = [sys.executable, "-m", "tests.privacy.killed_writer", lake.catalog, lake.data_path, str(lake.lock_path), PERSON]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == 9


def by_runs(shop: Shop) -> None:
    """Messages and reports of runs that name the person: in Prefect's database, in a log and in an artifact of MLflow."""
    path = shop.home / "prefect" / "prefect.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as con, con:
        con.execute("create table log (message text)")
        con.execute("insert into log values (?)", [f"ranked {PERSON}"])
    (shop.home / "logs").mkdir(exist_ok=True)
    (shop.home / "logs" / "serve.log").write_text(f"ranked {PERSON}\n")
    report = next((shop.home / "mlflow" / "artifacts").rglob("report.md"))
    report.write_text(report.read_text() + f"\n{PERSON}\n")


def has(found: set[str], *words: str) -> bool:
    return any(all(word in place for word in words) for place in found)


def test_every_entrance_brings_the_id_into_places_that_a_scan_finds(planted: Places) -> None:
    assert has(planted["by_file"], "raw.events")
    assert has(planted["by_file"], "raw.rejected")
    assert has(planted["by_landing"], "landing: landing/events/own.csv")
    assert has(planted["by_api"], "log of the API: serving/events")
    assert has(planted["by_api"], "landing: landing/events/api")
    for table in ("recs.recommendations", "features.user_histories", "ops.served", "raw.user_aliases", "graph.nodes", "ops.freshness"):
        assert has(planted["by_a_minute"], table), table
    assert has(planted["by_a_minute"], "landing: landing/done")
    assert has(planted["by_a_killed_minute"], "raw.events")
    assert has(planted["by_a_killed_writer"], "tables: raw.events, in no snapshot")
    assert has(planted["by_runs"], "Prefect: prefect/prefect.db: log")
    assert has(planted["by_runs"], "logs: logs/serve.log")
    assert has(planted["by_runs"], "report.md") or has(planted["by_runs"], "model versions and artifacts")


def test_a_scan_finds_the_person_nowhere_after_an_erasure_during_a_night_and_the_next_one(
    shop: Shop, planted: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert planted
    monkeypatch.setenv("MINUTEHAND_HOME", str(shop.home))
    of_the_night: set[str] = set()

    def erased_meanwhile(*given: Any, **named: Any) -> Any:
        """Registers the model of a night that has trained with the person, who is erased at this moment."""
        of_the_night.update(places(shop))
        erase(shop.lake, shop.home, [PERSON], "cli", load().ingest.event_weights)
        return register(*given, **named)

    register = nightly.register
    with monkeypatch.context() as patch:
        patch.setattr(nightly, "register", erased_meanwhile)
        shop.spend_night()
    assert has(of_the_night, "unfinished runs: nightly/tmp")
    assert not any(found.count for found in findings(shop) if "rows of recs." in found.place or "rows of graph." in found.place)
    assert [found.state for found in erasures(shop.lake)] == ["logs"], "only the weights have still seen the person"
    shop.spend_minute()
    shop.spend_night()
    assert places(shop) == {}
    by_digest = scan(shop.home, shop.lake, digests=[load_keys(shop.home).digest(PERSON)])
    assert not any(found.count for found in by_digest)
    assert any(found.kept for found in by_digest), "the ledger keeps the digest, so that the person stays erased"
    (ended,) = erasures(shop.lake)
    made = json.loads(ended.certificate or "{}")
    assert (ended.state, made["result"], made["hits"]) == ("done", "not found", 0), page(made)
