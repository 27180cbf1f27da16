"""README keeps its word: the example files go in as shown, and what it prints has the shape of what the commands print."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.test_ingest import minutehand
from tests.cli.test_reading import on_terminal, shop
from tests.conftest import ROOT
from tests.flows.shop import SMALL

__all__ = ["shop"]

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
EXAMPLE_HOME = "/tmp/minutehand-examples"
LONGEST = 220
RUN_S = 300
COUNTS = """
    select
        (select count(*) from raw.events) as events,
        (select count(distinct user_id) from raw.events) as users,
        (select count(*) from raw.items where price > 0 and len(categories) = 3) as items,
        (select count(*) from raw.rejected) as rejected
"""


def test_readme_stays_short() -> None:
    assert len(README.splitlines()) <= LONGEST


def test_the_lists_that_are_shown_have_the_columns_that_a_terminal_gets(shop: Path) -> None:
    printed = _headers(on_terminal("recommend", "u", home=shop, columns=130))
    shown = [_headers(block) for _, block in BLOCKS if block.startswith("$ minutehand recommend")]
    assert printed
    assert shown == [printed] * 2


def test_the_example_files_go_in_whole_by_the_commands_that_are_shown(home: Path) -> None:
    _take_in_examples(home)
    counts = minutehand("sql", COUNTS, "--json", home=home)
    (found,) = json.loads(counts.stdout)
    assert f"{found['events']:,} events of {found['users']} visitors, and {found['items']} products" in README
    assert found["rejected"] == 0


@pytest.mark.slow
def test_the_error_that_is_shown_is_what_the_command_says(home: Path) -> None:
    (shown,) = re.findall(r"^\$ (minutehand ingest events \S+)\n(error: .*)$", README, re.MULTILINE)
    done = minutehand(*shown[0].split()[1:-1], str(ROOT / shown[0].split()[-1]), home=home)
    assert done.stderr.strip() == shown[1]
    assert done.returncode != 0


def test_the_first_lines_of_the_example_files_are_as_shown() -> None:
    for name, lines in re.findall(r"^==> (\S+) <==\n(.*?)(?=\n\n==>|\n```)", README, re.MULTILINE | re.DOTALL):
        assert (ROOT / name).read_text(encoding="utf-8").splitlines()[:2] == lines.splitlines()


def test_sql_writes_no_file_but_that_of_out(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "written.csv"
    done = minutehand("sql", f"copy (from raw.events) to '{file}'", home=shop)
    assert "is refused: minutehand sql is read-only" in done.stderr
    assert not file.exists()
    assert minutehand("sql", "select 1 as a", "--out", str(file), home=shop).returncode == 0
    assert file.read_text(encoding="utf-8") == "a\n1\n"


@pytest.mark.slow
def test_the_examples_give_lists_that_change_with_a_click_and_answer_as_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        monkeypatch.setenv(name, value)
    _take_in_examples(home)
    _run("nightly", home=home)
    (user,) = set(re.findall(r"^\$ minutehand recommend (\w+-\d+)", README, re.MULTILINE))
    own = minutehand("recommend", user, "-k", "3", home=home)
    assert own.stderr == ""
    assert "model version 1" in own.stdout
    assert _headers(on_terminal("sql", _query(), home=home, columns=130)) == ["title", "n_lists"]

    before = minutehand("recommend", "sofia", "-k", "3", home=home)
    assert before.stderr == "nobody called sofia has history; this is the list for anyone\n"
    (click,) = re.findall(r"/v1/events .* -d '\[(.*)\]'$", README, re.MULTILINE)
    clicks = [json.loads(click.replace("guitars", "hoses")) | {"occurred_at": datetime.now(UTC).isoformat()}]
    (home / "clicks.json").write_text(json.dumps(clicks), encoding="utf-8")
    assert minutehand("ingest", "events", str(home / "clicks.json"), home=home).returncode == 0
    _run("minute", home=home)
    after = minutehand("recommend", "sofia", "-k", "3", home=home)
    assert after.stderr == ""
    assert "model version 2" in after.stdout
    assert after.stdout != before.stdout

    (python,) = [block for language, block in BLOCKS if language == "python"]
    read = subprocess.run([sys.executable, "-c", python.replace(EXAMPLE_HOME, str(home))], capture_output=True, text=True, check=True)
    assert user in read.stdout


def _take_in_examples(home: Path) -> None:
    commands = re.findall(r"^minutehand (ingest \w+ docs/examples/.*)$", README, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        words = [str(ROOT / word) if word.startswith("docs/") else word for word in shlex.split(command)]
        done = minutehand(*words, home=home)
        assert done.returncode == 0, done.stderr


def _run(command: str, home: Path) -> None:
    environment = {**os.environ, "MINUTEHAND_HOME": str(home)}
    words = [sys.executable, "-c", "from cli import main; main()", command]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _query() -> str:
    (query,) = re.findall(r'^minutehand sql "(select .*?)"$', README, re.MULTILINE | re.DOTALL)
    return str(query)


def _headers(table: str) -> list[str]:
    """The names of the columns of a table on a terminal."""
    lines = [line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", table).splitlines() if line.startswith("┃")]
    return [name.strip() for name in lines[0].strip("┃\r").split("┃")] if lines else []
