"""`minutehand erase` and `minutehand erasures`: what they ask, refuse and show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli import app
from tasks.erasure.at_once import erase
from tasks.lake import LakeConfig, locate, migrate
from tasks.privacy.ledger import NAME


def run(*words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, list(words), input=answer)


def test_without_a_yes_nobody_is_erased(home: Path) -> None:
    refused = run("erase", "42", answer="n\n")
    assert "nothing was erased" in str(refused.exception)
    assert not (home / NAME).exists()


def test_a_file_without_ids_or_that_is_not_there_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    assert "there is nobody to erase" in str(run("erase", "--file", str(tmp_path / "empty.txt"), "--yes").exception)
    assert "give a text file with one id a line" in str(run("erase", "--file", str(tmp_path / "gone.txt"), "--yes").exception)


def test_a_dry_run_shows_places_that_name_the_person_and_those_that_could_not_be_judged(
    home: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    landing = tmp_path / "elsewhere"
    monkeypatch.setenv("MINUTEHAND_INGEST__LANDING", str(landing))
    migrate(locate(LakeConfig(), home))
    (landing / "done").mkdir(parents=True)
    (landing / "done" / "a.csv").write_text("user_id,item_id\nanna-0001,a\n")
    (landing / "done" / "b.parquet").write_bytes(b"PAR1 half a file")
    found = json.loads(run("erase", "anna-0001", "--dry-run", "--json").stdout)
    assert {Path(row["place"]).name: (row["found"], bool(row["undecided"])) for row in found} == {
        "a.csv": (1, False),
        "b.parquet": (0, True),
    }


@pytest.mark.slow
def test_the_ledger_shows_what_was_done_and_is_due_without_the_id(home: Path) -> None:
    lake = locate(LakeConfig(), home)
    migrate(lake)
    done = erase(lake, home, ["anna-0001"], "cli", {})
    (row,) = json.loads(run("erasures", "--json").stdout)
    assert (row["erasure_id"], row["people"], row["files"], row["done"]) == (done.erasure_id, 1, None, None)
    assert row["lists"] is not None
    assert row["weights_due_by"] is not None
    shown = run("erasures").stdout
    assert done.erasure_id in shown
    assert "anna-0001" not in shown + json.dumps(row)
    assert "no certificate" in str(run("erasures", "--certificate", done.erasure_id).exception)
    assert run("erasures", "--readmit", "anna-0001").exit_code == 0
    assert "not erased" in str(run("erasures", "--readmit", "anna-0001").exception)
