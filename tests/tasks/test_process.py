"""Versions and memory of a process, on any machine."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from tasks import process

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def commit(folder: Path) -> None:
    """A repository with one commit."""
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    subprocess.run(["git", *who, "commit", "--quiet", "--allow-empty", "--message", "one"], cwd=folder, check=True)


def put_git(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake `git`, first on the path."""
    folder.mkdir()
    git = folder / "git"
    git.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_the_revision_is_the_commit_of_the_checkout(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert process.git_revision(tmp_path) is None, "a repository without a commit"
    commit(tmp_path)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()
    assert process.git_revision(tmp_path) == head


def test_outside_a_repository_and_without_its_folder_there_is_no_revision(tmp_path: Path) -> None:
    assert process.git_revision(tmp_path) is None
    assert process.git_revision(tmp_path / "gone") is None
    (tmp_path / ".git").touch()
    assert process.git_revision(tmp_path) is None, "a damaged checkout"


def test_the_commit_of_an_enclosing_repository_of_another_project_is_ignored(tmp_path: Path) -> None:
    commit(tmp_path)
    installed = tmp_path / "lib" / "site-packages"
    installed.mkdir(parents=True)
    assert process.git_revision(installed) is None


@pytest.mark.parametrize(
    "script",
    [
        "exec sleep 30",
        "sleep 30",
        f"echo {COMMIT}; echo 'fatal: detected dubious ownership in repository' >&2; exit 128",
        "echo warning: a hook spoke",
        f"echo {COMMIT}; echo warning: and something else",
        r"printf '\377\376'",
        "kill -9 $$",
        "exit 0",
    ],
    ids=["slow", "slow child", "dubious ownership", "odd output", "more output", "no text", "killed", "silent"],
)
def test_a_failing_git_gives_no_revision_and_no_error(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_git(tmp_path / "bin", script, monkeypatch)
    monkeypatch.setattr(process, "GIT_TIMEOUT_S", 0.5)
    (tmp_path / ".git").touch()
    assert process.git_revision(tmp_path) is None


def test_a_git_that_is_missing_or_cannot_be_run_gives_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_git(tmp_path / "bin", "exit 0", monkeypatch)
    (tmp_path / ".git").touch()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert process.git_revision(tmp_path) is None
    (tmp_path / "bin" / "git").write_bytes(b"\x00\x01")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert process.git_revision(tmp_path) is None


def test_a_package_without_metadata_has_no_version_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in {"minutehand", "torch"}:
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(process, "version", version)
    found = process.versions()
    assert (found["minutehand"], found["torch"], found["numpy"]) == (None, None, "1")
