"""Rewriting of ids: clear ids become pseudonyms everywhere, keys rotate, and nothing else changes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import duckdb
import pytest

from models.errors import UserError
from tasks.config import IngestConfig, PublishConfig
from tasks.erasure.progress import rewrite_files
from tasks.ingest import api_log
from tasks.lake import Lake, reading, writing
from tasks.minute.feed import look_for_work
from tasks.privacy import files
from tasks.privacy import pseudonyms as rewriting
from tasks.privacy.border import stored_ids
from tasks.privacy.keyed import add_key, load_keys
from tasks.privacy.ledger import Request, read_erased, record_request
from tasks.privacy.opt_out import opt_out
from tasks.privacy.pseudonyms import RENAMING, pseudonyms, rewrite, rotate
from tests.conftest import ROOT
from tests.tasks.ingest.taking import rows, take
from tests.tasks.interests.test_rows import held
from tests.tasks.minute.test_feed import minute
from tests.tasks.publish.test_night import WEIGHTS, put, ranked

PSEUDONYMS = IngestConfig(pseudonyms=True)
HEADER = "user_id,item_id,occurred_at,event_id\n"
FILE = HEADER + "customer-u,a,2024-01-01,\ncustomer-v,b,2024-01-02,given\ncustomer-u,b,2024-01-02,\ncustomer-w,a,never,\n"
Write = Callable[[str, str], str]


def fill(lake: Lake, write: Write, config: IngestConfig | None = None) -> None:
    """A lake of which every table names people, with everything published and learnt."""
    take(lake, write("a.csv", FILE), config=config or IngestConfig())
    u, v, w = stored_ids(lake, ["customer-u", "customer-v", "customer-w"])
    session, gone = stored_ids(lake, ["customer-session", "customer-gone"])
    with writing(lake) as con:
        api_log._write_aliases(con, [{"alias": session, "user_id": u, "merged_at": "2026-01-01T00:00:00"}])
        row = {"scenario": "default", "model_version": "1", "item_ids": ["a"], "sources": ["new"], "served_at": "2026-01-01T00:00:00"}
        api_log._write_served(con, [{"recommendation_id": "1", "user_id": v, **row}])
    put(lake, ranked({u: [1], v: [0]}), interests=held([u, v]))
    take(lake, write("b.csv", HEADER.replace(",event_id", "") + "customer-v,c,2024-01-03\n"), config=config or IngestConfig())
    minute(lake, interests=held([v], []))
    opt_out(lake, [w, gone])


def everything(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of all tables but the one of the keys' fingerprints, which look like pseudonyms and name nobody."""
    with reading(lake) as con:
        names = con.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'lake' and schema_name <> 'main' "
            "and table_name <> 'key_fingerprints'"
        ).fetchall()
        return {name: con.execute(f"select * from {name} order by all").fetchall() for (name,) in names}


def people(lake: Lake) -> set[str]:
    """The words of the lake that name somebody."""
    return set(re.findall(r"customer-\w+|\d-[0-9a-f]{32}", str(everything(lake))))


def test_clear_ids_become_pseudonyms_in_every_table_and_the_same_files_bring_nothing_new(lake: Lake, write: Write) -> None:
    fill(lake, write)
    before = everything(lake)
    order = rows(lake, "select item_id, occurred_at from raw.events order by rowid")
    assert rewrite(lake) == 5
    assert not any(word.startswith("customer") for word in people(lake))
    assert (pseudonyms(lake).number, pseudonyms(lake).held) == (1, (1,))
    after = everything(lake)
    assert {name: len(some) for name, some in after.items() if name != "ops.pseudonyms"} == {
        name: len(some) for name, some in before.items() if name != "ops.pseudonyms"
    }
    assert rows(lake, "select item_id, occurred_at from raw.events order by rowid") == order
    again = take(lake, write("a.csv", FILE), config=PSEUDONYMS)
    assert (again.new, again.duplicate) == (0, 3)
    with pytest.raises(UserError, match="pseudonyms already, under key 1"):
        rewrite(lake)


