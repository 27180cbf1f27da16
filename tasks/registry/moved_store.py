"""Repairs a SQLite store of MLflow that moved with its home: its file addresses still point to the old folder."""

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
"""Tables and columns in which MLflow stores absolute addresses."""


def follow_artifacts(store: Path, experiment: str, artifacts: Path) -> int:
    """Rewrite every address under the experiment's old folder to the artifact folder next to the store; returns the number changed.

    Needs an existing artifact folder. An address stays if its files exist only at the old location. A store that is not next to the
    artifact folder stays unchanged, as several homes may use it.
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
    """The old address of the experiment's folder, if the folder has moved to the given one; otherwise None."""
    if not con.execute("select 1 from sqlite_master where name = 'experiments'").fetchone():
        return None
    found = con.execute("select artifact_location from experiments where name = ?", (experiment,)).fetchone()
    before = found[0] if found else None
    return before if before and before != artifacts.as_uri() and before.endswith(f"/{artifacts.name}") else None


def moved_address(old: str, before: str, now: str) -> str:
    """An address under the folder `before`, moved to the folder `now`; unchanged if its files exist only at the old location."""
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
