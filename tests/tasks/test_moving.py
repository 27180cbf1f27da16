"""A moved lake is the same lake elsewhere, with its snapshots; the old one is read-only; a killed move goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.errors import UserError
from tasks import data_folder, moving
from tasks.data_folder import parquet_files
from tasks.lake import Lake, LakeConfig, LastingError, locate, migrate, newest_snapshot, reading, writing
from tasks.moving import MoveError, copy_home, move
from tasks.upkeep import maintain
from tests.lakes import put

EVENTS = "select user_id, item_id, occurred_at from raw.events order by all"


KILLS: dict[str, tuple[Any, str]] = {
    "first file": (shutil, "copy2"),
    "catalog": (moving, "_copy_catalog"),
    "comparison": (moving, "_compare"),
    "retired": (data_folder, "retire"),
    "taken over": (data_folder, "retire"),
}


class Killed(BaseException):
    """Stands for SIGKILL between two effects."""


def after(n_calls: int, work: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, killed before its n-th call."""
    calls = iter(range(1, n_calls + 1))

    def killed(*given: Any) -> Any:
        if next(calls) == n_calls:
            raise Killed
        return work(*given)

    return killed


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Rows in the catalog and in files, some of them deleted again, in several snapshots."""
    put(lake, [(f"u{n % 40}", f"i{n % 30}", n) for n in range(300)], {"i1": "Ann's mug", "i2": "雨傘", "i3": None})
    with writing(lake) as con:
        con.execute("delete from raw.events where user_id = 'u7'")
    put(lake, [("late", "i1", 400.0)])
    return lake


@pytest.fixture
def there(tmp_path: Path) -> Lake:
    return replace(locate(LakeConfig(), tmp_path / "there"), threads=1)


def rows(lake: Lake, snapshot: int | None = None) -> list[tuple[object, ...]]:
    with reading(lake, snapshot) as con:
        return con.execute(EVENTS).fetchall()


def test_a_moved_lake_has_the_same_rows_in_the_same_snapshots_and_takes_new_ones(filled: Lake, there: Lake) -> None:
    before = newest_snapshot(filled)
    known = {snapshot: rows(filled, snapshot) for snapshot in range(before - 2, before + 1)}
    moved = move(filled, there)
    assert {snapshot: rows(there, snapshot) for snapshot in known} == known
    assert newest_snapshot(there) == moved.snapshot
    put(there, [("new", "i2", 500.0)])
    assert len(rows(there)) == len(known[before]) + 1
    maintain(there, now=datetime.now(UTC) + timedelta(days=3), keep_hours=0)
    assert len(rows(there)) == len(known[before]) + 1
    assert not any(path.name.endswith(moving.UNFINISHED) for path in there.folder.rglob("*"))


@pytest.mark.slow
def test_after_a_move_the_old_lake_can_be_read_but_writers_are_sent_to_the_new_one(filled: Lake, there: Lake) -> None:
    before = rows(filled)
    move(filled, there)
    assert rows(filled) == before
    with pytest.raises(LastingError, match=r"was moved to .*there.*: name that one by MINUTEHAND_LAKE__CATALOG"):
        put(filled, [("lost", "i1", 1.0)])
    with pytest.raises(MoveError, match=r"was moved to .* already"):
        move(filled, there)


@pytest.mark.slow
def test_a_lake_moves_back_to_where_it_was(filled: Lake, there: Lake) -> None:
    move(filled, there)
    put(there, [("new", "i2", 500.0)])
    move(there, filled)
    put(filled, [("newer", "i2", 501.0)])
    assert {user for user, *_ in rows(filled)} > {"new", "newer"}
    with pytest.raises(LastingError, match="was moved to"):
        put(there, [("lost", "i1", 1.0)])


@pytest.mark.parametrize(
    "place",
    ["catalog", "taken over", *(pytest.param(place, marks=pytest.mark.slow) for place in ("first file", "comparison", "retired"))],
)
def test_a_move_killed_anywhere_goes_on_and_no_lake_is_writable_twice(
    filled: Lake, there: Lake, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(filled)
    with monkeypatch.context() as broken:
        broken.setattr(*KILLS[place], after(2 if place == "taken over" else 1, getattr(*KILLS[place])))
        with pytest.raises(Killed):
            move(filled, there)
    with pytest.raises(LastingError):
        put(there, [("early", "i1", 1.0)])
    move(filled, there)
    assert rows(there) == before
    put(there, [("new", "i2", 500.0)])
    with pytest.raises(LastingError):
        put(filled, [("lost", "i1", 1.0)])


@pytest.mark.slow
def test_what_came_in_after_a_killed_move_moves_too(filled: Lake, there: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(moving, "_compare", after(1, moving._compare))
        with pytest.raises(Killed):
            move(filled, there)
    put(filled, [("between", "i1", 450.0)])
    expected = rows(filled)
    move(filled, there)
    assert rows(there) == expected


def test_a_lake_is_not_moved_over_another_one_nor_over_files_without_a_catalog(filled: Lake, there: Lake, tmp_path: Path) -> None:
    migrate(there)
    with pytest.raises(MoveError, match=r"there is another lake at .*there"):
        move(filled, there)
    files = replace(locate(LakeConfig(), tmp_path / "files"), threads=1)
    shutil.copytree(filled.folder, files.folder)
    (files.folder / data_folder.NAME).unlink()
    with pytest.raises(UserError, match="has the files of one"):
        move(filled, files)
    put(filled, [("here", "i1", 450.0)])


@pytest.mark.slow
def test_a_copy_that_was_written_to_in_the_meantime_is_not_overwritten(filled: Lake, there: Lake) -> None:
    move(filled, there)
    put(there, [("new", "i2", 500.0)])
    data_folder.retire(filled.folder, "")  # as the message says, to go on with the old one
    put(filled, [("here", "i1", 450.0)])
    with pytest.raises(MoveError, match="written to since"):
        move(filled, there)
    assert ("new", "i2") in {(user, item) for user, item, _ in rows(there)}


@pytest.mark.slow
def test_a_file_that_was_damaged_on_the_way_is_found(filled: Lake, there: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copy2

    def damaging(source: str, target: Path) -> None:
        copy(source, target)
        content = bytearray(target.read_bytes())
        middle = len(content) // 3
        content[middle : middle + 8] = bytes(8)
        target.write_bytes(content)

    monkeypatch.setattr(shutil, "copy2", damaging)
    with pytest.raises(UserError) as found:
        move(filled, there)
    assert str(there.folder) in str(found.value) or "differs after the move" in str(found.value)
    put(filled, [("here", "i1", 450.0)])


def test_a_lake_needs_both_another_catalog_and_another_folder(filled: Lake, there: Lake) -> None:
    for target in (replace(there, data_path=filled.data_path), replace(there, catalog=filled.catalog)):
        with pytest.raises(MoveError, match="is where the lake is already"):
            move(filled, target)


def test_all_else_of_a_home_is_copied_once(tmp_path: Path) -> None:
    for name in ("mlflow/artifacts/m-1/weights", "landing/done/a.csv", "secret", "lake/catalog.sqlite", "nightly/lock", "up.json"):
        (tmp_path / "home" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "home" / name).write_text(name)
    new = tmp_path / "new"
    assert copy_home(tmp_path / "home", new) == 3
    assert {str(file.relative_to(new)) for file in new.rglob("*") if file.is_file()} == {
        "mlflow/artifacts/m-1/weights",
        "landing/done/a.csv",
        "secret",
    }
    assert copy_home(tmp_path / "home", new) == 0
    assert copy_home(tmp_path / "home", tmp_path / "models are elsewhere", has_models=False) == 2
    assert not (tmp_path / "models are elsewhere" / "mlflow").exists()
    (tmp_path / "home" / "secret").write_text("another")
    assert copy_home(tmp_path / "home", new) == 1


@pytest.mark.slow
def test_moved_files_are_all_that_the_catalog_names_and_no_more(filled: Lake, there: Lake) -> None:
    moved = move(filled, there)
    assert len(list(parquet_files(there.folder))) == moved.n_files == moved.n_copied
