"""Ingests of files: accepted rows, refused rows, and idempotence."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from models.errors import UserError
from tasks.config import IngestConfig
from tasks.lake import Lake, LakeConfig, current_snapshot, locate, quote, reading
from tests.tasks.ingest.taking import events, reasons, rows, standing, take

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason=f"the real data sets are not at {DATA}")
Write = Callable[[str, str], str]
HEADER = "user_id,item_id,occurred_at\n"


@pytest.fixture
def nowhere(home: Path) -> Lake:
    """The address of a lake without tables, for ingests that fail before they open the lake."""
    return locate(LakeConfig(), home)


def snapshot_of(lake: Lake) -> int:
    with reading(lake) as con:
        return current_snapshot(con)


# Formats


def test_the_same_events_as_csv_parquet_and_json_get_in_once(lake: Lake, write: Write, tmp_path: Path) -> None:
    csv = write("a.csv", "user_id,item_id,occurred_at,value\n17850.0,00123,2024-01-31T10:00:00Z,6.0\n")
    parquet = str(tmp_path / "a.parquet")
    duckdb.sql(
        "select 17850.0::double as user_id, '00123' as item_id, timestamp '2024-01-31 10:00:00' as occurred_at, 6::int as value"
    ).write_parquet(parquet)
    lines = write("a.jsonl", '{"user_id": 17850, "item_id": "00123", "occurred_at": 1706695200, "value": 6}\n')
    array = write("a.json", '[{"user_id": "17850", "item_id": "00123", "occurred_at": "1706695200000", "value": 6.00}]')
    summary = take(lake, csv, parquet, lines, array)
    assert (summary.files, summary.read, summary.new, summary.duplicate) == (4, 4, 1, 3)
    assert events(lake, "user_id, item_id, event_type, value, occurred_at") == [("17850", "00123", "view", 6.0, datetime(2024, 1, 31, 10))]


def test_folders_globs_and_packed_files_are_read_in_the_order_of_their_names(lake: Lake, write: Write, tmp_path: Path) -> None:
    write("in/b.csv", HEADER + "u,2,2024-01-01\n")
    write("in/c.tsv", HEADER.replace(",", "\t") + "u\t3\t2024-01-01\n")
    write("in/.hidden.csv", "nonsense")
    write("in/readme.txt", "nonsense")
    (tmp_path / "in" / "a.csv.gz").write_bytes(gzip.compress((HEADER + "u,1,2024-01-01\n").encode()))
    assert take(lake, str(tmp_path / "in")).files == 3
    assert [item for (item,) in events(lake, "item_id")] == ["1", "2", "3"]
    assert take(lake, str(tmp_path / "in" / "*.csv")).duplicate == 1


def test_a_file_whose_name_looks_like_a_glob_is_read_as_itself(lake: Lake, write: Write) -> None:
    assert take(lake, write("ratings[1].csv", HEADER + "u,1,2024-01-01\n")).new == 1


def test_a_byte_order_mark_semicolons_quotes_and_windows_line_ends_are_understood(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", '\ufeffuser_id;item_id;occurred_at\r\n"u;1";"say ""hi""";2024-01-01\r\n'))
    assert events(lake, "user_id, item_id") == [("u;1", 'say "hi"')]


def test_a_nested_list_of_categories_needs_no_split(lake: Lake, write: Write) -> None:
    take(lake, write("i.jsonl", '{"item_id": 1, "categories": ["a", " b ", ""], "title": "T"}\n'), kind="items")
    assert rows(lake, "select item_id, title, categories, is_available from raw.items") == [("1", "T", ["a", "b"], True)]


# Columns


def test_well_known_names_are_recognised_with_a_note(lake: Lake, write: Write) -> None:
    summary = take(lake, write("a.csv", "userId,movieId,rating,timestamp\n1,2,4.5,1706695200\n"), constants={"event_type": "rating"})
    assert events(lake, "user_id, item_id, value, event_type") == [("1", "2", 4.5, "rating")]
    assert "a.csv: took column movieId as item_id" in summary.notes


