"""`minutehand recommend`, `similar`, `status` and `sql` as a user runs them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.lake import LakeConfig, locate, migrate
from tests.cli.test_ingest import minutehand
from tests.tasks.publish.test_night import add_events, add_item, put, ranked

HOSTILE = "\x1b[2J\x1b]52;c;cHduZWQ=\x07\x9b31m\u202e"


def on_terminal(*words: str, home: Path, columns: int = 80) -> str:
    """What a command writes to a terminal, a pseudo one."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "MINUTEHAND_HOME": str(home), "TERM": "xterm-256color", "COLUMNS": str(columns)}
    script = "from cli import main; main()"
    running = subprocess.Popen([sys.executable, "-c", script, *words], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    parts = []
    with suppress(OSError):  # the other end is closed
        while part := os.read(ours, 65536):
            parts.append(part)
    os.close(ours)
    running.wait(60)
    return b"".join(parts).decode("utf-8", errors="surrogateescape")


@pytest.fixture
def shop(home: Path) -> Path:
    """A home with two items, one known user and a publication."""
    lake = locate(LakeConfig(), home)
    migrate(lake)
    add_item(lake, "a", "Alpha [/b] :smile:")
    add_item(lake, "b", "Beta")
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 0]}))
    return home


def test_lists_are_tables_for_people_and_arrays_for_programs(shop: Path) -> None:
    shown = minutehand("recommend", "u", "stranger", home=shop)
    assert shown.returncode == 0, shown.stderr
    assert "Beta" in shown.stdout
    assert "Alpha [/b] :smile:" in shown.stdout
    assert "model version 1" in shown.stdout
    assert shown.stderr == "nobody called stranger has history; this is the list for anyone\n"
    rows = json.loads(minutehand("recommend", "u", "-k", "1", "--json", home=shop).stdout)
    assert [(row["user_id"], row["rank"], row["item_id"], row["title"]) for row in rows] == [("u", 1, "b", "Beta")]
    near = json.loads(minutehand("similar", "a", "--json", home=shop).stdout)
    assert [(row["similar_to"], row["rank"], row["item_id"]) for row in near] == [("a", 1, "b"), ("a", 2, "c")]
    status = {row["what"]: row["value"] for row in json.loads(minutehand("status", "--json", home=shop).stdout)}
    assert (status["events"], status["live model"]) == (1, "version 1")


@pytest.mark.slow
def test_sql_is_answered_in_what_fits_and_in_full_as_json(shop: Path) -> None:
    everything = "from recs.recommendations where user_id = 'u' order by rank"
    assert "more columns do not fit: " in on_terminal("sql", everything, home=shop)
    piped = minutehand("sql", everything, home=shop)
    assert (piped.returncode, piped.stderr) == (0, "")
    assert {"user_id", "rank", "reason", "generated_at"} < set(piped.stdout.splitlines()[0].split())
    rows = json.loads(
        minutehand("sql", "--json", "select 'nan'::double as x, {'k': [1]} as s, timestamp '2026-01-01' as t", home=shop).stdout
    )
    assert rows == [{"x": None, "s": {"k": [1]}, "t": "2026-01-01 00:00:00"}]
    assert "only the first 1,000 rows are shown" in on_terminal("sql", "from range(1001)", home=shop)
    many = minutehand("sql", "from range(1001)", home=shop)
    assert (len(many.stdout.splitlines()), many.stderr) == (1002, "")


@pytest.mark.slow
def test_sql_writes_a_file_and_says_what_is_in_it(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "mail.csv"
    done = minutehand("sql", "select item_id from raw.items order by 1", "--out", str(file), home=shop)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"2 rows in {file}\n", "")
    assert file.read_text() == "item_id\na\nb\n"
    refused = minutehand("sql", "select 1", "--out", str(file), home=shop)
    assert (refused.returncode, file.read_text()) == (1, "item_id\na\nb\n")
    again = minutehand("sql", "select 1 as a", "--out", str(file), "--force", "--json", home=shop)
    assert (json.loads(again.stdout), file.read_text()) == ([{"file": str(file), "rows": 1}], "a\n1\n")
    assert "--out FILE" in minutehand("sql", "select 1", "--force", home=shop).stderr


