"""A scan finds an id wherever it is, and nobody else."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from tasks.ingest.fields import USER_WORDS
from tasks.lake import Lake, reading, writing
from tasks.privacy.keyed import load_keys
from tasks.privacy.scan import Finding, owner_of, scan
from tasks.privacy.scan_files import pieces
from tasks.privacy.scan_ids import HOLDERS, Patterns, Wanted, holds_users
from tests.lakes import put
from tests.tasks.conftest import lake_config

PERSON = "mia-00042"
INSERT_REJECTED = """
    insert into raw.rejected by name
    select 'events' as kind, 'f' as source, 1 as line, $digest as reason, $digest as row_json, now()::timestamp as rejected_at
"""


def found(home: Path, lake: Lake, *ids: str) -> dict[str, int]:
    """The places with a finding, and how many."""
    return {f"{each.store}: {each.place}": each.count for each in scan(home, lake, ids or (PERSON,)) if each.count}


def undecided(home: Path, lake: Lake, *ids: str) -> str:
    return "; ".join(each.undecided for each in scan(home, lake, ids) if each.undecided)


def write(home: Path, name: str, content: str | bytes) -> None:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def bytes_of(text: str | bytes) -> Any:
    return np.frombuffer(text if isinstance(text, bytes) else text.encode(), np.uint8)


@given(st.binary(max_size=300), st.lists(st.binary(min_size=8, max_size=20), max_size=5, unique=True), st.integers(0, 300))
def test_a_search_for_many_patterns_finds_what_a_search_for_each_finds(data: bytes, patterns: list[bytes], place: int) -> None:
    data = data[:place] + b"".join(patterns) + data[place:]
    starts = {(start, each) for each in patterns for start in range(len(data)) if data.startswith(each, start)}
    assert set(Patterns(dict.fromkeys(patterns, False), 8).find(bytes_of(data))) == starts


@pytest.mark.parametrize(
    ("text", "n"),
    [
        (f"view,{PERSON},tent", 1),
        (f"{PERSON}", 1),
        (f'{{"user":"{PERSON}"}}', 1),
        (f"{PERSON}1 x{PERSON}", 0),
        (f"{PERSON} and {PERSON}", 2),
        ("/users/mia%2D00042", 0),
    ],
)
def test_an_id_counts_as_a_whole_word(text: str, n: int) -> None:
    assert Wanted([PERSON]).in_bytes(bytes_of(text)).ids == n


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_an_id_is_found_in_any_encoding_and_escaped(encoding: str) -> None:
    wanted = Wanted(["zoë@müller.example"])
    assert wanted.in_bytes(bytes_of("1;zoë@müller.example;2".encode(encoding))).ids >= 1
    assert wanted.in_bytes(bytes_of(json.dumps({"user": "zoë@müller.example"}))).ids == 1
    assert wanted.in_bytes(bytes_of("GET /v1/users/zo%C3%AB%40m%C3%BCller.example")).ids == 1


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("user 42 was here", 1),
        ("GET /v1/users/42/lists", 1),
        ("user_id=42, position=7", 1),
        ('{"CustomerID": 42.0, "n": 1}', 1),
        ('{"users": ["1", "42"], "count": 3}', 1),
        ('{"users": 42}', 0),
        ("42 users; n_users=42", 0),
        ("position=42 value 42", 0),
        ("user 421", 0),
    ],
)
def test_a_short_id_counts_in_text_only_where_people_are_named(text: str, n: int) -> None:
    assert Wanted(["42"]).in_text(text) == n


def test_columns_that_the_ingest_takes_for_users_hold_people() -> None:
    assert set(USER_WORDS) <= set(HOLDERS)
    assert all(holds_users(name) for name in ("user_id", "CustomerID", "alias", "sessionid"))
    assert not any(holds_users(name) for name in ("n_users", "n_users_changed", "item_id", "value", "users_count"))


def test_a_short_id_counts_in_columns_of_people_whatever_their_type() -> None:
    wanted = Wanted(["42"])
    for values in (["42", "421"], [42, 421], [42.0, None], [" 42.0 ", None]):
        assert wanted.in_column("user_id", pa.array(values)).ids == 1
        assert wanted.in_column("item_id", pa.array(values)).ids == 0
    assert wanted.in_column("user_ids", pa.array([["1", "42"], []])).ids == 1
    assert wanted.in_column("seen", pa.array([{"user": "42", "item": "42"}])).ids == 1
    assert wanted.in_column("node", pa.array(["user:42", "item:42"]).dictionary_encode()).ids == 1
    assert wanted.in_column("row_json", pa.array(['{"CustomerID": "42", "StockCode": "42"}'])).ids == 1


def test_a_piece_by_piece_search_counts_an_id_on_a_seam_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.privacy.scan_files.PIECE", 64)
    wanted = Wanted([PERSON])
    for place in range(50, 80):
        path = tmp_path / "text"
        path.write_bytes(b"-" * place + PERSON.encode() + b"-" * 100)
        with path.open("rb") as file:
            n = sum(wanted.in_bytes(data, since=since, until=until).ids for data, since, until in pieces(file, wanted.longest + 2))
        assert n == 1, place


def test_an_id_within_the_id_of_another_user_of_the_lake_does_not_count(lake: Lake, home: Path) -> None:
    put(lake, [(f"{PERSON}-b", "tent", 0.0), ("noah-0001", "tent", 1.0)])
    write(home, "landing/events/a.csv", f"user_id,item_id\n{PERSON}-b,tent\n")
    assert found(home, lake) == {}
    write(home, "landing/events/b.csv", f"user_id,item_id\n{PERSON},tent\n")
    assert found(home, lake) == {"landing: landing/events/b.csv": 1}


def test_rows_of_the_lake_are_found_in_the_catalog_in_files_and_in_older_snapshots(lake: Lake, home: Path) -> None:
    put(lake, [(PERSON, "tent", 0.0), ("noah-0001", "tent", 1.0)])
    rows = scan(home, lake, [PERSON])
    assert sum(each.count for each in rows if "rows of raw.events" in each.place) == 1
    with writing(lake) as con:
        con.execute("call ducklake_flush_inlined_data('lake')")
    assert found(home, lake)["tables: raw.events, newest state"] == 1
    with writing(lake) as con:
        con.execute("delete from raw.events where user_id = ?", [PERSON])
    assert sum(each.count for each in scan(home, lake, [PERSON]) if each.store == "tables") == 1
    with reading(lake) as con:
        assert con.execute("select count(*) from raw.events where user_id = ?", [PERSON]).fetchone() == (0,)


def test_a_file_that_no_snapshot_names_is_read(lake: Lake, home: Path) -> None:
    folder = lake.folder / "raw" / "events"
    folder.mkdir(parents=True)
    table = pa.table({"who": [PERSON, "noah"], "tags": [[], [f"by {PERSON}"]], "about": [{"a": 1}, None]})
    pq.write_table(table, folder / "left.parquet")
    assert found(home, lake) == {"tables: raw.events, in no snapshot": 2}


def test_a_deleted_row_is_found_in_the_free_pages_of_a_database_until_it_is_compact(lake: Lake, home: Path) -> None:
    (home / "prefect").mkdir(parents=True)
    path = home / "prefect" / "prefect.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute("pragma secure_delete = off")
        con.execute("create table log (message text, name text)")
        con.execute("begin")
        con.executemany("insert into log values (?, ?)", [(f"view{n}", f"{PERSON}7") for n in range(50)])
        con.execute("insert into log values (?, ?)", ["view", PERSON])
        con.execute("commit")
        assert found(home, lake) == {"Prefect: prefect/prefect.db: log": 1}
        con.execute("delete from log where name = ?", [PERSON])
        assert found(home, lake) == {"Prefect: prefect/prefect.db: free pages and write-ahead log": 1}
        con.execute("vacuum")
        assert found(home, lake) == {}


def test_what_only_the_log_of_a_database_holds_is_found(lake: Lake, home: Path) -> None:
    (home / "mlflow").mkdir(parents=True)
    with closing(sqlite3.connect(home / "mlflow" / "mlflow.db", isolation_level=None)) as con:
        con.execute("pragma journal_mode = wal")
        con.execute("create table tags (value text)")
        con.execute("insert into tags values (?)", [PERSON])
        con.execute("update tags set value = 'nobody'")
        assert found(home, lake) == {"MLflow: mlflow/mlflow.db: free pages and write-ahead log": 1}
        assert "write-ahead log" in undecided(home, lake, "42")


def test_every_kind_of_file_is_read(lake: Lake, home: Path) -> None:
    write(home, "landing/events/a.jsonl", json.dumps({"user_id": PERSON}) + "\n")
    write(home, "landing/done/b.csv.gz", gzip.compress(f"user_id\n{PERSON}\n".encode()))
    write(home, "serving/events/1.jsonl", json.dumps({"context": {"note": f"for {PERSON}"}}))
    write(home, "logs/serve.log", f"ranked {PERSON}")
    write(home, "mlflow/artifacts/1/2/artifacts/report.md", f"| {PERSON} |")
    write(home, f"shop/{PERSON}.txt", "nothing")
    write(home, "nightly/state.bin", b"\0\1" + PERSON.encode() + b"\0")
    pq.write_table(pa.table({"user": [PERSON]}), home / "shop" / "events.parquet")
    assert set(found(home, lake).values()) == {1}
    assert len(found(home, lake)) == 8


def test_short_ids_are_found_in_columns_of_people_as_a_mapping_file_names_them(lake: Lake, home: Path) -> None:
    write(home, "landing/events/a.csv", "who,what\n42,1\n1,42\n")
    assert "no column is named after people" in undecided(home, lake, "42")
    write(home, "landing/mapping.toml", '[events]\nmap.user_id = "who"\n')
    assert found(home, lake, "42") == {"landing: landing/events/a.csv": 1}
    write(home, "landing/mapping.toml", '[events]\ncolumns = ["item_id", "user_id"]\n')
    assert found(home, lake, "42") == {"landing: landing/events/a.csv": 1}


def test_windows_of_a_replay_memory_are_found_by_their_keyed_owner(lake: Lake, home: Path) -> None:
    digest = load_keys(home).digest(PERSON)
    folder = home / "mlflow" / "artifacts" / "models" / "m-1" / "artifacts"
    folder.mkdir(parents=True)
    held_out = np.zeros(3, bool)
    save_file({"memory.is_held_out": held_out}, folder / "online.safetensors")
    assert "3 windows of a replay memory without owners" in undecided(home, lake, PERSON)
    save_file({"memory.is_held_out": held_out, "memory.owner": np.array([1, owner_of(digest), 2])}, folder / "online.safetensors")
    assert found(home, lake) == {"model versions and artifacts: mlflow/artifacts/models/m-1": 1}
    assert undecided(home, lake, PERSON) == ""


def test_a_digest_counts_where_it_stands_for_a_person_and_not_where_it_keeps_an_erased_one_out(lake: Lake, home: Path) -> None:
    digest = load_keys(home).digest(PERSON)
    put(lake, [(digest, "tent", 0.0)])
    with writing(lake) as con:
        con.execute(INSERT_REJECTED, {"digest": digest})
    by_table = {each.place: each for each in scan(home, lake, [PERSON]) if each.count or each.kept}
    events, rejected = (next(v for k, v in by_table.items() if table in k) for table in ("raw.events", "raw.rejected"))
    assert (events.count, rejected.count, rejected.kept) == (1, 0, 2)


def test_people_are_found_by_their_digests_alone(lake: Lake, home: Path) -> None:
    keys = load_keys(home)
    put(lake, [(PERSON, "tent", 0.0), ("42", "tent", 1.0), ("noah-0001", "tent", 2.0)])
    write(home, "logs/serve.log", f"ranked {PERSON}")
    write(home, "landing/events/a.csv", "CustomerID,n\n42.0,42\n")
    digests = [keys.digest(PERSON), keys.digest("42")]
    assert scan(home, lake, digests=digests) == scan(home, lake, [PERSON, "42"])
    assert sum(each.count for each in scan(home, lake, digests=digests[:1]) if each.store == "logs") == 1
    assert not any(each.count for each in scan(home, lake, digests=[keys.digest("nobody-01")]))


def test_a_file_that_cannot_be_read_is_named_and_not_passed_over(lake: Lake, home: Path) -> None:
    write(home, "shop/broken.parquet", b"PAR1 broken PAR1")
    write(home, "shop/other.7z", b"packed")
    assert "not readable as Parquet" in undecided(home, lake, PERSON)
    assert "does not unpack .7z" in undecided(home, lake, PERSON)


def test_a_scan_says_how_much_it_has_read(lake: Lake, home: Path) -> None:
    write(home, "logs/serve.log", "x" * 1000)
    read = {each.place: each for each in scan(home, lake, [PERSON])}
    assert read["logs/serve.log"] == Finding("logs", "logs/serve.log", 0, 0, 1, 0, 1000)


__all__ = ["lake_config"]
