"""Minutes on a tiny shop: who gets another list, what is learnt and how often, and what a kill, a discard or a night changes."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from filelock import FileLock

from bench.one_minute import Stages
from models.errors import UserError
from tasks import locks
from tasks.lake import LakeError, writing
from tasks.registry import versions
from tests.conftest import ROOT
from tests.flows.effects import boundaries
from tests.flows.shop import UNPOOLED, Shop, learnt, open_shop
from tests.lakes import put

LATE = 12 * 24.0
"""Hours since the start of the shop, after all its habits."""
MOMENTS = [
    "tasks.minute.feed:watermarks_of:after",
    "tasks.minute.feed:look_for_work:after",
    "tasks.minute.steps:prepare:after",
    "tasks.minute.steps:predict_events:after",
    "tasks.minute.steps:update_model:after",
    "tasks.minute.steps:save:after",
    "tasks.minute.steps:rank:after",
    "tasks.publish.minute:_check_watermarks:after",
    "tasks.publish.minute:_make_room:after",
    "tasks.publish.minute:_insert_some_lists:after",
    "tasks.publish.minute:_replace_some_neighbours:after",
    "tasks.publish.minute:_extend_histories:after",
    "tasks.publish.transaction:note_publication:after",
    "tasks.publish.transaction:note_prequential:after",
    "tasks.publish.transaction:note_freshness:after",
    "tasks.publish.transaction:note_moved:after",
    "tasks.publish.transaction:move_watermarks:after",
]
"""At work, and within the transaction that publishes; the boundaries between effects are found, not listed."""
PARTS = 8
LANDED = {
    "items/one.csv": "item_id,title\nlamp,red lamp\n",
    "items/two.csv": "item_id,title\nvase,green vase\n",
    "events/broken.csv": "who,what\nu01,i02\n",
    "events/some.csv": "user_id,item_id,event_type,occurred_at\nu05,lamp,cart,2026-01-13T01:00:00Z\nu06,,cart,2026-01-13T02:00:00Z\n",
}
DISCARD = {"MINUTEHAND_INCREMENT__MAX_DRIFT": "1e-12"}
CROWDED = {"MINUTEHAND_PUBLISH__REFRESH_USERS": "10"}


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Shop]:
    """The shop, and a copy of it after its first night."""
    with open_shop(tmp_path_factory.mktemp("minutes")) as shop:
        shop.spend_night()
        shop.keep("first-night")
        yield shop


@pytest.fixture
def shop(first_night: Shop) -> Shop:
    """The shop as it was after its first night, whatever another test did."""
    first_night.go_back("first-night")
    return first_night


@pytest.fixture
def carts(shop: Shop) -> str:
    """Three carts since the night, not learnt yet: one item is new, and so is one user. Gives the item that is not new."""
    seen = list_of(shop, "u03")[0]
    put(shop.lake, [("u03", seen, LATE), ("u04", "fresh", LATE), ("novel", "fresh", LATE + 0.1)], {"fresh": "red tent"}, event_type="cart")
    return seen


@pytest.fixture(autouse=True)
def at_home(first_night: Shop, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """The home of the shop in place of the test's own."""
    monkeypatch.setenv("MINUTEHAND_HOME", str(first_night.home))


def list_of(shop: Shop, user: str) -> list[str]:
    return [item for (item,) in shop.ask(f"select item_id from recs.recommendations where user_id = '{user}' order by rank")]


def seen_again(shop: Shop) -> list[tuple[str, str]]:
    """Items in the lists of those who had them; of the twelve events of each habit a history keeps eight."""
    return shop.ask(
        "select lists.user_id, item_id from recs.recommendations as lists join raw.events using (user_id, item_id) order by all"
    )


def marks(shop: Shop) -> dict[str, int]:
    return dict(shop.ask("select consumer, snapshot from ops.watermarks"))


def test_a_minute_without_news_loads_no_model_and_leaves_no_trace(shop: Shop, prefect_server: str) -> None:
    snapshots = "select max(snapshot_id) from lake.snapshots()"
    before = shop.value(snapshots)
    code = "import sys; from flows.minute import minute; assert minute() is None; print({'torch', 'mlflow'} & set(sys.modules))"
    environment = {**os.environ, "PREFECT_API_URL": prefect_server}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines() == ["set()"], done.stderr[-3000:]
    assert shop.value(snapshots) == before
    assert list((shop.home / "minute").iterdir()) == [shop.home / "minute" / "lock"]
    assert shop.models.client.search_runs([shop.models.experiment_id], "tags.`minutehand.cadence` = 'minute'") == []


