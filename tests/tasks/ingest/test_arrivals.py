"""A landing folder in an object store: what holds for a folder holds there, also after a kill at any step."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tasks import store
from tasks.config import IngestConfig
from tasks.erasure.logs import redact
from tasks.ingest import arrivals, landing
from tasks.lake import Lake, reading
from tasks.privacy.keyed import add_key, load_keys
from tasks.store import Bucket
from tests.stores import names

pytestmark = pytest.mark.extras
EVENTS = b"user,item,ts\nu-000001,1,2024-01-01\n"


@pytest.fixture
def folder(home: Path, bucket: Bucket) -> Path:
    return landing.open_landing(IngestConfig(landing=str(bucket)), home)


def take_all(lake: Lake, bucket: Bucket, folder: Path) -> list[str]:
    """What flows/ingest does, without Prefect."""
    with landing.turn(folder):
        fetched = arrivals.fetch(bucket, folder)
        landed = [landing.ingest_landed_file(lake, folder, kind, file, IngestConfig()) for kind, file in landing.waiting(folder)]
        arrivals.put_away(bucket, folder, fetched)
    return [file.outcome for file in landed]


def undated(bucket: Bucket) -> list[str]:
    """The names of all objects, without the day in the name of one that was put away."""
    return ["/".join(part for part in name.split("/") if not part.startswith("20")) for name in names(bucket)]


def n_events(lake: Lake) -> int:
    with reading(lake) as con:
        return int(con.execute("select count(*) from raw.events").fetchall()[0][0])


def test_objects_are_ingested_with_their_mapping_and_move_to_the_prefix_of_their_outcome(lake: Lake, bucket: Bucket, folder: Path) -> None:
    store.write(bucket, "events/shop/mapping.toml", b'map.user_id = "customer"\n')
    store.write(bucket, "events/shop/a.csv", b"customer,item,ts\nu,1,2024-01-01\n")
    store.write(bucket, "events/b.csv", b"colour,size\nred,1\n")
    store.write(bucket, "events/half.csv.part", EVENTS)
    assert arrivals.is_waiting(bucket)
    assert sorted(take_all(lake, bucket, folder)) == ["done", "failed"]
    left = ["done/events/a.csv", "events/half.csv.part", "events/shop/mapping.toml", "failed/events/b.csv", "failed/events/b.csv.error.txt"]
    assert undated(bucket) == left
    assert (n_events(lake), arrivals.is_waiting(bucket)) == (1, False)
    assert not list((folder / "done").rglob("*.csv"))


@pytest.mark.parametrize("name", ["events/../../mapping.toml", "events/../../a.csv"])
def test_an_object_whose_name_leads_out_of_the_landing_folder_is_not_fetched(bucket: Bucket, folder: Path, name: str) -> None:
    store.write(bucket, name, b"")
    with landing.turn(folder):
        assert arrivals.fetch(bucket, folder) == {}
    assert not (folder.parent / Path(name).name).exists()


@pytest.mark.parametrize("step", ["ingest_landed_file", "_upload_outcomes", "tag", "delete"])
def test_killed_at_a_step_the_next_run_finishes_and_nothing_is_lost_or_there_twice(
    lake: Lake, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store.write(bucket, "events/a.csv", EVENTS)

    def die(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step == "_upload_outcomes":  # fetch calls it first
            patch.setattr(arrivals, "put_away", die)
        else:
            patch.setattr(landing if step == "ingest_landed_file" else arrivals, step, die)
        with pytest.raises(KeyboardInterrupt):
            take_all(lake, bucket, folder)
    take_all(lake, bucket, folder)
    assert (undated(bucket), n_events(lake)) == (["done/events/a.csv"], 1)


def test_an_object_that_was_replaced_while_it_was_ingested_stays_for_the_next_run(lake: Lake, bucket: Bucket, folder: Path) -> None:
    store.write(bucket, "events/a.csv", EVENTS)
    fetched = arrivals.fetch(bucket, folder)
    for kind, file in landing.waiting(folder):
        landing.ingest_landed_file(lake, folder, kind, file, IngestConfig())
    store.write(bucket, "events/a.csv", EVENTS.replace(b"01\n", b"02\n"))
    arrivals.put_away(bucket, folder, fetched)
    assert undated(bucket) == ["done/events/a.csv", "events/a.csv"]
    take_all(lake, bucket, folder)
    assert (undated(bucket), n_events(lake)) == (["done/events/2-a.csv", "done/events/a.csv"], 2)


def test_a_run_fetches_a_bounded_number_of_objects(lake: Lake, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "MOST_FILES", 2)
    for name in "abc":
        store.write(bucket, f"events/{name}.csv", EVENTS)
    assert len(take_all(lake, bucket, folder)) == 2
    assert len(take_all(lake, bucket, folder)) == 1


def test_an_erased_person_is_taken_out_of_the_objects_that_were_put_away(lake: Lake, bucket: Bucket, folder: Path, home: Path) -> None:
    store.write(bucket, "events/a.csv", EVENTS + b"u-000002,1,2024-01-01\n")
    take_all(lake, bucket, folder)
    add_key(home)
    assert redact(home, bucket, [load_keys(home).digest("u-000001")])["landed_rows"] == 1
    (name,) = names(bucket)
    assert store.read(bucket, name) == b"user,item,ts\nu-000002,1,2024-01-01\n"


def test_what_was_put_away_long_ago_is_deleted(bucket: Bucket) -> None:
    for day in ("2026-01-01", "2026-03-01"):
        store.write(bucket, f"done/{day}/events/a.csv", EVENTS)
    assert arrivals.prune(bucket, date(2026, 2, 1)) == 1
    assert names(bucket) == ["done/2026-03-01/events/a.csv"]