def test_a_column_that_the_user_gave_to_one_field_is_not_guessed_for_another(lake: Lake, write: Write) -> None:
    take(lake, write("i.csv", "StockCode,Description\n1,mug\n"), kind="items", columns={"title": "Description"})
    assert rows(lake, "select title, description from raw.items") == [("mug", None)]


@pytest.mark.parametrize(
    ("header", "mapping", "message"),
    [
        ("CustomerNr,StockCode,ts", {}, r"no column 'user_id' in a\.csv \(found: CustomerNr, StockCode, ts\); map it with --map user_id="),
        ("user,item,ts", {"columns": {"user_id": "uesr"}}, r"no column 'uesr' in a\.csv .* map it with --map user_id=user$"),
        ("user,item,ts", {"columns": {"usr_id": "user"}}, "no field 'usr_id' .*did you mean user_id"),
        ("user,item,time,ts", {}, "occurred_at could be any of time, ts in a.csv; choose with --map occurred_at=time"),
        ("user,item,ts,rating,stars", {}, "value could be any of rating, stars .* or leave it out with --map value=$"),
        ("user,item,ts", {"columns": {"user_id": "user"}, "constants": {"user_id": "x"}}, "user_id is given by --map and by --set"),
        ("user,item,ts,USER", {}, "user_id could be any of user, USER in a.csv; choose with --map user_id=user"),
        ("user,item,ts,user", {"columns": {"user_id": "user"}}, r"no column 'user' in a\.csv \(found: user_1, item, ts, user_2\)"),
        (
            "user,item,ts",
            {"predicate": "pirce > 1"},
            "--where 'pirce > 1' does not fit a.csv.*its columns are user, item, ts; all are text",
        ),
        ("user,item,ts", {"context": ("colour",)}, "no column 'colour' in a.csv"),
    ],
)
def test_a_wrong_mapping_names_the_remedy(nowhere: Lake, write: Write, header: str, mapping: dict[str, Any], message: str) -> None:
    path = write("a.csv", f"{header}\n" + ",".join("1" for _ in header.split(",")) + "\n")
    with pytest.raises(UserError, match=message):
        take(nowhere, path, **mapping)


