"""What `minutehand doctor` finds in the stores: the lake with its files, and the model versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.findings import Finding, split

if TYPE_CHECKING:
    from pathlib import Path

    from settings import Settings
    from tasks.lake import Lake

LOOK_S = 10.0
"""Time limit for checking files: enough for a small lake; in a large lake only the newest files are checked."""
N_DAMAGES = 5
SEND_HERE = "minutehand doctor"
BACKUP = (
    "restore it from a backup and leave the folder of the Parquet files as it is; without a backup, move the folder lake of the home "
    "away, as a whole, and take the events and items in again"
)


def check_lake(settings: Settings) -> Iterator[Finding]:
    """Whether the lake opens, has all migrations and its own data folder, and whether its files can be read."""
    import duckdb

    from models.errors import UserError
    from tasks.data_folder import check_free
    from tasks.lake import SQL, has_catalog, locate, reading

    try:
        lake = locate(settings.lake, settings.home, settings.store)
    except UserError as error:
        yield Finding("lake", "bad", *split(str(error)))
        return
    try:
        if not has_catalog(lake):
            check_free(lake.place, lake.shown_catalog)
            yield Finding("lake", "ok", "not there yet; the first ingest makes it")
            return
        with reading(lake) as con:
            applied = {name for (name,) in con.execute("select name from ops.migrations").fetchall()}
            (n_events,) = con.execute("select count(*) from raw.events").fetchone() or (0,)
    except duckdb.CatalogException:
        yield Finding("lake", "warn", "without tables: its first writer was stopped", "the next ingest makes them")
        return
    except (UserError, OSError, duckdb.Error) as error:
        yield _unreadable(lake, error)
        yield from _look_into_files(lake)
        return
    pending = sorted({file.stem for file in (SQL / "schema").glob("*.sql")} - applied)
    unknown = sorted(applied - {file.stem for file in (SQL / "schema").glob("*.sql")})
    if unknown:
        yield Finding("lake", "bad", f"made by a newer version: {', '.join(unknown)}", "update minutehand")
    elif pending:
        yield Finding("lake", "warn", f"without migrations {', '.join(pending)}", "the next ingest or nightly applies them")
    else:
        yield Finding("lake", "ok", f"{n_events:,} events, all {len(applied)} migrations")
    yield _whose_folder(lake)
    if not (pending or unknown or lake.is_sqlite):
        yield _whose_keys(lake)
    yield from _look_into_files(lake)


def _unreadable(lake: Lake, error: Exception) -> Finding:
    """Why the lake does not open. An error that sends the user to `minutehand doctor` gets a separate remedy."""
    from models.errors import UserError

    found, remedy = split(str(error), BACKUP) if isinstance(error, UserError) else (str(error), BACKUP)
    if SEND_HERE in remedy and lake.is_sqlite:
        remedy = f"make {lake.catalog_file} and its folder readable and writable for this user; if the file is damaged, {BACKUP}"
    elif SEND_HERE in remedy:
        remedy = "start that database, or check the address and the password in MINUTEHAND_LAKE__CATALOG; if it has lost tables, restore it"
    return Finding("lake", "bad", found, remedy)


def _whose_folder(lake: Lake) -> Finding:
    """Whether the data folder is this catalog's."""
    from models.errors import UserError
    from tasks.data_files import LET_READ
    from tasks.data_folder import check_owner, read_mark
    from tasks.lake import identity, reading

    try:
        mark = read_mark(lake.place)
        if mark is None:
            return Finding("data folder", "ok", f"{lake.place} is not marked as this lake's yet; the next write does")
        with reading(lake) as con:
            check_owner(lake.place, lake.catalog_file, identity(con), mark)
    except UserError as error:
        return Finding("data folder", "bad", *split(str(error), BACKUP))
    except OSError as error:
        return Finding("data folder", "bad", str(error), LET_READ)
    return Finding("data folder", "ok", f"{lake.place} belongs to this lake")


def _whose_keys(lake: Lake) -> Finding:
    """Whether the privacy keys of this home are those of the other homes of the lake; makes none."""
    from tasks.privacy.common_keys import check_common_keys
    from tasks.privacy.keyed import PrivacyKeysError

    try:
        check_common_keys(lake)
    except PrivacyKeysError as error:
        return Finding("privacy keys", "bad", *split(str(error)))
    return Finding("privacy keys", "ok", "those of all homes of this lake")


def _look_into_files(lake: Lake) -> Iterator[Finding]:
    """Whether every file that the catalog names is there and can be read; nothing where the catalog cannot name them."""
    import duckdb

    from models.errors import UserError
    from tasks.data_files import REMEDY
    from tasks.lake import examine

    try:
        done = examine(lake, LOOK_S)
    except (UserError, OSError, duckdb.Error):
        return
    summary = f"{done.n_checked:,} of {done.n_files:,} checked, {done.n_read:,} of them read in full"
    if not done.damages:
        yield Finding("lake files", "ok", summary)
        return
    for damage in done.damages[:N_DAMAGES]:
        yield Finding("lake files", "bad", damage.message, damage.remedy)
    if len(done.damages) > N_DAMAGES:
        yield Finding("lake files", "bad", f"{len(done.damages):,} damaged files in all; {summary}", REMEDY)


def check_models(settings: Settings) -> Iterator[Finding]:
    """Whether the store of runs and models opens."""
    import sqlite3
    from pathlib import Path

    from models.errors import without_secrets

    uri = settings.tracking_uri
    if not uri.startswith("sqlite:///"):
        yield Finding("mlflow store", "ok", f"{without_secrets(uri)}, not looked into")
        return
    path = Path(uri.removeprefix("sqlite:///"))
    if not path.exists() or path.stat().st_size == 0:
        yield Finding("mlflow store", "ok", "not there yet; the first night makes it")
        return
    try:
        con = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            (made,) = con.execute("select count(*) from sqlite_master where name = 'runs'").fetchone()
            n_runs = con.execute("select count(*) from runs").fetchone()[0] if made else 0
        finally:
            con.close()
    except sqlite3.Error as error:
        yield Finding(
            "mlflow store", "bad", f"{path}: {error}", "restore it from a backup, or delete it: the next night registers a first model"
        )
        return
    yield Finding("mlflow store", "ok", f"{n_runs} runs")
    yield from _look_into_versions(settings, path)


def _look_into_versions(settings: Settings, store: Path) -> Iterator[Finding]:
    """Whether the files of the model versions are those that were registered."""
    import sqlite3

    from tasks.registry.examination import examine_versions

    try:
        done = examine_versions(store, settings.registry.model_name, settings.home.resolve() / "mlflow" / "artifacts", LOOK_S)
    except sqlite3.Error as error:
        yield Finding("model versions", "warn", f"{store}: {error}", "look again when no night is starting")
        return
    for damage in done.damages:
        yield Finding("model versions", "bad" if damage.stops else "warn", damage.problem, damage.remedy)
    if not done.damages:
        yield Finding("model versions", "ok", f"{done.n_checked:,} of {done.n_versions:,} checked")
