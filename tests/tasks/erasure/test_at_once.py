"""The first step of an erasure: tables, the refusal of late events, and the ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from tasks.config import IngestConfig
from tasks.erasure.at_once import TABLES, erase, erase_requested, is_settled, move_on
from tasks.ingest.ingestion import ingest
from tasks.ingest.landing import ingest_landed_files, open_landing
from tasks.ingest.sources import ColumnMapping
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot, reading, writing
from tasks.night.dataset import load_dataset
from tasks.privacy import files
from tasks.privacy.keyed import load_keys
from tasks.privacy.ledger import NAME, erased, erasures, new_request, note_request, readmit
from tests.lakes import put as put_events
from tests.tasks.minute.test_feed import news_of
from tests.tasks.publish.test_night import put, ranked

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


def test_rows_that_no_correction_gets_in_do_not_fail_a_landed_file(lake: Lake, home: Path, export: str) -> None:
    erase(lake, home, ["anna-0001"], "cli", {})
    landing = open_landing(IngestConfig(), home)
    late = landing / "events" / "late.csv"
    late.parent.mkdir(parents=True, exist_ok=True)
    late.write_text(f"{EXPORT}bert-0002,c,1999-01-01T00:00:00\n")
    done = ingest_landed_files(lake, landing, "events", [late], IngestConfig(), datetime(2020, 1, 1))
    assert [(file.outcome, file.read, file.rejected, file.barred, file.needs_a_look(0.1)) for file in done] == [("done", 4, 3, 3, False)]
    with reading(lake) as con:
        reasons = con.execute("select reason, value, row_json from raw.rejected where reason like '%older%'").fetchall()
    assert reasons == [
        (
            "the event is older than events are kept (MINUTEHAND_RETENTION__EVENTS_DAYS)",
            "1999-01-01 00:00:00",
            '{"occurred_at":"1999-01-01 00:00:00"}',
        )
    ]


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


@pytest.mark.slow
def test_contexts_of_others_and_texts_of_items_lose_the_id_and_what_was_published_is_not_learnt_again(
    lake: Lake, home: Path, write: Callable[[str, str], str]
) -> None:
    rows = [
        {"user_id": "bert-0002", "item_id": "a", "occurred_at": "2026-01-01", "context": {"gift for": "anna-0001", "n": 1}},
        {"user_id": "bert-0002", "item_id": "b", "occurred_at": "2026-01-02", "context": {"to": "carla-003"}},
        {"user_id": "bert-0002", "item_id": "c", "occurred_at": "2026-01-03", "context": {"ref": {"by": ["x", "anna-0001"]}, "n": [1]}},
    ]
    _take_in(lake, write("gifts.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))
    with writing(lake) as con:
        con.execute(
            "insert into raw.items by name select 'a' as item_id, 'Made by anna-0001, with love' as title, ['anna-0001', 'cups'] as tags, "
            "true as is_available, now()::timestamp as first_seen_at, now()::timestamp as updated_at"
        )
    put(lake, ranked({"bert-0002": [0, 1]}))
    done = erase(lake, home, ["anna-0001"], "cli", {})
    assert done.steps["lists"]["rows"] == {"raw.events, contexts of others": 2, "raw.items, texts": 1}
    with reading(lake) as con:
        assert con.execute("select context from raw.events order by occurred_at").fetchall() == [
            ('{"n":1}',),
            ('{"to":"carla-003"}',),
            ('{"n":[1]}',),
        ]
        assert con.execute("select title, tags from raw.items").fetchall() == [("Made by erased, with love", ["cups"])]
    assert news_of(lake).events.is_empty()


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


def test_a_person_of_whom_only_refused_rows_are_left_is_found_by_the_digest(
    lake: Lake, home: Path, write: Callable[[str, str], str]
) -> None:
    _take_in(lake, write("bad.csv", "user_id,item_id,occurred_at\nanna-0001,a,yesterday\nbert-0002,b,yesterday\n"))
    note_request(home, new_request(load_keys(home), ["anna-0001"], "api"))
    assert erase_requested(lake, home, {}) == 1
    assert _count(lake, "select count(*) from raw.rejected") == 1
    assert [found.source for found in erasures(lake)] == ["api"]


@pytest.mark.slow
def test_after_an_erasure_a_night_reads_what_a_lake_that_never_had_the_person_would_give_it(lake: Lake, home: Path, tmp_path: Path) -> None:
    without = replace(locate(LakeConfig(), tmp_path / "never"), threads=1)
    migrate(without)
    shop = [(f"user-{number:04}", item, 3.0 * number + place) for number in range(6) for place, item in enumerate("abc")]
    put_events(lake, shop, {"a": "Apple", "b": "Pear", "c": "Plum"})
    put_events(without, [event for event in shop if event[0] != "user-0003"], {"a": "Apple", "b": "Pear", "c": "Plum"})
    erase(lake, home, ["user-0003"], "cli", {})
    files.rewrite_tables(lake)
    files.rewrite_feed(lake, is_settled, move_on, 0)
    files.expire_all(lake, is_settled, 0)
    one, other = (load_dataset(each, newest_snapshot(each), {"view": 1.0}, "none") for each in (lake, without))
    assert (one.user_ids, one.kinds, one.titles, one.catalog.item_ids) == (
        other.user_ids,
        other.kinds,
        other.titles,
        other.catalog.item_ids,
    )
    for name in ("user", "item", "kind", "time", "weight"):
        assert np.array_equal(getattr(one.events, name), getattr(other.events, name)), name


def test_a_request_that_was_killed_before_its_transaction_is_carried_out_by_the_next_run(lake: Lake, home: Path, export: str) -> None:
    note_request(home, new_request(load_keys(home), ["anna-0001"], "cli"))
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