@pytest.mark.slow
def test_after_a_rewriting_no_file_and_no_snapshot_of_the_lake_holds_a_clear_id(
    lake: Lake, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "READERS_S", 0)
    fill(lake, write)
    rewrite(lake)
    assert rewrite_files(lake) is not None
    stored = sorted(lake.home.rglob("*.parquet"))
    assert stored
    assert all("customer-" not in str(duckdb.read_parquet(str(file)).fetchall()) for file in stored)
    assert all(b"customer-" not in file.read_bytes() for file in lake.home.rglob("*") if file.is_file())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "is_done"),
    [
        ("tasks.privacy.pseudonyms:record_key:before", False),  # everybody is renamed, in a transaction that never ends
        ("tasks.privacy.pseudonyms:rewrite:after", True),
        ("tasks.privacy.files:rewrite_tables:after", True),
        ("tasks.privacy.files:rewrite_feed:after", True),
        ("tasks.privacy.files:clean_up:before", True),
    ],
)
def test_a_rewriting_that_is_killed_leaves_clear_ids_or_pseudonyms_and_the_next_one_finishes_it(
    moment: str, is_done: bool, lake: Lake, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "READERS_S", 0)
    fill(lake, write)
    before = people(lake)
    words = [sys.executable, "-m", "tests.privacy.killed_rewriting", lake.catalog, lake.data_path, str(lake.lock_path), moment]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    if is_done:
        assert pseudonyms(lake).number == 1
    else:
        assert people(lake) == before
        assert pseudonyms(lake).number is None
        assert rewrite(lake) == 5
    assert len(people(lake)) == len(before)
    assert rewrite_files(lake) is not None
    assert all("customer-" not in str(duckdb.read_parquet(str(file)).fetchall()) for file in lake.home.rglob("*.parquet"))
    assert all(b"customer-" not in file.read_bytes() for file in lake.home.rglob("*") if file.is_file())


@pytest.mark.slow
def test_a_rotation_moves_all_pseudonyms_to_a_new_key_and_clear_ids_still_lead_to_them(lake: Lake, write: Write) -> None:
    fill(lake, write, PSEUDONYMS)
    names = ["customer-u", "customer-v", "customer-w", "customer-session", "customer-gone"]
    assert people(lake) == {load_keys(lake.home).digest(name) for name in names}
    n = rotate(lake)
    assert n == len(names)
    assert people(lake) == set(stored_ids(lake, names))
    assert all(name.startswith("2-") for name in people(lake))
    again = take(lake, write("a.csv", FILE), config=PSEUDONYMS)
    assert (again.new, again.duplicate, again.rejected) == (0, 3, 1)
    assert len(rows(lake, "select * from raw.rejected")) == 1
    work = look_for_work(lake, WEIGHTS, 10, PublishConfig(), datetime(2026, 1, 2))
    assert work is not None
    assert work.news.is_empty, "what was renamed is no news"


@pytest.mark.slow
def test_a_rotation_killed_before_the_lake_followed_takes_the_key_that_it_made(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", FILE), config=PSEUDONYMS)
    add_key(lake.home)
    assert pseudonyms(lake).is_unfinished
    take(lake, write("b.csv", HEADER + "customer-x,a,2024-01-01,\n"), config=PSEUDONYMS)
    assert {name[:2] for name in people(lake)} == {"1-"}, "until the lake follows, the key before counts"
    rotate(lake)
    assert {name[:2] for name in people(lake)} == {"2-"}
    assert pseudonyms(lake).held == (1, 2)


@pytest.mark.slow
def test_a_rewriting_that_fails_changes_nothing(lake: Lake, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(lake, write)
    before = everything(lake)
    monkeypatch.setattr(rewriting, "record_key", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rewrite(lake)
    assert everything(lake) == before


def test_an_erased_person_is_refused_also_under_a_later_key(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", FILE), config=PSEUDONYMS)
    digest = load_keys(lake.home).digest("customer-z")
    with writing(lake) as con:
        record_request(con, Request("e", "cli", datetime(2026, 1, 1), (digest,)))
    rotate(lake)
    known = read_erased(lake, lake.home)
    assert known is not None
    assert known.refuses("customer-z")
    assert known.refuses(load_keys(lake.home).digest("customer-z"))
    summary = take(lake, write("b.csv", HEADER + "customer-z,a,2024-01-05,\n"), config=PSEUDONYMS)
    assert (summary.new, summary.rejected) == (0, 1)


@pytest.mark.slow
def test_nothing_is_rewritten_while_events_wait_to_be_learnt(lake: Lake, write: Write) -> None:
    fill(lake, write)
    take(lake, write("c.csv", HEADER + "customer-u,c,2024-01-05,\n"))
    with pytest.raises(UserError, match="events wait to be learnt, and nothing was rewritten; run `minutehand minute`"):
        rewrite(lake)


def test_a_lake_of_clear_ids_has_no_key_to_rotate(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", FILE))
    with pytest.raises(UserError, match="for pseudonyms: minutehand pseudonyms rewrite"):
        rotate(lake)


def test_every_column_that_names_people_is_renamed(lake: Lake) -> None:
    with reading(lake) as con:
        named = con.execute(
            "select schema_name || '.' || table_name, column_name from duckdb_columns() where database_name = 'lake' "
            "and column_name in ('user_id', 'alias') "
            "and (schema_name, table_name) in (select (schema_name, table_name) from duckdb_tables())"
        ).fetchall()
    texts = [file.read_text() for file in RENAMING.glob("*.sql")]
    renamed = {(re.findall(r"update ([\w.]+)", text)[0], re.findall(r"set\s+(\w+) = ", text)[0]) for text in texts}
    assert set(named) <= renamed
