"""Every statement in sql/ says what it needs and touches, and says the truth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasks.lake import SQL

FILES = sorted(SQL.rglob("*.sql"))
MACROS = [file for file in FILES if file.parent.name == "macros"]
KEYS = ("grain", "takes", "params", "reads", "writes", "returns")
TABLE = r"(?:lake\.)?((?:raw|features|recs|graph|eval|ops)\.[a-z_]+)"


def _header(text: str) -> tuple[str, dict[str, str]]:
    """The paragraph a statement opens with, and its keys; a line that starts with no key goes on with the one before."""
    keys = {"": ""}
    current = ""
    for line in _leading_comment(text):
        found = re.fullmatch(rf"--\s*({'|'.join(KEYS)}):(.*)", line)
        current, words = found.groups() if found else (current, line.removeprefix("--"))
        keys[current] = f"{keys.get(current, '')} {words.strip()}".strip()
    return keys.pop(""), keys


def _leading_comment(text: str) -> list[str]:
    lines = text.splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return lines[:end]


def _body(text: str) -> str:
    """The statement without comments and string literals, in lower case."""
    return re.sub(r"'(?:[^']|'')*'|--[^\n]*", lambda found: "''" if found[0].startswith("'") else "", text).lower()


def _tables(after: str, body: str) -> set[str]:
    return set(re.findall(rf"\b(?:{after})\s+{TABLE}", body))


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(SQL)) for file in FILES])
def test_the_header_of_a_statement_agrees_with_its_body(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    sentence, keys = _header(text)
    body = _body(text)
    writes = _tables("insert into|insert or replace into|delete from|update|merge into", body)
    reads = _tables("(?<!delete )from|join|using", body)

    assert sentence.endswith((".", ":")), "it opens with a sentence that says what the statement gives"
    assert set(re.findall(r"\$([a-z_]\w*)", keys.get("params", ""))) == set(re.findall(r"\$([a-z_]\w*)", body))
    assert set(re.findall(TABLE, keys.get("reads", ""))) == reads
    assert set(re.findall(TABLE, keys.get("writes", ""))) == writes


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(SQL)) for file in FILES])
def test_a_file_outside_schema_holds_one_statement(file: Path) -> None:
    if file.parent.name != "schema":
        assert ";" not in _body(file.read_text(encoding="utf-8")).rstrip().removesuffix(";")


@pytest.mark.parametrize("file", MACROS, ids=[str(file.relative_to(SQL)) for file in MACROS])
def test_a_file_of_macros_defines_the_one_it_is_named_after_and_a_table_macro_says_what_it_takes_and_returns(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    keys = _header(text)[1]
    found = re.match(rf"\s*create or replace temp macro {file.stem}\(([^)]*)\) as( table)?\b", _body(text))
    assert found is not None
    parameters, is_table = found.groups()
    if is_table:
        assert _outside_brackets(keys["takes"]) == parameters
        assert keys["returns"]
    else:
        assert keys.keys() <= {"takes"}


def _outside_brackets(text: str) -> str:
    return re.sub(r" \([^()]*\)", "", text)


def test_migrations_are_numbered_without_gaps() -> None:
    numbers = [int(file.name[:3]) for file in sorted((SQL / "schema").glob("*.sql"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_check_sees_a_table_that_the_header_forgets() -> None:
    sentence, keys = _header("-- All.\n--\n-- reads:   raw.items,\n--          raw.events (twice)\nselect 1")
    assert sentence == "All."
    assert re.findall(TABLE, keys["reads"]) == ["raw.items", "raw.events"]
    body = _body("select 'from raw.x' from raw.events as e join lake.raw.items using (item_id) -- from raw.rejected")
    assert _tables("(?<!delete )from|join", body) == {"raw.events", "raw.items"}
    assert _tables("(?<!delete )from|join", _body("delete from raw.events where true")) == set()
