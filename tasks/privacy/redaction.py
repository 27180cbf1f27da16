"""Takes ids of erased people out of texts, data files and SQLite databases that are no tables of the lake.

The ledger has digests only, so every word of a text is a candidate: its digest says whether it is the id of an erased person. A short id,
such as 42, is also a common number. It counts only as the value of a column of users, or where the text marks it as a user.
"""

from __future__ import annotations

import csv
import gzip
import json
import logging
import os
import re
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl

from tasks.privacy.keyed import Keys

logger = logging.getLogger("minutehand.erasure")
LEAST_LENGTH = 8
"""Shorter ids count only where a text or a column says that they are users."""
WORD = re.compile(r"(?:\\.|[^\W_]|[_.@+:~-])+")
MARKED = re.compile(r"""(?:\buser(?:_id)?["' :=]+|\*\*|['"`])((?:\\.|[^\W_]|[_.@+~-])+)""")
USER_NAMES = frozenset(
    (
        *("userid", "user", "customerid", "customer", "visitorid", "visitor", "memberid", "clientid", "client"),
        *("accountid", "account", "sessionid", "session", "alias"),
    )
)
"""Names of columns with ids of people, in lower case without signs."""
GONE = "erased"
TEXT = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".md", ".html", ".log", ".yaml", ".yml", ".toml")


class People:
    """Erased people, recognised by the digests of their ids."""

    def __init__(self, keys: Keys, digests: Collection[str]) -> None:
        self._keys, self._digests = keys, frozenset(digests)
        self._known: dict[str, bool] = {}

    def has(self, text: str) -> bool:
        """Whether a text is the id of an erased person."""
        if text not in self._known:
            self._known[text] = not self._digests.isdisjoint(self._keys.digests(text))
        return self._known[text]

    def named_in(self, text: str) -> set[str]:
        """The ids of erased people that a text names, as they are written there."""
        words = {word for word in WORD.findall(text) if len(word) >= LEAST_LENGTH} | set(MARKED.findall(text))
        parts = {part for word in words for part in (word, word.rstrip(".:"), *word.split(":")) if part}
        return {part for part in parts if self.has(part.replace("\\", ""))}

    def without(self, text: str) -> str:
        """The text with ids of erased people replaced."""
        for name in sorted(self.named_in(text), key=len, reverse=True):
            text = re.sub(rf"(?<![\w.@+~-]){re.escape(name)}(?![\w@+~-])", GONE, text)
        return text


def redact_data_file(file: Path, people: People) -> int:
    """Take the rows of erased people out of a data file; returns their number. Other files stay as they are."""
    name = file.name.lower()
    if name.endswith(".parquet"):
        return _redact_parquet(file, people)
    packed = name.endswith(".gz")
    if not name.removesuffix(".gz").endswith(TEXT):
        return 0
    raw = gzip.decompress(file.read_bytes()) if packed else file.read_bytes()
    text = raw.decode("utf-8", "surrogateescape")
    kept, n_rows = _json_without(text, people) if name.removesuffix(".gz").endswith(".json") else _lines_without(text, people)
    if n_rows:
        whole = kept.encode("utf-8", "surrogateescape")
        _replace(file, lambda fresh: fresh.write_bytes(gzip.compress(whole) if packed else whole))
    return n_rows


def redact_text_file(file: Path, people: People) -> int:
    """Replace the ids in a text file that nobody writes to; returns 1 if it named somebody."""
    text = file.read_bytes().decode("utf-8", "surrogateescape")
    kept = people.without(text)
    if kept == text:
        return 0
    _replace(file, lambda fresh: fresh.write_bytes(kept.encode("utf-8", "surrogateescape")))
    return 1


def blank_out(file: Path, people: People) -> int:
    """Overwrite the ids in a log that another process may be writing to, byte by byte, so that it keeps its length."""
    content = file.read_bytes()
    n_found = 0
    with file.open("r+b") as sink:
        for name in people.named_in(content.decode("utf-8", "replace")):
            needle = name.encode()
            at = content.find(needle)
            while at >= 0:
                sink.seek(at)
                sink.write(b"x" * len(needle))
                n_found += 1
                at = content.find(needle, at + len(needle))
    return n_found


