"""The secret of a home: random, one for all processes, readable by its owner alone."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli.secret import make_secret, read_secret, secret_file
from models.errors import UserError
from tasks.access import keep
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The most careless shell there is."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_file_is_readable_by_its_owner_alone_whatever_the_umask(home: Path) -> None:
    secret = make_secret(home)
    assert stat.S_IMODE(secret_file(home).stat().st_mode) == 0o600
    assert secret_file(home).read_text() == f"{secret}\n"
    assert [file.name for file in home.iterdir()] == ["secret"]


@pytest.mark.parametrize("step", ["link", "unlink"])
def test_what_a_kill_while_a_secret_is_made_leaves_keeps_no_home_open_and_goes_with_the_next(home: Path, step: str) -> None:
    script = (
        "import os, pathlib, signal; from cli.secret import make_secret; strike = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        f"os.link, pathlib.Path.unlink = {{'link': (strike, pathlib.Path.unlink), 'unlink': (os.link, strike)}}[{step!r}]; "
        f"make_secret(pathlib.Path({str(home)!r}))"
    )
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (left,) = home.glob(".secret.*")
    home.chmod(0o755)
    left.chmod(0o644)
    keep(home, "owner")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home, left)] == [0o700, 0o600]
    make_secret(home)
    assert [file.name for file in home.iterdir()] == ["secret"]


def test_two_homes_have_two_secrets_and_a_home_keeps_its_own(tmp_path: Path) -> None:
    first, second = make_secret(tmp_path / "a"), make_secret(tmp_path / "b")
    assert first != second
    assert len(first.partition(":")[2]) >= 43, "256 random bits"
    assert make_secret(tmp_path / "a") == read_secret(tmp_path / "a") == first


def test_a_deleted_secret_leads_to_a_new_one(home: Path) -> None:
    before = make_secret(home)
    secret_file(home).unlink()
    with pytest.raises(UserError, match="start it again, which makes a new one"):
        read_secret(home)
    assert make_secret(home) != before


def test_processes_that_start_together_agree_on_one_secret(home: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(make_secret, [home] * 64))) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_secret_that_others_can_read_is_refused_with_a_remedy(home: Path, mode: int) -> None:
    make_secret(home)
    secret_file(home).chmod(mode)
    with pytest.raises(UserError, match=rf"can be read by other users \(mode {mode:o}\); delete it"):
        make_secret(home)


def test_the_group_can_read_the_secret_where_the_settings_let_it_and_others_never(home: Path) -> None:
    secret = make_secret(home, "group")
    assert stat.S_IMODE(secret_file(home).stat().st_mode) == 0o640
    secret_file(home).chmod(0o660)  # as chmod -R g+rwX leaves it
    assert read_secret(home, "group") == secret
    with pytest.raises(UserError, match=r"mode 660"):
        read_secret(home)
    secret_file(home).chmod(0o664)
    with pytest.raises(UserError, match=r"mode 664"):
        read_secret(home, "group")


@pytest.mark.parametrize("text", ["", "minutehand:", "minutehand:short\n", "admin:" + "a" * 43, "minutehand:" + "a" * 40 + "\nb"])
def test_a_file_that_holds_no_secret_is_refused_and_not_shown(home: Path, text: str) -> None:
    home.mkdir()
    secret_file(home).write_text(text)
    secret_file(home).chmod(0o600)
    with pytest.raises(UserError, match="does not hold a secret") as caught:
        make_secret(home)
    assert "aaaa" not in str(caught.value)
