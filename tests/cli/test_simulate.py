"""`minutehand simulate`."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
from typer.testing import CliRunner

from cli import app
from cli.simulate import simulate
from models.simulation.shop import ShopConfig
from tests.conftest import ROOT

SMALL = ["simulate", "--users", "8", "--items", "20", "--days", "4"]


def test_it_writes_what_ingest_takes_and_says_so(home: Path) -> None:
    result = CliRunner().invoke(app, SMALL)
    assert result.exit_code == 0, result.output
    assert f"minutehand ingest events {home / 'shop' / 'events.parquet'}" in result.output
    items, events = (pl.read_parquet(home / "shop" / f"{name}.parquet") for name in ("items", "events"))
    assert items.columns == ["item_id", "title", "description", "categories", "tags", "price", "is_available", "first_seen_at"]
    assert events.columns == ["event_id", "user_id", "item_id", "event_type", "value", "query", "occurred_at", "context"]


def test_json_counts_what_was_written(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*SMALL, "--out", str(tmp_path / "here"), "--json"])
    written = {row["file"]: row["rows"] for row in json.loads(result.stdout)}
    assert written == {str(file): pl.read_parquet(file).height for file in (tmp_path / "here").iterdir()}
    assert written[str(tmp_path / "here" / "items.parquet")] == 20


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in [("one", "5"), ("two", "5"), ("other", "6")]:
        assert CliRunner().invoke(app, [*SMALL, "--out", str(tmp_path / name), "--seed", seed]).exit_code == 0
    one, two, other = ((tmp_path / name / "events.parquet").read_bytes() for name in ("one", "two", "other"))
    assert one == two != other


def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(app, [*SMALL, "--out", str(tmp_path / "file")])
    assert result.exit_code == 1
    assert "--out" in str(result.exception)


def test_the_sizes_offered_are_those_of_the_shop() -> None:
    offered = inspect.signature(simulate).parameters
    config = ShopConfig()
    assert [offered[name].default for name in ("users", "items", "days")] == [config.n_users, config.n_items, config.n_days]


FULL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); from cli import main; main()"


def test_a_full_disk_is_one_line_and_leaves_no_part_of_a_shop(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *SMALL, "--out", str(tmp_path / "shop")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith(f"error: cannot write the shop to {tmp_path / 'shop'}: ")
    assert done.stderr.endswith("name a folder with room that can be written with --out\n")
    assert list((tmp_path / "shop").glob("*.parquet")) == []