def test_a_field_can_be_left_out(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", "user,item,ts,rating,stars\n1,2,2024-01-01,3,4\n"), columns={"value": ""})
    assert events(lake, "value") == [(None,)]


def test_context_keeps_columns_as_json(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", "user,item,ts,country,device\n1,2,2024-01-01,UK,tv\n"), context=("device", "country"))
    assert json.loads(events(lake, "context")[0][0]) == {"country": "UK", "device": "tv"}


# Values


def test_times_are_recognised(lake: Lake, write: Write) -> None:
    times = {
        "1706695200": datetime(2024, 1, 31, 10),
        "1706695200.25": datetime(2024, 1, 31, 10, 0, 0, 250000),
        "1706695200000": datetime(2024, 1, 31, 10),
        "1706695200000000": datetime(2024, 1, 31, 10),
        "1706695200000000000": datetime(2024, 1, 31, 10),
        "1.7066952e9": datetime(2024, 1, 31, 10),
        "2024-01-31T10:00:00Z": datetime(2024, 1, 31, 10),
        "2024-01-31 11:00:00+01:00": datetime(2024, 1, 31, 10),
        "2024-01-31 10:00": datetime(2024, 1, 31, 10),
        "2024-01-31": datetime(2024, 1, 31),
        "20240131": datetime(2024, 1, 31),
        "0": datetime(1970, 1, 1),
        "-1": datetime(1969, 12, 31, 23, 59, 59),
    }
    take(lake, write("a.csv", HEADER + "".join(f"u,{text},{text}\n" for text in times)), config=IngestConfig(earliest_year=0))
    assert dict(events(lake, "item_id, occurred_at")) == times


def test_times_of_another_form_are_read_with_their_format(lake: Lake, write: Write) -> None:
    path = write("a.csv", f"{HEADER}u,i,12/1/2010 8:26\n")
    assert take(lake, path).rejected == 1
    assert take(lake, path, time_format="%m/%d/%Y %H:%M").new == 1
    assert events(lake, "occurred_at") == [(datetime(2010, 12, 1, 8, 26),)]
    with pytest.raises(UserError, match="--time-format '%Q' is no strptime format"):
        take(lake, path, time_format="%Q")


def test_bad_rows_are_refused_with_line_reason_and_row_and_good_rows_of_their_file_get_in(lake: Lake, write: Write) -> None:
    long = "x" * 600
    lines = [
        "user_id,item_id,occurred_at,value,event_type,query",
        "ann,mug,2024-01-01,1,view,",
        ",mug,2024-01-01,1,view,",
        "ann, ,2024-01-01,1,view,",
        "ann,mug,tomorrow,1,view,",
        "ann,mug,,1,view,",
        "ann,mug,2999-01-01,1,view,",
        "a\0n,mug,2024-01-01,1,view,",
        f"ann,{long},2024-01-01,1,view,",
        "ann,mug,2024-01-01,nan,view,",
        "ann,mug,2024-01-01,cheap,view,",
        "ann,,2024-01-01,,search,",
        "ann,,2024-01-01,,Search,red mug",
        "ann,mug,2024-01-01,-2,purchase,",
        "😀,🍵,2024-01-01,1,view,",
        "ann,mug,infinity,1,view,",
    ]
    summary = take(lake, write("a.csv", "\n".join(lines) + "\n"))
    assert (summary.read, summary.new, summary.rejected) == (15, 4, 11)
    assert events(lake, "user_id, item_id, event_type, query") == [
        ("ann", "mug", "view", None),
        ("ann", None, "search", "red mug"),
        ("ann", "mug", "return", None),
        ("😀", "🍵", "view", None),
    ]
    found = dict(reasons(lake))
    assert found[2] == "user_id is empty; fill it, or map another column with --map user_id=COLUMN"
    assert found[4].startswith("occurred_at is not a time; write ISO 8601")
    assert found[6].startswith("occurred_at is in the future; correct the clock")
    assert found[7] == "user_id contains a NUL byte; remove the byte: ids are text"
    found = dict(standing(lake))
    assert [found[line] for line in (2, 4, 6, 7)] == [None, "tomorrow", "2999-01-01", r"a\0n"]
    assert sorted(found) == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15]
    refused = rows(lake, "select source, row_json from raw.rejected where line = 4")
    assert refused[0][0].endswith("/a.csv")
    assert json.loads(refused[0][1])["occurred_at"] == "tomorrow"


def test_malformed_lines_are_refused_and_do_not_shift_the_line_numbers_of_others(lake: Lake, write: Write, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        HEADER.encode() + b"a,1,2024-01-01\na,2\na,3,never\na,\xff,2024-01-01\na,5,2024-01-01,x\na,6,2024-01-01\n,7,2024-01-01\n"
    )
    summary = take(lake, str(path))
    assert (summary.read, summary.new, summary.rejected) == (7, 2, 5)
    assert [item for (item,) in events(lake, "item_id")] == ["1", "6"]
    assert [line for line, _ in reasons(lake)] == [2, 3, 4, 5, 7]
    assert reasons(lake)[0][1] == "the line is malformed: missing columns; repair the line and take the file in again"
    assert "Expected Number of Columns: 3 Found: 2" in standing(lake)[0][1]
    assert "name its encoding with --encoding" in reasons(lake)[2][1]
    assert rows(lake, "select row_json from raw.rejected where line = 2") == [('{"line":"a,2"}',)]


def test_lines_that_are_not_json_objects_are_refused(lake: Lake, write: Write) -> None:
    good = '{"user_id": "u", "item_id": "i", "occurred_at": 1706695200}'
    summary = take(lake, write("a.jsonl", f'{good}\n{{"user_id": "u", \n[1]\n"text"\n'))
    assert (summary.new, summary.rejected) == (1, 3)
    assert reasons(lake)[0] == (2, "the line is not a JSON object; write one JSON object a line")


def test_rows_that_fail_the_predicate_are_refused_for_it(lake: Lake, write: Write) -> None:
    summary = take(
        lake, write("a.csv", "user,item,ts,quality\nu,1,2024-01-01,9\nu,2,2024-01-01,1\nu,3,2024-01-01,bad\n"), predicate="quality::int > 5"
    )
    assert (summary.new, summary.rejected) == (1, 2)
    assert reasons(lake)[0] == (2, "the row does not satisfy --where; change the predicate if it is wanted")


def test_long_texts_are_cut_and_counted_and_nul_bytes_leave_them(lake: Lake, write: Write) -> None:
    summary = take(lake, write("i.csv", f"item_id,title\n1,{'x' * 10_000}\n2,a\0b\n"), kind="items")
    assert (summary.new, summary.cut) == (2, 1)
    assert rows(lake, "select length(title), title from raw.items order by item_id")[0][0] == IngestConfig().max_text_chars
    assert rows(lake, "select title from raw.items where item_id = '2'") == [("ab",)]


@pytest.mark.slow
def test_events_of_one_instant_keep_the_order_of_the_file(lake: Lake, tmp_path: Path) -> None:
    n = 300_000
    path = tmp_path / "a.csv"
    duckdb.sql(f"select 'u' || hash(i) % 10 as user_id, i as item_id, 1706695200 as occurred_at from range({n}) as t (i)").write_csv(
        str(path)
    )
    assert take(lake, str(path)).new == n
    assert rows(lake, "select count(*) from raw.events where item_id::bigint <> rowid") == [(0,)]


# Once


def test_the_same_file_again_changes_nothing_and_leaves_no_snapshot(lake: Lake, write: Write) -> None:
    path = write("a.csv", HEADER + "u,1,2024-01-01\nu,1,2024-01-01\n,2,2024-01-01\nu,3\n")
    first = take(lake, path)
    before = snapshot_of(lake)
    again = take(lake, path)
    assert (first.new, first.duplicate, first.rejected) == (1, 1, 2)
    assert (again.new, again.duplicate, again.rejected) == (0, 2, 2)
    assert snapshot_of(lake) == before
    assert rows(lake, "select count(*) from raw.rejected") == [(2,)]


def test_an_event_id_that_comes_again_with_other_content_is_refused(lake: Lake, write: Write) -> None:
    header = "event_id,user_id,item_id,occurred_at\n"
    first = take(lake, write("a.csv", header + "e1,u,1,2024-01-01\ne1,u,2,2024-01-01\ne2,u,1,2024-01-01\n"))
    again = take(lake, write("b.csv", header + "e2,u,9,2024-01-01\ne1,u,1,2024-01-01\n"))
    assert (first.new, first.duplicate, first.rejected) == (2, 0, 1)
    assert (again.new, again.duplicate, again.rejected) == (0, 1, 1)
    assert events(lake, "event_id, item_id") == [("e1", "1"), ("e2", "1")]
    assert [line for line, _ in reasons(lake)] == [1, 2]
    assert all("event_id was given before with another content" in reason for _, reason in reasons(lake))


def test_late_events_are_welcome(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", HEADER + "u,1,2024-01-02\n"))
    assert take(lake, write("b.csv", HEADER + "u,2,2024-01-01\n")).new == 1


def test_two_ingests_of_one_file_at_once_take_every_event_once(lake: Lake, write: Write) -> None:
    path = write("a.csv", HEADER + "".join(f"u,{i},2024-01-01\n" for i in range(1000)))
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=take, args=(lake, path)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert rows(lake, "select count(*), count(distinct event_id) from raw.events") == [(1000, 1000)]


@pytest.mark.parametrize("delay", [0.2, 0.9])
def test_an_ingest_killed_at_any_point_is_repaired_by_the_next(lake: Lake, tmp_path: Path, delay: float) -> None:
    path = tmp_path / "a.csv"
    duckdb.sql("select 'u' || i % 9 as user_id, i as item_id, 1706695200 + i as occurred_at from range(200000) as t (i)").write_csv(
        str(path)
    )
    process = multiprocessing.get_context("spawn").Process(target=take, args=(lake, str(path)))
    process.start()
    staging = lake.lock_path.parent / "staging"
    deadline = time.monotonic() + 30
    while not any(staging.glob("*/staging.duckdb")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert rows(lake, "select count(*) from raw.events")[0][0] in (0, 200_000)
    assert take(lake, str(path)).read == 200_000
    assert rows(lake, "select count(*), count(distinct event_id) from raw.events") == [(200_000, 200_000)]
    assert [file.name for file in staging.iterdir()] == ["sweep.lock"]


# Items


def test_an_item_is_described_by_its_most_frequent_values_and_the_last_of_equally_frequent_ones(lake: Lake, write: Write) -> None:
    path = write("i.csv", "item_id,title,price\n1,mug,2\n1,MUG,2\n1,mug,3\n1,,3\n2,a,\n2,b,\n,c,1\n")
    summary = take(lake, path, kind="items")
    assert (summary.read, summary.new, summary.duplicate, summary.rejected) == (7, 2, 4, 1)
    assert rows(lake, "select item_id, title, price from raw.items order by item_id") == [("1", "mug", 3.0), ("2", "b", None)]


def test_an_item_described_again_keeps_missing_values_and_is_updated_only_on_a_change(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", "item_id,title,genres,price\n1,mug,a|b,2\n2,cup,c,1\n"), kind="items", separator="|")
    before = rows(lake, "select first_seen_at, updated_at from raw.items order by item_id")
    summary = take(lake, write("b.csv", "item_id,title,available\n1,Mug,no\n2,,\n"), kind="items")
    after = rows(lake, "select first_seen_at, updated_at from raw.items order by item_id")
    assert (summary.new, summary.changed, summary.duplicate) == (0, 1, 1)
    assert rows(lake, "select title, categories, price, is_available from raw.items order by item_id") == [
        ("Mug", ["a", "b"], 2.0, False),
        ("cup", ["c"], 1.0, True),
    ]
    assert [seen for seen, _ in after] == [seen for seen, _ in before]
    assert after[0][1] > before[0][1]
    assert after[1] == before[1]
    snapshot = snapshot_of(lake)
    take(lake, write("b.csv", "item_id,title,available\n1,Mug,no\n2,,\n"), kind="items")
    assert snapshot_of(lake) == snapshot


def test_a_bad_price_is_refused_and_its_item_is_not(lake: Lake, write: Write) -> None:
    summary = take(lake, write("i.csv", "item_id,price,available\n1,-5,yes\n2,nan,maybe\n3,0,1\n"), kind="items")
    assert (summary.new, summary.rejected, summary.values_refused) == (3, 0, 2)
    assert rows(lake, "select price from raw.items order by item_id") == [(None,), (None,), (0.0,)]
    assert reasons(lake)[0] == (1, "price is negative; write a finite number of 0 or more; the item was taken in without it")


def test_a_separator_that_splits_nothing_is_pointed_out(lake: Lake, write: Write) -> None:
    untold = take(lake, write("a.csv", "item_id,genre\n1,a|b\n"), kind="items", separator="|")
    assert not any("--split" in note for note in untold.notes)
    summary = take(lake, write("b.csv", "item_id,title\n2,Heat\n"), kind="items", separator="|")
    (note,) = summary.notes
    assert note.startswith("--split '|' splits nothing: no column is categories or tags; choose one with --map categories=COLUMN")


def test_categories_that_look_unsplit_are_pointed_out(lake: Lake, write: Write) -> None:
    summary = take(lake, write("i.csv", "item_id,genres\n1,Crime|Drama\n"), kind="items")
    assert any("--split '|'" in note for note in summary.notes)


# Misuse


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", r"a\.csv is empty \(0 bytes\)"),
        ("a.csv", b"\n\n", "a.csv has no header"),
        ("a.csv", "user_id,item_id,Zeit für\n".encode("latin-1"), "a.csv is not UTF-8 text"),
        ("a.xlsx", b"x", r"cannot tell the format of a\.xlsx from its name; known are \.csv"),
        ("a.parquet", b"PAR1nonsense", r"cannot read a\.parquet as parquet"),
        ("a.csv.gz", b"not packed", r"cannot unpack a\.csv\.gz: Not a gzipped file"),
        ("a.json", b'[{"user_id": 1,', r"cannot read a\.json as json"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported(nowhere: Lake, tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        take(nowhere, str(path))


def test_missing_files_are_reported(nowhere: Lake, write: Write, tmp_path: Path) -> None:
    write("ratings.csv", HEADER)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no file .*/rating\.csv; did you mean .*/ratings\.csv\?"):
        take(nowhere, str(tmp_path / "rating.csv"))
    with pytest.raises(UserError, match="no file matches"):
        take(nowhere, str(tmp_path / "*.parquet"))
    with pytest.raises(UserError, match="nothing to read in the folder"):
        take(nowhere, str(tmp_path / "empty"))


@pytest.mark.slow
def test_a_file_with_nothing_but_a_header_is_no_error(lake: Lake, write: Write) -> None:
    before = snapshot_of(lake)
    assert take(lake, write("a.csv", HEADER)).read == 0
    assert take(lake, write("b.jsonl", "\n")).read == 0
    assert take(lake, write("c.json", "[]")).read == 0
    assert snapshot_of(lake) == before


def _take_with_small_files(lake: Lake, path: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    try:
        take(lake, path)
    except UserError as error:
        os._exit(3 if "the disk is full: nothing was changed" in str(error) else 4)


@pytest.mark.slow
def test_a_full_disk_is_reported_and_leaves_the_lake_unchanged(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    duckdb.sql("select 'u' || hash(i) as user_id, hash(i + 1) as item_id, 1706695200 as occurred_at from range(150000) as t (i)").write_csv(
        str(path)
    )
    process = multiprocessing.get_context("spawn").Process(target=_take_with_small_files, args=(lake, str(path)))
    process.start()
    process.join(60)
    assert process.exitcode == 3
    assert events(lake, "*") == []
    assert take(lake, str(path)).new == 150_000


# Real data


@pytest.mark.slow
@needs_data
def test_online_retail_goes_in_raw(lake: Lake) -> None:
    file = str(DATA / "online-retail" / "onlineretail.parquet")
    columns = {"user_id": "CustomerID", "item_id": "StockCode", "occurred_at": "InvoiceDate", "value": "Quantity"}
    summary = take(lake, file, columns=columns, constants={"event_type": "purchase"})
    assert (summary.read, summary.new + summary.duplicate, summary.rejected) == (541_909, 406_829, 135_080)
    kinds = dict(rows(lake, "select event_type, count(*) from raw.events group by event_type"))
    with duckdb.connect() as con:
        expected = con.execute(
            "select case when \"Quantity\" < 0 then 'return' else 'purchase' end as kind, "
            'count(distinct ("CustomerID", "StockCode", "InvoiceDate", "Quantity")) '
            f'from {quote(file)} where "CustomerID" is not null group by kind'
        ).fetchall()
    assert kinds == dict(expected)
    assert rows(lake, "select count(*) from raw.events where not regexp_full_match(user_id, '\\d+')") == [(0,)]


@pytest.mark.slow
@needs_data
def test_movietweetings_needs_no_mapping(lake: Lake) -> None:
    folder = DATA / "movietweetings"
    assert take(lake, str(folder / "interactions.parquet"), constants={"event_type": "rating"}).new == 100_000
    assert take(lake, str(folder / "items.parquet"), kind="items", separator="|").new == 10_506
    assert rows(lake, "select min(occurred_at), max(occurred_at) from raw.events")[0][0] < datetime.now(UTC).replace(tzinfo=None)
