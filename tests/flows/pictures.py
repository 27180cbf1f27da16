"""The pictures of docs/guides/pages.md, serve.md and monitor.md: `python -m tests.flows.pictures`, which is `make screenshots`.

A simulated shop gets three nights; the last one is trained too briefly to pass the gate. Then `minutehand up` runs, events are
dropped for a few minutes, and a Chromium visits the pages like a user.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path

import polars as pl

from cli.secret import read_secret
from tasks.registry import pages
from tests.conftest import ROOT, find_free_port
from tests.flows.browser import ENTER, Browser, open_browser
from tests.flows.up import MINUTEHAND, Running, running_up

OUT = ROOT / "docs" / "pictures"
NIGHTS = (timedelta(hours=54), timedelta(hours=30), timedelta(hours=6))
"""Time between each night and the end of the shop's events. All times are shifted so that the events end now."""
SHORT = {"MINUTEHAND_TRAIN__MAX_EPOCHS": "1", "MINUTEHAND_TRAIN__LEARNING_RATE": "1e-4"}
N_MINUTES = 5
HEIGHT, TALL = 900, {"mlflow-compare": 2800, "mlflow-last-night": 1100, "prefect-runs": 1900, "report": 1900}
WITHOUT_ASSISTANT = """
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
"""
"""Browser state after a user has closed MLflow's assistant, which covers a quarter of the page."""

PRESS = "document.querySelectorAll('section li button')[arguments[0]].click()"


