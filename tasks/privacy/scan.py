"""Where ids of people are: a search through every table and file of a home, each read by its own format.

The search knows no list of tables that hold people. It reads every Parquet file on disk, those of older snapshots and those of none,
every table of every database, and every other file. So it can prove what an erasure has done. Its rules:

- An id of 8 or more characters is found in any column, text or raw bytes, as a whole value or a whole word: no letter or digit before it
  or after it. In databases, where values lie side by side, it is found in the bytes that no row explains.
- An id of 4 to 7 characters with a letter and a digit is found as a value or a word of any column or text, not in raw bytes.
- Any other short id, such as 42, counts only where people are expected: in columns and JSON keys whose name says so, such as user_id or
  CustomerID, and as the token after such a word (user 42, /users/42). Otherwise every number 42 would be a person.
- A word within the id of another user of the lake does not count: smith-01 in smith-01-b.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import duckdb
import numpy as np

from models.errors import UserError, without_secrets
from tasks.lake import Lake, has_catalog, load_extension, named_files, one_line, quote, reading, statement
from tasks.privacy import keyed
from tasks.privacy.scan_files import SIDE_FILES, TEXTS_OF_PROGRAMS, Read, read_file, size_of
from tasks.privacy.scan_ids import Hits, Wanted
from tasks.store import Bucket, Place, download, entries

DIGESTS_STAY = ("ops.erasures", "ops.opt_outs", "raw.rejected")
"""Tables that keep keyed digests of erased people, so that they stay erased."""
PASSES = 3
"""The files of a home are listed again after they were read, because others move files meanwhile, such as landed ones."""
NOT_OF_PEOPLE = ("secret", "keys.json", "privacy-keys.json", "keys.lock", "up.lock", "writer.lock")
FOLDERS: Mapping[str, str] = {
    "lake": "catalog",
    "mlflow/artifacts": "model versions and artifacts",
    "mlflow": "MLflow",
    "prefect": "Prefect",
    "landing": "landing",
    "serving": "log of the API",
    "logs": "logs",
    "minute": "unfinished runs",
    "nightly": "unfinished runs",
    "tmp": "unfinished runs",
    "shop": "exported files",
    "huggingface": "text encoder",
}
"""The store of each folder of a home, the longest folder first; anything else counts as other files of the home."""


@dataclass(frozen=True)
class Finding:
    """What a scan found in one place, which is nothing if count is 0.

    count: values and words that are one of the ids, or their keyed digest where a digest stands for a person. kept: digests that stay so
    that a person stays erased. undecided: what could not be judged there; empty if everything could.
    """

    store: str
    place: str
    count: int
    kept: int = 0
    n_files: int = 0
    n_rows: int = 0
    n_bytes: int = 0
    undecided: str = ""


@dataclass
class _Tally:
    hits: Hits = field(default_factory=Hits)
    n_rows: int = 0
    sizes: dict[Path, int] = field(default_factory=dict)
    undecided: dict[str, None] = field(default_factory=dict)

    def add(self, read: Read, path: Path | None) -> None:
        self.hits += read.hits
        self.n_rows += read.n_rows
        if path is not None and path not in self.sizes:
            self.sizes[path] = size_of(path)
        if read.undecided:
            self.undecided[read.undecided] = None


def scan(home: Path, lake: Lake, ids: Iterable[str] = (), digests: Iterable[str] = (), also: Sequence[Place] = ()) -> tuple[Finding, ...]:
    """Every place of a home with what it holds of some people, by store and place; places with nothing are listed, too.

    digests: keyed digests of further people whose ids nobody knows any more. The ids behind them are looked for first, in every place where
    people are expected; with those that are found, the home is searched as with given ids. also: folders outside the home that belong to
    it, such as a landing folder elsewhere, and prefixes of an object store. Takes no lock and changes nothing.
    """
    home, given, asked = home.resolve(), tuple(ids), frozenset(digests)
    keys = keyed.load_keys(home) if keyed.keys_file(home).exists() else None
    known = asked | {digest for each in given for digest in (keys.digests(each) if keys else ())}
    owners = frozenset(owner_of(digest) for digest in known)
    states = _states_of_files(lake)
    if asked and keys is not None:
        behind = Wanted((), known, judge=_judge(keys, asked))
        found = _scan(home, lake, behind, owners, states, also)
        if not given and not behind.matched:
            return found
        given += tuple(behind.matched)
    wanted = Wanted(given, known, _longer_ids(lake, Wanted(given)))
    return _scan(home, lake, wanted, owners, states, also)


def _judge(keys: keyed.Keys, digests: Collection[str]) -> Callable[[str], bool]:
    @lru_cache(1 << 20)
    def is_wanted(text: str) -> bool:
        return text not in digests and any(digest in digests for digest in keys.digests(text))

    return is_wanted


def _scan(home: Path, lake: Lake, wanted: Wanted, owners: frozenset[int], states: _States, also: Sequence[Place]) -> tuple[Finding, ...]:
    tallies: dict[tuple[str, str], _Tally] = defaultdict(_Tally)
    seen: set[Path] = set()
    for _ in range(PASSES):
        fresh = [
            (root, path)
            for root in _roots(home, lake, [each for each in also if isinstance(each, Path)])
            for path in _files(root)
            if path not in seen
        ]
        for root, path in fresh:
            seen.add(path)
            store, place = _place_of(path, home, lake, states)
            try:
                for read in read_file(path, wanted, owners):
                    part = states.tables.get(read.part, read.part)
                    tallies[store, f"{place}: {part}" if part else place].add(read, None if part else path)
                tallies[store, place].add(Read(_in_name(path, root, wanted)), path)
            except FileNotFoundError:  # another process has moved or removed it
                continue
            except OSError as error:
                tallies[store, place].add(Read(Hits(), undecided=f"{path.name}: {error.strerror or error}"), path)
    for bucket in dict.fromkeys(each for each in (lake.place, *also) if isinstance(each, Bucket)):
        _scan_objects(bucket, lake, wanted, owners, states, tallies)
    if not lake.is_sqlite:
        for table, read in _read_postgres(lake, wanted):
            tallies["catalog", f"PostgreSQL: {states.tables.get(table, table)}"].add(read, None)
    return tuple(_finding(store, place, tally) for (store, place), tally in sorted(tallies.items()))


def _scan_objects(
    bucket: Bucket, lake: Lake, wanted: Wanted, owners: frozenset[int], states: _States, tallies: dict[tuple[str, str], _Tally]
) -> None:
    """Read every object below a prefix, each from a copy on this machine that is deleted at once."""
    seen: set[str] = set()
    with tempfile.TemporaryDirectory(dir=lake.lock_path.parent if lake.lock_path.parent.is_dir() else None) as folder:
        for _ in range(PASSES):
            for entry in [entry for entry in entries(bucket) if entry.name not in seen]:
                seen.add(entry.name)
                tally = tallies[_place_of_object(bucket, entry.name, lake, states)]
                copy = Path(folder) / f"object{''.join(Path(entry.name).suffixes[-2:])}"
                if Path(entry.name).name in NOT_OF_PEOPLE or not download(bucket, entry.name, copy):
                    continue
                try:
                    for read in read_file(copy, wanted, owners):
                        tally.add(read, None)
                except OSError as error:
                    tally.add(Read(Hits(), undecided=f"{entry.name}: {error.strerror or error}"), None)
                tally.add(Read(_in_text_of_name(entry.name, wanted)), None)
                tally.sizes[Path(entry.name)] = entry.n_bytes
                copy.unlink(missing_ok=True)


def _place_of_object(bucket: Bucket, name: str, lake: Lake, states: _States) -> tuple[str, str]:
    """As _place_of, for an object."""
    if name.endswith(".parquet") and str(bucket) == lake.data_path:
        table, state = states.files.get(Path(name).name, (".".join(Path(name).parts[:2]), "in no snapshot"))
        return "tables", f"{table}, {state}"
    return "object store", f"{bucket}{'/'.join(Path(name).parts[:4])}"


def owner_of(digest: str) -> int:
    """The owner of the replay windows of a person: the first 8 bytes of the digest as a signed number."""
    return int.from_bytes(bytes.fromhex(digest.partition("-")[2][:16]), "big", signed=True)


def unreached(lake: Lake, tracking_uri: str = "") -> tuple[str, ...]:
    """What no scan of this home can reach, in sentences for a certificate."""
    found = [
        "Backups and copies of the home, made by whatever means: erase the person again after a restore; the ledger does it by itself.",
        "Files that were exported, copied or sent elsewhere, and the systems from which the events came.",
        "The memory of running processes, swap space, and freed blocks of the disk below the file system.",
        "What the weights of a model have learnt: no scan can find a person in them; the next night trains without the person.",
        "Logs of the operating system, of proxies before the API, and the history of the shell.",
    ]
    if not lake.is_sqlite:
        found.append("The write-ahead log of the PostgreSQL server, and its replicas: let old segments of the log expire.")
    if lake.is_remote:
        found.append("Earlier versions of objects, if the bucket keeps them: delete them there, or let a rule of the bucket expire them.")
    if tracking_uri and not tracking_uri.startswith("sqlite:"):
        found.append(
            "The MLflow server, which is not in this home. An erasure replaces the replay memories of its model versions; a version that "
            "it cannot reach keeps the person until the next night deletes it."
        )
    return tuple(found)


def _finding(store: str, place: str, tally: _Tally) -> Finding:
    """Digests count where they may stand for a person as a pseudonym; elsewhere they are those of the ledger and of messages about it."""
    is_of_people = store in ("tables", "landing", "log of the API") or "rows of " in place
    stays = not is_of_people or any(table in place for table in DIGESTS_STAY)
    return Finding(
        store,
        place,
        tally.hits.ids + (0 if stays else tally.hits.digests),
        tally.hits.digests if stays else 0,
        len(tally.sizes),
        tally.n_rows,
        sum(tally.sizes.values()),
        "; ".join(tally.undecided),
    )


@dataclass(frozen=True)
class _States:
    """What the catalog says: the state of each Parquet file, and the lake's table behind each table of the catalog."""

    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)


