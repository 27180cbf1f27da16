"""Records the persistent effects of a process in order: commits to the lake, writes of MLflow, files created, moved and deleted.

The effects are detected, not listed: DuckDB commits, SQLAlchemy commits after a writing statement, and the file events of Python's
audit hooks below the home. Temporary files do not count, as the next run deletes them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

WRITES = re.compile(r"\s*(?:insert into|update|delete from)\s+(\w+)", re.IGNORECASE)
TEMPORARY = re.compile(r"minute/tmp|lake|(.*[/.])?lock$")
NAME = re.compile(r"[0-9a-f-]{32,36}|\d{4}-\d\d-\d\d|\d\d-\d\d")
DEPTH = 5
FILES = {
    **{"open": "write", "os.link": "write", "os.mkdir": "make", "os.rename": "move"},
    **{"os.remove": "delete", "os.rmdir": "delete", "shutil.rmtree": "delete"},
}


def watch(home: Path, before: Callable[[str], None]) -> None:
    """Call `before` with the name of each effect of this process, just before the effect."""
    commit = duckdb.DuckDBPyConnection.commit

    def commit_lake(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        before("lake: commit")
        return commit(con)

    def remember(con: Connection, cursor: object, sql: str, *given: object) -> None:
        if found := WRITES.match(sql):
            con.info.setdefault("written", []).append(found[1])

    def commit_mlflow(con: Connection) -> None:
        if written := con.info.pop("written", []):
            before(f"mlflow: {', '.join(dict.fromkeys(written))}")

    def audit(name: str, given: tuple[Any, ...]) -> None:
        if name in FILES and _changes_something(name, given):
            paths = given[:2] if name == "os.rename" else given[:1]
            if where := [found for path in paths if (found := place(Path(path), home))]:
                before(f"file: {FILES[name]} {'/'.join(where[0].split('/')[:DEPTH])}")

    duckdb.DuckDBPyConnection.commit = commit_lake  # type: ignore[assignment, method-assign]
    event.listen(Engine, "before_cursor_execute", remember)
    event.listen(Engine, "commit", commit_mlflow)
    sys.addaudithook(audit)


def place(path: Path, home: Path) -> str:
    """The path of a file below the home, without names specific to this run; empty for other and for temporary files."""
    where = path.relative_to(home).as_posix() if path.is_relative_to(home) else ""
    return "" if TEMPORARY.match(where) else NAME.sub("*", where)


def _changes_something(name: str, given: tuple[Any, ...]) -> bool:
    if not isinstance(given[0], str | Path):  # a file descriptor of an open file
        return False
    if name == "open":
        return bool(given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return name != "os.mkdir" or not Path(given[0]).exists()


def boundaries(effects: Sequence[str]) -> list[int]:
    """The effects before which to kill: of a row of equal effects, such as files of a copied folder, only the first and the last."""
    rows = [[n for n, _ in alike] for _, alike in groupby(enumerate(effects), key=lambda numbered: numbered[1])]
    return sorted({n for row in rows for n in (row[0], row[-1])})
