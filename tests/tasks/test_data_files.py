"""A missing, truncated or altered file of the lake is reported with its rows and a remedy."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from models.errors import UserError
from tasks.data_files import REMEDY
from tasks.data_folder import parquet_files
from tasks.lake import Lake, LakeError, LastingError, examine, reading, writing
from tasks.reading import query
from tests.tasks.test_data_folder import fill

READ = "select max(hash(rejected)) from raw.rejected as rejected"


@pytest.fixture
def file(lake: Lake) -> Path:
    """The only file of a lake, with 100 rows of raw.rejected."""
    fill(lake)
    (found,) = parquet_files(lake.folder)
    return found


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def alter(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:8] + b"\xff" * 40 + whole[48:])


def alter_footer(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:-8] + bytes(4) + whole[-4:])


DAMAGES = [
    (Path.unlink, "there is no such file"),
    (cut, r"it has [\d,]+ bytes instead of [\d,]+"),
    (alter_footer, "its first or last bytes are not those"),
    (alter, "."),
]


def test_every_file_of_a_sound_lake_is_checked_and_read(lake: Lake, file: Path) -> None:
    with writing(lake) as con:
        con.execute("delete from raw.rejected where line < 50")
    done = examine(lake, 60)
    assert (done.n_files, done.n_checked, done.n_read, done.damages) == (2, 2, 2, ()), "the file of deletes is one of them"


@pytest.mark.parametrize(("damage", "what"), DAMAGES)
def test_a_damaged_file_is_named_with_its_table_and_its_rows(lake: Lake, file: Path, damage: Callable[[Path], None], what: str) -> None:
    damage(file)
    (found,) = examine(lake, 60).damages
    assert found.message.startswith(f"100 rows of raw.rejected cannot be read: {file}: ")
    assert re.search(what, found.what)


@pytest.mark.parametrize(("damage", "what"), DAMAGES)
def test_every_use_of_a_damaged_file_reports_it_in_one_line(lake: Lake, file: Path, damage: Callable[[Path], None], what: str) -> None:
    damage(file)

    def read() -> None:
        with reading(lake) as con:
            con.execute(READ).fetchall()

    def write() -> None:
        with writing(lake) as con:
            con.execute("update raw.rejected set reason = upper(reason)")

    for use in (read, write, lambda: query(lake, READ)):
        with pytest.raises(LastingError, match=r"^100 rows of raw\.rejected cannot be read: .*; restore that file from a backup") as raised:
            use()
        assert "\n" not in str(raised.value)
        assert REMEDY in str(raised.value)


def test_an_error_without_damage_is_not_reported_as_damage(lake: Lake, file: Path, tmp_path: Path) -> None:
    file.unlink()
    with pytest.raises(duckdb.ConversionException), reading(lake) as con:
        con.execute("select 'x'::integer").fetchall()
    with pytest.raises(UserError, match="no_such_table") as raised:
        query(lake, "from raw.no_such_table")
    assert not isinstance(raised.value, LakeError)


def test_a_check_stops_at_its_time_limit_and_counts_what_it_checked(lake: Lake, file: Path) -> None:
    started = time.monotonic()
    done = examine(lake, 0)
    assert (done.n_files, done.n_checked, done.n_read, done.damages) == (1, 0, 0, ())
    assert time.monotonic() - started < 5
