"""Any read-only SQL, as rows or as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from models.errors import UserError
from models.visible import to_json_value
from tasks.lake import Lake, is_disk_full, quote
from tasks.reading.asking import Row, asking, demand_text, one_line
from tasks.reading.files import demand_free, replacing
from tasks.statements import is_explain, reading_statements

FORMATS = {".csv": "format csv, header true", ".parquet": "format parquet", ".json": None}
"""File endings of exports, with the options of DuckDB's COPY. This module writes JSON itself, as `--json` prints it."""
N_AT_ONCE = 10_000


@dataclass(frozen=True)
class Answer:
    """The rows of a query; is_cut: whether the query has more rows than were asked for."""

    rows: list[Row]
    is_cut: bool


def query(lake: Lake, sql: str, max_rows: int | None = None) -> Answer:
    """The rows of a SQL statement, or of the last of several. Columns with the same name get a number.

    Raises UserError, before any statement runs, if one of them is not read-only. SQL that DuckDB refuses raises UserError with
    DuckDB's message in one line.
    """
    demand_text(sql)
    with asking(lake) as con, _refused():
        *before, last = _reading_statements(con, sql)
        for text in before:
            con.execute(text)
        cursor = con.execute(last)
        found = cursor.fetchall() if max_rows is None else cursor.fetchmany(max_rows + 1)
        names = _distinct([column[0] for column in cursor.description or []])
    rows = [dict(zip(names, row, strict=True)) for row in found[:max_rows]]
    return Answer(rows, is_cut=max_rows is not None and len(found) > max_rows)


def export(lake: Lake, sql: str, file: Path, *, force: bool = False) -> int:
    """Write the rows of a SQL statement to a file, in the format of its ending; returns the number of rows.

    The write is atomic. A file that replaces another (force) keeps the permissions of the old one.
    Raises UserError as `query` does, and if the file cannot be written or already exists.
    """
    ending = file.suffix.lower()
    if ending not in FORMATS:
        raise UserError(f"--out {file}: a file ends in {', '.join(FORMATS)}; name one that does")
    demand_text(sql)
    demand_free(lake, file, force=force)
    with asking(lake) as con, _refused():
        *before, last = _reading_statements(con, sql)
        if is_explain(last):
            raise UserError("the plan of an EXPLAIN is no table; leave --out out to see it")
        for text in before:
            con.execute(text)
        try:
            with replacing(file, force=force) as fresh:
                return _write(con, last, fresh, FORMATS[ending])
        except OSError as error:
            if is_disk_full(error):
                raise
            raise UserError(f"cannot write {file}: {error.strerror or error}; name a file in a folder that you may write to") from error


def _reading_statements(con: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """The statements of a text, at least one. They can neither read variables of this program nor change settings."""
    found = reading_statements(con, sql)
    if not found:  # only blanks and comments
        raise UserError(f'no statement in {sql!r}; try: minutehand sql "from raw.items limit 5"')
    con.execute("set python_enable_replacements = false")
    con.execute("set lock_configuration = true")
    return found


@contextmanager
def _refused() -> Iterator[None]:
    """Turns DuckDB's errors into a UserError of one line."""
    try:
        yield
    except (duckdb.Error, RuntimeError) as error:
        if isinstance(error, duckdb.Error) and is_disk_full(error):
            raise
        raise UserError(one_line(str(error))) from error


def _write(con: duckdb.DuckDBPyConnection, sql: str, file: Path, options: str | None) -> int:
    """Write the rows of a statement: with DuckDB's COPY and these options, or as an array of JSON objects if options is None."""
    n_rows = 0
    if options is not None:
        for each in con.extract_statements(f"copy (from ({sql}\n)) to {quote(str(file))} ({options}, use_tmp_file false)"):
            result = con.execute(each).fetchall()
            if each.type == duckdb.StatementType.COPY:  # DuckDB splits a pivot into several statements
                n_rows = int(result[0][0])
        return n_rows
    cursor = con.execute(sql)
    names = _distinct([column[0] for column in cursor.description or []])
    with file.open("w", encoding="utf-8") as sink:
        sink.write("[")
        while rows := cursor.fetchmany(N_AT_ONCE):
            for row in rows:
                sink.write(",\n" if n_rows else "\n")
                sink.write(json.dumps(to_json_value(dict(zip(names, row, strict=True))), default=str, ensure_ascii=False))
                n_rows += 1
        sink.write("\n]\n")
    return n_rows


def _distinct(names: list[str]) -> list[str]:
    """The names, with repeated ones numbered: a, a, a becomes a, a_1, a_2."""
    taken: list[str] = []
    for name in names:
        fresh, n = name, 0
        while fresh in taken:
            n += 1
            fresh = f"{name}_{n}"
        taken.append(fresh)
    return taken
