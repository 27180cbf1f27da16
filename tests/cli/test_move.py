"""`minutehand move`: a home becomes another one, and says how to go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.environment import serve_lock
from tasks.lake import LakeConfig, locate, migrate
from tests.cli.test_ingest import minutehand
from tests.lakes import put


def test_a_home_moves_to_another_folder_and_the_command_says_how_to_go_on(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = locate(LakeConfig(), home)
    migrate(lake)
    put(lake, [(f"u{n}", "i1", n) for n in range(30)])
    (home / "scenarios.toml").write_text("")
    new = tmp_path / "new"
    with monkeypatch.context() as patch:
        patch.setenv("MINUTEHAND_LAKE__CATALOG", lake.catalog)
        done = minutehand("move", "--to", str(new), home=home)
    assert f"export MINUTEHAND_HOME={new}\n  unset MINUTEHAND_LAKE__CATALOG\n" in done.stdout
    assert "moved and compared" in done.stdout
    assert (new / "scenarios.toml").exists()
    assert json.loads(minutehand("sql", "--json", "select count(*) as n from raw.events", home=new).stdout) == [{"n": 30}]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("to", "message"), [("postgres:dbname=shop", "needs a place for the files as well; give --data FOLDER"), (" ", "give --to postgres:")]
)
def test_a_move_without_a_place_is_refused(home: Path, to: str, message: str) -> None:
    migrate(locate(LakeConfig(), home))
    failed = minutehand("move", "--to", to, home=home)
    assert failed.returncode == 1
    assert message in failed.stderr


def test_a_home_does_not_move_while_its_api_runs(home: Path, tmp_path: Path) -> None:
    migrate(locate(LakeConfig(), home))
    with serve_lock(home).acquire(timeout=0):
        failed = minutehand("move", "--to", str(tmp_path / "new"), home=home)
    assert "`minutehand serve` runs in" in failed.stderr
    assert not (tmp_path / "new").exists()
