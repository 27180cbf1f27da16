"""Two servers of the API, each with a home of its own, feed one lake on PostgreSQL."""

from __future__ import annotations

import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from serving.segments import Segments
from tasks.ingest.log_names import segment_of
from tasks.lake import LakeConfig, locate
from tests.serving.shop import Shop, open_shop
from tests.serving.test_kills import Load, Server, publishing


def test_segments_that_begin_at_the_same_time_in_two_logs_have_different_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.ingest.log_names.time.time_ns", lambda: 1_700_000_000_000_000_000)
    landing, logs = tmp_path / "landing", [tmp_path / "one", tmp_path / "two"]
    names = []
    for log in logs:
        segments = Segments(log, landing)
        names.append(segments.append([b'{"user_id": "u1"}']).result())
        segments.close()
    handed_over = {segment_of(file) for file in (landing / "events" / "api").iterdir()}
    assert handed_over == set(names)
    assert len(handed_over) == 2


def test_a_segment_of_an_earlier_version_is_still_one(tmp_path: Path) -> None:
    folder = tmp_path / "events" / "api"
    assert segment_of(folder / "api-01700000000000000000.jsonl") == "01700000000000000000"
    assert segment_of(folder / "api-1700.jsonl") is None


@pytest.mark.slow
@pytest.mark.postgres
def test_every_event_that_one_of_two_servers_acknowledged_is_once_in_the_lake_though_either_is_killed(
    tmp_path: Path, postgres_port: int
) -> None:
    server = f"host=127.0.0.1 port={postgres_port} user=minutehand"
    subprocess.run(["psql", "-q", f"{server} dbname=postgres", "-c", "create database replicas"], check=True)
    config = LakeConfig(catalog=f"postgres:{server} dbname=replicas", data_path=str(tmp_path / "data"))
    here = open_shop(tmp_path / "here", config)
    there = Shop(tmp_path / "there", locate(config, tmp_path / "there"), here.encoder)
    shutil.copytree(here.home / "encoder", there.home / "encoder")
    rng, ends, failures = random.Random(3), threading.Event(), list[BaseException]()
    servers = [Server(shop.home, shop.lake) for shop in (here, there)]

    def take_in() -> None:
        try:
            while not ends.is_set():
                there.take_in()
                time.sleep(0.05)
        except BaseException as error:
            failures.append(error)

    loops = [threading.Thread(target=publishing(here, ends, failures)), threading.Thread(target=take_in)]
    try:
        for each in servers:
            each.start()
        load = Load(*servers)
        for loop in loops:
            loop.start()
        for victim in (0, 1, 0, 1):
            time.sleep(rng.uniform(1, 3))
            servers[victim].kill()
            time.sleep(rng.uniform(0, 1))
            servers[victim].start()
        time.sleep(1)
        load.stop()
        for each in servers:
            each.kill()
            each.start()  # hands over what it had acknowledged
            each.kill()
    finally:
        ends.set()
        for loop in loops:
            loop.join()
        for each in servers:
            each.close()
    assert not failures, failures
    here.take_in()
    there.take_in()
    counts = Counter(id_ for (id_,) in here.rows("select event_id from raw.events where event_id like 'k%'"))
    assert len(load.acknowledged) > 20
    assert {id_: counts[id_] for id_ in load.acknowledged} == dict.fromkeys(load.acknowledged, 1)
    assert max(counts.values()) == 1
    assert here.rows("select count(*) > 1 from (select distinct segment from ops.api_positions)") == [(True,)]
