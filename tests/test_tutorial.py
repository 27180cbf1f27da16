"""The output that docs/guides/tutorial.md shows has the shape of what the commands print."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from tests.cli.test_ingest import minutehand
from tests.cli.test_reading import on_terminal, shop
from tests.conftest import ROOT
from tests.flows.shop import SMALL
from tests.flows.up import MINUTEHAND

__all__ = ["shop"]

TUTORIAL = (ROOT / "docs" / "guides" / "tutorial.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guides" / "run-it-for-real.md").read_text(encoding="utf-8")
NIGHT_S = 300
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_the_lists_that_are_shown_have_the_columns_that_a_terminal_gets(shop: Path) -> None:
    printed = ESCAPES.sub("", on_terminal("recommend", "u", home=shop, columns=120))
    assert headers(printed)
    shown = [headers(block) for block in blocks() if block.startswith("$ minutehand recommend")]
    assert shown == [headers(printed)] * len(shown)
    assert len(shown) == 4


def test_what_a_visitor_without_history_is_answered_is_as_shown(shop: Path) -> None:
    answered = minutehand("recommend", "newcomer", home=shop).stderr
    assert answered == "nobody called newcomer has history; this is the list for anyone\n"
    assert answered in TUTORIAL


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a simulated shop and one night, made by the commands of `make demo`; its nights take seconds."""
    folder = tmp_path_factory.mktemp("demo") / "home"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setenv(name, value)
        run(folder, "simulate", "--users", "60", "--items", "60", "--days", "20")
        run(folder, "ingest", "items", str(folder / "shop" / "items.parquet"))
        run(folder, "ingest", "events", str(folder / "shop" / "events.parquet"))
        assert run(folder, "nightly").splitlines()[-1] == "version 1 is live; next: minutehand status, minutehand recommend USER"
        yield folder


@pytest.mark.slow
def test_the_champion_answers_over_http_as_the_guide_says(demo: Path, free_port: Callable[[], int]) -> None:
    (serve,) = re.findall(r"^mlflow (models serve .*) --port 5001$", GUIDE, re.MULTILINE)
    port, items = free_port(), pl.read_parquet(demo / "shop" / "items.parquet").get_column("item_id").sort()
    command = [sys.executable, "-m", "mlflow", *serve.split(), "--port", str(port)]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{demo}/mlflow/mlflow.db"}
    server = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + NIGHT_S
        while subprocess.run(
            ["curl", "-sf", "--noproxy", "*", f"http://127.0.0.1:{port}/ping"], capture_output=True, check=False
        ).returncode:
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(1)
        (ask,) = re.findall(r"^\$ (curl -s http://127\.0\.0\.1:5001/invocations .*\\\n.*)$", GUIDE, re.MULTILINE)
        ask = ask.replace("5001", str(port)).replace("guitars-001", items[0]).replace("guitars-002", items[1])
        answer = subprocess.run(["sh", "-c", f"{ask} --noproxy '*'"], capture_output=True, text=True, check=True).stdout
        (listed,) = json.loads(answer)["predictions"]
        assert (len(listed["item_ids"]), len(listed["scores"])) == (3, 3)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


@pytest.mark.slow
def test_the_steps_of_the_tutorial_lead_where_it_says(demo: Path) -> None:
    home = demo
    assert "version 1 is live; next: minutehand status, minutehand recommend USER" in TUTORIAL
    (status,) = [block for block in blocks() if block.startswith("$ minutehand status")]
    printed = ESCAPES.sub("", on_terminal("status", home=home, columns=120))
    assert headers(status) == headers(printed)
    assert labels(status) == labels(printed)

    known = pl.read_parquet(home / "shop" / "events.parquet").get_column("user_id").sort().first()
    items = pl.read_parquet(home / "shop" / "items.parquet").get_column("item_id").sort()
    (news,) = re.findall(r"cat > news\.csv <<END\n(.*?)END\n", TUTORIAL, re.DOTALL)
    news = news.replace("goran-0123", str(known)).replace("guitars-001", items[0]).replace("guitars-002", items[1])
    drop(home, "news.csv", news.replace("tents-001", items[2]).replace("$now", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"))
    run(home, "minute")
    assert "nobody called newcomer" not in minutehand("recommend", "newcomer", home=home).stderr
    assert "model version 2" in minutehand("recommend", "newcomer", home=home).stdout
    waits = labels(ESCAPES.sub("", on_terminal("status", home=home, columns=120))) - labels(status)
    assert waits == {"list delay after arrival", "list delay after event"}
    assert all(f"│ {label} " in TUTORIAL for label in waits)
    assert len(list((home / "landing" / "done").rglob("news.csv"))) == 1

    (line,) = re.findall(r"^printf '(user_id,.*)' \\$", TUTORIAL, re.MULTILINE)
    drop(home, "two-rows.csv", line.replace("\\n", "\n") % f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    run(home, "minute", code=1)  # half of its rows are refused
    (rejected,) = (home / "landing" / "partial").glob("*/events/two-rows.csv.rejected.csv")
    assert rejected.read_text(encoding="utf-8").strip() in TUTORIAL

    pattern = (
        r"Version \d+ is (?:the champion|refused, version \d+ stays): "
        r"served NDCG@10 [\d.]+ is (?:not )?below [\d.]+ \(the champion's [\d.]+ less 2%\)"
    )
    assert len(re.findall(pattern, TUTORIAL)) == 2
    (bad,) = re.findall(r"^(?:\w+=\S+ )+minutehand (nightly --minutes 1)$", TUTORIAL, re.MULTILINE)
    assert re.search(pattern, run(home, *bad.split()))


def blocks() -> list[str]:
    """The code blocks of the tutorial."""
    return re.findall(r"^```\n(.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL)


def headers(table: str) -> list[str]:
    """The names of the columns of a table on a terminal."""
    (line,) = [line for line in table.splitlines() if line.startswith("┃")]
    return [name.strip() for name in line.strip("┃\r").split("┃")]


def labels(table: str) -> set[str]:
    """What stands in the first column of a table on a terminal."""
    return {line.split("│")[1].strip() for line in table.splitlines() if line.startswith("│")} - {""}


def drop(home: Path, name: str, text: str) -> None:
    """Put a file into the landing folder that nobody has touched for a minute."""
    file = home / "landing" / "events" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    os.utime(file, (time.time() - 60, time.time() - 60))


def run(home: Path, *words: str, code: int = 0) -> str:
    """What a command prints, with its log; it has to end with that exit code."""
    environment = {**os.environ, "MINUTEHAND_HOME": str(home)}
    done = subprocess.run(
        [*MINUTEHAND, *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=NIGHT_S,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout
