"""`minutehand move`: the lake to PostgreSQL and an object store, back to a folder, or to another folder."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings import Settings
    from tasks.lake import Lake

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
Models = Annotated[
    str,
    typer.Option("--models", metavar="ADDRESS", help="Database of an MLflow server to which the models move: postgresql://USER@HOST/NAME"),
]
OF_A_LARGE_INSTALLATION = ("LAKE__CATALOG", "LAKE__DATA_PATH", "REGISTRY__TRACKING_URI", "REGISTRY__ARTIFACTS")
Artifacts = Annotated[str, typer.Option("--artifacts", metavar="PATH", help="Where their files go: s3://bucket/prefix, or a folder")]


def move(to: To, data: Data = "", models: Models = "", artifacts: Artifacts = "") -> None:
    """Move the lake of this home to another catalog and other files, with its snapshots, and compare both; on request the models too.

    Nothing may run in the home. A killed move goes on where it stopped. Afterwards the old lake can be read, but not written.
    """
    from cli.environment import check_writable, prepare
    from cli.lake import lake_of
    from models.errors import UserError
    from settings import load
    from tasks.lake import LakeConfig, locate, migrate, newest_snapshot
    from tasks.moving import copy_home
    from tasks.moving import move as move_lake
    from tasks.privacy.common_keys import demand_common_keys

    settings = load()
    if not to.strip():
        raise UserError("where to is empty; give --to postgres:host=... dbname=..., or --to FOLDER for a new home")
    prepare(settings)
    is_home = not to.startswith(("postgres:", "postgresql:"))
    if is_home and (models or artifacts):
        raise UserError("the models of a new home are in its folder; leave out --models and --artifacts")
    if bool(models) != bool(artifacts):
        raise UserError("the models move to a database and a place for their files; give both --models and --artifacts")
    if not is_home and not data:
        raise UserError("a PostgreSQL catalog needs a place for the files as well; give --data FOLDER or --data s3://bucket/prefix/")
    source = lake_of(settings)
    newest_snapshot(source)  # an error if there is no lake, which migrate would create
    home = Path(to).expanduser().resolve() if is_home else settings.home
    with _nothing_runs(settings, source):
        check_writable(home)
        target = locate(LakeConfig(catalog="" if is_home else to, data_path=data), home, settings.store)
        migrate(source)
        _move_models(settings, models, artifacts, home if is_home else None)
        if is_home:
            n_copied = copy_home(settings.home.resolve(), home, has_models=not settings.registry.tracking_uri)
            say(f"{n_copied:,} other files of the home copied to {home}")
        moved = move_lake(source, target)
        demand_common_keys(target)
    say(
        f"moved and compared: {moved.n_tables} tables, {moved.n_rows:,} rows, {moved.n_files:,} files of {moved.n_bytes / 1e6:,.1f} MB "
        f"({moved.n_copied:,} copied now), snapshot {moved.snapshot}"
    )
    say("the old lake can be read, but not written; delete it once you have a backup of the new one")
    say("from now on:\n")
    values = {"HOME": str(home)} if is_home else {"LAKE__CATALOG": target.shown_catalog}
    if data:
        values["LAKE__DATA_PATH"] = target.data_path
    if "://" in artifacts:  # an erasure looks for people there, and doctor asks for rights
        values["REGISTRY__ARTIFACTS"] = artifacts
    if models:
        values["REGISTRY__TRACKING_URI"] = "http://..."
        say("Start MLflow's server on the database of the models; its address goes into the last line.\n")
    for name, value in values.items():
        say(f"  export MINUTEHAND_{name}={shlex.quote(value)}")
    of_before = [f"MINUTEHAND_{name}" for name in OF_A_LARGE_INSTALLATION if name not in values]
    still_set = [name for name in of_before if is_home and os.environ.get(name)]
    if still_set:  # they would lead every command to the old lake
        say(f"  unset {' '.join(still_set)}")


def _move_models(settings: Settings, store: str, artifacts: str, home: Path | None) -> None:
    """Move MLflow's tables and artifacts, from a database to the given one or to the new home; those of a home move with its folder."""
    uri = settings.tracking_uri
    if not store and (home is None or not settings.registry.tracking_uri):
        return
    if uri.startswith(("http:", "https:")):
        say("the models stay with the MLflow server; to move them, set MINUTEHAND_REGISTRY__TRACKING_URI to the address of its database")
        return
    from settings import by_psycopg
    from tasks.registry.moving import Models, local_models, move_models

    if home is not None:
        target = local_models(home)
    else:
        target = Models(by_psycopg(store), artifacts if "://" in artifacts else Path(artifacts).resolve().as_uri())
    moved = move_models(uri, target, settings.registry.model_name)
    say(f"{moved.n_versions:,} model versions of {moved.n_runs:,} runs moved ({moved.n_copied:,} of {moved.n_files:,} files copied now)")


@contextmanager
def _nothing_runs(settings: Settings, lake: Lake) -> Iterator[None]:
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
        held.enter_context(locks.night_paused(lake))
        held.enter_context(locks.publishing_paused(lake, 0))
        yield
