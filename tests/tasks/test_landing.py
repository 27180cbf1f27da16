"""The landing folder: what is taken, what is left, and where it goes."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from tasks.config import IngestConfig
from tasks.lake import Lake, LakeError, reading, writing
from tasks.landing import open_landing, take_in, take_in_together, turn, waiting

EVENTS = "user,item,ts\nu,1,2024-01-01\n"


@pytest.fixture
def landing(home: Path) -> Path:
    return open_landing(IngestConfig(), home)


def drop(landing: Path, name: str, text: str = EVENTS, age_seconds: float = 60) -> Path:
    file = landing / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    os.utime(file, (time.time() - age_seconds,) * 2)
    return file


def take_all(lake: Lake, landing: Path) -> list[tuple[str, str, str]]:
    landed = [take_in(lake, landing, kind, file, IngestConfig()) for kind, file in waiting(landing)]
    return [(file.kind, file.file, file.outcome) for file in landed]


def test_items_come_first_and_what_is_half_written_is_left(landing: Path) -> None:
    for name in ("events/b.csv", "events/a.csv", "items/z.csv", "events/.c.csv", "events/d.csv.part", "events/e.tmp"):
        drop(landing, name)
    drop(landing, "events/young.csv", age_seconds=0)
    assert [file.name for _, file in waiting(landing)] == ["z.csv", "a.csv", "b.csv"]


def test_a_taken_file_moves_to_done_even_when_one_of_that_name_is_there(lake: Lake, landing: Path) -> None:
    drop(landing, "events/a.csv")
    assert take_all(lake, landing) == [("events", "a.csv", "done")]
    drop(landing, "events/a.csv")
    assert take_all(lake, landing) == [("events", "a.csv", "done")]
    assert sorted(file.name for file in (landing / "done").rglob("*.csv")) == ["2-a.csv", "a.csv"]
    assert waiting(landing) == []
    with reading(lake) as con:
        assert con.execute("select count(*) from raw.events").fetchall() == [(1,)]


def test_an_unreadable_file_moves_to_failed_with_the_reason_and_the_next_gets_in(lake: Lake, landing: Path) -> None:
    drop(landing, "events/a.csv", "colour,size\nred,1\n")
    drop(landing, "events/b.csv")
    drop(landing, "events/notes.docx", "x")
    assert take_all(lake, landing) == [("events", "a.csv", "failed"), ("events", "b.csv", "done"), ("events", "notes.docx", "failed")]
    texts = {file.name: file.read_text(encoding="utf-8") for file in (landing / "failed").rglob("*.error.txt")}
    assert "no column 'user_id' in a.csv (found: colour, size)" in texts["a.csv.error.txt"]
    assert "cannot tell the format" in texts["notes.docx.error.txt"]


def test_killed_when_an_unreadable_file_has_just_moved_its_reason_is_there(
    lake: Lake, landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(landing, "events/a.csv", "colour,size\nred,1\n")
    move = shutil.move

    def move_and_die(file: Path, target: Path) -> None:
        move(file, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "move", move_and_die)
    with pytest.raises(KeyboardInterrupt):
        take_all(lake, landing)
    assert sorted(file.name for file in (landing / "failed").rglob("*.*")) == ["a.csv", "a.csv.error.txt"]
    assert waiting(landing) == []


def test_a_file_stays_where_it_is_when_the_lake_cannot_be_written(lake: Lake, landing: Path) -> None:
    file = drop(landing, "events/a.csv")
    impatient = Lake(lake.catalog, lake.data_path, lake.lock_path, lake.busy_timeout_ms, lock_timeout_s=1)
    with writing(lake), pytest.raises(LakeError, match="another writer"):
        take_in(impatient, landing, "events", file, IngestConfig())
    assert file.exists()


def test_files_of_a_kind_are_taken_in_at_a_stroke_and_each_by_itself_where_one_cannot_be_read(lake: Lake, landing: Path) -> None:
    for n in range(3):
        drop(landing, f"events/{n}.csv", f"user_id,item_id,timestamp\nu{n},a,{1_700_000_000 + n}\n")
    files = [file for _, file in waiting(landing)]
    (together,) = take_in_together(lake, landing, "events", files, IngestConfig())
    assert (together.file, together.outcome, together.new) == ("0.csv and 2 more", "done", 3)
    assert waiting(landing) == []
    drop(landing, "events/bad.csv", "who\n1\n")
    drop(landing, "events/good.csv", "user_id,item_id,timestamp\nu9,a,1700000009\n")
    bad, good = take_in_together(lake, landing, "events", [file for _, file in waiting(landing)], IngestConfig())
    assert (bad.file, bad.outcome) == ("bad.csv", "failed")
    assert (good.file, good.outcome, good.new) == ("good.csv", "done", 1)


def test_one_at_a_time_empties_the_landing_folder(landing: Path) -> None:
    with turn(landing) as mine:
        assert mine
        with turn(landing) as other:
            assert not other
    with turn(landing) as mine:
        assert mine
