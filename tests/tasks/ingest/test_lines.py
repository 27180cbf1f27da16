"""Lines of text files: no quote and no endless line swallows rows, and every lost line is reported."""

from __future__ import annotations

import gzip
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import UserError
from tasks.lake import Lake
from tests.tasks.ingest.taking import events, reasons, rows, take

Write = Callable[[str, str], str]
HEADER = "user_id,item_id,occurred_at,track\n"


def songs(delimiter: str, odd: dict[int, str], n: int = 200) -> str:
    lines = [delimiter.join(("user_id", "item_id", "occurred_at", "query"))]
    lines += [delimiter.join((f"u{i % 20}", f"s{i % 33}", str(1_700_000_000 + i * 60), odd.get(i, f"song {i}"))) for i in range(n)]
    return "\n".join(lines) + "\n"


@pytest.mark.slow
@pytest.mark.parametrize("delimiter", ["\t", ","])
@pytest.mark.parametrize(
    "odd",
    [
        {50: '"Heroes (remaster', 120: 'Blue 12" mix"'},
        {50: '"Heroes', 120: 'Blue 12"'},
        {50: '"Heroes'},
        {50: '"Heroes" (live)', 51: '"'},
        {199: '"Heroes'},
    ],
)
def test_a_title_that_begins_with_a_quote_swallows_no_row(lake: Lake, write: Write, delimiter: str, odd: dict[int, str]) -> None:
    summary = take(lake, write("in.tsv" if delimiter == "\t" else "in.csv", songs(delimiter, odd)))
    assert (summary.read, summary.new, summary.rejected) == (200, 200, 0)
    assert (
        dict(rows(lake, "select ((epoch(occurred_at) - 1700000000) / 60)::int, query from raw.events where contains(query, '\"')")) == odd
    )
    if any(text.startswith('"') for text in odd.values()):
        assert any(f"the first is line {min(odd) + 1}" in note and "--no-quotes" in note for note in summary.notes)


def test_quotes_stay_where_the_file_is_said_to_have_no_quoting(lake: Lake, write: Write) -> None:
    summary = take(lake, write("in.tsv", songs("\t", {3: '"Heroes"', 5: '"x', 9: 'y"'}, 20)), has_no_quotes=True)
    assert (summary.read, summary.new) == (20, 20)
    assert rows(lake, "select query from raw.events where contains(query, '\"') order by occurred_at") == [('"Heroes"',), ('"x',), ('y"',)]


def test_a_quoted_text_may_span_lines_and_hold_delimiters_and_quotes(lake: Lake, write: Write) -> None:
    text = 'item_id,title,description\n1,"a, b","first\nsecond, with, commas\n\n""third"""\r\n2,"x\ny",z\n3,"lone ""quote""",w\n'
    summary = take(lake, write("i.csv", text), kind="items")
    assert (summary.read, summary.new, summary.rejected, summary.notes) == (3, 3, 0, [])
    assert rows(lake, "select description from raw.items order by item_id") == [('first\nsecond, with, commas\n\n"third"',), ("z",), ("w",)]


def test_a_lost_line_is_named_and_those_after_it_keep_their_numbers(lake: Lake, write: Write) -> None:
    text = HEADER + 'a,1,2024-01-01,"ok, so"\nb,2,2024-01-01,"no, end\nc,3,2024-01-01,x\nd,4\n'
    text += 'e,5,never,x\nf,6,2024-01-01,"two\nlines"\n,7,2024-01-01,x\n'
    summary = take(lake, write("a.csv", text))
    assert (summary.read, summary.new, summary.rejected) == (7, 3, 4)
    assert [user for (user,) in events(lake, "user_id")] == ["a", "c", "f"]
    found = dict(reasons(lake))
    assert found[2] == "the line is malformed: a quote is opened and not closed; repair the line and take the file in again"
    assert rows(lake, "select row_json from raw.rejected where line = 2") == [('{"line":"b,2,2024-01-01,\\"no, end"}',)]
    assert found[5].startswith("occurred_at is not a time;")
    assert sorted(found) == [2, 4, 5, 7]
    assert any("1 lines cannot be split" in note for note in summary.notes)


