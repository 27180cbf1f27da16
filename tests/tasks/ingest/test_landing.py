"""The landing folder: which files are ingested, which wait, and where each file moves."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import pytest

from models.errors import UserError
from tasks.config import IngestConfig
from tasks.ingest import staging
from tasks.ingest.landed import Landed
from tasks.ingest.landing import check_kind, ingest_landed_file, ingest_landed_files, may_read, open_landing, turn, waiting
from tasks.lake import Lake, LakeError, reading, writing
from tests.damage import DAMAGED, damaged

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
    landed = [ingest_landed_file(lake, landing, kind, file, IngestConfig()) for kind, file in waiting(landing)]
    return [(file.kind, file.file, file.outcome) for file in landed]


def test_items_come_first_and_half_written_files_wait(landing: Path) -> None:
    for name in ("events/b.csv", "events/a.csv", "items/z.csv", "events/.c.csv", "events/d.csv.part", "events/e.tmp"):
        drop(landing, name)
    drop(landing, "events/young.csv", age_seconds=0)
    drop(landing, "events/c-of-tomorrow.csv", age_seconds=-86400)  # unpacked from an archive from another time zone
    drop(landing, "events/written-now.csv", age_seconds=-3)  # written by a machine with a fast clock
    assert [file.name for _, file in waiting(landing)] == ["z.csv", "a.csv", "b.csv", "c-of-tomorrow.csv"]


def test_a_taken_file_moves_to_done_even_when_one_of_that_name_is_there(lake: Lake, landing: Path) -> None:
    drop(landing, "events/a.csv")
    assert take_all(lake, landing) == [("events", "a.csv", "done")]
    drop(landing, "events/a.csv")
    assert take_all(lake, landing) == [("events", "a.csv", "done")]
    assert sorted(file.name for file in (landing / "done").rglob("*.csv")) == ["2-a.csv", "a.csv"]
    assert waiting(landing) == []
    with reading(lake) as con:
        assert con.execute("select count(*) from raw.events").fetchall() == [(1,)]


def test_with_pseudonyms_a_taken_file_is_deleted_and_one_with_refused_rows_stays_for_its_correction(lake: Lake, landing: Path) -> None:
    files = [drop(landing, "events/a.csv"), drop(landing, "events/b.csv"), drop(landing, "events/c.csv", EVENTS + "v,,2024-01-01\n")]
    landed = ingest_landed_files(lake, landing, "events", files, IngestConfig(pseudonyms=True))
    assert [file.outcome for file in landed] == ["done", "partial"]
    assert [file.name for file in landing.rglob("*.csv")] == ["c.csv", "c.csv.rejected.csv"]
    assert ",v," not in (landing / landed[1].outcome).rglob("*.rejected.csv").__next__().read_text()


@pytest.mark.slow
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


@pytest.mark.slow
def test_killed_just_before_an_unreadable_file_moves_its_reason_is_not_there_twice(
    lake: Lake, landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(landing, "events/a.csv", "colour,size\nred,1\n")

    def die(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "move", die)
        with pytest.raises(KeyboardInterrupt):
            take_all(lake, landing)
    take_all(lake, landing)
    assert sorted(file.name for file in (landing / "failed").rglob("*.*")) == ["a.csv", "a.csv.error.txt"]


def test_a_file_stays_where_it_is_when_the_lake_cannot_be_written(lake: Lake, landing: Path) -> None:
    file = drop(landing, "events/a.csv")
    impatient = Lake(lake.catalog, lake.data_path, lake.lock_path, lake.busy_timeout_ms, lock_timeout_s=1)
    with writing(lake), pytest.raises(LakeError, match="another writer"):
        ingest_landed_file(impatient, landing, "events", file, IngestConfig())
    assert file.exists()


@pytest.mark.slow
def test_files_of_a_kind_are_ingested_together_and_separately_if_one_cannot_be_read(lake: Lake, landing: Path) -> None:
    for n in range(3):
        drop(landing, f"events/{n}.csv", f"user_id,item_id,timestamp\nu{n},a,{1_700_000_000 + n}\n")
    files = [file for _, file in waiting(landing)]
    (together,) = ingest_landed_files(lake, landing, "events", files, IngestConfig())
    assert (together.file, together.outcome, together.new) == ("0.csv and 2 more", "done", 3)
    assert waiting(landing) == []
    drop(landing, "events/bad.csv", "who\n1\n")
    drop(landing, "events/good.csv", "user_id,item_id,timestamp\nu9,a,1700000009\n")
    bad, good = ingest_landed_files(lake, landing, "events", [file for _, file in waiting(landing)], IngestConfig())
    assert (bad.file, bad.outcome) == ("bad.csv", "failed")
    assert (good.file, good.outcome, good.new) == ("good.csv", "done", 1)


BAD = "user,item,ts\nu,1,2024-01-01\nv,2,tomorrow\n,3,2024-01-03\n"


def reasons_next_to(file: Path) -> list[dict[str, str]]:
    with file.with_name(f"{file.name}.rejected.csv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def test_a_file_of_which_rows_were_refused_moves_to_partial_with_a_table_of_the_reasons(lake: Lake, landing: Path) -> None:
    drop(landing, "events/bad.csv", BAD)
    drop(landing, "events/worse.csv", "user,item,ts\n,1,2024-01-01\n")
    drop(landing, "events/good.csv", EVENTS.replace("u,1", "w,1"))
    drop(landing, "items/price.csv", "item_id,price\n1,free\n")
    (priced,) = ingest_landed_files(lake, landing, "items", [landing / "items" / "price.csv"], IngestConfig())
    good, bad, worse = take_together(lake, landing)
    assert [(file.file, file.outcome, file.read, file.new, file.rejected) for file in (good, bad, worse, priced)] == [
        ("good.csv", "done", 1, 1, 0),
        ("bad.csv", "partial", 3, 1, 2),
        ("worse.csv", "partial", 1, 0, 1),
        ("price.csv", "partial", 1, 1, 0),
    ]
    assert bad.error.startswith("2 of 3 rows were refused; bad.csv.rejected.csv next to it in partial/ says which and why")
    assert [file.name for file in (landing / "done").rglob("*.csv")] == ["good.csv"]
    (file,) = (landing / "partial").rglob("bad.csv")
    first, second = reasons_next_to(file)
    assert (first["line"], first["value"], second["line"], second["value"]) == ("2", "tomorrow", "3", "")
    assert first["reason"].startswith("occurred_at is not a time; ")
    assert json.loads(second["row_json"]) == {"user": None, "item": "3", "ts": "2024-01-03"}
    (file,) = (landing / "partial").rglob("price.csv")
    assert [row["value"] for row in reasons_next_to(file)] == ["free"]


def test_the_table_of_the_reasons_can_be_shown_on_a_terminal(lake: Lake, landing: Path) -> None:
    drop(landing, "items/a.csv", "item_id,price,title\n1,\x1b]52;c;cHduZWQ=\x07,\x9b2J\u202etent\n")
    ingest_landed_files(lake, landing, "items", [landing / "items" / "a.csv"], IngestConfig())
    (file,) = (landing / "partial").rglob("a.csv")
    (row,) = reasons_next_to(file)
    assert row["value"] == r"\x1b]52;c;cHduZWQ=\x07"
    assert json.loads(row["row_json"])["title"] == "\x9b2J\u202etent"
    text = file.with_name("a.csv.rejected.csv").read_text(encoding="utf-8")
    assert [character for character in "\x1b\x07\x9b\u202e" if character in text] == []


def test_a_corrected_file_that_lands_again_clears_its_rows_and_moves_to_done(lake: Lake, landing: Path) -> None:
    drop(landing, "events/bad.csv", BAD)
    take_together(lake, landing)
    drop(landing, "events/bad.csv", BAD.replace("tomorrow", "2024-01-02").replace(",3,", "x,3,"))
    assert [(file.outcome, file.new, file.duplicate) for file in take_together(lake, landing)] == [("done", 2, 1)]
    with reading(lake) as con:
        assert con.execute("select count(*) from raw.rejected").fetchall() == [(0,)]


def test_killed_before_a_partial_file_moves_its_reasons_are_there_once_after_the_next_run(
    lake: Lake, landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(landing, "events/bad.csv", BAD)

    def die(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "move", die)
        with pytest.raises(KeyboardInterrupt):
            take_all(lake, landing)
    (again,) = take_together(lake, landing)
    assert (again.outcome, again.new, again.duplicate, again.rejected) == ("partial", 0, 1, 2)
    assert sorted(file.name for file in (landing / "partial").rglob("*.csv")) == ["bad.csv", "bad.csv.rejected.csv"]
    with reading(lake) as con:
        assert con.execute("select count(*) from raw.rejected").fetchall() == [(2,)]


@pytest.mark.parametrize(
    ("landed", "needs"),
    [
        (Landed("events", "a", "done", read=9), False),
        (Landed("events", "a", "gone"), False),
        (Landed("events", "a", "failed"), True),
        (Landed("events", "a", "stuck"), True),
        (Landed("events", "a", "waiting"), True),
        (Landed("events", "a", "partial", read=10, rejected=1), False),
        (Landed("events", "a", "partial", read=10, rejected=2), True),
    ],
)
def test_failed_files_and_files_above_the_share_of_refused_rows_need_a_look(landed: Landed, needs: bool) -> None:
    assert landed.needs_a_look(0.1) is needs


@pytest.mark.slow
def test_a_new_file_that_is_damaged_leaves_the_others_in_one_piece(lake: Lake, landing: Path) -> None:
    drop(landing, "events/bad.csv", BAD)
    drop(landing, "events/broken.csv", "who\n1\n")
    assert [(file.file, file.outcome, file.new) for file in take_together(lake, landing)] == [
        ("bad.csv", "partial", 1),
        ("broken.csv", "failed", 0),
    ]


def take_together(lake: Lake, landing: Path) -> list[Landed]:
    return ingest_landed_files(lake, landing, "events", [file for _, file in waiting(landing)], IngestConfig())


def drop_bytes(landing: Path, name: str, content: bytes) -> Path:
    file = drop(landing, f"events/{name}", "")
    file.write_bytes(content)
    os.utime(file, (time.time() - 60,) * 2)
    return file


def reason_of(landing: Path, name: str) -> str:
    (note,) = (landing / "failed").rglob(f"{name}.error.txt")
    assert os.path.lexists(note.with_name(name))
    return note.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_moves_to_failed_with_its_reason_and_the_other_files_get_in(lake: Lake, landing: Path, name: str) -> None:
    drop_bytes(landing, name, damaged(name))
    drop(landing, "events/a.csv")
    drop(landing, "events/z.csv", EVENTS.replace("u,1", "v,1"))
    assert [(file.file, file.outcome, file.new) for file in take_together(lake, landing)] == [
        ("a.csv", "done", 1),
        (name, "failed", 0),
        ("z.csv", "done", 1),
    ]
    assert DAMAGED[name] in reason_of(landing, name)
    with reading(lake) as con:
        assert con.execute("select user_id from raw.events order by 1").fetchall() == [("u",), ("v",)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bad.csv", "bad.parquet"])
def test_a_file_that_may_not_be_read_moves_to_failed(lake: Lake, landing: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    bad = drop(landing, f"events/{name}")
    drop(landing, "events/good.csv")
    opened = Path.open

    def forbidding(path: Path, *given: Any, **named: Any) -> Any:
        if path == bad:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *given, **named)

    monkeypatch.setattr(Path, "open", forbidding)
    assert [file.outcome for file in take_together(lake, landing)] == ["failed", "done"]
    assert f"cannot read {name}: Permission denied; let the user who runs this read it" in reason_of(landing, name)


def test_a_name_that_is_no_utf_8_and_a_link_that_leads_nowhere_readable_do_not_stop_the_others(lake: Lake, landing: Path) -> None:
    drop(landing, "events/" + os.fsdecode(b"b\xff.csv"))
    (landing / "events" / "link.csv").symlink_to("x" * 300)
    drop(landing, "events/z.csv")
    landed = {file.file: file for file in take_together(lake, landing)}
    assert {name: file.outcome for name, file in landed.items()} == {"b\\udcff.csv": "failed", "link.csv": "failed", "z.csv": "done"}
    assert "the name of b\\udcff.csv is not UTF-8; rename the file" in landed["b\\udcff.csv"].error
    assert "cannot read link.csv: File name too long" in reason_of(landing, "link.csv")
    assert waiting(landing) == []


def test_a_file_that_vanishes_before_it_is_read_stops_no_other(lake: Lake, landing: Path) -> None:
    gone = drop(landing, "events/a.csv")
    good = drop(landing, "events/b.csv")
    gone.unlink()
    landed = ingest_landed_files(lake, landing, "events", [gone, good], IngestConfig())
    assert [(file.file, file.outcome) for file in landed] == [("a.csv", "gone"), ("b.csv", "done")]
    assert not (landing / "failed").exists()


@pytest.mark.slow
def test_a_file_that_cannot_be_moved_away_stays_whole_and_alone(lake: Lake, landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = drop(landing, "events/bad.csv", "who\n1\n")
    drop(landing, "events/good.csv")
    move = shutil.move

    def refusing(file: Path, target: Path) -> None:
        if file == bad:
            shutil.copy2(file, target)
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(file))
        move(file, target)

    monkeypatch.setattr(shutil, "move", refusing)
    stuck, good = take_together(lake, landing)
    assert (stuck.outcome, good.outcome) == ("stuck", "done")
    assert "no column 'user_id' in bad.csv" in stuck.error
    assert "Operation not permitted; move it away" in stuck.error
    assert bad.exists()
    assert [file for file in (landing / "failed").rglob("*") if file.is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), LakeError),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), OSError),
        (duckdb.IOException("IO Error: Could not write all bytes to file"), LakeError),
        (duckdb.IOException('IO Error: Cannot open file "/x/lake/staging/t/staging.duckdb": Permission denied'), LakeError),
        (duckdb.IOException('IO Error: Cannot open file "/x/e.csv": Too many open files'), duckdb.IOException),
        (duckdb.OutOfMemoryException("Out of Memory Error: could not allocate block"), LakeError),
        (duckdb.InterruptException("INTERRUPT Error: Interrupted!"), duckdb.InterruptException),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
@pytest.mark.parametrize("step", ["inspect", "_stage_file"])
def test_an_error_that_no_file_caused_is_raised_and_moves_nothing(
    lake: Lake, landing: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException, raised: type[BaseException]
) -> None:
    for name in ("a", "b"):
        drop(landing, f"events/{name}.csv")

    def failing(*_: Any) -> NoReturn:
        raise error

    if step == "inspect":
        monkeypatch.setattr("tasks.ingest.sources._inspect_text", failing)
    else:
        monkeypatch.setattr(staging, step, failing)
    with pytest.raises(raised) as caught:
        take_together(lake, landing)
    assert isinstance(caught.value, LakeError) or caught.value is error
    assert len(waiting(landing)) == 2
    assert not (landing / "failed").exists()


def test_a_landing_folder_that_cannot_be_made_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="MINUTEHAND_INGEST__LANDING"):
        open_landing(IngestConfig(landing=str(tmp_path / "file" / "landing")), tmp_path)


def test_one_at_a_time_empties_the_landing_folder(landing: Path) -> None:
    with turn(landing) as mine:
        assert mine
        with turn(landing) as other:
            assert not other
    with turn(landing) as mine:
        assert mine


# Names and links


def failed_reasons(landing: Path) -> list[str]:
    return [file.read_text(encoding="utf-8") for file in sorted((landing / "failed").rglob("*.error.txt"))]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x" * 251 + ".csv", "ü" * 125 + ".csv", "日" * 82 + ".jsonl.gz", "é" * 127 + "."])
def test_a_name_as_long_as_the_file_system_takes_finds_room_for_its_reason_and_for_a_second_of_its_kind(
    lake: Lake, landing: Path, name: str
) -> None:
    for _ in range(3):
        drop(landing, f"events/{name}", "who\n1\n")
        assert [outcome for _, _, outcome in take_all(lake, landing)] == ["failed"]
    assert waiting(landing) == []
    assert len(failed_reasons(landing)) == 3
    moved = [file for file in (landing / "failed").rglob("*") if file.is_file() and not file.name.endswith(".error.txt")]
    assert len(moved) == 3
    assert name in {file.name for file in moved}
    assert {"".join(file.suffixes) for file in moved} == {"".join(Path(name).suffixes)}


def test_a_good_file_with_a_long_name_moves_to_done_each_time(lake: Lake, landing: Path) -> None:
    for _ in range(2):
        drop(landing, f"events/{'x' * 251}.csv")
        assert [outcome for _, _, outcome in take_all(lake, landing)] == ["done"]
    assert sorted(len(file.name) for file in (landing / "done").rglob("*.csv")) == [255, 255]


def test_a_name_with_control_characters_is_shown_without_them(lake: Lake, landing: Path) -> None:
    drop(landing, "events/a\x1b[31m\nb.csv", "who\n1\n")
    (landed,) = take_together(lake, landing)
    assert landed.outcome == "failed"
    assert landed.file == "a\\x1b[31m\\nb.csv"
    assert "\x1b" not in landed.error


def aged_link(link: Path, target: str | Path) -> None:
    link.symlink_to(target)
    os.utime(link, (time.time() - 60,) * 2, follow_symlinks=False)


def test_links_out_of_the_landing_folder_in_circles_to_nothing_and_to_folders_are_refused_and_moved_away(
    lake: Lake, landing: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text(EVENTS, encoding="utf-8")
    os.utime(secret, (time.time() - 60,) * 2)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.csv").write_text(EVENTS, encoding="utf-8")
    targets: dict[str, str | Path] = {
        "out.csv": secret,
        "out2.csv": "../../../secret.csv",
        "nothing.csv": "gone.csv",
        "folder.csv": tmp_path / "folder",
    }
    targets |= {"loop.csv": "loop.csv", "a.csv": "b.csv", "b.csv": "a.csv"}
    for name, target in targets.items():
        aged_link(landing / "events" / name, target)
    os.mkfifo(landing / "events" / "pipe.csv")
    os.utime(landing / "events" / "pipe.csv", (time.time() - 60,) * 2)
    drop(landing, "events/good.csv", EVENTS.replace("u,1", "v,1"))
    landed = {file.file: file for file in take_together(lake, landing)}
    assert {name for name, file in landed.items() if file.outcome == "done"} == {"good.csv"}
    assert "is a link out of the landing folder" in landed["out.csv"].error
    assert "MINUTEHAND_INGEST__FOLLOW_LINKS" in landed["out2.csv"].error
    assert "is a link to nothing (gone.csv)" in landed["nothing.csv"].error
    assert "is a link to a folder" in landed["folder.csv"].error
    assert all("leads back to itself" in landed[name].error for name in ("loop.csv", "a.csv"))
    assert "no regular file" in landed["pipe.csv"].error
    assert waiting(landing) == []
    assert secret.exists()
    with reading(lake) as con:
        assert con.execute("select user_id from raw.events").fetchall() == [("v",)]


def test_a_link_within_the_landing_folder_is_followed_and_one_out_of_it_where_the_setting_says_so(
    lake: Lake, landing: Path, tmp_path: Path
) -> None:
    drop(landing, "shared/a.csv")
    aged_link(landing / "events" / "a.csv", "../shared/a.csv")
    assert take_all(lake, landing) == [("events", "a.csv", "done")]
    outside = tmp_path / "outside.csv"
    outside.write_text(EVENTS.replace("u,1", "w,1"), encoding="utf-8")
    os.utime(outside, (time.time() - 60,) * 2)
    aged_link(landing / "events" / "b.csv", outside)
    landed = ingest_landed_file(lake, landing, "events", landing / "events" / "b.csv", IngestConfig(follow_links=True))
    assert (landed.outcome, landed.new) == ("done", 1)
    assert outside.exists(), "the link moves, not the file"


def test_a_link_is_followed_to_what_its_owner_may_read_only(landing: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text(EVENTS, encoding="utf-8")
    stranger = 54321
    for folder in (outside, *outside.parents):
        if not folder.stat().st_mode & 1 and folder.is_dir() and folder.stat().st_uid == os.getuid():
            folder.chmod(0o755)
    outside.chmod(0o600)
    assert not may_read(stranger, outside)
    outside.chmod(0o604)
    assert may_read(stranger, outside)
    tmp_path.chmod(0o700)
    assert not may_read(stranger, outside), "a folder above is closed to them"
    assert may_read(os.getuid(), outside)


def test_a_link_whose_owner_may_not_read_its_target_is_refused(landing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text(EVENTS, encoding="utf-8")
    link = landing / "events" / "a.csv"
    aged_link(link, outside)
    monkeypatch.setattr("tasks.ingest.landing.may_read", lambda uid, target: False)
    with pytest.raises(UserError, match=r"a\.csv is a link to a file that the owner of the link may not read"):
        check_kind(link, landing, follow_links=True)
