"""Mapping files: foreign exports get in from the landing folder, and a wrong mapping loses no file."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tasks.config import IngestConfig
from tasks.ingest.landed import Landed
from tasks.ingest.landing import ingest_landed_files, open_landing, waiting
from tasks.lake import Lake
from tests.tasks.ingest.taking import events, rows

ORDERS = "Kunde;Artikel;Zeit;Betrag\nk1;a1;01.06.2026 00:16;12,50\nk2;a2;02.06.2026 09:00;-1\n"
MAPPING = """
# what the shop exports
events.map.user_id = "Kunde"
events.map.item_id = "Artikel"
events.map.occurred_at = "Zeit"
events.map.value = "Betrag"
events.set.event_type = "purchase"
events.time_format = "%d.%m.%Y %H:%M"
events.time_zone = "Europe/Berlin"
events.where = "Artikel <> 'a9'"
items.map.item_id = "Artikel"
items.split = ","
"""


@pytest.fixture
def landing(home: Path) -> Path:
    return open_landing(IngestConfig(), home)


def drop(landing: Path, name: str, text: str, age_seconds: float = 60) -> Path:
    file = landing / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    os.utime(file, (time.time() - age_seconds,) * 2)
    return file


def take_all(lake: Lake, landing: Path) -> list[Landed]:
    landed = []
    for kind in ("items", "events"):
        files = [file for of, file in waiting(landing) if of == kind]
        landed += ingest_landed_files(lake, landing, kind, files, IngestConfig())
    return landed


def test_a_foreign_export_gets_in_by_the_mapping_of_the_folder(lake: Lake, landing: Path) -> None:
    drop(landing, "mapping.toml", MAPPING)
    drop(landing, "items/a.csv", "Artikel;Titel;Kategorien\na1;Zelt;Camping,Zelte\n")
    drop(landing, "events/deep/er/a.csv", ORDERS)
    assert [(file.kind, file.outcome, file.new) for file in take_all(lake, landing)] == [("items", "done", 1), ("events", "done", 2)]
    assert events(lake, "user_id, item_id, event_type, value, occurred_at::varchar") == [
        ("k1", "a1", "purchase", 12.5, "2026-05-31 22:16:00"),
        ("k2", "a2", "return", -1.0, "2026-06-02 07:00:00"),
    ]
    assert rows(lake, "select title, categories from raw.items") == [("Zelt", ["Camping", "Zelte"])]
    assert (landing / "mapping.toml").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mapping.toml", "a.csv.mapping.toml", "mapping.toml"])
def test_the_mapping_file_nearest_to_a_file_wins(lake: Lake, landing: Path, name: str) -> None:
    drop(landing, "mapping.toml", MAPPING)
    near = drop(
        landing, f"events/shop/{name}", 'map.user_id = "wer"\nmap.item_id = "was"\nset.occurred_at = 2026-01-02\ncolumns = ["wer", "was"]\n'
    )
    drop(landing, "events/shop/a.csv", "k3,a3\n")
    drop(landing, "events/b.csv", ORDERS)
    assert {file.outcome for file in take_all(lake, landing)} == {"done"}
    assert sorted(events(lake, "user_id, occurred_at::date::varchar"))[2] == ("k3", "2026-01-02")
    assert near.exists(), "it is for the next file of the name as well"


WRONG = {
    'events.map.usr_id = "Kunde"': r"landing/mapping.toml: events have no field 'usr_id' (they have event_id,",
    'events.mapp.user_id = "Kunde"': "landing/mapping.toml has no key events.mapp; did you mean map?",
    'event.map.user_id = "Kunde"': "landing/mapping.toml has no section 'event'; its keys begin with events. or items.",
    "events.time_format = 3": 'events.time_format of landing/mapping.toml is 3; write it as in events.time_format = "%d.%m.%Y %H:%M"',
    'events.no_quotes = "yes"': "events.no_quotes of landing/mapping.toml is 'yes'; write it as in events.no_quotes = true",
    'events.columns = "a,b"': "events.columns of landing/mapping.toml is 'a,b'; write it as in events.columns = [",
    "events.map.user_id = 1": "events.map of landing/mapping.toml is {'user_id': 1}; write it as in events.map.item_id = \"sku\"",
    'events.time_zone = "Europe/Berln"': "landing/mapping.toml: no time zone 'Europe/Berln'; did you mean Europe/Berlin",
    'events.encoding = "cp1522"': "landing/mapping.toml: no text encoding 'cp1522'; give one that Python knows, such as events.enc",
    'events.split = "|"': "landing/mapping.toml has no key events.split; events have map, set,",
    "events = 3": "events of landing/mapping.toml is 3; write keys of it",
    "events.map.user_id": "landing/mapping.toml is no TOML: ",
    'events.map.value = "x"\nevents.set.value = 1': "landing/mapping.toml: value is given by events.map and by events.set; keep one",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_mapping_is_one_line_and_its_files_wait_until_it_is_corrected(lake: Lake, landing: Path, text: str) -> None:
    drop(landing, "mapping.toml", text)
    drop(landing, "events/a.csv", ORDERS)
    drop(landing, "events/own.csv", "user_id,item_id,occurred_at\nu,i,2026-01-01\n")
    drop(landing, "events/own.mapping.toml", "")
    landed = {file.file: file for file in take_all(lake, landing)}
    assert (landed["a.csv"].outcome, landed["own.csv"].outcome) == ("waiting", "done")
    assert landed["a.csv"].error.startswith(WRONG[text])
    assert "\n" not in landed["a.csv"].error
    assert [file.name for _, file in waiting(landing)] == ["a.csv"]
    drop(landing, "mapping.toml", MAPPING)
    assert [file.outcome for file in take_all(lake, landing)] == ["done"]


def test_the_error_for_a_missing_column_proposes_the_line_for_the_mapping_file(lake: Lake, landing: Path) -> None:
    drop(landing, "events/a.csv", "Kunde_Nr;item;ts\nk1;a1;1780272000\n")
    drop(landing, "events/shop/b.csv", "Kunde_Nr;item;ts\nk1;a1;1780272000\n")
    drop(landing, "events/shop/mapping.toml", "no_quotes = true")
    first, second = take_all(lake, landing)
    assert first.error.endswith('map it with events.map.user_id = "Kunde_Nr" in landing/mapping.toml')
    assert second.error.endswith('map it with map.user_id = "Kunde_Nr" in landing/events/shop/mapping.toml')


@pytest.mark.slow
@pytest.mark.parametrize("header", ["Kunde_Nr;item;ts", "Kunde_Nr;Artikel_Nr;Zeit"])
def test_the_line_of_the_remedy_is_all_it_takes(lake: Lake, landing: Path, header: str) -> None:
    drop(landing, "events/a.csv", f"{header}\nk1;a1;2026-06-01\n")
    (failed,) = take_all(lake, landing)
    line = failed.error.partition("map it with ")[2].partition(" in ")[0]
    drop(landing, "mapping.toml", line)
    (moved,) = (landing / "failed").rglob("a.csv")
    moved.rename(landing / "events" / "a.csv")
    assert [file.outcome for file in take_all(lake, landing)] == ["done"]


def test_files_wait_for_a_mapping_that_is_just_being_written(lake: Lake, landing: Path) -> None:
    drop(landing, "mapping.toml", MAPPING, age_seconds=0)
    drop(landing, "events/a.csv", ORDERS)
    assert waiting(landing) == []


def test_a_predicate_of_a_mapping_reaches_no_other_file_and_a_link_no_other_mapping(lake: Lake, landing: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text('map.user_id = "x"', encoding="utf-8")
    drop(landing, "events/mapping.toml", f"where = \"exists (from read_text('{secret}'))\"")
    drop(landing, "events/a.csv", "user_id,item_id,occurred_at\nu,i,2026-01-01\n")
    (failed,) = take_all(lake, landing)
    assert failed.outcome == "failed"
    assert failed.error.startswith("where ")
    assert "in landing/events/mapping.toml does not fit a.csv" in failed.error
    drop(landing, "events/b.csv", "user_id,item_id,occurred_at\nu,i,2026-01-01\n")
    (landing / "events" / "b.mapping.toml").symlink_to(secret)
    os.utime(landing / "events" / "b.mapping.toml", (time.time() - 60,) * 2, follow_symlinks=False)
    os.utime(secret, (time.time() - 60,) * 2)
    (left,) = take_all(lake, landing)
    assert left.outcome == "waiting"
    assert "b.mapping.toml is a link out of the landing folder" in left.error


def test_a_mapping_that_is_nested_too_deeply_keeps_no_other_file_out(lake: Lake, landing: Path) -> None:
    drop(landing, "events/a.mapping.toml", f"set = {'[' * 20_000}{']' * 20_000}\n")
    for name in ("a", "b"):
        drop(landing, f"events/{name}.csv", "user_id,item_id,occurred_at\nu,i,2026-01-01\n")
    left, taken = sorted(take_all(lake, landing), key=lambda file: file.file)
    assert (left.outcome, taken.outcome) == ("waiting", "done")
    assert "landing/events/a.mapping.toml is nested too deeply" in left.error
