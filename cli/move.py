"""`minutehand move`: the lake to PostgreSQL and an object store, back to a folder, or to another folder."""

from __future__ import annotations

import shlex
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings import Settings

To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="CATALOG|FOLDER",
        help="A PostgreSQL catalog (postgres:host=... dbname=..., password in ~/.pgpass), or the folder of a new home",
        show_default=False,
    ),
]
Data = Annotated[
    str,
    typer.Option(
        "--data", metavar="PATH", help="Where the files go: a folder, or s3://bucket/prefix/; a new home has its own", show_default=False
    ),
]


def move(to: To, data: Data = "") -> None:
    """Move the lake of this home to another catalog and other files, with its snapshots, and compare both.

    Nothing may run in the home. A killed move goes on where it stopped. Afterwards the old lake can be read, but not written.
    """
    from cli.environment import check_writable
    from cli.lake import lake_of
    from models.errors import UserError
    from settings import load
    from tasks.lake import LakeConfig, locate, migrate
    from tasks.moving import copy_home
    from tasks.moving import move as move_lake

    settings = load()
    if not to.strip():
        raise UserError("where to is empty; give --to postgres:host=... dbname=..., or --to FOLDER for a new home")
    is_home = not to.startswith(("postgres:", "postgresql:"))
    if not is_home and not data:
        raise UserError("a PostgreSQL catalog needs a place for the files as well; give --data FOLDER or --data s3://bucket/prefix/")
    source = lake_of(settings)
    home = Path(to).expanduser().resolve() if is_home else settings.home
    with _nothing_runs(settings):
        check_writable(home)
        target = locate(LakeConfig(catalog="" if is_home else to, data_path=data), home)
        migrate(source)
        moved = move_lake(source, target)
        if is_home:
            say(f"{copy_home(settings.home.resolve(), home):,} other files of the home copied to {home}")
    say(
        f"moved and compared: {moved.n_tables} tables, {moved.n_rows:,} rows, {moved.n_files:,} files of {moved.n_bytes / 1e6:,.1f} MB "
        f"({moved.n_copied:,} copied now), snapshot {moved.snapshot}"
    )
    say("the old lake can be read, but not written; delete it once you have a backup of the new one. From now on:\n")
    values = {"HOME": str(home)} if is_home else {"LAKE__CATALOG": target.shown_catalog}
    if data:
        values["LAKE__DATA_PATH"] = target.data_path
    for name, value in values.items():
        say(f"  export MINUTEHAND_{name}={shlex.quote(value)}")


@contextmanager
def _nothing_runs(settings: Settings) -> Iterator[None]:
    """Hold all locks of a home. Raises UserError while its service, its API, a night or a minute runs."""
    from filelock import Timeout

    from cli.environment import serve_lock, up_lock
    from models.errors import UserError
    from tasks import locks

    with ExitStack() as held:
        for what, lock in (("minutehand up", up_lock(settings.home)), ("minutehand serve", serve_lock(settings.home))):
            try:
                held.enter_context(lock.acquire(timeout=0))
            except Timeout as error:
                raise UserError(f"`{what}` runs in {settings.home.resolve()}; stop it, and move the home then") from error
        held.enter_context(locks.night_paused(settings.home))
        held.enter_context(locks.publishing_paused(settings.home, 0))
        yield
