"""A data folder has one catalog: no other catalog writes there, and upkeep deletes no file of another catalog."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.data_folder import NAME, parquet_files, read_mark
from tasks.lake import Lake, LakeConfig, LakeError, LastingError, locate, migrate, reading, writing
from tasks.upkeep import maintain

FILL = "insert into raw.rejected (source, line, reason, rejected_at) select 'source', i, $reason, now()::timestamp from range(100) as t (i)"
COUNT = "select count(*) from raw.rejected"
LATER = datetime.now(UTC) + timedelta(days=2)


def fill(lake: Lake, reason: str = "test") -> None:
    """Enough rows for a Parquet file; the catalog would keep fewer rows inline."""
    with writing(lake) as con:
        con.execute(FILL, {"reason": reason})


def count(lake: Lake) -> int:
    with reading(lake) as con:
        return int(con.execute(COUNT).fetchall()[0][0])


def forget_catalog(home: Path) -> None:
    for file in (home / "lake").glob("catalog.sqlite*"):
        file.unlink()


def open_home(home: Path, data: Path | None = None) -> Lake:
    return replace(locate(LakeConfig(data_path=str(data) if data else ""), home), threads=1)


def filled_home(home: Path, data: Path | None = None) -> Lake:
    lake = open_home(home, data)
    migrate(lake)
    fill(lake)
    return lake


def test_a_new_catalog_over_the_files_of_a_lost_one_is_refused_by_every_writer_and_deletes_nothing(home: Path) -> None:
    lake = filled_home(home)
    forget_catalog(home)
    before = sorted(parquet_files(lake.folder))
    for write in (migrate, fill, lambda lake: maintain(lake, now=LATER)):
        with pytest.raises(
            LakeError, match=r"there is no catalog at .*catalog\.sqlite, but .*; restore the catalog from a backup, or name"
        ):
            write(lake)
    assert sorted(parquet_files(lake.folder)) == before
    assert not Path(lake.catalog_file).exists()


def test_a_new_catalog_is_refused_over_files_without_a_mark(home: Path) -> None:
    lake = filled_home(home)
    forget_catalog(home)
    (lake.folder / NAME).unlink()
    with pytest.raises(LakeError, match=r"has the files of one, such as ducklake-"):
        migrate(lake)


def test_a_catalog_without_content_counts_as_lost(home: Path) -> None:
    lake = filled_home(home)
    forget_catalog(home)
    Path(lake.catalog_file).touch()
    with pytest.raises(LakeError, match="there is no catalog at"):
        migrate(lake)


def test_a_lost_catalog_that_is_restored_goes_on(home: Path, tmp_path: Path) -> None:
    lake = filled_home(home)
    shutil.copytree(home / "lake", tmp_path / "backup")
    forget_catalog(home)
    for file in (tmp_path / "backup").glob("catalog.sqlite*"):
        shutil.copy(file, home / "lake")
    fill(lake)
    assert count(lake) == 200


def test_files_that_an_older_catalog_does_not_know_are_never_swept_away(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = filled_home(home)
    shutil.copytree(home / "lake", tmp_path / "backup")
    fill(lake, "after the backup")
    newest = set(parquet_files(lake.folder))
    forget_catalog(home)
    for file in (tmp_path / "backup").glob("catalog.sqlite*"):
        shutil.copy(file, home / "lake")
    assert maintain(lake, now=LATER).orphans_deleted == 0
    assert newest <= set(parquet_files(lake.folder))
    assert "is older than the files in" in caplog.text
    fill(lake)
    assert maintain(lake, now=LATER).orphans_deleted == 0
    assert count(lake) == 200


def test_a_second_home_on_the_data_folder_of_the_first_is_refused(tmp_path: Path) -> None:
    first = filled_home(tmp_path / "first", tmp_path / "data")
    second = open_home(tmp_path / "second", tmp_path / "data")
    with pytest.raises(
        LakeError, match=r"there is no catalog at .*second.*; restore the catalog from a backup, or name an empty folder by"
    ):
        migrate(second)
    assert count(first) == 100


def test_a_home_that_shares_an_unmarked_folder_is_refused_once_the_other_has_written(tmp_path: Path) -> None:
    first = filled_home(tmp_path / "first", tmp_path / "data")
    (tmp_path / "data" / NAME).rename(tmp_path / "aside")
    second = filled_home(tmp_path / "second", tmp_path / "elsewhere")
    with reading(second) as con:
        other = json.loads((tmp_path / "elsewhere" / NAME).read_text())["catalog"]
        assert con.execute("select count(*) from raw.rejected").fetchall() == [(100,)]
    mark = json.loads((tmp_path / "aside").read_text())
    (tmp_path / "data" / NAME).write_text(json.dumps({**mark, "catalog": other, "address": second.catalog_file}))
    with pytest.raises(LakeError, match=r"data belongs to another catalog, at .*second.*; restore that catalog from a backup, or name"):
        fill(first)
    with pytest.raises(LakeError, match="belongs to another catalog"):
        maintain(first, now=LATER)


def test_a_copy_of_a_catalog_on_the_same_data_folder_is_refused_while_the_original_is_there(tmp_path: Path) -> None:
    first = filled_home(tmp_path / "first", tmp_path / "data")
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    second = open_home(tmp_path / "second", tmp_path / "data")
    with pytest.raises(LakeError, match=r"belongs to the catalog at .*first.*, of which the one at .*second.* is a copy"):
        fill(second)
    fill(first)
    shutil.rmtree(tmp_path / "first")
    fill(second)
    assert count(second) == 200


@pytest.mark.slow
def test_a_lake_without_a_mark_gets_one_at_the_next_write_and_keeps_files_of_unknown_origin(home: Path) -> None:
    lake = filled_home(home)
    (lake.folder / NAME).unlink()
    orphan = lake.folder / "raw" / "rejected" / "ducklake-019a0000-0000-7000-8000-000000000000.parquet"
    orphan.write_bytes(b"of another home, who knows")
    long_ago = (datetime.now(UTC) - timedelta(hours=3)).timestamp()
    os.utime(orphan, (long_ago, long_ago))
    fill(lake)
    mark = read_mark(lake.folder)
    assert mark is not None
    assert maintain(lake, now=LATER).orphans_deleted == 0
    assert orphan.exists()


def test_a_mark_that_was_cut_off_is_written_again(home: Path) -> None:
    lake = filled_home(home)
    whole = read_mark(lake.folder)
    (lake.folder / NAME).write_text('{"catalog": "')
    assert read_mark(lake.folder) is None
    fill(lake)
    repaired = read_mark(lake.folder)
    assert whole is not None
    assert repaired is not None
    assert repaired.catalog == whole.catalog


@pytest.mark.slow
def test_a_moved_home_is_read_and_written_to_where_it_is_now(tmp_path: Path) -> None:
    filled_home(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    lake = open_home(tmp_path / "new")
    assert count(lake) == 100
    fill(lake)
    assert count(lake) == 200
    assert maintain(lake, now=LATER).orphans_deleted == 0
    assert count(lake) == 200
    assert not (tmp_path / "old").exists()


def test_a_copy_of_a_home_writes_to_its_own_folder_only(tmp_path: Path) -> None:
    first = filled_home(tmp_path / "old")
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    before = sorted(parquet_files(first.folder))
    fill(open_home(tmp_path / "new"))
    assert sorted(parquet_files(first.folder)) == before
    assert (count(first), count(open_home(tmp_path / "new"))) == (100, 200)


def test_a_moved_home_without_a_mark_is_recognised_by_its_files(tmp_path: Path) -> None:
    lake = filled_home(tmp_path / "old")
    (lake.folder / NAME).unlink()
    (tmp_path / "old").rename(tmp_path / "new")
    moved = open_home(tmp_path / "new")
    assert count(moved) == 100
    fill(moved)
    assert read_mark(moved.folder) is not None


def test_a_data_folder_that_the_catalog_does_not_know_is_refused_by_readers_and_writers(tmp_path: Path) -> None:
    filled_home(tmp_path / "home", tmp_path / "data")
    astray = open_home(tmp_path / "home", tmp_path / "empty")
    for use in (count, fill):
        with pytest.raises(
            LastingError, match=r"the catalog keeps its files in .*data.*, and .*empty does not have them; move that folder"
        ):
            use(astray)


def test_a_relative_data_path_means_the_same_folder_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    filled_home(tmp_path / "home", Path("data"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert count(open_home(tmp_path / "home", tmp_path / "data")) == 100


def test_under_either_catalog_the_folder_is_marked_and_another_catalog_is_refused(lake: Lake, tmp_path: Path) -> None:
    fill(lake)
    mark = read_mark(lake.folder)
    assert mark is not None
    stranger = replace(mark, catalog="00000000-0000-4000-8000-000000000000", address="")
    (lake.folder / NAME).write_text(json.dumps(stranger.__dict__))
    with pytest.raises(LakeError, match="belongs to another catalog"):
        fill(lake)
    (lake.folder / NAME).write_text(json.dumps(mark.__dict__))
    fill(lake)
    assert count(lake) == 200
    moved = replace(lake, data_path=f"{tmp_path / 'moved'}{os.sep}")
    lake.folder.rename(moved.folder)
    fill(moved)
    assert count(moved) == 300