def test_a_minute_that_did_something_is_found_by_its_tag_and_named_by_its_time(shop: Shop, carts: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags

    found = FlowRunFilter(tags=FlowRunFilterTags(all_=["had-work"]))
    with get_client(sync_client=True) as client:
        before = {run.id for run in client.read_flow_runs(flow_run_filter=found)}
        assert shop.spend_minute() == "2"
        (worked,) = [run for run in client.read_flow_runs(flow_run_filter=found) if run.id not in before]
        assert shop.spend_minute() is None
        assert {run.id for run in client.read_flow_runs(flow_run_filter=found)} == {*before, worked.id}
    assert re.fullmatch(r"minute \d\d:\d\d", worked.name)


def test_who_did_something_gets_another_list_without_what_he_saw_and_a_new_item_is_in_lists_of_others(shop: Shop, carts: str) -> None:
    before, seen = learnt(shop), carts
    assert shop.spend_minute() == "2"
    assert seen not in list_of(shop, "u03")
    assert "fresh" not in list_of(shop, "u04")
    assert len(list_of(shop, "novel")) == 5
    assert {user for (user,) in shop.ask("select user_id from recs.recommendations where item_id = 'fresh'")} > {"*"}
    assert shop.value("select count(*) from recs.similar_items where item_id = 'fresh'") > 0
    decisions = shop.ask("select distinct hides_seen_items, seen_items_setting, repeat_share from recs.publications")
    assert decisions == [(True, "auto", 0.0)]  # a minute's version has its night's
    assert seen_again(shop) == []
    assert {item: n - before.get(item, 0) for item, n in learnt(shop).items() if n != before.get(item, 0)} == {seen: 1, "fresh": 2}


def test_the_figures_of_a_minute_are_in_the_table_and_in_the_run_of_the_day(shop: Shop, carts: str) -> None:
    assert shop.spend_minute() == "2"
    by = "select model, model_version, n_events from eval.prequential where segment = 'all' and metric = 'ndcg_at_10' order by model"
    assert shop.ask(by) == [("live", "1", 3), ("nightly", "1", 3), ("recent_popular", None, 3)]
    (run,) = shop.models.client.search_runs([shop.models.experiment_id], "tags.`minutehand.cadence` = 'minute'")
    assert run.info.status == "RUNNING"
    wanted = {f"{model}/ndcg_at_10{over}" for model in ("live", "nightly", "recent_popular") for over in ("", "_last_hour", "_so_far")}
    assert wanted <= set(run.data.metrics)
    assert [file.path for file in shop.models.client.list_artifacts(run.info.run_id)] == ["day.png"]
    assert versions.aliases(shop.models) == {"champion": "1", "live": "2"}


def test_a_minute_leaves_the_freshness_of_the_last_hours_as_an_artifact_of_its_run(shop: Shop, carts: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
    from prefect.client.schemas.sorting import ArtifactSort

    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["freshness"]))
    with get_client(sync_client=True) as client:
        before = {found.id for found in client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC)}
        assert shop.spend_minute() == "2"
        found = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC)
        (left,) = [artifact for artifact in found if artifact.id not in before]
    assert left.flow_run_id is not None
    (hour,) = json.loads(str(left.data))
    waits = {f"{since}_{name}_s" for since in ("arrived", "happened") for name in ("p50", "p95", "max")}
    assert (hour["users"], set(hour)) == (3, {"hour", "users", "live_users", *waits})
    assert "arrived: since the lake took it in. happened: since it happened" in str(left.description)


