"""Refused rows: equal rules give equal reasons, and a row leaves raw.rejected only after it was accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import lake as lakes
from tasks.config import IngestConfig
from tasks.lake import Lake, LakeConfig, connect, locate, migrate
from tests.tasks.ingest.taking import rows, standing, take

Write = Callable[[str, str], str]
HEADER = "user_id,item_id,occurred_at,note\n"
BAD = HEADER + "u1,i1,2026-01-01,a\nu2,i2,tomorrow,b\n,i3,2026-01-03,c\nu4,i4\n"


def test_reasons_are_the_same_text_for_all_rows_that_break_a_rule(lake: Lake, write: Write) -> None:
    lines = "".join(f"u{n},i{n},soon-{n},x\n" for n in range(50)) + "".join(f"u,i{n}\n" for n in range(30))
    take(lake, write("a.csv", HEADER + lines))
    counts = rows(lake, "select kind, count(*), count(distinct value) from raw.rejected group by kind, reason order by 2 desc")
    assert counts == [("events", 50, 50), ("events", 30, 1)]


def test_a_corrected_file_clears_what_it_corrects_and_keeps_the_rest(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", BAD))
    assert standing(lake) == [(2, "tomorrow"), (3, None), (4, "Expected Number of Columns: 4 Found: 2")]
    corrected = BAD.replace("tomorrow", "2026-01-02").replace("u4,i4", "u4,i4,2026-01-04,d")
    summary = take(lake, write("repaired/a.csv", corrected))
    assert (summary.new, summary.duplicate, summary.rejected) == (2, 1, 1)
    assert rows(lake, "select line, row_json->>'item_id' from raw.rejected") == [(3, "i3")]
    take(lake, write("a.csv", corrected.replace(",i3", "u3,i3")))
    assert standing(lake) == []


def test_a_row_that_gets_in_with_another_option_is_cleared_under_any_file_name(lake: Lake, write: Write) -> None:
    text = HEADER + "u1,i1,01.06.2026 00:16,a\nu2,i2,02.06.2026 00:16,b\n"
    assert take(lake, write("a.csv", text)).rejected == 2
    lines = text.splitlines(keepends=True)
    take(lake, write("b.csv", lines[0] + lines[2]), time_format="%d.%m.%Y %H:%M")
    assert standing(lake) == [(1, "01.06.2026 00:16")]


@pytest.mark.slow
def test_a_correction_that_is_wrong_still_clears_nothing_and_the_right_one_clears_both(lake: Lake, write: Write) -> None:
    for time in ("tomorrow", "2026-13-01"):
        take(lake, write("a.csv", HEADER + f"u1,i1,2026-01-01,a\nu2,i2,{time},b\n"))
    assert sorted(standing(lake)) == [(2, "2026-13-01"), (2, "tomorrow")]
    take(lake, write("a.csv", HEADER + "u1,i1,2026-01-01,a\nu2,i2,2026-01-13,b\n"))
    assert standing(lake) == []


def test_rows_of_a_file_without_a_header_are_cleared_once_its_columns_are_named_rightly(lake: Lake, write: Write) -> None:
    path = write("a.csv", "u1,i1,2026-01-01\nu2,i2,2026-01-02\n")
    assert take(lake, path, names=("occurred_at", "user_id", "item_id")).rejected == 2
    take(lake, path, names=("user_id", "item_id", "occurred_at"))
    assert standing(lake) == []


@pytest.mark.slow
def test_files_of_one_name_with_only_refused_rows_are_all_recorded(lake: Lake, write: Write) -> None:
    for item in ("i1", "i2"):
        take(lake, write("a.csv", HEADER + f",{item},2026-01-01,a\n"))
    for day in (1, 2):
        take(lake, write("b.csv", HEADER + f"u1,i1,{day}.6.2026,a\n"))
    assert len(standing(lake)) == 4


def test_a_row_that_is_now_refused_for_another_reason_is_recorded_once(lake: Lake, write: Write) -> None:
    path = write("a.csv", HEADER + "u1,i1,31.31.2026,a\n")
    take(lake, path)
    take(lake, path, time_format="%Y")
    take(lake, path, predicate="item_id = 'i9'")
    assert standing(lake) == [(1, "item_id = 'i9'")]


@pytest.mark.parametrize(
    "later",
    [
        HEADER + "u1,i1,2026-02-01,a\nu2,i2,2026-02-02,b\nu9,i3,2026-02-03,c\n",  # the next day's file: other rows are new too
        HEADER + "u1,i1,2026-01-01,a\n",  # the bad rows are left out
        HEADER + "u1,i1,2026-01-01,a\nu5,i5,2026-01-05,e\nu6,i6,2026-01-06,f\n",  # other rows replace the bad ones
        HEADER,
    ],
)
def test_a_file_of_the_same_name_that_lacks_the_rows_clears_nothing(lake: Lake, write: Write, later: str) -> None:
    take(lake, write("a.csv", BAD))
    before = rows(lake, "from raw.rejected order by line")
    take(lake, write("a.csv", later))
    assert rows(lake, "from raw.rejected order by line") == before


def test_a_file_of_another_name_or_kind_clears_no_row_that_is_still_missing(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", BAD))
    before = rows(lake, "from raw.rejected order by line")
    take(lake, write("b.csv", BAD.splitlines()[0] + "\nu2,i2,2026-01-02,b\n"))
    take(lake, write("a.csv", BAD), kind="items")
    assert [row for row in rows(lake, "from raw.rejected where kind = 'events' order by line") if row in before] == before


def test_the_next_file_of_the_name_with_the_same_fault_on_the_same_line_is_recorded_too(lake: Lake, write: Write) -> None:
    for day in (1, 2):
        take(lake, write("a.csv", HEADER + f"u1,i1,2026-01-0{day},a\n,i3,2026-01-0{day},c\n"))
    assert len(standing(lake)) == 2


def test_a_corrected_price_is_cleared_and_a_wrong_one_stays(lake: Lake, write: Write) -> None:
    take(lake, write("i.csv", "item_id,title,price\n1,mug,free\n2,cup,-5\n"), kind="items")
    assert standing(lake) == [(1, "free"), (2, "-5")]
    take(lake, write("i.csv", "item_id,title,price\n1,mug,0\n2,cup,-5\n"), kind="items")
    assert standing(lake) == [(2, "-5")]


def test_an_older_lake_gets_the_columns_and_its_reasons_group(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = locate(LakeConfig(), home)
    old = tmp_path / "sql"
    (old / "schema").mkdir(parents=True)
    for file in (lakes.SQL / "schema").glob("*.sql"):
        if file.name < "023":
            (old / "schema" / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    (old / "lake").symlink_to(lakes.SQL / "lake")
    (old / "macros").symlink_to(lakes.SQL / "macros")
    with monkeypatch.context() as before:
        before.setattr("tasks.lake.statements.SQL", old)
        migrate(lake)
        old_reasons = [
            "occurred_at is not a time (soon (or so); really); write ISO 8601",
            "occurred_at is not a time (later); write ISO 8601",
            "price is negative (-5); write a finite number",
            "item_id is empty; fill it",
            "the line is malformed: Expected Number of Columns: 3 Found: 2; mend the line",
        ]
        con = connect(lake)
        insert = "insert into raw.rejected values ('a.csv', $line, $reason, '{}', now()::timestamp)"
        for line, reason in enumerate(old_reasons):
            con.execute(insert, {"line": line, "reason": reason})
        con.close()
    assert migrate(lake)[0] == "023_raw_rejected_value"
    assert rows(lake, "select kind, reason, value from raw.rejected order by line") == [
        ("events", "occurred_at is not a time; write ISO 8601", "soon (or so); really"),
        ("events", "occurred_at is not a time; write ISO 8601", "later"),
        ("items", "price is negative; write a finite number", "-5"),
        (None, "item_id is empty; fill it", None),
        (None, old_reasons[4], None),
    ]
    take(lake, str(_bad(tmp_path)), config=IngestConfig())
    assert len(standing(lake)) == 6


def _bad(folder: Path) -> Path:
    file = folder / "new.csv"
    file.write_text(HEADER + ",i,2026-01-01,x\n", encoding="utf-8")
    return file