def test_blanks_around_quotes_are_no_part_of_the_text(lake: Lake, write: Write) -> None:
    summary = take(lake, write("i.csv", 'item_id, title, description\n1, "a, b", "c ""d""" \n2, x, y "z"\n"3",v,w\n'), kind="items")
    assert (summary.new, summary.notes) == (3, [])
    found = rows(lake, "select item_id, title, description from raw.items order by 1")
    assert found == [("1", "a, b", 'c "d"'), ("2", "x", 'y "z"'), ("3", "v", "w")]


def test_the_header_may_have_a_stray_quote_and_a_line_break_in_a_name(lake: Lake, write: Write) -> None:
    stray = write("a.csv", 'user_id,item_id,occurred_at,"Note\nu,i,2024-01-31,x\nv,i,2024-01-31,"y"\n')
    assert any("the first is the header" in note for note in take(lake, stray).notes)
    broken = write("b.csv", 'user_id,item_id,"occurred\nat"\nw,i,2024-01-31\n')
    assert take(lake, broken, columns={"occurred_at": "occurred\nat"}).new == 1
    assert [user for (user,) in events(lake, "user_id")] == ["u", "v", "w"]


@pytest.mark.slow
@pytest.mark.parametrize("ends", [("\r\n", "\n"), ("\n", "\r\n"), ("\r", "\r"), ("\r\n", "\r\n")])
def test_line_ends_of_any_kind_and_mixed_are_line_ends(lake: Lake, write: Write, ends: tuple[str, str]) -> None:
    path = write("a.csv", f"user_id,item_id,occurred_at{ends[0]}u,i,2024-01-31{ends[1]}v,i,2024-01-31{ends[0]}")
    assert take(lake, path).new == 2
    assert events(lake, "user_id, item_id") == [("u", "i"), ("v", "i")]


def test_quotes_escaped_by_backslashes_are_understood(lake: Lake, write: Write) -> None:
    take(lake, write("i.csv", 'item_id,title\n"1","say \\"hi\\", then go"\n"2","b"\n'), kind="items")
    assert rows(lake, "select item_id, title from raw.items order by 1") == [("1", 'say "hi", then go'), ("2", "b")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl"])
@pytest.mark.parametrize("size", [2_100_000, 40_000_000])
def test_an_overlong_line_is_rejected_with_its_number_and_the_rows_around_it_get_in(
    lake: Lake, tmp_path: Path, name: str, size: int
) -> None:
    long = "x" * size
    if "json" in name:
        lines = ["", *(f'{{"user_id": "u", "item_id": "{item}", "occurred_at": "2024-01-01"}}' for item in ("1", long, "3"))]
    else:
        lines = ["user_id,item_id,occurred_at", "u,1,2024-01-01", f"u,{long},2024-01-01", "u,3,2024-01-01"]
    content = ("\n".join(lines).lstrip() + "\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    summary = take(lake, str(tmp_path / name))
    assert (summary.read, summary.new, summary.rejected) == (3, 2, 1)
    assert [line for line, _ in reasons(lake)] == [2]
    assert "the line is malformed: it is longer than 2,000,000 bytes" in reasons(lake)[0][1]
    assert len(rows(lake, "select row_json from raw.rejected")[0][0]) < 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bomb.csv.gz", "bomb.jsonl.gz", "bomb.tsv.gz"])
@pytest.mark.parametrize("start", [b"", b"user_id,item_id,occurred_at\nu,1,2024-01-01\nu,"])
def test_a_line_that_does_not_end_is_refused_in_little_time_and_memory(lake: Lake, tmp_path: Path, name: str, start: bytes) -> None:
    path = tmp_path / name
    with gzip.open(path, "wb", compresslevel=1) as bomb:
        bomb.write(start)
        for _ in range(200):
            bomb.write(bytes(1 << 20))
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(UserError, match=rf"line {1 + start.count(10)} of {name} is longer than 64 MiB"):
        take(lake, str(path))
    assert time.monotonic() - began < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_json_array_on_one_line_may_be_long(lake: Lake, write: Write) -> None:
    rows_of_array = ",".join(f'{{"user_id": "u", "item_id": "{n}", "occurred_at": "2024-01-01"}}' for n in range(50_000))
    assert take(lake, write("a.json", f"[{rows_of_array}]")).new == 50_000
