"""A SQLite store of MLflow that moved with its home: the files of runs and models are beside it, no longer where it says."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

logger = logging.getLogger("minutehand.registry")
LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
"""Where MLflow keeps full addresses: table and column."""


def follow_artifacts(store: Path, experiment: str, artifacts: Path) -> int:
    """Let every address under the experiment's old folder point to the folder beside the store; gives how many were changed.

    Only where that folder is there; an address whose files are still at the old place, and there only, stays. A store that is not
    beside the folder of the artifacts, which several homes may use, is left alone.
    """
    here = artifacts.resolve()
    if store.resolve().parent != here.parent or not here.is_dir():
        return 0
    with closing(sqlite3.connect(store)) as con:
        before, now = folder_in(con, experiment, here), here.as_uri()
        if before is None:
            return 0
        with con:
            changed = sum(_replace(con, table, column, before, now) for table, column in LOCATIONS)
    logger.info("the models have moved with their home, from %s to %s", before, now)
    return changed


def folder_in(con: sqlite3.Connection, experiment: str, artifacts: Path) -> str | None:
    """The address of the experiment's folder in a store, where that has moved to the folder given; None where it has not."""
    if not con.execute("select 1 from sqlite_master where name = 'experiments'").fetchone():
        return None
    found = con.execute("select artifact_location from experiments where name = ?", (experiment,)).fetchone()
    before = found[0] if found else None
    return before if before and before != artifacts.as_uri() and before.endswith(f"/{artifacts.name}") else None


def moved_address(old: str, before: str, now: str) -> str:
    """An address under the folder `before` as one under the folder `now`, unless its files are still at the old place, and there only."""
    if old != before and not old.startswith(f"{before}/"):
        return old
    new = now + old[len(before) :]
    return new if old == before or path_of(new).exists() or not path_of(old).exists() else old


def path_of(uri: str) -> Path:
    """The path of a file URI."""
    return Path(url2pathname(urlparse(uri).path))


def _replace(con: sqlite3.Connection, table: str, column: str, before: str, now: str) -> int:
    known = con.execute(f"select distinct {column} from {table} where substr({column}, 1, ?) = ?", (len(before), before)).fetchall()
    moved = [(new, old) for (old,) in known if (new := moved_address(old, before, now)) != old]
    con.executemany(f"update {table} set {column} = ? where {column} = ?", moved)
    return len(moved)
