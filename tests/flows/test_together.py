"""Concurrent ingest, minute runs, nights and readers: no error, no event lost or learnt twice, no inconsistent list."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.version import checkpoint as checkpoints
from tasks.registry import versions
from tests.conftest import ROOT
from tests.flows.shop import Shop, open_shop

pytestmark = pytest.mark.slow
SECONDS = float(os.environ.get("TOGETHER_SECONDS", "180"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shop(request: pytest.FixtureRequest, tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    if request.param == "postgres":
        server = f"host=127.0.0.1 port={request.getfixturevalue('postgres_port')} user=minutehand"
        subprocess.run(["psql", "-q", f"{server} dbname=postgres", "-c", "create database together"], check=True)
        monkeypatch.setenv("MINUTEHAND_LAKE__CATALOG", f"postgres:{server} dbname=together")
    for name in ("INCREMENT__GATE_TOLERANCE", "INCREMENT__MAX_DRIFT", "REGISTRY__GATE_TOLERANCE"):
        monkeypatch.setenv(f"MINUTEHAND_{name}", "1000")
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    with open_shop(tmp_path / "shop") as shop:
        shop.spend_night()
        yield shop


def begin(name: str, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.flows.loops", name, str(SECONDS)]
    with log.open("wb") as out:
        return subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=out, stderr=subprocess.STDOUT)


def test_ingest_minutes_nights_and_readers_run_concurrently_without_errors(shop: Shop, tmp_path: Path) -> None:
    names = ["shoppers", "minutes", "nights", "reader", "reader", "reader"]
    logs = [tmp_path / f"{n}-{name}.log" for n, name in enumerate(names)]
    running = [begin(name, log) for name, log in zip(names, logs, strict=True)]
    deadline = time.monotonic() + SECONDS + 200
    codes = [process.wait(max(deadline - time.monotonic(), 1)) for process in running]
    assert set(codes) == {0}, "\n".join(log.read_text(errors="replace")[-4000:] for log, code in zip(logs, codes, strict=True) if code)
    shop.spend_minute()
    assert shop.value("select count(*) from raw.rejected") == 0
    assert shop.value("select count(*) from raw.events") > 40 * 12 + 20
    assert shop.value("select count(*) from recs.publications where cadence = 'minute'") > 1
    assert shop.value("select count(*) from recs.publications where cadence = 'nightly'") > 1
    loaded = checkpoints.load(versions.find_version(shop.models, shop.live).checkpoint_folder)
    assert loaded.online is not None
    learnt = dict(zip(loaded.catalog.item_ids, loaded.online.popularity.counts[-1].tolist(), strict=True))
    assert learnt == dict(shop.ask("select item_id, count(*)::double from raw.events group by all"))
    histories = "select user_id, n_events from features.user_histories order by user_id"
    assert shop.ask(histories) == shop.ask("select user_id, count(*) from raw.events group by all order by user_id")
    lists = shop.ask("select user_id, count(*) from recs.recommendations group by all order by user_id")
    assert [user for user, _ in lists] == sorted({"*", *(user for (user,) in shop.ask("select distinct user_id from raw.events"))})
