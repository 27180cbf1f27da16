"""Moving the models of a home: MLflow's tables to another database, and the artifacts to another place.

The rows are copied as they are, except for the addresses of artifacts. So versions keep their numbers and runs their ids, which the lake
names.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import sqlalchemy as sa
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.exc import SQLAlchemyError

from models.errors import without_secrets
from tasks.registry.errors import RegistryError
from tasks.registry.moved_store import LOCATIONS

logger = logging.getLogger("minutehand.registry")
logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
BATCH = 1000
"""Rows that one statement inserts."""


@dataclass(frozen=True)
class Models:
    """Where models are: the address of MLflow's database (not of a server), and the URI of the folder of their artifacts."""

    store: str
    artifacts: str


@dataclass(frozen=True)
class MovedModels:
    """What a move of models did. n_copied: files that this run copied; the others were there from an earlier, killed run."""

    n_versions: int
    n_runs: int
    n_files: int
    n_copied: int


def move_models(source: str, target: Models, experiment: str) -> MovedModels:
    """Copy runs, versions and artifacts; the source stays as it is. After a killed move, call it again: its files are there already.

    source: the address of MLflow's database. experiment: the one whose artifacts move. Raises RegistryError where a store does not open,
    or where the target has other runs.
    """
    with _opened(source, target.store, target.artifacts) as (old, new):
        before = _artifacts_of(old, experiment)
        if before is None:
            raise RegistryError(f"MLflow at {without_secrets(source)} has no experiment {experiment!r}: there are no models to move")
        foreign = set(_column(new, "runs", "run_uuid")) - set(_column(old, "runs", "run_uuid"))
        if foreign:
            raise RegistryError(
                f"MLflow at {without_secrets(target.store)} has {len(foreign)} runs that this home has not; name an empty database"
            )
        n_files, n_copied = _copy_artifacts(before, target.artifacts)
        _copy_rows(old, new, before, target.artifacts)
        for name, key in (("model_versions", "version"), ("runs", "run_uuid"), ("tags", "key"), ("metrics", "key")):
            ours, theirs = (sorted(_column(con, name, key)) for con in (old, new))
            if ours != theirs:
                raise RegistryError(
                    f"{name} differ after the move ({len(ours)} and {len(theirs)}); run it again while nothing writes there"
                )
        return MovedModels(len(_column(new, "model_versions", "version")), len(_column(new, "runs", "run_uuid")), n_files, n_copied)


@contextmanager
def _opened(old: str, new: str, artifacts: str) -> Iterator[tuple[sa.Connection, sa.Connection]]:
    """Connections to both databases; the new one has MLflow's tables, and one transaction that commits at the end of the block."""
    engines = []
    try:
        if new.startswith("sqlite:///"):
            Path(new.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        engines = [SqlAlchemyStore(old, artifacts).engine, SqlAlchemyStore(new, artifacts).engine]
        with engines[0].connect() as source, engines[1].begin() as target:
            yield source, target
    except Exception as error:
        if not isinstance(error, MlflowException | SQLAlchemyError | ImportError) and not type(error).__module__.startswith("botocore"):
            raise
        raise RegistryError(
            f"cannot move the models from {without_secrets(old)} to {without_secrets(new)}: {without_secrets(str(error).splitlines()[0])}; "
            "check both addresses, that both belong to this MLflow version, and that the drivers are installed: "
            "pip install 'minutehand[postgres,s3]'"
        ) from None
    finally:
        for engine in engines:
            engine.dispose()


def _column(con: sa.Connection, table: str, column: str) -> list[str]:
    return list(con.execute(sa.select(sa.column(column)).select_from(sa.table(table))).scalars())


def _artifacts_of(con: sa.Connection, experiment: str) -> str | None:
    found = con.execute(sa.text("select artifact_location from experiments where name = :name"), {"name": experiment}).scalar()
    return None if found is None else str(found)


def _copy_rows(old: sa.Connection, new: sa.Connection, before: str, now: str) -> None:
    """Replace the rows of all tables by those of the old database, with the addresses of the artifacts changed."""
    there, here = sa.MetaData(), sa.MetaData()
    there.reflect(new)
    here.reflect(old)
    for table in reversed(there.sorted_tables):
        if table.name != "alembic_version":
            new.execute(table.delete())
    for table in there.sorted_tables:
        if table.name == "alembic_version":
            continue
        rows = [dict(row) for row in old.execute(here.tables[table.name].select()).mappings()]
        for start in range(0, len(rows), BATCH):
            new.execute(table.insert(), rows[start : start + BATCH])
        if new.dialect.name == "postgresql":
            _continue_numbers(new, table)
    for name, column in LOCATIONS:
        new.execute(
            sa.text(f"update {name} set {column} = :now || substr({column}, :after) where substr({column}, 1, :length) = :before"),
            {"now": now, "before": before, "length": len(before), "after": len(before) + 1},
        )


def _continue_numbers(con: sa.Connection, table: sa.Table) -> None:
    """Let the numbers that PostgreSQL gives to new rows start after those of the copied ones."""
    for column in table.primary_key.columns:
        default = column.server_default
        if isinstance(default, sa.DefaultClause) and "nextval" in str(default.arg):
            last = con.execute(sa.select(sa.func.max(column))).scalar()
            if last is not None:
                con.execute(sa.select(sa.func.setval(sa.func.pg_get_serial_sequence(table.name, column.name), last)))


def _copy_artifacts(before: str, now: str) -> tuple[int, int]:
    """Number of files, and of those that had to be copied. Files of the same path and size are there already."""
    source, target = get_artifact_repository(before), get_artifact_repository(now)
    ours, theirs = dict(_files(source)), dict(_files(target))
    missing = [path for path, size in ours.items() if theirs.get(path) != size]
    for path in missing:
        folder = str(PurePosixPath(path).parent)
        target.log_artifact(source.download_artifacts(path), None if folder == "." else folder)
    logger.info("copied %d of %d files of models to %s", len(missing), len(ours), now)
    theirs = dict(_files(target)) if missing else theirs
    left = [path for path, size in ours.items() if theirs.get(path) != size]
    if left:
        raise RegistryError(f"{now}/{left[0]} is not what was copied there; run it again, or look for a fault of that store")
    return len(ours), len(missing)


def _files(repository: ArtifactRepository, folder: str | None = None) -> Iterator[tuple[str, int]]:
    for found in repository.list_artifacts(folder):
        if found.is_dir:
            yield from _files(repository, found.path)
        else:
            yield found.path, found.file_size


def local_models(folder: Path) -> Models:
    """The models of a home folder."""
    return Models(f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}", (folder / "mlflow" / "artifacts").as_uri())