def main() -> None:
    """Make a home and take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="folder in which the home is kept and reused; by default a temporary folder")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="minutehand-pictures-") as temporary:
        folder = given.folder or Path(temporary)
        if not (folder / "home").exists():
            make_nights(folder)
        given.out.mkdir(parents=True, exist_ok=True)
        with running_up(folder, find_free_port(), find_free_port()) as up, open_browser("--window-size=1600,900") as browser:
            drop_events(up, folder)
            visit_mlflow(up, browser, given.out)
            visit_prefect(up, browser, given.out)
            visit_api(up, browser, given.out)
            visit_report(up, browser, given.out)


def make_nights(folder: Path) -> None:
    """Simulate a shop and run three nights, each on the events before it."""
    run(folder, {}, "simulate", "--users", "400", "--items", "400", "--days", "40", "--out", str(folder / "shop"))
    events, items = (pl.read_parquet(folder / "shop" / f"{name}.parquet") for name in ("events", "items"))
    end = datetime.now(UTC).replace(tzinfo=None)
    moved = end - newest(events)
    items.with_columns(pl.col("first_seen_at") + moved).write_parquet(folder / "items.parquet")
    events.with_columns(pl.col("occurred_at") + moved).write_parquet(folder / "events.parquet")
    run(folder, {}, "ingest", "items", str(folder / "items.parquet"))
    for number, before in enumerate(NIGHTS):
        past = pl.read_parquet(folder / "events.parquet").filter(pl.col("occurred_at") < end - before)
        past.write_parquet(folder / "past.parquet")  # the same events again change nothing
        run(folder, {}, "ingest", "events", str(folder / "past.parquet"))
        run(folder, SHORT if number == len(NIGHTS) - 1 else {}, "nightly", "--minutes", "1")


def newest(events: pl.DataFrame) -> datetime:
    """The time of the newest event."""
    moment = events["occurred_at"].max()
    assert isinstance(moment, datetime)
    return moment


def run(folder: Path, variables: dict[str, str], *arguments: str) -> None:
    environment = {**os.environ, "MINUTEHAND_HOME": str(folder / "home"), **variables}
    subprocess.run([*MINUTEHAND, *arguments], cwd=ROOT, env=environment, check=True)


def drop_events(up: Running, folder: Path) -> None:
    """Drop the events since the last night, shifted to now, one file after the other, and wait until each is learnt."""
    events = pl.read_parquet(folder / "events.parquet").sort("occurred_at")
    late = events.filter(pl.col("occurred_at") >= newest(events) - NIGHTS[-1])
    for number, part in enumerate(late.iter_slices(ceil(late.height / N_MINUTES))):
        moved = datetime.now(UTC).replace(tzinfo=None) - newest(part)
        fresh = part.with_columns(pl.col("occurred_at") + moved, event_id=pl.format("{}-{}", "event_id", pl.lit(time.time_ns())))
        fresh.write_parquet(folder / "part.parquet")
        wanted = n_minutes_of_work(up) + 1
        (folder / "part.parquet").rename(up.home / "landing" / "events" / f"{number}.parquet")
        while n_minutes_of_work(up) < wanted:
            time.sleep(1)


def n_minutes_of_work(up: Running) -> int:
    """The number of completed minute runs with work."""
    runs = {"tags": {"all_": ["had-work"]}, "state": {"type": {"any_": ["COMPLETED"]}}}
    return int(up.call("POST", "flow_runs/count", {"flow_runs": runs, "flows": {"name": {"any_": ["minute"]}}}))


def visit_mlflow(up: Running, browser: Browser, out: Path) -> None:
    root = f"http://127.0.0.1:{up.mlflow_port}"
    browser.go(f"http://{read_secret(up.home)}@127.0.0.1:{up.mlflow_port}/")
    found = up.mlflow("experiments/get-by-name?experiment_name=minutehand")["experiment"]["experiment_id"]
    runs = up.mlflow("runs/search", {"experiment_ids": [found], "order_by": ["attributes.start_time DESC"], "max_results": 200})["runs"]
    by_name = {run["info"]["run_name"]: run["info"]["run_id"] for run in runs}
    nights = [name for name in by_name if name.startswith("night ")]
    day = next(name for name in by_name if name.startswith("day "))
    places = {
        "mlflow-nights": pages.nights_page(found),
        "mlflow-compare": pages.compare_page(found, [by_name[name] for name in nights[:2]]),
        "mlflow-night": pages.run_page(found, by_name[nights[1]]),
        "mlflow-last-night": pages.last_night_page(found),
        "mlflow-day": f"/#/experiments/{found}/runs/{by_name[day]}/artifacts/day.png?{pages.TRAINING_MENU}",
        "mlflow-registry": f"/#/models/minutehand?{pages.TRAINING_MENU}",
    }
    browser.ask("/execute/sync", script=WITHOUT_ASSISTANT, args=[])
    for name, path in places.items():
        browser.go("about:blank")
        browser.resize(TALL.get(name, HEIGHT))
        browser.go(root + path)
        if name == "mlflow-compare":
            browser.shows("segments.png")
            browser.click("segments.png")
        browser.picture(out / f"{name}.png")


def visit_prefect(up: Running, browser: Browser, out: Path) -> None:
    root = f"http://127.0.0.1:{up.port}"
    browser.go(root)
    browser.shows("Login")
    browser.enter("input", read_secret(up.home) + ENTER)
    browser.shows("Dashboard", "Flow Runs")
    for name, path in {"prefect-runs": "/runs?tag=had-work&type=span&seconds=-604800", "prefect-artifacts": "/artifacts"}.items():
        browser.resize(TALL.get(name, HEIGHT))
        browser.go(root + path)
        browser.picture(out / f"{name}.png")


def visit_api(up: Running, browser: Browser, out: Path) -> None:
    """The page to try lists: a new person presses an item, then the same lists on a narrow window."""
    browser.resize(HEIGHT)
    browser.go(f"http://127.0.0.1:{up.api_port}/")
    browser.shows("Model version", "Choose a user.")
    browser.enter("#user", f"sofia{ENTER}")
    for position in (0, 2):
        browser.ask("/execute/sync", script=PRESS, args=[position])
        browser.shows("stored, and in both lists after")
    browser.ask("/execute/sync", script="document.activeElement.blur()", args=[])
    browser.picture(out / "page-lists.png")
    browser.go(f"http://127.0.0.1:{up.api_port}/docs")
    browser.shows("/v1/recommend")
    browser.picture(out / "page-docs.png")


def visit_report(up: Running, browser: Browser, out: Path) -> None:
    """The report of the newest night, as a file without any server."""
    newest_report = max((up.home / "reports").glob("*.html"), key=lambda file: file.stat().st_mtime)
    browser.resize(TALL["report"])
    browser.go(newest_report.as_uri())
    browser.shows("Your recommendations", "Is anything wrong?")
    browser.picture(out / "report.png")


if __name__ == "__main__":
    main()