def _states_of_files(lake: Lake) -> _States:
    """Nothing for a lake that is not there or cannot be opened: its files are read all the same."""
    with suppress(UserError, duckdb.Error):
        if has_catalog(lake):
            with reading(lake) as con:
                newest = {name for (name,) in con.execute(statement("privacy/scan_newest_files")).fetchall()}
                states = {
                    Path(file.path).name: (file.table, "newest state" if Path(file.path).name in newest else "older snapshots")
                    for file in named_files(con, lake)
                }
                inlined = con.execute(statement("privacy/scan_inlined_tables")).fetchall()
            return _States(states, {name: f"rows of {table}" for name, table in inlined})
    return _States()


def _longer_ids(lake: Lake, wanted: Wanted) -> list[str]:
    """Other users of the lake whose id contains one of the wanted ids as a word."""
    with suppress(UserError, duckdb.Error):
        if has_catalog(lake):
            with reading(lake) as con:
                users = con.execute(statement("privacy/scan_users")).to_arrow_table().column("id").combine_chunks()
            return [user for user in (users[place].as_py() for place in wanted.places_in(users)) if user not in wanted.ids]
    return []


def _roots(home: Path, lake: Lake, also: Sequence[Path]) -> list[Path]:
    """The home, and what belongs to it elsewhere; no folder twice."""
    found: list[Path] = []
    for path in (home, *([] if lake.is_remote else [lake.folder]), *([Path(lake.catalog_file)] if lake.is_sqlite else []), *also):
        if path.exists() and not any(path.resolve().is_relative_to(root) for root in found):
            found.append(path.resolve())
    return found


