"""Thirty rounds of work, each with one damage: no event is lost, no damaged model publishes, and the next round continues."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.registry import versions
from tasks.registry.errors import DamagedError
from tests.conftest import ROOT
from tests.flows.shop import Shop, open_shop
from tests.lakes import put

N_ROUNDS, SEED = 30, 20261127
LATE = 12 * 24.0
MINUTEHAND = (sys.executable, "-c", "from cli import main; main()")
Undo = Callable[[], object]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Shop]:
    """A shop after its first night."""
    with open_shop(tmp_path_factory.mktemp("chaos")) as made:
        made.spend_night()
        yield made


def run(prefect_server: str, *words: str, limit: int | None = None, kill_after: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in its own process. limit: maximum bytes of a file, as on a full disk. kill_after: seconds until SIGKILL."""

    def bound() -> None:
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    environment = {**os.environ, "PREFECT_API_URL": prefect_server, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*MINUTEHAND, *words], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=bound
    ) as child:
        if kill_after is not None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(kill_after)
            child.kill()
        out, err = child.communicate(timeout=300)
    return subprocess.CompletedProcess(words, child.returncode, out, err)


def break_file(file: Path, rng: random.Random, way: str) -> Undo:
    """Damage a file; returns a function that undoes the damage."""
    content = file.read_bytes()
    match way:
        case "cut":
            file.write_bytes(content[: len(content) // 2])
        case "altered":
            place = rng.randrange(len(content) // 2)
            file.write_bytes(content[:place] + bytes(byte ^ 0xFF for byte in content[place : place + 64]) + content[place + 64 :])
        case "unreadable":
            file.unlink()
            file.mkdir()
        case _:
            file.unlink()

    def undo() -> None:
        if file.is_dir():
            shutil.rmtree(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    return undo


def checkpoint_of_live(shop: Shop) -> Path:
    return versions.find_version(shop.models, shop.live).checkpoint_folder


def events_of(shop: Shop) -> set[tuple[object, ...]]:
    return set(shop.ask("select user_id, item_id, occurred_at from raw.events"))


def demand_sound(shop: Shop, before: set[tuple[object, ...]], damaged: set[str], published: int) -> None:
    """Checks that no event is lost and that no damaged version has published since."""
    assert before <= events_of(shop)
    since = shop.ask(f"select model_version from recs.publications order by published_at offset {published}")
    assert not damaged & {str(version) for (version,) in since}
    mixed = shop.ask("select user_id from recs.recommendations group by all having count(distinct (model_version, generated_at)) > 1")
    assert mixed == []


@pytest.mark.slow
def test_thirty_rounds_with_damage_lose_no_event_publish_no_damaged_model_and_do_not_stop_the_next_round(
    shop: Shop, prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINUTEHAND_HOME", str(shop.home))
    rng = random.Random(SEED)
    damaged: set[str] = set()
    for number in range(N_ROUNDS):
        work = rng.choice(["ingest", "ingest", "minute", "minute", "minute", "nightly"])
        damage = rng.choice(["model", "model", "lake", "full disk", "kill"])
        way = rng.choice(["cut", "altered", "deleted", "unreadable"])
        put(shop.lake, [(f"u{number % 40:02}", f"i{number % 30:02}", LATE + number)], event_type="click")
        events, published = events_of(shop), int(shop.value("select count(*) from recs.publications"))
        landed = tmp_path / f"{number}.csv"
        landed.write_text(f"user_id,item_id,occurred_at\nnew-{number},i01,2026-01-01T00:00:{number:02}\n", encoding="utf-8")
        words = ("ingest", "events", str(landed)) if work == "ingest" else (work,)
        context = f"round {number}: {work} with {damage} ({way})"
        undo: Undo | None = None
        if damage == "model" and is_damaged(shop, shop.live):
            damage = "kill"  # still damaged, as an ingest does not repair a model
        if damage == "model":
            folder = checkpoint_of_live(shop)
            damaged.add(shop.live)
            break_file(folder / rng.choice(["live.safetensors", "state.safetensors", "online.safetensors", "checkpoint.json"]), rng, way)
            done = run(prefect_server, *words)
            if "no other version is intact: run `minutehand nightly`" in done.stderr:
                demand_sound(shop, events, damaged, published)
                done = run(prefect_server, "nightly")
            assert done.returncode == 0, f"{context}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        elif damage == "lake":
            files = [
                Path(file)
                for (file,) in shop.ask("select data_file from ducklake_list_files('lake', 'events', schema => 'raw') order by 1")
            ]
            file = rng.choice(files) if files else None
            undo = break_file(file, rng, "cut" if way == "altered" else way) if file else None
            done = run(prefect_server, *words)
            if file is not None:
                doctor = run(prefect_server, "doctor", "--json")
                found = [finding for finding in json.loads(doctor.stdout) if finding["state"] == "bad"]
                assert any(file.name in finding["found"] for finding in found), f"{context}: doctor says {found}"
        elif damage == "full disk":
            done = run(prefect_server, *words, limit=4096)
        else:
            started = time.monotonic()
            done = run(prefect_server, *words, kill_after=rng.uniform(0.5, 12))
            assert done.returncode in (0, -signal.SIGKILL), f"{context} after {time.monotonic() - started:.0f} s: {done.stderr[-2000:]}"
        assert "Traceback" not in done.stderr, f"{context}\n{done.stderr[-3000:]}"
        if undo is not None:
            undo()
        demand_sound(shop, events, damaged, published)
    put(shop.lake, [("u01", "i01", LATE + 100)], event_type="click")
    last = run(prefect_server, "minute")
    if "no other version is intact: run `minutehand nightly`" in last.stderr:
        last = run(prefect_server, "nightly")
    assert last.returncode == 0, last.stderr[-2000:]
    assert shop.live not in damaged
    if damaged:
        doctor = run(prefect_server, "doctor")
        named = [version for version in damaged & shop.versions if f"version {version}" in doctor.stdout]
        assert set(named) == {version for version in damaged & shop.versions if is_damaged(shop, version)}


def is_damaged(shop: Shop, version: str) -> bool:
    try:
        versions.find_version(shop.models, version)
    except DamagedError:
        return True
    return False
