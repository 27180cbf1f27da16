"""`minutehand nightly` as its user sees it when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from models.errors import UserError
from settings import SettingsError
from tests.conftest import ROOT


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
@pytest.mark.parametrize("command", [("nightly",), ("backtest", "--events", "none.csv"), ("replay", "--events", "none.csv")])
def test_a_budget_that_is_none_is_refused_before_anything_starts(command: tuple[str, ...], minutes: str, home: Path) -> None:
    done = CliRunner().invoke(app, [*command, "--minutes", minutes])
    assert isinstance(done.exception, SettingsError)
    assert str(done.exception) == f"a training budget of {minutes} minutes is none; give a finite number above 0, such as --minutes 20"
    assert not home.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "model.dim=x"], r"MINUTEHAND_MODEL__DIM has an impossible value: .* \(found: x\)"),
        (["--as", "champion"], "--as champion: a night can be asked for a challenger only, as the gate makes the champion"),
    ],
)
def test_a_wrong_change_or_role_is_refused_before_anything_starts(words: list[str], message: str, home: Path) -> None:
    with pytest.raises(UserError, match=message):
        CliRunner().invoke(app, ["nightly", *words], catch_exceptions=False)
    assert not home.exists()


@pytest.mark.slow
def test_an_empty_lake_is_one_error_line_without_a_traceback_and_leaves_no_temporary_file(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from cli import main; main()", "nightly"],
        env={**os.environ, "MINUTEHAND_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors == ["error: the lake holds no event on an item to learn from; take some in with: minutehand ingest events FILE"]
    assert "Traceback" not in done.stderr
    assert "Retry" not in done.stderr
    assert "minutehand.encoding - 0 of 0 items encoded" in done.stderr
    assert done.stdout == ""
    assert list((home / "nightly").iterdir()) == [home / "nightly" / "lock"]