def redact_database(file: Path, people: People, busy_s: float = 60.0) -> int:
    """Replace the ids in every text of a SQLite database; returns the number of values that named somebody."""
    n_found = 0
    with closing(sqlite3.connect(file, timeout=busy_s)) as con:
        con.execute("pragma secure_delete = on")
        tables = [name for (name,) in con.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")]
        for table in tables:
            columns = [row[1] for row in con.execute(f"pragma table_info({_quoted(table)})")]
            for column in columns:
                n_found += _redact_column(con, table, column, people)
    return n_found


def _redact_column(con: sqlite3.Connection, table: str, column: str, people: People) -> int:
    where = f"from {_quoted(table)} where typeof({_quoted(column)}) = 'text'"
    try:
        rows = con.execute(f"select rowid, {_quoted(column)} {where}").fetchall()
    except sqlite3.OperationalError:  # a table without rowid holds no texts of ours
        return 0
    changed = [(kept, row) for row, text in rows if (kept := people.without(text)) != text]
    if changed:
        with con:
            con.executemany(f"update {_quoted(table)} set {_quoted(column)} = ? where rowid = ?", changed)
    return len(changed)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _redact_parquet(file: Path, people: People) -> int:
    table = pl.read_parquet(file)
    erased = pl.Series([False] * table.height)
    for column in table.iter_columns():
        is_users = _is_users(column.name)
        if column.dtype != pl.String and not (is_users and column.dtype.is_integer()):
            continue
        values = [value for value in column.unique().drop_nulls().to_list() if is_users or len(str(value)) >= LEAST_LENGTH]
        named = [value for value in values if people.has(str(value))]
        if named:
            erased |= column.is_in(named).fill_null(value=False)
    n_rows = int(erased.sum())
    if n_rows:
        _replace(file, lambda fresh: table.filter(~erased).write_parquet(fresh))
    return n_rows


def _lines_without(text: str, people: People) -> tuple[str, int]:
    """Text without the lines that name somebody, and their number. The first line may be a header, which says which column has users."""
    lines = text.splitlines(keepends=True)
    delimiter = max(",;\t|", key=lines[0].count) if lines else ","
    header = _cells(lines[0], delimiter) if lines else []
    users = [place for place, name in enumerate(header) if _is_users(name)]

    def names(line: str) -> bool:
        if line.lstrip().startswith("{"):
            return _names_in_json(line, people) or any(len(name) >= LEAST_LENGTH for name in people.named_in(line))
        cells = _cells(line, delimiter)
        if any(place < len(cells) and people.has(cells[place].strip()) for place in users):
            return True
        return any(len(cell.strip()) >= LEAST_LENGTH and people.has(cell.strip()) for cell in cells) or any(
            len(name) >= LEAST_LENGTH for name in people.named_in(line)
        )

    kept = [line for line in lines if not names(line)]
    return "".join(kept), len(lines) - len(kept)


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return line.rstrip("\r\n").split(delimiter)


def _names_in_json(line: str, people: People) -> bool:
    try:
        return any(people.has(value) for value in _users_of(json.loads(line)))
    except ValueError:
        return False


def _json_without(text: str, people: People) -> tuple[str, int]:
    """A JSON array without the elements that name somebody; anything else line by line."""
    try:
        whole = json.loads(text)
    except ValueError:
        return _lines_without(text, people)
    if not isinstance(whole, list):
        return _lines_without(text, people)
    kept = [each for each in whole if not any(people.has(value) for value in _users_of(each))]
    return json.dumps(kept, ensure_ascii=False), len(whole) - len(kept)


def _users_of(value: Any, name: str = "") -> Iterator[str]:
    """Values of a JSON document that may be ids of users: those of fields named so, and longer texts."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _users_of(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _users_of(inner, name)
    elif isinstance(value, str | int) and not isinstance(value, bool) and (_is_users(name) or len(str(value)) >= LEAST_LENGTH):
        yield str(value)


def _is_users(name: str) -> bool:
    return re.sub(r"[\W_]", "", name).lower() in USER_NAMES


def _replace(file: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under another name, then put it in place: a reader sees all of the old file or all of the new one."""
    fresh = file.with_name(f".{file.name}.fresh")
    state = file.stat()
    write(fresh)
    fresh.chmod(state.st_mode & 0o777)
    os.replace(fresh, file)