def test_a_discarded_update_refreshes_the_lists_and_leaves_its_events_to_the_next_minute(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, live = learnt(shop), shop.live
    seen = list_of(shop, "u05")[0]
    put(shop.lake, [("u05", seen, LATE + 1)], event_type="click")
    monkeypatch.setenv("MINUTEHAND_INCREMENT__MAX_DRIFT", "1e-12")
    assert shop.spend_minute() == live
    assert seen not in list_of(shop, "u05")
    assert learnt(shop) == before
    assert marks(shop)["learnt"] < marks(shop)["published"]
    monkeypatch.delenv("MINUTEHAND_INCREMENT__MAX_DRIFT")
    put(shop.lake, [("u06", seen, LATE + 2)], event_type="click")
    assert shop.spend_minute() != live
    assert learnt(shop) == {**before, seen: before[seen] + 2}
    assert marks(shop)["learnt"] == marks(shop)["published"]
    assert shop.value("select n_events from features.user_histories where user_id = 'u05'") == 13


def test_a_minute_without_news_makes_old_lists_anew_by_the_version_that_is_live(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    live, versions, figures = shop.live, shop.versions, shop.value("select count(*) from eval.prequential")
    with monkeypatch.context() as later:
        later.setenv("MINUTEHAND_PUBLISH__REFRESH_AFTER_HOURS", "1e-6")
        began = datetime.now(UTC).replace(tzinfo=None)
        assert shop.spend_minute() == live
    assert shop.value("select min(generated_at) from recs.recommendations") > began
    assert seen_again(shop) == []
    assert shop.ask("select cadence, n_users from recs.publications order by published_at desc limit 1") == [("minute", 40)]
    assert (shop.live, shop.versions) == (live, versions)
    assert shop.value("select count(*) from eval.prequential") == figures
    assert marks(shop)["learnt"] == marks(shop)["published"] == shop.value("select max(data_snapshot) from recs.recommendations")
    assert shop.spend_minute() is None


def test_an_item_that_is_gone_leaves_the_lists_of_those_who_did_nothing(shop: Shop) -> None:
    gone, users = shop.ask(
        "select item_id, count(*) from recs.recommendations where user_id <> '*' group by all order by all desc limit 1"
    )[0]
    with writing(shop.lake) as con:
        con.execute("update raw.items set is_available = false where item_id = $gone", {"gone": gone})
    assert users > 0
    assert shop.spend_minute() is not None
    assert shop.value(f"select count(*) from recs.recommendations where item_id = '{gone}'") == 0


def set_available(shop: Shop, item_id: str, *, is_available: bool) -> None:
    """As a file of items would."""
    with writing(shop.lake) as con:
        con.execute(
            "update raw.items set is_available = $is_available, updated_at = now()::timestamp where item_id like $item_id",
            {"item_id": item_id, "is_available": is_available},
        )


def test_an_item_that_is_withdrawn_leaves_all_lists_with_the_next_minute_and_is_back_in_them_after_it_comes_back(shop: Shop) -> None:
    shown = "select item_id from recs.recommendations where user_id <> '*' group by all order by count(*) desc, item_id limit 1"
    item = shop.value(shown)
    n_lists = f"select count(*) from recs.recommendations where item_id = '{item}' and user_id <> '*'"
    n_near = f"select count(*) from recs.similar_items where similar_item_id = '{item}'"
    before = shop.value(n_lists), shop.value(n_near)
    assert min(before) > 0
    set_available(shop, item, is_available=False)
    assert shop.spend_minute() is not None
    assert (shop.value(n_lists), shop.value(n_near)) == (0, 0)
    set_available(shop, item, is_available=True)
    assert shop.spend_minute() is not None
    assert shop.value(n_near) == before[1]
    assert shop.value(n_lists) > before[0] / 2


def test_after_all_items_were_gone_and_came_back_every_user_has_a_list_again(shop: Shop) -> None:
    n_users = "select count(distinct user_id) from recs.recommendations where user_id <> '*'"
    before = shop.value(n_users)
    set_available(shop, "%", is_available=False)
    assert shop.spend_minute() is not None
    assert shop.value(n_users) == 0
    set_available(shop, "%", is_available=True)
    assert shop.spend_minute() is not None
    assert shop.value(n_users) == before
    assert shop.spend_minute() is None, "nothing waits any longer"


def test_a_damaged_live_version_makes_no_lists_and_what_it_had_learnt_is_learnt_again(shop: Shop) -> None:
    put(shop.lake, [("u07", "i01", LATE + 3)], event_type="click")
    assert shop.spend_minute() is not None
    damaged, once = shop.live, learnt(shop)
    weights = versions.find_version(shop.models, damaged).checkpoint_folder / "live.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    put(shop.lake, [("u08", "i02", LATE + 4)], event_type="click")
    assert shop.spend_minute() is not None
    assert shop.live != damaged
    again = learnt(shop)
    assert again["i01"] == pytest.approx(once["i01"], rel=1e-3)
    assert again["i02"] == pytest.approx(once["i02"] + 1, rel=1e-3)
    assert shop.value(f"select count(*) from recs.recommendations where user_id = 'u08' and model_version = '{damaged}'") == 0


def test_a_night_after_the_champion_and_the_live_version_were_damaged_trains_without_comparison_and_publishes(shop: Shop) -> None:
    put(shop.lake, [("u07", "i01", LATE + 3)], event_type="click")
    assert shop.spend_minute() is not None
    before = shop.versions
    for version in before:
        (versions.find_version(shop.models, version).checkpoint_folder / "checkpoint.json").unlink()
    live = shop.spend_night()
    assert live not in before
    assert shop.live == live
    assert shop.value("select count(*) from eval.offline where model = 'champion'") == 0


def test_while_another_publishes_for_long_a_minute_ends_clean_and_says_so(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from flows import minute as flow

    before = marks(shop)
    put(shop.lake, [("u07", "i01", LATE + 3)], event_type="click")
    monkeypatch.setattr(flow, "TURN_WAIT_S", 0.2)
    with locks.publishing_turn(shop.home), caplog.at_level(logging.INFO, "prefect.flow_runs"):
        assert shop.spend_minute() is None
    assert "the next run processes all new events" in caplog.text
    assert marks(shop) == before


def test_a_minute_that_begins_while_another_publishes_goes_on_after_it(shop: Shop) -> None:
    put(shop.lake, [("u07", "i01", LATE + 3)], event_type="click")
    lock = FileLock(shop.home / "minute" / "lock", thread_local=False)
    lock.acquire()
    threading.Timer(1.0, lock.release).start()
    assert shop.spend_minute() is not None
    assert not lock.is_locked


@pytest.fixture
def stages() -> Iterator[Stages]:
    """What the stages of the test's runs log, as the bench collects it."""
    found, logger = Stages(), logging.getLogger("minutehand.stages")
    logger.addHandler(found)
    yield found
    logger.removeHandler(found)


def test_every_stage_of_a_minute_logs_its_seconds(shop: Shop, stages: Stages) -> None:
    put(shop.lake, [("u15", "i05", LATE + 3.05)], event_type="click")
    assert shop.spend_minute() is not None
    assert list(stages.seconds) == [
        *("load", "read", "reconcile", "registry", "day", "prepare", "predict", "learn", "register", "refresh", "rank", "publish"),
        *("alias", "log", "prune"),
    ]


def test_a_minute_without_work_logs_no_stage(shop: Shop, stages: Stages) -> None:
    assert shop.spend_minute() is None
    assert stages.seconds == {}


def test_what_comes_in_while_a_minute_loads_torch_and_mlflow_is_learnt_in_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import minute_work

    before, get_ready = learnt(shop), minute_work.get_ready

    def get_ready_while_something_happens(*given: Any) -> Any:
        put(shop.lake, [("u13", "i05", LATE + 3.2)], event_type="click")
        land(shop.home / "landing", {"events/meanwhile.csv": "user_id,item_id,occurred_at\nu14,i05,2026-01-13T03:20:00Z\n"})
        return get_ready(*given)

    monkeypatch.setattr(minute_work, "get_ready", get_ready_while_something_happens)
    put(shop.lake, [("u12", "i05", LATE + 3.1)], event_type="click")
    assert shop.spend_minute() is not None
    assert learnt(shop) == {**before, "i05": before["i05"] + 3}
    assert shop.spend_minute() is None


def test_where_the_landing_folder_cannot_be_emptied_a_minute_learns_what_is_in_the_lake_and_fails_at_its_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import minute as flow

    before, live = learnt(shop), shop.live

    def held(*_: Any, **__: Any) -> NoReturn:
        raise LakeError("another writer has held the lake")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(flow, "empty_landing", held)
        put(shop.lake, [("u16", "i05", LATE + 3.3)], event_type="click")
        with pytest.raises(LakeError, match="another writer"):
            shop.spend_minute()
    assert learnt(shop) == {**before, "i05": before["i05"] + 1}
    assert shop.live != live
    assert (shop.home / "minute" / "running.json").exists()
    shop.spend_minute()
    assert not (shop.home / "minute" / "running.json").exists()


def test_a_file_that_stays_in_the_landing_folder_fails_the_minute_after_its_work(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    before, move = learnt(shop), shutil.move

    def refusing(file: Path, target: Path) -> Any:
        if Path(file).name == "stays.csv":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(file))
        return move(file, target)

    land(shop.home / "landing", {"events/stays.csv": "user_id,item_id,occurred_at\nu17,i05,2026-01-13T03:25:00Z\n"})
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(shutil, "move", refusing)
        with pytest.raises(UserError, match=r"events/stays\.csv of .* stays there: cannot move it"):
            shop.spend_minute()
    assert learnt(shop) == {**before, "i05": before["i05"] + 1}
    shop.spend_minute()
    assert not (shop.home / "landing" / "events" / "stays.csv").exists()
    assert learnt(shop) == {**before, "i05": before["i05"] + 1}


def test_what_comes_in_while_a_night_trains_is_predicted_learnt_once_and_in_the_lists(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import nightly as flow

    before, predicted = learnt(shop), shop.value("select count(distinct evaluated_at) from eval.prequential")
    live = shop.live
    judge = flow.judge

    def judge_while_something_happens(*given: Any) -> Any:
        put(shop.lake, [("u08", "i02", LATE + 4)], event_type="click")
        assert shop.spend_minute() is not None
        put(shop.lake, [("u09", "later", LATE + 5)], {"later": "green tent"}, event_type="click")
        return judge(*given)

    monkeypatch.setattr(flow, "judge", judge_while_something_happens)
    monkeypatch.setenv("MINUTEHAND_REGISTRY__GATE_TOLERANCE", "1")
    after = shop.spend_night()
    champion = versions.aliases(shop.models)["champion"]
    assert int(after) > int(champion) > int(live)
    assert versions.aliases(shop.models)["live"] == shop.live == after
    assert versions.find_version(shop.models, after).champion == champion
    assert learnt(shop) == {**before, "i02": before["i02"] + 1, "later": 1}
    assert marks(shop)["learnt"] == marks(shop)["published"] == shop.value("select max(data_snapshot) from recs.recommendations")
    assert shop.value("select count(distinct evaluated_at) from eval.prequential") == predicted + 2
    assert "later" not in list_of(shop, "u09")
    assert shop.value("select count(distinct user_id) from recs.recommendations") == 41
    put(shop.lake, [("u10", "later", LATE + 6)], event_type="click")
    shop.spend_minute()
    assert learnt(shop)["later"] == 2


@pytest.mark.slow
def test_a_refused_night_goes_on_with_the_live_increment_and_what_it_has_learnt(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import nightly as flow

    put(shop.lake, [("u11", "i03", LATE + 7)], event_type="click")
    live, champion = shop.spend_minute(), versions.aliases(shop.models)["champion"]
    before, judge = learnt(shop), flow.judge

    def judge_badly(*given: Any) -> Any:
        put(shop.lake, [("u12", "i04", LATE + 8)], event_type="click")
        judged = judge(*given)
        return replace(judged, ndcg=(judged.champion_ndcg or 0.0) / 2 - 0.01)

    monkeypatch.setattr(flow, "judge", judge_badly)
    after = versions.find_version(shop.models, shop.spend_night())
    assert (after.tags["parent"], after.champion) == (live, champion)
    assert versions.aliases(shop.models)["champion"] == champion
    assert learnt(shop) == {**before, "i04": before["i04"] + 1}


@dataclass(frozen=True)
class Forker:
    """Minutes in other processes, each time from a copy of the shop.

    copy: as it was after its night and a minute of yesterday, with news in the lake and in the landing folder. quiet: after a minute
    more, a day later.
    """

    process: subprocess.Popen[str]
    home: Path

    def begin(self, copy: str = "copy") -> None:
        shutil.rmtree(self.home)
        shutil.copytree(self.home.parent / copy, self.home)

    def run(self, *orders: dict[str, Any]) -> list[int]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(orders), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def state(self) -> dict[str, Any]:
        return self.told("state")

    def told(self, what: str, **more: Any) -> Any:
        """What a child writes down."""
        file = self.home.parent / f"{what}.json"
        assert self.run({what: str(file), **more}) == [0]
        return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def forker(first_night: Shop, prefect_server: str) -> Iterator[Forker]:
    """Its children open the registry as a minute does, with connections that stay open."""
    shop = first_night
    command = [sys.executable, "-m", "tests.flows.forker"]
    environment = {
        **{name: value for name, value in os.environ.items() if name != UNPOOLED[0]},
        "MINUTEHAND_HOME": str(shop.home),
        "MINUTEHAND_REGISTRY__KEEP_INCREMENTS": "1",
        "PREFECT_API_URL": prefect_server,
    }
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        forker = Forker(process, shop.home)
        forker.begin("first-night")
        put(shop.lake, [("u01", "i04", LATE - 1)], event_type="cart")
        assert forker.run({}) == [0]
        assert forker.run({"a_day_passes": True}) == [0]
        put(
            shop.lake,
            [("u03", "i05", LATE), ("u04", "fresh", LATE), ("novel", "i07", LATE + 0.1)],
            {"fresh": "red tent"},
            event_type="cart",
        )
        land(shop.home / "landing")
        shop.keep("copy")
        yield forker
        assert process.stdin is not None
        process.stdin.close()


def land(landing: Path, files: dict[str, str] = LANDED) -> None:
    """Files that have lain in the landing folder for an hour; of LANDED, one cannot be read."""
    for name, text in files.items():
        (landing / name).parent.mkdir(parents=True, exist_ok=True)
        (landing / name).write_text(text, encoding="utf-8")
        an_hour_ago = datetime.now(UTC).timestamp() - 3600
        os.utime(landing / name, (an_hour_ago, an_hour_ago))


@pytest.fixture(scope="module")
def unkilled(forker: Forker) -> dict[str, Any]:
    """What a run leaves that nobody killed."""
    forker.begin()
    assert forker.run({}) == [0]
    return forker.state()


@pytest.fixture(scope="module")
def effects(forker: Forker) -> list[str]:
    """The lasting effects of a run, in order."""
    forker.begin()
    return forker.told("effects")


def wrong_after(forker: Forker, unkilled: dict[str, Any], killed: dict[str, Any], copy: str = "copy", **settings: Any) -> list[str]:
    """What differs from the run that nobody killed, after one that was and the next."""
    forker.begin(copy)
    assert forker.run({**killed, **settings}) == [-signal.SIGKILL], killed
    assert forker.run(settings) == [0], killed
    state = forker.state()
    return [name for name in unkilled if state[name] != unkilled[name]]


@pytest.mark.slow
def test_the_effects_of_a_minute_are_found(effects: list[str]) -> None:
    assert effects.count("lake: commit") == 4, "items, events, vectors, lists"
    assert {
        *("file: move landing/items/one.csv", "file: move landing/items/two.csv", "file: move landing/events/some.csv"),
        *("file: move mlflow/artifacts/models/m*/artifacts", "file: delete mlflow/artifacts/models/m*", "mlflow: inputs"),
        *("mlflow: registered_models, model_versions, model_version_tags", "mlflow: registered_model_aliases"),
        *("mlflow: metrics, latest_metrics", "mlflow: registered_models, model_versions", "file: delete minute/running.json"),
    } <= set(effects)
    assert len(boundaries(effects)) > 40


@pytest.mark.slow
def test_a_minute_leaves_what_the_kills_are_held_against(unkilled: dict[str, Any]) -> None:
    assert (unkilled["learnt"]["fresh"], unkilled["learnt"]["lamp"], unkilled["waiting"]) == (1, 1, [[1]])
    assert (unkilled["live is live"], unkilled["versions"], len(unkilled["curve"])) == (True, [2, 2, 2], 3)
    assert (unkilled["days"], len(unkilled["rejected"])) == (["FINISHED", "RUNNING"], 1)
    landed = [file.removeprefix("landing/") for file in unkilled["files"] if ".csv" in file]
    assert landed == [
        *("done/*/items/one.csv", "done/*/items/two.csv"),
        *("failed/*/events/broken.csv", "failed/*/events/broken.csv.error.txt"),
        *("partial/*/events/some.csv", "partial/*/events/some.csv.rejected.csv"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_minute_killed_between_any_two_effects_is_mended_by_the_next(
    part: int, forker: Forker, unkilled: dict[str, Any], effects: list[str]
) -> None:
    points = boundaries(effects)[part::PARTS]
    wrong = {f"{n}, before {effects[n]}": wrong_after(forker, unkilled, {"kill_before": n}) for n in points}
    assert {point: names for point, names in wrong.items() if names} == {}


@pytest.mark.slow
def test_a_minute_whose_update_the_gate_discards_is_mended_as_well(forker: Forker, effects: list[str]) -> None:
    forker.begin()
    discarding = forker.told("effects", settings=DISCARD)
    unkilled = forker.state()
    assert (unkilled["waiting"], unkilled["versions"], "fresh" in unkilled["learnt"]) == ([[2]], [2, 2, 2], False)
    since = next(n for n, (kept, discarded) in enumerate(zip(effects, discarding, strict=False)) if kept != discarded)
    points = [n for n in boundaries(discarding) if n >= since]
    assert any("discarded" in discarding[n] for n in points)
    wrong = {f"{n}, before {discarding[n]}": wrong_after(forker, unkilled, {"kill_before": n}, settings=DISCARD) for n in points}
    assert {point: names for point, names in wrong.items() if names} == {}


@pytest.mark.slow
def test_a_minute_that_only_makes_old_lists_anew_is_mended_as_well(shop: Shop, forker: Forker) -> None:
    forker.begin()
    assert forker.run({}) == [0]
    with writing(shop.lake) as con:
        con.execute("update recs.recommendations set generated_at = generated_at - interval 1 day")
    shutil.copytree(shop.home, shop.home.parent / "quiet")
    effects, unkilled = forker.told("effects"), forker.state()
    assert unkilled["publications"][-1][:2] == ["minute", 41]
    assert effects.count("lake: commit") == 1
    points = boundaries(effects)
    wrong = {f"{n}, before {effects[n]}": wrong_after(forker, unkilled, {"kill_before": n}, "quiet") for n in points}
    assert {point: names for point, names in wrong.items() if names} == {}


@pytest.mark.slow
def test_lists_that_wait_for_room_are_made_anew_in_spite_of_a_kill(forker: Forker, effects: list[str]) -> None:
    def minute(**killed: int) -> None:
        assert forker.run({**killed, "settings": CROWDED}) == [-signal.SIGKILL if killed else 0], killed

    def left(**killed: int) -> dict[str, Any]:
        """What is left once no list waits any more: how many minutes that takes may differ."""
        forker.begin()
        if killed:
            minute(**killed)
        minute()
        assert forker.state()["moved"]
        for _ in range(9):
            minute()
        return {name: value for name, value in forker.state().items() if name != "publications"}

    publishing = max(n for n, effect in enumerate(effects) if effect == "lake: commit")
    unkilled, *killed = left(), left(kill_before=publishing), left(kill_before=publishing + 1)
    assert unkilled["moved"] == []
    assert [[name for name in unkilled if state[name] != unkilled[name]] for state in killed] == [[], []]


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_minute_killed_at_any_moment_is_mended_by_the_next(moment: str, forker: Forker, unkilled: dict[str, Any]) -> None:
    assert wrong_after(forker, unkilled, {"kill": moment}) == []


@pytest.mark.slow
def test_a_minute_killed_twice_is_mended_by_the_third(forker: Forker, unkilled: dict[str, Any]) -> None:
    forker.begin()
    for moment in ("tasks.publish.transaction:note_publication:after", "mlflow:MlflowClient.delete_logged_model:before"):
        assert forker.run({"kill": moment}) == [-signal.SIGKILL]
    assert forker.run({}) == [0]
    assert forker.state() == unkilled


@pytest.mark.slow
def test_of_two_minutes_at_once_one_works_and_one_ends_clean(forker: Forker, unkilled: dict[str, Any]) -> None:
    forker.begin()
    assert forker.run({}, {}) == [0, 0]
    assert forker.state() == unkilled
