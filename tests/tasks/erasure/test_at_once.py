"""The first step of an erasure: tables, the refusal of late events, and the ledger."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.errors import UserError
from tasks.config import IngestConfig
from tasks.erasure.at_once import TABLES, erase, erase_requested
from tasks.ingest.ingestion import ingest
from tasks.ingest.sources import ColumnMapping
from tasks.lake import Lake, reading, writing
from tasks.privacy.keyed import load_keys
from tasks.privacy.ledger import NAME, erased, erasures, readmit

EXPORT = "user_id,item_id,occurred_at\nanna-0001,a,2026-01-01 10:00\nanna-0001,b,2026-01-01 11:00\nbert-0002,a,2026-01-01 12:00\n"


def _count(lake: Lake, statement: str) -> int:
    with reading(lake) as con:
        row = con.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def _take_in(lake: Lake, file: str) -> None:
    ingest(lake, "events", [file], ColumnMapping(), IngestConfig())


@pytest.fixture
def export(lake: Lake, write: Callable[[str, str], str]) -> str:
    """A file of events of two people, which the lake has taken in."""
    file = write("export.csv", EXPORT)
    _take_in(lake, file)
    return file


def test_the_same_export_brings_no_event_of_an_erased_person_back_and_the_refusal_names_no_id(lake: Lake, home: Path, export: str) -> None:
    done = erase(lake, home, ["anna-0001"], "cli", {})
    assert _count(lake, "select count(*) from raw.events where user_id = 'anna-0001'") == 0
    assert done.state == "lists"
    assert done.steps["lists"]["rows"] == {"raw.events": 2}

    _take_in(lake, export)
    with reading(lake) as con:
        assert con.execute("select user_id from raw.events").fetchall() == [("bert-0002",)]
        refused = con.execute("select * from raw.rejected").fetchall()
    assert len(refused) == 2
    assert "anna-0001" not in repr(refused)
    assert load_keys(home).digest("anna-0001") in repr(refused)
    assert "anna-0001" not in (home / NAME).read_text()


def test_ids_that_were_merged_are_erased_together_and_each_is_refused_later(
    lake: Lake, home: Path, write: Callable[[str, str], str]
) -> None:
    with writing(lake) as con:
        con.execute("insert into raw.user_aliases values ('session-77', 'anna-0001', now()::timestamp)")
    erase(lake, home, ["session-77"], "cli", {})
    assert _count(lake, "select count(*) from raw.user_aliases") == 0
    _take_in(lake, write("late.csv", EXPORT + "session-77,a,2026-01-02 10:00\n"))
    assert _count(lake, "select count(distinct user_id) from raw.events") == 1


def test_refused_rows_that_name_a_person_in_any_field_or_in_a_broken_line_go_with_them(
    lake: Lake, home: Path, write: Callable[[str, str], str]
) -> None:
    rows = "anna-0001,a,yesterday\nbert-0002,b,yesterday\nanna-0001,a,2026-01-01,too,many\n"
    _take_in(lake, write("bad.csv", "user_id,item_id,occurred_at\n" + rows))
    assert _count(lake, "select count(*) from raw.rejected") == 3
    erase(lake, home, ["anna-0001"], "cli", {})
    with reading(lake) as con:
        ((row,),) = con.execute("select row_json from raw.rejected").fetchall()
    assert "bert-0002" in row


def test_a_person_who_is_let_back_in_is_known_by_what_they_do_from_then_on(
    lake: Lake, home: Path, export: str, write: Callable[[str, str], str]
) -> None:
    erase(lake, home, ["anna-0001"], "cli", {})
    with writing(lake) as con:
        readmit(con, home, "anna-0001", datetime(2026, 2, 1))
    assert erased(lake) == frozenset()
    _take_in(lake, write("again.csv", EXPORT + "anna-0001,c,2026-02-01 10:00\n"))
    with reading(lake) as con:
        assert con.execute("select item_id from raw.events where user_id = 'anna-0001'").fetchall() == [("c",)]
    with writing(lake) as con, pytest.raises(UserError, match="not erased"):
        readmit(con, home, "bert-0002", datetime(2026, 2, 1))


def test_a_lake_that_was_restored_from_a_backup_forgets_again_whom_it_had_erased(lake: Lake, home: Path, export: str) -> None:
    erase(lake, home, ["anna-0001"], "cli", {})
    with writing(lake) as con:  # as a backup from before the erasure has it
        con.execute("delete from ops.erasures")
        con.execute("delete from raw.rejected")
        con.execute(
            "insert into raw.events by name select 'e' as event_id, 'anna-0001' as user_id, 'a' as item_id, 'view' as event_type, "
            "now()::timestamp as occurred_at, now()::timestamp as received_at"
        )
    assert erase_requested(lake, home, {}) == 1
    assert _count(lake, "select count(*) from raw.events where user_id = 'anna-0001'") == 0
    assert [(found.source, found.state) for found in erasures(lake)] == [("backup", "lists")]
    assert erase_requested(lake, home, {}) == 0


def test_a_request_that_was_killed_before_its_transaction_is_carried_out_by_the_next_run(lake: Lake, home: Path, export: str) -> None:
    from tasks.privacy.ledger import Request, note_request

    note_request(home, Request("abc", "cli", datetime.now(UTC).replace(tzinfo=None), (load_keys(home).digest("anna-0001"),)))
    assert erase_requested(lake, home, {}) == 1
    assert _count(lake, "select count(*) from raw.events where user_id = 'anna-0001'") == 0


def test_every_table_that_names_people_has_a_statement_that_erases_them(lake: Lake) -> None:
    with reading(lake) as con:
        tables = {
            f"{schema}.{table}"
            for schema, table in con.execute(
                "select schema_name, table_name from duckdb_columns() where database_name = 'lake' "
                "and column_name in ('user_id', 'alias', 'row_json', 'source_user') "
                "and (schema_name, table_name) in (select (schema_name, table_name) from duckdb_tables())"
            ).fetchall()
        }
    erasing = {re.findall(r"delete from ([\w.]+)", file.read_text())[0] for file in TABLES.glob("*.sql")}
    assert tables <= erasing


@pytest.mark.parametrize("ids", [[], ["*"], [" "]])
def test_nobody_is_not_erased(lake: Lake, home: Path, ids: list[str]) -> None:
    with pytest.raises(UserError, match="nobody"):
        erase(lake, home, ids, "cli", {})
