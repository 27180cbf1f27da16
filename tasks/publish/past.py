"""Past publications: which version to go back to, and whether its lists are still there as rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from models.errors import UserError
from tasks.lake import Lake, Readable, execute, reading, statement
from tasks.publish.pointer import live_version
from tasks.publish.publication import Files

BY_HAND = ("promote", "rollback")
"""Cadences of the publications whose model a person chose."""


@dataclass(frozen=True)
class Past:
    """The last publication of a model version; the lists of published_at are those that it left.

    learnt: its weights have learnt the events up to this snapshot; None if no publication says so. has_lists: whether recs.list_history
    reaches back to it.
    """

    version: str
    champion: str
    mlflow_run_id: str
    files: Files | None
    published_at: datetime
    learnt: int | None
    hides_seen_items: bool | None
    seen_items_setting: str | None
    repeat_share: float | None
    n_items: int
    has_lists: bool

    def with_files(self, files: Files, learnt: int) -> Past:
        """The publication with the files of the registry. learnt: as the version says, if no publication does."""
        return replace(self, files=files, learnt=learnt if self.learnt is None else self.learnt)


@dataclass(frozen=True)
class Promotion:
    """The newest publication, whose model a person chose. is_behind: whether the model has events to learn again."""

    cadence: str
    version: str
    champion: str
    mlflow_run_id: str
    publication_id: str
    is_behind: bool


def past_publication(at: Readable, version: str) -> Past | None:
    """The last publication of a version; None if it has never published."""
    with reading(at) as con:
        row = execute(con, "publish/past_publication", {"version": version}).fetchone()
    if row is None:
        return None
    name, champion, run, folder, digest, *others = row
    return Past(str(name), str(champion), str(run), None if folder is None else Files(Path(folder), digest), *others)


def before_champion(at: Readable) -> tuple[str, str] | None:
    """The version that was live before the champion last changed, and its champion; None if there was only one champion."""
    with reading(at) as con:
        row = con.execute(statement("publish/before_champion")).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def rollback_versions(at: Readable) -> set[str]:
    """The versions that a rollback would make live, which are kept for it."""
    return set(before_champion(at) or ())


def newest_promotion(at: Readable) -> Promotion | None:
    """The newest publication if a person chose its model; None if a run has published since."""
    with reading(at) as con:
        row = con.execute(statement("publish/newest_promotion")).fetchone()
    return None if row is None else Promotion(*row)


def promoted_since(lake: Lake, snapshot: int) -> Promotion | None:
    """The newest publication, if a person chose its model after a snapshot."""
    promoted = newest_promotion(lake)
    if promoted is None:
        return None
    asked = {"publication_id": promoted.publication_id, "snapshot": snapshot}
    with reading(lake) as con:
        was_there = con.execute(statement("publish/is_published_at"), asked).fetchone() == (True,)
    return None if was_there else promoted


def reach(at: Readable, since: datetime) -> list[tuple[str, datetime]]:
    """The versions that can go live from their lists, with the time of their last publication, the oldest first.

    since: lists from before are gone. Versions whose files are not on this machine are left out.
    """
    with reading(at) as con:
        found = con.execute(statement("publish/past_versions"), {"since": since}).fetchall()
    return [(str(version), published_at) for version, folder, published_at in found if folder is not None and Path(folder).is_dir()]


def bytes_of_versions(home: Path) -> int:
    """The bytes of all model versions of a home. Files that versions share count once."""
    files = [path.stat() for path in (home / "mlflow" / "artifacts" / "models").rglob("*") if path.is_file()]
    return sum({found.st_ino: found.st_size for found in files}.values())


def feed_floor(con: duckdb.DuckDBPyConnection) -> int:
    """The snapshot from which on the change feed of events can be read: that of the last erasure, or 0."""
    (floor,) = con.execute(statement("publish/feed_floor")).fetchone() or (None,)
    return int(floor or 0)


def demand_other(lake: Lake, version: str) -> None:
    """Raises UserError unless lists are published, and by another version."""
    live = live_version(lake)
    if live is None:
        raise UserError(f"version {version} cannot go live before any lists are published; run `minutehand nightly` first")
    if live == version:
        raise UserError(f"version {version} is live already; `minutehand status` shows it, and `minutehand models` shows the others")
