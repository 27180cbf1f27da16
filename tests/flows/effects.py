"""The lasting effects of a process, as they come: commits to the lake, writes of MLflow, files made, moved and deleted.

Nobody lists them by hand: they are what DuckDB commits, what SQLAlchemy commits after a statement that writes, and what Python's
audit hooks tell of files below the home. Temporary files do not count, for the next run sweeps them away.
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
    """Calls `before` with the name of each effect of this process, just before it."""
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
    """Where a file is below the home, without the names of this run; empty elsewhere and for temporary files."""
    where = path.relative_to(home).as_posix() if path.is_relative_to(home) else ""
    return "" if TEMPORARY.match(where) else NAME.sub("*", where)


def _changes_something(name: str, given: tuple[Any, ...]) -> bool:
    if not isinstance(given[0], str | Path):  # the number of a file that is open already
        return False
    if name == "open":
        return bool(given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return name != "os.mkdir" or not Path(given[0]).exists()


def boundaries(effects: Sequence[str]) -> list[int]:
    """Before which effects to kill: of many alike in a row, such as the files of a folder that is copied, the first and the last."""
    rows = [[n for n, _ in alike] for _, alike in groupby(enumerate(effects), key=lambda numbered: numbered[1])]
    return sorted({n for row in rows for n in (row[0], row[-1])})
