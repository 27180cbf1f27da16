"""Finds damaged model versions and states the consequences.

Reads the SQLite store directly and never writes: MLflow takes seconds to import, and writes to a store when it opens it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tasks.registry.errors import DamagedError, RegistryError
from tasks.registry.integrity import DAMAGED, checkpoint_in, demand_whole, may_be_champion
from tasks.registry.moved_store import folder_in, moved_address, path_of
from tasks.registry.names import CHAMPION, LIVE

BACKUP = "restore the folder from a backup to keep it"


@dataclass(frozen=True)
class Registered:
    """A version as recorded in the store."""

    version: int
    model: Path
    tags: Mapping[str, str]
    aliases: frozenset[str]


@dataclass(frozen=True)
class Damage:
    """A damaged version and its remedy; stops: minute runs fail until the remedy is applied."""

    problem: str
    remedy: str
    stops: bool


@dataclass(frozen=True)
class Examined:
    """Number of versions on this machine, number of checked ones, and the damaged ones, those in use first."""

    n_versions: int
    n_checked: int
    damages: tuple[Damage, ...]


def examine_versions(store: Path, name: str, artifacts: Path, seconds: float) -> Examined:
    """Compare the files of each version of a model with its digest: the live version first, then the champion, then newest first.

    store: MLflow's SQLite file. artifacts: model folder of the home, which may have moved. seconds: time limit; no version is begun
    after it.
    """
    known = sorted(
        registered(store, name, artifacts), key=lambda each: (LIVE not in each.aliases, CHAMPION not in each.aliases, -each.version)
    )
    until = time.monotonic() + seconds
    found: dict[int, str | None] = {}
    for each in known:
        if found and time.monotonic() > until:
            break
        found[each.version] = _damage(name, each)
    whole = sorted((each for each in known if found.get(each.version) is None and DAMAGED not in each.tags), key=lambda each: -each.version)
    damages = [_with_remedy(each, problem, known, whole) for each in known if (problem := found.get(each.version)) is not None]
    return Examined(len(known), len(found), tuple(damages))


def registered(store: Path, name: str, artifacts: Path) -> list[Registered]:
    """The versions of a model with files on this machine."""
    here = artifacts.resolve()
    with closing(sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as con:
        if not con.execute("select 1 from sqlite_master where name = 'model_versions'").fetchone():
            return []
        before = folder_in(con, name, here) if store.resolve().parent == here.parent else None
        rows = con.execute(
            "select version, storage_location from model_versions where name = ? and current_stage <> 'Deleted_Internal'", (name,)
        ).fetchall()
        tags = con.execute("select version, key, value from model_version_tags where name = ?", (name,)).fetchall()
        aliases = con.execute("select version, alias from registered_model_aliases where name = ?", (name,)).fetchall()
    return [
        Registered(
            version,
            path_of(location if before is None else moved_address(location, before, here.as_uri())),
            {key: value for of, key, value in tags if of == version},
            frozenset(alias for of, alias in aliases if of == version),
        )
        for version, location in rows
        if location and location.startswith(("file:", "/"))
    ]


def _damage(name: str, each: Registered) -> str | None:
    what = f"version {each.version} of {name}"
    try:
        demand_whole(what, checkpoint_in(what, each.model), each.tags)
    except DamagedError as error:
        return str(error)
    except RegistryError:  # another kind of model
        return None
    return None


def _with_remedy(each: Registered, problem: str, known: Sequence[Registered], whole: Sequence[Registered]) -> Damage:
    """The problem with its effect on the next minute and nightly run, which use the newest intact version."""
    effects: list[str] = []
    if LIVE in each.aliases:
        if not whole:
            return Damage(problem, "no other version is intact: restore the folder from a backup, or run `minutehand nightly`", stops=True)
        effects.append(f"the next minute run continues with version {whole[0].version}")
    if CHAMPION in each.aliases:
        heir = next((other.version for other in whole if may_be_champion(other.tags)), None)
        effects.append(
            "the next night has no champion to compare with" if heir is None else f"the next night uses version {heir} as the champion"
        )
    elif any(LIVE in other.aliases and other.tags.get(CHAMPION) == str(each.version) for other in known):
        effects.append("minute runs continue, and keep their updates close to the live version instead")
    if not effects:
        return Damage(problem, "nothing to do: it is never loaded, and upkeep will delete it", stops=False)
    return Damage(problem, f"{' and '.join(effects)}; {BACKUP}", stops=False)
