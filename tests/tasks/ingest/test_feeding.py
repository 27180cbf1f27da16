"""A landing folder that is filled and emptied at once loses no row."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tasks.config import IngestConfig
from tasks.ingest.landing import KINDS, ingest_landed_files, open_landing, turn, waiting
from tasks.lake import Lake, reading
from tests.tasks.ingest.feeding import Feeder

SECONDS = 1.0


def empty(lake: Lake, landing: Path) -> None:
    """Do the work of one run of the flow."""
    with turn(landing) as is_mine:
        assert is_mine
        files = waiting(landing)
        for kind in KINDS:
            ingest_landed_files(lake, landing, kind, [file for of, file in files if of == kind], IngestConfig())


@pytest.mark.slow
def test_every_row_of_a_landing_folder_under_way_is_in_rejected_failed_or_waiting(lake: Lake, home: Path) -> None:
    landing = open_landing(IngestConfig(), home)
    feeder = Feeder(landing)
    is_over = threading.Event()

    def feed() -> None:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until or min(feeder.dropped[kind] for kind in feeder.kinds) < 1:
            feeder.drop()
            time.sleep(0.02)
        feeder.finish()
        is_over.set()

    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        while not is_over.is_set():
            empty(lake, landing)
    finally:
        feeding.join(60)
    time.sleep(2)  # the newest files must reach the minimum age
    empty(lake, landing)
    assert feeder.is_taken_in()
    assert feeder.lost(lake) == {}
    with reading(lake) as con:
        (n_refused,) = con.execute("select count(*) from raw.rejected").fetchone() or (0,)
    assert n_refused == list(feeder.expected.values()).count("rejected")


def test_the_account_reports_a_lost_row(lake: Lake, home: Path) -> None:
    feeder = Feeder(open_landing(IngestConfig(), home))
    feeder.drop_good("a")
    (home / "landing" / "events" / "a.csv").unlink()
    assert set(feeder.lost(lake).values()) == {"nowhere"}