def _files(root: Path) -> Iterator[Path]:
    """Every file below a folder, in order, databases without the files that belong to them; no link is followed."""
    if root.is_file():
        yield root
        return
    for folder, folders, names in os.walk(root):
        folders.sort()
        there = set(names)
        for name in sorted(names):
            path = Path(folder) / name
            is_side = any(name.endswith(end) and name.removesuffix(end) in there for end in SIDE_FILES)
            if not is_side and name not in NOT_OF_PEOPLE and path.is_file() and not path.is_symlink():
                yield path


def _place_of(path: Path, home: Path, lake: Lake, states: _States) -> tuple[str, str]:
    """The store and the place of a file: tables of the lake by name and state, other files by folder."""
    if path.suffix == ".parquet" and not lake.is_remote and path.is_relative_to(lake.folder):
        table, state = states.files.get(path.name, (".".join(path.relative_to(lake.folder).parts[:2]), "in no snapshot"))
        return "tables", f"{table}, {state}"
    if not path.is_relative_to(home):
        return "catalog" if str(path) == lake.catalog_file else "outside the home", str(path)
    inside = path.relative_to(home)
    for folder, store in sorted(FOLDERS.items(), key=lambda pair: -len(pair[0])):
        if inside.is_relative_to(folder):
            return store, _shown(inside, folder)
    return "other files of the home", str(inside)


def _shown(inside: Path, folder: str) -> str:
    """A file by its path in the home; files of a model version by the folder of the version."""
    parts = inside.parts
    if folder == "mlflow/artifacts" and len(parts) > 4:
        return "/".join(parts[:4])
    return str(inside)


def _in_name(path: Path, root: Path, wanted: Wanted) -> Hits:
    """Ids in the name of a file or of its folders."""
    return _in_text_of_name(str(path.relative_to(root)) if path != root else path.name, wanted)


def _in_text_of_name(name: str, wanted: Wanted) -> Hits:
    spelled = np.frombuffer(name.encode("utf-8", "surrogateescape"), np.uint8)
    return wanted.in_bytes(spelled) + Hits(wanted.in_text(name) if wanted.is_judging else 0)


def _read_postgres(lake: Lake, wanted: Wanted) -> Iterator[tuple[str, Read]]:
    """The tables of a catalog in PostgreSQL."""
    con = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    try:
        load_extension(con, "postgres_scanner")
        con.execute(f"attach {quote(lake.catalog.removeprefix('postgres:'))} as catalog (type postgres, read_only)")
        names = con.execute("select schema_name, table_name from duckdb_tables() where database_name = 'catalog'").fetchall()
        for schema, name in names:
            is_of_server = name.startswith("pg_")
            judge = wanted.telling() if is_of_server or name in TEXTS_OF_PROGRAMS else wanted
            total, n_rows = Hits(), 0
            try:
                for batch in con.table(f'catalog."{schema}"."{name}"').to_arrow_reader():
                    n_rows += batch.num_rows
                    for column, values in zip(batch.schema.names, batch.columns, strict=True):
                        total += judge.in_column(column, values)
            except duckdb.Error as error:
                if not is_of_server:  # the server's own tables are for its administrator
                    yield name, Read(total, n_rows, undecided=one_line(without_secrets(str(error))))
                continue
            yield name, Read(total, n_rows)
    finally:
        con.close()
