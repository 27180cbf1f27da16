"""`minutehand ingest` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.damage import DAMAGED, damaged


def minutehand(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MINUTEHAND_HOME": str(home), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-c", "from cli import main; main()", *words],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )


def test_a_first_ingest_creates_the_lake_and_tells_what_got_in(home: Path, tmp_path: Path) -> None:
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("userId,movieId,rating,timestamp\n1,10,4,1706695200\n,10,4,1706695200\n", encoding="utf-8")
    words = ("--map", "user_id=userId", "--map", "item_id=movieId", "--map", "occurred_at=timestamp", "--event-type", "rating")
    done = minutehand("ingest", "events", str(ratings), *words, home=home)
    assert done.returncode == 0, done.stderr
    assert "ingest events" in done.stdout
    assert "ratings.csv: took column rating as value" in done.stdout
    assert "user_id is empty" in done.stdout
    assert (home / "lake" / "catalog.sqlite").exists()


@pytest.mark.slow
def test_json_is_an_array_of_objects(home: Path, tmp_path: Path) -> None:
    items = tmp_path / "movies.csv"
    items.write_text("movieId,title,genres\n1,Heat,Crime|Drama\n", encoding="utf-8")
    done = minutehand("ingest", "items", str(items), "--map", "categories=genres", "--split", "|", "--json", home=home)
    assert done.returncode == 0, done.stderr
    (summary,) = json.loads(done.stdout)
    assert (summary["kind"], summary["read"], summary["new"], summary["reasons"]) == ("items", 1, 1, [])


@pytest.mark.slow
def test_items_in_a_language_that_the_encoder_does_not_know_get_in_with_a_warning_at_once_and_in_status(home: Path, tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\n1,红楼梦\n2,Чайник\n3,Чайник электрический\n", encoding="utf-8")
    done = minutehand("ingest", "items", str(items), "--json", home=home)
    assert json.loads(done.stdout)[0]["new"] == 3
    assert done.stderr.startswith("warning: about 100% of the item texts are in Cyrillic letters, and the encoder all-MiniLM-L6-v2 knows")
    assert "MINUTEHAND_ENCODER__NAME" in done.stderr
    status = {row["what"]: row["value"] for row in json.loads(minutehand("status", "--json", home=home).stdout)}
    assert f"warning: {status['item texts']}\n" == done.stderr
    (home / "english.csv").write_text("item_id,title\n1,Tea\n2,Crème brûlée\n3,The kettle\n", encoding="utf-8")
    assert minutehand("ingest", "items", str(home / "english.csv"), home=home).stderr == ""
    assert "item texts" not in minutehand("status", home=home).stdout


@pytest.mark.slow
def test_options_name_columns_quotes_zones_and_words(home: Path, tmp_path: Path) -> None:
    plays = tmp_path / "plays.tsv"
    plays.write_text('none\ts1\t2024-01-31 13:00\t"Heroes"\n', encoding="utf-8")
    words = (
        "--columns",
        "user_id,item_id,occurred_at,query",
        "--no-quotes",
        "--time-zone",
        "Europe/Berlin",
        "--null-words-as-ids",
        "--json",
    )
    done = minutehand("ingest", "events", str(plays), *words, home=home)
    assert done.returncode == 0, done.stderr
    asked = minutehand("sql", "--json", "select user_id, query, occurred_at::varchar as at from raw.events", home=home)
    assert json.loads(asked.stdout) == [{"user_id": "none", "query": '"Heroes"', "at": "2024-01-31 12:00:00"}]


def test_what_the_user_can_mend_is_one_line_on_stderr_and_no_traceback(home: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "events.csv"
    wrong.write_text("CustomerID,StockCode,ts\n1,2,3\n", encoding="utf-8")
    table = tmp_path / "t.parquet"
    duckdb.sql("select 1 as x").write_parquet(str(table))
    cases = {
        ("events", str(tmp_path / "nothing.csv")): "no file",
        ("events", str(wrong), "--map", "user_id=Customer"): "map it with --map user_id=CustomerID",
        ("events", str(wrong), "--map", "user_id"): "not of the form FIELD=",
        ("events", str(wrong), "--set", "colour=red"): "events have no field 'colour'",
        ("items", str(table)): "no column 'item_id' in t.parquet (found: x)",
    }
    for words, message in cases.items():
        done = minutehand("ingest", *words, home=home)
        assert done.returncode == 1, words
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in DAMAGED if name.startswith(("start", "short", "page"))])
def test_a_damaged_file_is_one_line_on_stderr_and_no_traceback(home: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(damaged(name))
    done = minutehand("ingest", "events", str(tmp_path / name), home=home)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {DAMAGED[name]}")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_a_file_whose_every_row_is_refused_ends_with_an_error_after_its_summary(
    home: Path, tmp_path: Path, option: tuple[str, ...]
) -> None:
    events = tmp_path / "events.csv"
    events.write_text("user_id,item_id,occurred_at\n,1,2024-01-01\n,2,2024-01-01\n", encoding="utf-8")
    done = minutehand("ingest", "events", str(events), *option, home=home)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no row got in: all 2 were refused, most of them because user_id is empty; minutehand sql")
    if option:
        assert json.loads(done.stdout)[0]["rejected"] == 2
    else:
        assert "ingest events" in done.stdout


def test_help_is_there_without_a_lake(home: Path) -> None:
    done = minutehand("ingest", "events", "--help", home=home)
    assert done.returncode == 0
    assert "--event-type" in done.stdout
    assert not home.exists()
