"""`minutehand simulate`."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from cli import app
from cli.simulate import end_of, simulate
from models.simulation.shop import ShopConfig
from models.simulation.shop import simulate as run
from tests.conftest import ROOT

SIZES = ["--users", "8", "--items", "20", "--days", "4"]
SMALL = ["simulate", *SIZES, "--until", "2026-11-01"]


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


def test_a_shop_ends_now_and_its_days_begin_at_midnight(home: Path) -> None:
    began = datetime.now(UTC).replace(tzinfo=None)
    assert CliRunner().invoke(app, ["simulate", *SIZES]).exit_code == 0
    events, items = (pl.read_parquet(home / "shop" / f"{name}.parquet") for name in ("events", "items"))
    (since, until), ended = events.select(pl.min("occurred_at"), max=pl.max("occurred_at")).row(0), datetime.now(UTC).replace(tzinfo=None)
    assert until < ended
    assert items["first_seen_at"].max() <= ended  # type: ignore[operator]
    assert began.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=4) <= since


def test_an_end_within_a_day_cuts_that_day_short_and_changes_nothing_before_it() -> None:
    whole, cut = (
        run(ShopConfig(n_users=20, n_items=20, n_days=4, end=end), 5) for end in (datetime(2026, 11, 1), datetime(2026, 10, 31, 15))
    )
    before = whole.events.filter(pl.col("occurred_at") < datetime(2026, 10, 31, 15))
    assert 0 < cut.events.height < whole.events.height
    assert cut.events.drop("event_id", "query").equals(before.drop("event_id", "query"))  # words are drawn at the end


@pytest.mark.parametrize(
    ("until", "end"), [("2026-11-01", datetime(2026, 11, 1)), ("2026-11-01T12:30:00.5+02:00", datetime(2026, 11, 1, 10, 30))]
)
def test_the_end_is_a_date_or_a_time_of_any_zone(until: str, end: datetime) -> None:
    assert end_of(until) == end


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--until", "soon"), "--until 'soon' is no time; give one such as 2026-11-01"),
        (("--until", "0001-01-01"), "--until 0001-01-01 is out of range; give a time from 2001 on"),
        (
            ("--until", "2026-11-01T00:01", "--days", "1", "--users", "1"),
            "nobody has come to the shop by 2026-11-01 00:01:00 UTC; give more",
        ),
    ],
)
def test_an_end_that_makes_no_shop_is_refused_with_what_to_do(words: tuple[str, ...], message: str, home: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", *words])
    assert message in str(result.exception)
    assert not home.exists()


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
