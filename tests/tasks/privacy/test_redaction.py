"""Ids in texts and data files: found by their digests, whatever the format, and short ones only where a user is meant."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tasks.privacy.keyed import load_keys
from tasks.privacy.redaction import People, blank_out, redact_data_file

ANNA = "anna_0001"


@pytest.fixture
def people(home: Path) -> People:
    keys = load_keys(home)
    return People(keys, [keys.digest(ANNA), keys.digest("42"), keys.digest("Eva Maria Lund")])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"list of {ANNA}: 3 items", "list of erased: 3 items"),
        (f"node user:{ANNA}.", "node user:erased."),
        (r"**anna\_0001**", "**erased**"),
        (f"{ANNA}-b and x{ANNA} are others", f"{ANNA}-b and x{ANNA} are others"),
        ("42 new events", "42 new events"),
        ("user 42 has 42 events; **42**", "user erased has erased events; **erased**"),
    ],
)
def test_a_text_loses_the_id_and_no_other_word(people: People, text: str, kept: str) -> None:
    assert people.without(text) == kept


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        ("a.csv", f"n,CustomerID\n42,{ANNA}\n42,bert\n", "n,CustomerID\n42,bert\n"),
        ("b.csv", "user_id;item\n42;a\n7;42\n", "user_id;item\n7;42\n"),
        ("c.csv", 'user_id,item\n"Eva Maria Lund",a\nEva,b\n', "user_id,item\nEva,b\n"),
        ("d.jsonl", '{"user_id": 42, "n": 1}\n{"user_id": 7, "n": 42}\n', '{"user_id": 7, "n": 42}\n'),
        ("e.json", json.dumps([{"user": {"id": 1}, "session": "42"}, {"session": "7"}]), json.dumps([{"session": "7"}])),
        ("f.bin", f"{ANNA}", f"{ANNA}"),
    ],
)
def test_a_data_file_loses_the_rows_of_the_person_and_no_other(people: People, tmp_path: Path, name: str, text: str, kept: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    redact_data_file(file, people)
    assert file.read_text() == kept
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_parquet_file_loses_the_rows_of_the_person_also_where_ids_are_numbers(people: People, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pl.DataFrame({"user_id": [42, 7], "item_id": [1, 42]}).write_parquet(file)
    assert redact_data_file(file, people) == 1
    assert pl.read_parquet(file)["user_id"].to_list() == [7]
    assert redact_data_file(file, people) == 0


def test_a_log_that_is_being_written_keeps_its_length(people: People, tmp_path: Path) -> None:
    file = tmp_path / "worker.log"
    with file.open("a") as writer:
        writer.write(f"first {ANNA}\n")
        writer.flush()
        assert blank_out(file, people) == 1
        writer.write("second\n")
    assert file.read_text() == f"first {'x' * len(ANNA)}\nsecond\n"
