"""Two homes, as on two machines, with one lake and one registry on PostgreSQL: whatever is killed, every event is learnt exactly once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.privacy.keyed import NAME as KEYS
from tests.conftest import ROOT
from tests.flows.effects import boundaries
from tests.flows.shop import UNPOOLED, Shop, learnt, open_shop
from tests.flows.test_minute import LATE, Forker
from tests.lakes import put

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
SECONDS = float(os.environ.get("TWO_HOMES_SECONDS", "120"))
"""How long both homes run under kills."""
EVERY = int(os.environ.get("TWO_HOMES_EVERY", "3"))
"""Of the points between two effects, one of so many is tried in each home."""


@dataclass(frozen=True)
class Homes:
    """The shop, opened from the first of two homes, and the environment of each home."""

    shop: Shop
    environments: tuple[dict[str, str], dict[str, str]]

    @contextmanager
    def forkers(self) -> Iterator[Sequence[Forker]]:
        """A process for each home, whose children run minutes."""
        command, pipes = [sys.executable, "-m", "tests.flows.forker"], {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        begun = [subprocess.Popen(command, text=True, cwd=ROOT, env=each, **pipes) for each in self.environments]  # type: ignore[call-overload]
        try:
            yield [Forker(process, Path(each["MINUTEHAND_HOME"])) for process, each in zip(begun, self.environments, strict=True)]
        finally:
            for process in begun:
                process.communicate()


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory, prefect_server: str, postgres_port: int) -> Iterator[Homes]:
    """Two homes after the first night."""
    folder, server = tmp_path_factory.mktemp("homes"), f"host=127.0.0.1 port={postgres_port} user=minutehand"
    for name in ("lake_of_two", "mlflow_of_two"):
        subprocess.run(["psql", "-q", f"{server} dbname=postgres", "-c", f"create database {name}"], check=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("INCREMENT__GATE_TOLERANCE", "INCREMENT__MAX_DRIFT", "REGISTRY__GATE_TOLERANCE"):
            patch.setenv(f"MINUTEHAND_{name}", "1000")
        patch.setenv("MINUTEHAND_LAKE__CATALOG", f"postgres:{server} dbname=lake_of_two")
        patch.setenv("MINUTEHAND_LAKE__DATA_PATH", str(folder / "data"))
        patch.setenv("MINUTEHAND_REGISTRY__TRACKING_URI", f"postgresql+psycopg://minutehand@127.0.0.1:{postgres_port}/mlflow_of_two")
        patch.setenv("PREFECT_API_URL", prefect_server)
        with open_shop(folder) as shop:
            shop.spend_night()
            (folder / "there").mkdir(mode=0o700)
            shutil.copy(shop.home / KEYS, folder / "there")  # as the guide has it for a further home
            common = {name: value for name, value in os.environ.items() if name != UNPOOLED[0]}
            yield Homes(shop, tuple({**common, "MINUTEHAND_HOME": str(home)} for home in (shop.home, folder / "there")))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def at_home(homes: Homes, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Use the home of the shop instead of the test's own."""
    monkeypatch.setenv("MINUTEHAND_HOME", str(homes.shop.home))


def demand_exactly_once(shop: Shop) -> None:
    """Every event of the lake is learnt and in a history once, and everybody has a list."""
    assert learnt(shop) == dict(shop.ask("select item_id, count(*)::double from raw.events group by all"))
    histories = "select user_id, n_events from features.user_histories order by user_id"
    assert shop.ask(histories) == shop.ask("select user_id, count(*) from raw.events group by all order by user_id")
    lists = shop.ask("select distinct user_id from recs.recommendations where user_id <> '*' order by all")
    assert lists == shop.ask("select distinct user_id from raw.events order by all")


def test_a_minute_of_one_home_repairs_one_of_the_other_that_was_killed_between_any_two_effects(homes: Homes) -> None:
    hours = iter(range(1_000))

    def happen() -> None:
        n = next(hours)
        put(homes.shop.lake, [(f"u{n % 40:02}", f"i{n % 30:02}", LATE + n / 100)], event_type="click")

    with homes.forkers() as (here, there):
        for killed, other in ((here, there), (there, here)):
            for _ in range(2):  # the first one begins the run of the day
                happen()
                effects = killed.written("effects")
            assert effects.count("lake: commit") == 1
            for n in boundaries(effects)[::EVERY]:
                happen()
                assert killed.run({"kill_before": n}) == [-signal.SIGKILL], effects[n]
                assert other.run({}) == [0], effects[n]
                demand_exactly_once(homes.shop)
            publishing = effects.index("lake: commit")
            for n in (publishing, publishing + 1):
                happen()
                assert killed.run({"kill_before": n}) == [-signal.SIGKILL], effects[n]
                assert other.run({}) == [0], effects[n]
                demand_exactly_once(homes.shop)
        happen()
        assert [here.run({}), there.run({})] == [[0], [0]]
    demand_exactly_once(homes.shop)
    assert homes.shop.value("select count(distinct snapshot) from ops.watermarks") == 1


def land(landing: Path, n: int) -> int:
    """Put a file of five events into a landing folder; returns their number."""
    now = datetime.now(UTC).isoformat()
    # nobody comes back to an item, as the clicks of a user on one item in a day together count less than two
    rows = [f"u{n // 150}{(7 * n + k) % 50:02},i{(n + k) % 30:02},click,{now}" for k in range(5)]
    whole = landing / "part"
    (landing / "events").mkdir(parents=True, exist_ok=True)
    whole.write_text("\n".join(["user_id,item_id,event_type,occurred_at", *rows]), encoding="utf-8")
    os.utime(whole, (time.time() - 60,) * 2)
    whole.rename(landing / "events" / f"{n:05}.csv")
    return len(rows)


def begin(activity: str, environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        command = [sys.executable, "-m", "tests.flows.loops", activity, "100000"]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)


def test_two_homes_run_minutes_and_nights_while_either_is_killed_and_learn_every_event_once(homes: Homes, tmp_path: Path) -> None:
    shop, draw = homes.shop, random.Random(1)
    posted, n_kills, before = 0, 0, int(shop.value("select count(*) from raw.events"))
    activities = [(activity, where) for where in (0, 1) for activity in ("minutes", "patient_nights")]
    logs = {each: tmp_path / f"{each[0]}-{each[1]}.log" for each in activities}
    running = {each: begin(each[0], homes.environments[each[1]], log) for each, log in logs.items()}
    try:
        until = time.monotonic() + SECONDS
        next_kill = time.monotonic() + 25
        while time.monotonic() < until:
            posted += land(Path(homes.environments[posted % 2]["MINUTEHAND_HOME"]) / "landing", posted // 5)
            dead = [each for each, process in running.items() if process.poll() is not None]
            assert not dead, "\n".join(f"{each}: {logs[each].read_text(errors='replace')[-4000:]}" for each in dead)
            if time.monotonic() > next_kill:
                each = draw.choice(activities)
                running[each].kill()
                running[each].wait()
                running[each] = begin(each[0], homes.environments[each[1]], logs[each])
                n_kills += 1
                next_kill = time.monotonic() + draw.uniform(5, 30)
            time.sleep(1)  # the pace of the shop
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    with homes.forkers() as both:
        for forker in (*both, *both):
            assert forker.run({}) == [0]
    assert n_kills > 0
    assert shop.value("select count(*) from raw.events") == before + posted
    assert shop.value("select count(*) from raw.rejected") == 0
    demand_exactly_once(shop)
    for cadence in ("minute", "nightly"):
        assert shop.value(f"select count(*) from recs.publications where cadence = '{cadence}'") > 1
