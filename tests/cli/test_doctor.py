"""`minutehand doctor` finds what is wrong, says how to repair it, and exits with 1 only for what stops the work."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from cli.environment import Up, write_up
from cli.secret import make_secret, secret_file
from settings import load
from tasks.data_folder import NAME, parquet_files, read_mark
from tasks.lake import Lake, locate, migrate, writing
from tests.tasks.fruits import EXAMPLE, ROWS, save_checkpoint
from tests.tasks.test_data_folder import fill


def _examine() -> tuple[int, dict[str, dict[str, str]]]:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, {row["check"]: row for row in json.loads(result.stdout)}


def test_a_sound_installation_has_nothing_bad_and_exits_with_0() -> None:
    code, rows = _examine()
    assert code == 0, rows
    assert {"home", "python", "packages", "duckdb ducklake", "encoder", "threads", "cuda", "up", "disk", "lake", "mlflow store"} <= set(
        rows
    )
    assert {row["state"] for row in rows.values()} <= {"ok", "warn"}
    assert all(row["remedy"] for row in rows.values() if row["state"] != "ok")


def test_a_lake_is_reported_with_its_events() -> None:
    settings = load()
    lake = locate(settings.lake, settings.home)
    migrate(lake)
    _, rows = _examine()
    assert rows["lake"]["state"] == "ok"
    assert rows["lake"]["found"].startswith("0 events, all ")


def test_a_lake_with_a_missing_migration_is_a_warning_that_names_it() -> None:
    settings = load()
    lake = locate(settings.lake, settings.home)
    migrate(lake)
    with writing(lake) as con:
        con.execute("delete from ops.migrations where name = '009_eval_offline'")
    code, rows = _examine()
    assert code == 0
    assert (rows["lake"]["state"], rows["lake"]["found"]) == ("warn", "without migrations 009_eval_offline")


def test_a_broken_lake_and_a_broken_store_are_bad_and_the_exit_code_says_so() -> None:
    settings = load()
    home = settings.home.resolve()
    for file in (home / "lake" / "catalog.sqlite", home / "mlflow" / "mlflow.db"):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"this is no database at all" * 100)
    code, rows = _examine()
    assert code == 1
    assert rows["lake"]["state"] == rows["mlflow store"]["state"] == "bad"
    assert "delete it" in rows["mlflow store"]["remedy"]
    assert "restore it from a backup" in rows["lake"]["remedy"]


def _filled_lake() -> Lake:
    settings = load()
    lake = locate(settings.lake, settings.home)
    migrate(lake)
    fill(lake)
    return lake


def test_a_lake_whose_files_are_all_there_says_how_many_were_read() -> None:
    lake = _filled_lake()
    code, rows = _examine()
    assert (code, rows["lake files"]["found"]) == (0, "1 of 1 checked, 1 of them read in full")
    assert rows["data folder"]["found"] == f"{lake.folder} belongs to this lake"


def test_a_file_of_the_lake_that_is_gone_is_named_with_its_rows() -> None:
    lake = _filled_lake()
    (file,) = parquet_files(lake.folder)
    file.unlink()
    code, rows = _examine()
    assert (code, rows["lake files"]["state"]) == (1, "bad")
    assert rows["lake files"]["found"] == f"100 rows of raw.rejected cannot be read: {file}: there is no such file"
    assert rows["lake files"]["remedy"].startswith("restore that file from a backup, at the same path")


def test_a_lost_catalog_is_bad_and_its_remedy_saves_the_files() -> None:
    lake = _filled_lake()
    for file in lake.lock_path.parent.glob("catalog.sqlite*"):
        file.unlink()
    code, rows = _examine()
    assert (code, rows["lake"]["state"]) == (1, "bad")
    assert rows["lake"]["found"].startswith(f"there is no catalog at {lake.catalog_file}, but {lake.folder} has the files of one")
    assert rows["lake"]["remedy"].startswith("restore the catalog from a backup")


def test_a_data_folder_of_another_catalog_is_bad() -> None:
    lake = _filled_lake()
    mark = read_mark(lake.folder)
    assert mark is not None
    (lake.folder / NAME).write_text(json.dumps({**asdict(mark), "catalog": "another"}))
    code, rows = _examine()
    assert (code, rows["data folder"]["state"]) == (1, "bad")
    assert "belongs to another catalog" in rows["data folder"]["found"]


def test_no_remedy_of_the_doctor_is_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    lake = _filled_lake()
    Path(lake.catalog_file).write_bytes(b"")
    reports = [_examine()[1]]
    monkeypatch.setenv("MINUTEHAND_LAKE__CATALOG", "postgres:host=127.0.0.1 port=1 dbname=lake user=me password=hunter2")
    reports.append(_examine()[1])
    for rows in reports:
        assert rows["lake"]["state"] == "bad"
        assert [row for row in rows.values() if "minutehand doctor" in row["remedy"] or "hunter2" in str(row)] == []


def test_a_store_with_runs_is_counted() -> None:
    store = load().home.resolve() / "mlflow" / "mlflow.db"
    store.parent.mkdir(parents=True)
    with sqlite3.connect(store) as con:
        con.execute("create table runs (run_uuid text)")
        con.execute("insert into runs values ('a'), ('b')")
    con.close()
    assert _examine()[1]["mlflow store"]["found"] == "2 runs"


def test_a_port_that_another_holds_is_a_warning_that_names_the_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("MINUTEHAND_SERVER__PREFECT_PORT", str(port))
        code, rows = _examine()
    row = rows[f"port {port}"]
    assert (code, row["state"]) == (0, "warn")
    assert f"process {os.getpid()} " in row["found"] or "another process" in row["found"]
    assert "MINUTEHAND_SERVER__PREFECT_PORT" in row["remedy"]


def test_the_traces_of_an_up_that_was_killed_are_a_warning() -> None:
    settings = load()
    settings.home.mkdir(parents=True)
    write_up(settings.home, Up(pid=999_999_999, prefect_url="http://127.0.0.1:1", mlflow_url=None, children={}))
    row = _examine()[1]["up"]
    assert row["state"] == "warn"
    assert "999999999" in row["found"]


def test_a_secret_that_others_can_read_is_bad_and_has_a_remedy(home: Path) -> None:
    make_secret(home)
    assert _examine()[1]["secret"]["state"] == "ok"
    secret_file(home).chmod(0o644)
    code, rows = _examine()
    assert (code, rows["secret"]["state"]) == (1, "bad")
    assert rows["secret"]["remedy"].startswith("delete it")


def test_an_encoder_folder_without_weights_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "encoder").mkdir()
    monkeypatch.setenv("MINUTEHAND_ENCODER__NAME", str(tmp_path / "encoder"))
    code, rows = _examine()
    assert (code, rows["encoder"]["state"]) == (1, "bad")
    assert rows["encoder"]["remedy"]


def test_a_home_that_is_a_file_is_bad_and_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINUTEHAND_HOME", str(tmp_path / "file"))
    code, rows = _examine()
    assert (code, rows["home"]["state"]) == (1, "bad")
    assert "MINUTEHAND_HOME" in rows["home"]["remedy"]


def test_more_threads_than_processors_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUTEHAND_THREADS", "4096")
    assert _examine()[1]["threads"]["state"] == "warn"


@pytest.mark.slow
def test_a_damaged_model_version_is_named_with_what_comes_of_it(home: Path, tmp_path: Path) -> None:
    from tasks.registry.night_run import register, start_night
    from tasks.registry.versions import find_version, open_registry, promote

    settings = load()
    registry = open_registry(settings.tracking_uri, settings.registry.model_name, settings.home / "mlflow" / "artifacts")
    with start_night(registry, "night", {}, 1, None, {}) as night:
        version = register(night, save_checkpoint(tmp_path / "checkpoint"), ROWS, EXAMPLE)
    promote(registry, version)
    assert _examine()[1]["model versions"] | {"found": ""} == {"check": "model versions", "state": "ok", "found": "", "remedy": ""}
    (find_version(registry, version).checkpoint_folder / "checkpoint.json").unlink()
    code, rows = _examine()
    assert (code, rows["model versions"]["state"]) == (0, "warn")
    assert rows["model versions"]["found"].startswith("version 1 of minutehand is damaged: ")
    assert rows["model versions"]["remedy"] == (
        "the next night has no champion to compare with; restore the folder from a backup to keep it"
    )