READING = [("recommend", "u"), ("similar", "a"), ("status",), ("status", "--json"), ("sql", "select 1")]


@pytest.mark.slow
@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_without_a_home_or_a_lake_a_command_that_reads_says_so_in_one_line_and_makes_nothing(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    for name, message in (
        ("none", f"error: there is no minutehand home at {tmp_path / 'none'}; run this where the home is, or name it by MINUTEHAND_HOME; "),
        ("mine", f"error: there is no lake at {tmp_path / 'mine' / 'lake'} yet; take in events first: minutehand ingest events FILE"),
    ):
        done = minutehand(*words, home=tmp_path / name)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
        assert done.stderr.startswith(message)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "notes.txt"]


@pytest.mark.slow
@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_lost_catalog_is_no_new_lake_and_the_remedy_is_told(words: tuple[str, ...], shop: Path) -> None:
    for file in (shop / "lake").glob("catalog.sqlite*"):
        file.unlink()
    done = minutehand(*words, home=shop)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    assert done.stderr.startswith(
        f"error: there is no catalog at {shop / 'lake' / 'catalog.sqlite'}, but {shop / 'lake' / 'data'} has the files"
    )
    assert "restore the catalog from a backup" in done.stderr
    assert not list((shop / "lake").glob("catalog.sqlite*"))


def test_what_the_user_can_mend_is_one_line_on_stderr_and_no_traceback(shop: Path) -> None:
    for words, message in (
        (("similar", "bet"), "did you mean b (Beta)?"),
        (("sql", "drop table raw.events"), "read-only"),
        (("sql", "selec"), "syntax error"),
    ):
        done = minutehand(*words, home=shop)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
        assert done.stderr.startswith("error: ")
        assert message in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("sql", "from raw.items"),
        ("sql", "--json", "from raw.items"),
        ("sql", f'select 1 as "{HOSTILE}", 2 as "{HOSTILE} {"wide" * 30}"'),
        ("sql", f"select error('{HOSTILE}')"),
        ("sql", f"from '{HOSTILE}.csv'"),
        ("recommend", "u"),
        ("recommend", f"u{HOSTILE}"),
        ("similar", "a"),
        ("similar", "b"),
        ("similar", "hostile"),
        ("similar", f"a{HOSTILE}"),
        ("similar", "\udcff"),
        ("ingest", "events", f"{HOSTILE}.csv"),
        ("backtest", "--events", f"{HOSTILE}.csv"),
    ],
    ids=lambda words: " ".join(words)[:20].encode("ascii", "replace").decode(),
)
def test_no_control_character_of_the_data_or_of_a_message_reaches_a_terminal(shop: Path, words: tuple[str, ...]) -> None:
    add_item(locate(LakeConfig(), shop), f"hostile{HOSTILE}", f"Hostile {HOSTILE}")
    add_item(locate(LakeConfig(), shop), "c", f"Gamma {HOSTILE}")
    shown = on_terminal(*words, home=shop)
    assert "Traceback" not in shown
    left = {sign for sign in re.sub(r"\x1b\[[0-9;]*m", "", shown) if unicodedata.category(sign) in ("Cc", "Cf", "Cs")}
    assert left <= {"\r", "\n"}


def test_an_unforeseen_error_moves_no_cursor_either() -> None:
    script = "import cli, sys; cli.app = lambda: exec(sys.argv[1]); cli.main()"
    done = subprocess.run([sys.executable, "-c", script, f"raise ValueError({HOSTILE!r})"], capture_output=True, text=True, check=False)
    assert "ValueError" in done.stderr
    assert r"\x1b]52" in done.stderr
    assert "\x1b" not in done.stderr


def test_the_reading_commands_start_without_the_heavy_packages(shop: Path) -> None:
    heavy = "torch", "prefect", "mlflow", "polars", "pandas", "numpy", "pyarrow"
    script = (
        "import sys; from cli import app; app(['recommend', 'u', 'x'], standalone_mode=False); app(['status'], standalone_mode=False); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
