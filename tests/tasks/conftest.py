"""Fixtures: a lake with a SQLite catalog, also with PostgreSQL if the marker is selected and the machine has it; a registry."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.data_folder import NAME
from tasks.lake import Lake, LakeConfig, locate, migrate
from tests.stores import bucket, object_store

if TYPE_CHECKING:
    from tasks.registry.versions import Registry

__all__ = ["bucket", "object_store"]


@pytest.fixture(scope="session")
def postgres_port() -> Iterator[int]:
    """The port of a PostgreSQL server that runs for the whole test session."""
    binaries = _postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL on this machine (initdb neither on PATH nor in /usr/lib/postgresql)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder = Path(tempfile.mkdtemp(prefix="minutehand-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres" if _has_user("postgres") else "nobody")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    try:
        _as_server(binaries / "initdb", "-D", folder / "db", "-U", "minutehand", "--auth=trust", "--no-sync")
        _as_server(binaries / "pg_ctl", "-D", folder / "db", "-w", "-o", options, "-l", folder / "log", "start")
        yield port
    finally:
        if (folder / "db" / "postmaster.pid").exists():
            _as_server(binaries / "pg_ctl", "-D", folder / "db", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_binaries() -> Path | None:
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent if (Path(on_path).resolve().parent / "pg_ctl").exists() else Path(on_path).parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def _has_user(name: str) -> bool:
    return subprocess.run(["id", name], capture_output=True, check=False).returncode == 0


def _as_server(*command: str | Path) -> None:
    """Run as a user other than root, because PostgreSQL refuses root."""
    words = [str(word) for word in command]
    if os.geteuid() == 0:
        words = ["runuser", "-u", "postgres" if _has_user("postgres") else "nobody", "--", *words]
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def lake_config(request: pytest.FixtureRequest, tmp_path: Path) -> LakeConfig:
    """The address of a test's lake: a file, or a separate database."""
    if request.param == "sqlite":
        return LakeConfig()
    port = request.getfixturevalue("postgres_port")
    name = f"lake_{abs(hash(str(tmp_path)))}"
    server = f"host=127.0.0.1 port={port} user=minutehand"
    subprocess.run(["psql", "-q", f"{server} dbname=postgres", "-c", f"create database {name}"], check=True)
    return LakeConfig(catalog=f"postgres:{server} dbname={name}")


@pytest.fixture(scope="session")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with all its tables, to copy: to create them takes six times as long as a copy."""
    lake = locate(LakeConfig(), tmp_path_factory.mktemp("empty"))
    migrate(lake)
    return lake


@pytest.fixture
def lake(lake_config: LakeConfig, home: Path, request: pytest.FixtureRequest) -> Lake:
    """An empty lake with all its tables; one thread is faster for small tables."""
    lake = replace(locate(lake_config, home), threads=1)
    if lake.is_sqlite:
        _copy(request.getfixturevalue("empty_lake"), lake)
    else:
        migrate(lake)
    return lake


def _copy(source: Lake, target: Lake) -> None:
    """Copy an empty lake: its catalog, and the mark of its data folder, both with the new paths."""
    shutil.copy(source.catalog_file, target.catalog_file)
    with closing(sqlite3.connect(target.catalog_file)) as con, con:
        con.execute("update ducklake_metadata set value = ? where key = 'data_path'", [target.data_path])
    mark = json.loads((source.folder / NAME).read_text(encoding="utf-8"))
    mark |= {"since": datetime.now(UTC).isoformat(), "folder": str(target.folder), "address": target.catalog_file}
    target.folder.mkdir()
    (target.folder / NAME).write_text(json.dumps(mark), encoding="utf-8")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], str]:
    """A function that writes a text file and returns its path."""

    def write_file(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        return str(path)

    return write_file


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One MLflow store for all tests, because creating it takes seconds; each test has its own model in it."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def registry(store: Path, request: pytest.FixtureRequest) -> Registry:
    """A registry for one test."""
    from tasks.registry.versions import open_registry

    return open_registry(f"sqlite:///{store / 'mlflow.db'}", request.node.name, store / request.node.name)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The folder of an untrained recommender of five fruits."""
    from tests.tasks.fruits import save_checkpoint

    return save_checkpoint(tmp_path / "checkpoint")


@pytest.fixture
def register_one(registry: Registry, checkpoint: Path) -> Callable[[], str]:
    """A function that registers one more version, each from a separate night."""
    from tasks.registry.night_run import register, start_night
    from tests.tasks.fruits import EXAMPLE, ROWS

    def register_version() -> str:
        with start_night(registry, "night", {}, 1, None, {}) as night:
            return register(night, checkpoint, ROWS, EXAMPLE)

    return register_version
