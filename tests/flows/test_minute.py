"""Minute runs on a tiny shop: which lists change, what is learnt, and the effects of a kill, a discarded update or a night."""

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from tests.flows.shop import UNPOOLED, Shop, learnt, open_shop, worse
from tests.lakes import put

LATE = 12 * 24.0
"""Hours since the start of the shop, later than all its events."""
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
    "tasks.publish.minute:_remove_barred_items:after",
    "tasks.publish.minute:insert_scenario_lists:after",
    "tasks.publish.minute:_insert_some_lists:after",
    "tasks.publish.minute:_replace_some_neighbours:after",
    "tasks.publish.minute:_extend_histories:after",
    "tasks.publish.transaction:write_interests:after",
    "tasks.publish.transaction:note_publication:after",
    "tasks.publish.transaction:note_prequential:after",
    "tasks.publish.transaction:note_freshness:after",
    "tasks.publish.transaction:note_moved:after",
    "tasks.publish.transaction:note_rules:after",
    "tasks.publish.transaction:move_watermarks:after",
]
"""Points during the work and within the publish transaction. Points between effects are detected, not listed."""
PARTS = 8
LANDED = {
    "items/one.csv": "item_id,title\nlamp,red lamp\n",
    "items/two.csv": "item_id,title\nvase,green vase\n",
    "events/broken.csv": "who,what\nu01,i02\n",
    "events/some.csv": (
        "user_id,item_id,event_type,query,occurred_at\nu05,lamp,cart,,2026-01-13T01:00:00Z\nu06,,cart,,2026-01-13T02:00:00Z\n"
        "u05,,search,red tent,2026-01-13T02:30:00Z\nonly-words,,search,green tent,2026-01-13T02:40:00Z\n"
    ),
}
CART = "[cart]\nin_tables = true\nwhere = \"title like 'red%'\"\nhide = { cart = 3 }\nmax_per_category = 2"
DISCARD = {"MINUTEHAND_INCREMENT__MAX_DRIFT": "1e-12"}
CROWDED = {"MINUTEHAND_PUBLISH__REFRESH_USERS": "10"}


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Shop]:
    """The shop after its first night, with a copy of that state."""
    with open_shop(tmp_path_factory.mktemp("minutes")) as shop:
        shop.spend_night()
        shop.keep("first-night")
        yield shop


@pytest.fixture
def shop(first_night: Shop) -> Shop:
    """The shop restored to its state after the first night."""
    first_night.go_back("first-night")
    return first_night


@pytest.fixture
def carts(shop: Shop) -> str:
    """Three cart events since the night, not learnt yet, with one new item and one new user. Returns the known item."""
    seen = list_of(shop, "u03")[0]
    put(shop.lake, [("u03", seen, LATE), ("u04", "fresh", LATE), ("novel", "fresh", LATE + 0.1)], {"fresh": "red tent"}, event_type="cart")
    return seen


@pytest.fixture(autouse=True)
def at_home(first_night: Shop, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Use the home of the shop instead of the test's own."""
    monkeypatch.setenv("MINUTEHAND_HOME", str(first_night.home))


def list_of(shop: Shop, user: str) -> list[str]:
    return [item for (item,) in shop.ask(f"select item_id from recs.recommendations where user_id = '{user}' order by rank")]


def seen_again(shop: Shop) -> list[tuple[str, str]]:
    """Users with an item in their list that they already had. A history keeps only eight of each user's twelve events."""
    return shop.ask(
        "select lists.user_id, item_id from recs.recommendations as lists join raw.events using (user_id, item_id) order by all"
    )


def marks(shop: Shop) -> dict[str, int]:
    return dict(shop.ask("select consumer, snapshot from ops.watermarks"))


def test_a_minute_run_without_news_loads_no_model_and_writes_nothing(shop: Shop, prefect_server: str) -> None:
    snapshots = "select max(snapshot_id) from lake.snapshots()"
    before = shop.value(snapshots)
    code = "import sys; from flows.minute import minute; assert minute() is None; print({'torch', 'mlflow'} & set(sys.modules))"
    environment = {**os.environ, "PREFECT_API_URL": prefect_server}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines() == ["set()"], done.stderr[-3000:]
    assert shop.value(snapshots) == before
    assert list((shop.home / "minute").iterdir()) == [shop.home / "minute" / "lock"]
    assert shop.models.client.search_runs([shop.models.experiment_id], "tags.`minutehand.cadence` = 'minute'") == []


@pytest.mark.slow
def test_a_minute_run_with_work_is_tagged_and_named_by_its_time(shop: Shop, carts: str) -> None:
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


def test_a_user_with_new_events_gets_a_new_list_without_seen_items_and_a_new_item_enters_other_lists(shop: Shop, carts: str) -> None:
    before, seen = learnt(shop), carts
    assert shop.spend_minute() == "2"
    assert seen not in list_of(shop, "u03")
    assert "fresh" not in list_of(shop, "u04")
    assert len(list_of(shop, "novel")) == 5
    assert {user for (user,) in shop.ask("select user_id from recs.recommendations where item_id = 'fresh'")} > {"*"}
    assert shop.value("select count(*) from recs.similar_items where item_id = 'fresh'") > 0
    decisions = shop.ask("select distinct hides_seen_items, seen_items_setting, repeat_share from recs.publications")
    assert decisions == [(True, "auto", 0.0)]  # an increment inherits the decision of its night
    assert seen_again(shop) == []
    assert {item: n - before.get(item, 0) for item, n in learnt(shop).items() if n != before.get(item, 0)} == {seen: 1, "fresh": 2}


@pytest.mark.slow
def test_after_a_change_of_the_encoder_a_minute_run_publishes_new_items_and_leaves_the_encoding_to_the_night(
    shop: Shop, carts: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = shop.ask("select encoder, count(*) from features.item_embeddings group by all")
    monkeypatch.setenv("MINUTEHAND_ENCODER__MAX_TOKENS", "8")
    with caplog.at_level(logging.WARNING, "minutehand.encoding"):
        assert shop.spend_minute() is not None
    (line,) = {text for text in caplog.messages if "was trained with the encoder" in text}
    assert line.endswith("is set: new items stay without text until minutehand nightly has run")
    assert shop.ask("select encoder, count(*) from features.item_embeddings group by all") == before
    assert learnt(shop)["fresh"] == 2


@pytest.mark.slow
def test_the_metrics_of_a_minute_run_are_in_the_table_and_in_the_run_of_the_day(shop: Shop, carts: str) -> None:
    assert shop.spend_minute() == "2"
    by = "select model, model_version, n_events from eval.prequential where segment = 'all' and metric = 'ndcg_at_10' order by model"
    assert shop.ask(by) == [("live", "1", 3), ("nightly", "1", 3), ("recent_popular", None, 3)]
    (run,) = shop.models.client.search_runs([shop.models.experiment_id], "tags.`minutehand.cadence` = 'minute'")
    assert run.info.status == "RUNNING"
    wanted = {f"{model}/ndcg_at_10{over}" for model in ("live", "nightly", "recent_popular") for over in ("", "_last_hour", "_so_far")}
    assert wanted <= set(run.data.metrics)
    assert [file.path for file in shop.models.client.list_artifacts(run.info.run_id)] == ["day.png", "hours.png"]
    assert versions.aliases(shop.models) == {"champion": "1", "live": "2"}


@pytest.mark.slow
def test_a_minute_run_writes_the_freshness_of_the_last_hours_as_an_artifact(shop: Shop, carts: str) -> None:
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
    assert "arrived: since the event reached the lake. happened: since the event happened" in str(left.description)


@pytest.mark.slow
def test_after_a_promotion_of_an_earlier_version_the_next_minute_learns_the_events_since_again_and_only_once(
    shop: Shop, carts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from cli.promote import promote

    night, before = {user: list_of(shop, user) for user in ("u03", "u09", "*")}, learnt(shop)
    assert shop.spend_minute() == "2"
    once, figures = learnt(shop), shop.value("select count(*) from eval.prequential")
    promote("1")
    assert "version 1 is live" in capsys.readouterr().out
    assert (shop.live, learnt(shop)) == ("1", before)
    assert versions.aliases(shop.models) == {"champion": "1", "live": "1"}
    assert list_of(shop, "u09") == night["u09"]
    assert carts in night["u03"]
    assert list_of(shop, "u03")[:-1] == [item for item in night["u03"] if item != carts]
    assert list_of(shop, "novel") == night["*"]
    assert marks(shop)["learnt"] < marks(shop)["published"]
    assert shop.spend_minute() == "3"
    assert learnt(shop) == once
    assert len(list_of(shop, "novel")) == 5
    assert seen_again(shop) == []
    assert shop.value("select count(*) from eval.prequential") == figures, "their prediction is measured once"
    assert shop.value("select max(n) from (select count(*) as n from ops.freshness group by user_id)") == 1
    assert shop.ask("select distinct model_version from recs.similar_items") == [("3",)]
    assert marks(shop)["learnt"] == marks(shop)["published"]
    assert shop.spend_minute() is None


@pytest.mark.slow
def test_a_discarded_update_refreshes_the_lists_and_its_events_stay_due_for_the_next_run(
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


@pytest.mark.slow
def test_a_minute_run_without_news_refreshes_old_lists_with_the_live_version(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.slow
def test_an_unavailable_item_leaves_the_lists_of_users_without_new_events(shop: Shop) -> None:
    gone, users = shop.ask(
        "select item_id, count(*) from recs.recommendations where user_id <> '*' group by all order by all desc limit 1"
    )[0]
    with writing(shop.lake) as con:
        con.execute("update raw.items set is_available = false where item_id = $gone", {"gone": gone})
    assert users > 0
    assert shop.spend_minute() is not None
    assert shop.value(f"select count(*) from recs.recommendations where item_id = '{gone}'") == 0


IN_CART = "select item_id from recs.scenario_recommendations where scenario = 'cart' and user_id = $$u03$$ order by rank"


def write_scenarios(shop: Shop, text: str) -> None:
    (shop.home / "scenarios.toml").write_text(text)


def without_gaps(shop: Shop) -> bool:
    """Whether the ranks of each list are 1, 2, ... in both tables."""
    lists = "select '' as scenario, user_id, rank from recs.recommendations union all select scenario, user_id, rank"
    ranks = f"select max(rank) = count(*) and count(distinct rank) = count(*) as ok from ({lists} from recs.scenario_recommendations)"
    return bool(shop.value(f"select bool_and(ok) from ({ranks} group by scenario, user_id)"))


@pytest.mark.slow
def test_a_minute_makes_the_lists_of_a_new_scenario_follows_its_rules_and_removes_it_with_its_heading(shop: Shop) -> None:
    shown, live = list_of(shop, "u03"), shop.live
    write_scenarios(shop, f"[cart]\nin_tables = true\nwhere = \"price is null and item_id <> '{shown[0]}'\"\nhide = {{ return = 30 }}")
    assert shop.spend_minute() == live
    assert shop.value("select count(distinct user_id) from recs.scenario_recommendations") == 41
    cart = [item for (item,) in shop.ask(IN_CART)]
    assert len(cart) == 5
    assert shown[0] not in cart
    assert list_of(shop, "u03")[0] == shown[0]
    assert [shop.spend_minute(), shop.spend_minute()] == [live, None], "the second run looks for users whose list is empty"

    put(shop.lake, [("u03", cart[0], LATE)], event_type="return")  # weighs nothing, but hides
    assert shop.spend_minute() == live
    assert (cart[0],) not in shop.ask(IN_CART)
    assert shown[0] in list_of(shop, "u03")
    assert shop.value(f"select count(*) from recs.scenario_recommendations where item_id = '{cart[0]}'") > 0

    with writing(shop.lake) as con:
        con.execute("update raw.items set price = 3, updated_at = now()::timestamp where item_id = $item", {"item": cart[1]})
    assert shop.spend_minute() is not None
    assert shop.value(f"select count(*) from recs.scenario_recommendations where item_id = '{cart[1]}'") == 0
    assert without_gaps(shop)

    write_scenarios(shop, f"[default]\nwhere = \"item_id <> '{shown[1]}'\"")
    assert shop.spend_minute() is not None
    assert shop.value("select count(*) from recs.scenario_recommendations") == 0
    assert shop.value(f"select count(*) from recs.recommendations where item_id = '{shown[1]}'") == 0
    (shop.home / "scenarios.toml").unlink()
    assert shop.spend_minute() is not None
    assert shown[1] in list_of(shop, "u03")
    assert shop.value("select distinct count(*) from recs.recommendations group by user_id") == 5


@pytest.mark.slow
def test_items_that_a_scenario_no_longer_allows_leave_also_the_lists_that_no_run_has_made_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINUTEHAND_PUBLISH__REFRESH_USERS", "3")
    common = shop.value("select item_id from recs.recommendations where user_id <> '*' group by all order by count(*) desc limit 1")
    write_scenarios(shop, f"[default]\nwhere = \"item_id <> '{common}'\"")
    before = shop.value("select count(distinct user_id) from recs.recommendations")
    began = datetime.now(UTC).replace(tzinfo=None)
    assert shop.spend_minute() is not None
    assert shop.value(f"select count(*) from recs.recommendations where item_id = '{common}'") == 0
    assert without_gaps(shop)
    old = f"select count(distinct user_id) from recs.recommendations where generated_at < '{began}'"
    left = shop.value(old)
    assert 0 < left < before
    assert shop.value("select count(distinct user_id) from recs.recommendations") == before
    assert shop.spend_minute() is not None
    assert shop.value(old) < left


@pytest.mark.slow
def test_a_wrong_scenarios_file_fails_a_run_before_it_changes_anything(shop: Shop) -> None:
    put(shop.lake, [("u03", "i01", LATE)])
    before = marks(shop)
    for text, line in (("[cart]\nvariety = 7", "variety = 7 is not possible"), ("[default]\nwhere = 'prize < 3'", "did you mean price")):
        write_scenarios(shop, text)
        with pytest.raises(UserError, match=line):
            shop.spend_minute()
        with pytest.raises(UserError, match=line):
            shop.spend_night()
    assert marks(shop) == before


def set_available(shop: Shop, item_id: str, *, is_available: bool) -> None:
    """Change the availability of items like a file of items would."""
    with writing(shop.lake) as con:
        con.execute(
            "update raw.items set is_available = $is_available, updated_at = now()::timestamp where item_id like $item_id",
            {"item_id": item_id, "is_available": is_available},
        )


def test_a_withdrawn_item_leaves_all_lists_in_the_next_run_and_returns_when_it_is_available_again(shop: Shop) -> None:
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


@pytest.mark.slow
def test_every_user_has_a_list_again_after_all_items_were_unavailable_for_a_while(shop: Shop) -> None:
    n_users = "select count(distinct user_id) from recs.recommendations where user_id <> '*'"
    before = shop.value(n_users)
    set_available(shop, "%", is_available=False)
    assert shop.spend_minute() is not None
    assert shop.value(n_users) == 0
    set_available(shop, "%", is_available=True)
    assert shop.spend_minute() is not None
    assert shop.value(n_users) == before
    assert shop.spend_minute() is None, "no list is stale any more"


@pytest.mark.slow
def test_a_damaged_live_version_makes_no_lists_and_its_events_are_learnt_again(shop: Shop) -> None:
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


@pytest.mark.slow
def test_a_night_with_a_damaged_champion_and_live_version_trains_without_comparison_and_publishes(shop: Shop) -> None:
    put(shop.lake, [("u07", "i01", LATE + 3)], event_type="click")
    assert shop.spend_minute() is not None
    before = shop.versions
    for version in before:
        (versions.find_version(shop.models, version).checkpoint_folder / "checkpoint.json").unlink()
    live = shop.spend_night()
    assert live not in before
    assert shop.live == live
    assert shop.value("select count(*) from eval.offline where model = 'champion'") == 0


def test_a_minute_run_ends_with_a_message_if_another_publisher_holds_the_lock_for_long(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from flows import minute as flow

    before = marks(shop)
    put(shop.lake, [("u07", "i01", LATE + 3)], event_type="click")
    monkeypatch.setattr(flow, "TURN_WAIT_S", 0.2)
    with locks.publishing_turn(shop.lake), caplog.at_level(logging.INFO, "prefect.flow_runs"):
        assert shop.spend_minute() is None
    assert "the next run processes all new events" in caplog.text
    assert marks(shop) == before


def test_a_minute_run_waits_for_another_publisher_and_then_continues(shop: Shop) -> None:
    put(shop.lake, [("u07", "i01", LATE + 3)], event_type="click")
    lock = FileLock(shop.home / "minute" / "lock", thread_local=False)
    lock.acquire()
    threading.Timer(1.0, lock.release).start()
    assert shop.spend_minute() is not None
    assert not lock.is_locked


@pytest.fixture
def stages() -> Iterator[Stages]:
    """The seconds that the stages of the test's runs log, collected like in the benchmark."""
    found, logger = Stages(), logging.getLogger("minutehand.stages")
    logger.addHandler(found)
    yield found
    logger.removeHandler(found)


@pytest.mark.slow
def test_every_stage_of_a_minute_run_logs_its_seconds(shop: Shop, stages: Stages) -> None:
    put(shop.lake, [("u15", "i05", LATE + 3.05)], event_type="click")
    assert shop.spend_minute() is not None
    assert list(stages.seconds) == [
        *("load", "read", "reconcile", "registry", "day", "prepare", "predict", "learn", "register", "refresh", "rank", "publish"),
        *("alias", "log", "prune"),
    ]


def test_a_minute_run_without_work_logs_no_stage(shop: Shop, stages: Stages) -> None:
    assert shop.spend_minute() is None
    assert stages.seconds == {}


@pytest.mark.slow
def test_events_that_arrive_while_torch_and_mlflow_load_are_learnt_in_the_same_run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.slow
def test_a_minute_run_with_a_failing_ingest_learns_the_events_in_the_lake_and_fails_at_its_end(
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
    assert not (shop.home / "minute" / "running.json").exists(), "the run has done all its work, so it does not look like a killed one"
    assert shop.spend_minute() is None


@pytest.mark.slow
def test_a_file_that_stays_in_the_landing_folder_fails_the_minute_run_after_its_work(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.slow
def test_events_that_arrive_while_a_night_trains_are_predicted_and_learnt_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_after_a_refused_night_the_live_increment_continues_with_its_learnt_events(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import nightly as flow

    put(shop.lake, [("u11", "i03", LATE + 7)], event_type="click")
    live, champion = shop.spend_minute(), versions.aliases(shop.models)["champion"]
    before, judge = learnt(shop), flow.judge

    def judge_badly(*given: Any) -> Any:
        put(shop.lake, [("u12", "i04", LATE + 8)], event_type="click")
        return worse(judge(*given))

    monkeypatch.setattr(flow, "judge", judge_badly)
    after = versions.find_version(shop.models, shop.spend_night())
    assert (after.tags["parent"], after.champion) == (live, champion)
    assert versions.aliases(shop.models)["champion"] == champion
    assert learnt(shop) == {**before, "i04": before["i04"] + 1}


@dataclass(frozen=True)
class Forker:
    """Minute runs in other processes, each from a copy of the shop.

    copy: the state after a night and a minute run of yesterday, with news in the lake and in the landing folder. quiet: the state after
    one more minute run, with lists one day old.
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
        return self.written("state")

    def written(self, what: str, **more: Any) -> Any:
        """The JSON that a child writes for an order."""
        file = self.home.parent / f"{what}.json"
        assert self.run({what: str(file), **more}) == [0]
        return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def forker(first_night: Shop, prefect_server: str) -> Iterator[Forker]:
    """A forker whose children open the registry like a minute run, with pooled connections."""
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
        write_scenarios(shop, CART)
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
    """Put files into the landing folder that are one hour old; one of LANDED is unreadable."""
    for name, text in files.items():
        (landing / name).parent.mkdir(parents=True, exist_ok=True)
        (landing / name).write_text(text, encoding="utf-8")
        an_hour_ago = datetime.now(UTC).timestamp() - 3600
        os.utime(landing / name, (an_hour_ago, an_hour_ago))


@pytest.fixture(scope="module")
def unkilled(forker: Forker) -> dict[str, Any]:
    """The state after an uninterrupted run."""
    forker.begin()
    assert forker.run({}) == [0]
    return forker.state()


@pytest.fixture(scope="module")
def ends(forker: Forker, unkilled: dict[str, Any]) -> list[dict[str, Any]]:
    """The state after an uninterrupted run, and after one more, which makes the lists again that changed rules may have left empty.

    A run that was killed after its publish is followed by that one.
    """
    forker.begin()
    assert (forker.run({}), forker.run({})) == ([0], [0])
    settled = forker.state()
    assert (bool(unkilled["moved"]), settled["moved"]) == (True, [])
    return [unkilled, settled]


@pytest.fixture(scope="module")
def effects(forker: Forker) -> list[str]:
    """The persistent effects of a run, in order."""
    forker.begin()
    return forker.written("effects")


def wrong_after(forker: Forker, ends: Sequence[dict[str, Any]], killed: dict[str, Any], copy: str = "copy", **settings: Any) -> list[str]:
    """Names of state that differs from the nearest of these ends, after a killed run and the next run."""
    forker.begin(copy)
    assert forker.run({**killed, **settings}) == [-signal.SIGKILL], killed
    assert forker.run(settings) == [0], killed
    state = forker.state()
    return min(([name for name in end if state[name] != end[name]] for end in ends), key=len)


@pytest.mark.slow
def test_the_effects_of_a_minute_run_are_recorded(effects: list[str]) -> None:
    assert effects.count("lake: commit") == 4, "items, events, vectors, lists"
    assert {
        *("file: move landing/items/one.csv", "file: move landing/items/two.csv", "file: move landing/events/some.csv"),
        *("file: move mlflow/artifacts/models/m*/artifacts", "file: delete mlflow/artifacts/models/m*", "mlflow: inputs"),
        *("mlflow: registered_models, model_versions, model_version_tags", "mlflow: registered_model_aliases"),
        *("mlflow: metrics, latest_metrics", "mlflow: registered_models, model_versions", "file: delete minute/running.json"),
    } <= set(effects)
    assert len(boundaries(effects)) > 40


@pytest.mark.slow
def test_an_uninterrupted_minute_run_leaves_the_expected_reference_state(unkilled: dict[str, Any]) -> None:
    assert (unkilled["learnt"]["fresh"], unkilled["learnt"]["lamp"], unkilled["waiting"]) == (1, 1, [[1]])
    assert (unkilled["live is live"], unkilled["versions"], len(unkilled["curve"])) == (True, [2, 2, 2], 3)
    assert (unkilled["days"], len(unkilled["rejected"])) == (["FINISHED", "RUNNING"], 1)
    assert ([user for user, *_ in unkilled["searches"]], unkilled["one state"]) == (["only-words", "u05"], [[1]])
    assert "only-words" in {user for user, *_ in unkilled["lists"]} & {user for user, *_ in unkilled["user interests"]}
    assert {"*", "u05", "only-words"} < {user for user, *_ in unkilled["in cart"]}
    assert ["user:u05", "item:lamp"] in [edge[:2] for edge in unkilled["edges"]]
    landed = [file.removeprefix("landing/") for file in unkilled["files"] if ".csv" in file]
    assert landed == [
        *("done/*/items/one.csv", "done/*/items/two.csv"),
        *("failed/*/events/broken.csv", "failed/*/events/broken.csv.error.txt"),
        *("partial/*/events/some.csv", "partial/*/events/some.csv.rejected.csv"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_minute_run_killed_between_any_two_effects_is_repaired_by_the_next(
    part: int, forker: Forker, ends: list[dict[str, Any]], effects: list[str]
) -> None:
    points = boundaries(effects)[part::PARTS]
    wrong = {f"{n}, before {effects[n]}": wrong_after(forker, ends, {"kill_before": n}) for n in points}
    assert {point: names for point, names in wrong.items() if names} == {}


@pytest.mark.slow
def test_a_killed_minute_run_with_a_discarded_update_is_repaired_by_the_next(forker: Forker, effects: list[str]) -> None:
    forker.begin()
    discarding = forker.written("effects", settings=DISCARD)
    unkilled = forker.state()
    assert (unkilled["waiting"], unkilled["versions"], "fresh" in unkilled["learnt"]) == ([[2]], [2, 2, 2], False)
    assert forker.run({"settings": DISCARD}) == [0]
    ends = [unkilled, forker.state()]
    since = next(n for n, (kept, discarded) in enumerate(zip(effects, discarding, strict=False)) if kept != discarded)
    points = [n for n in boundaries(discarding) if n >= since]
    assert any("discarded" in discarding[n] for n in points)
    wrong = {f"{n}, before {discarding[n]}": wrong_after(forker, ends, {"kill_before": n}, settings=DISCARD) for n in points}
    assert {point: names for point, names in wrong.items() if names} == {}


@pytest.mark.slow
def test_a_killed_minute_run_that_only_refreshes_old_lists_is_repaired_by_the_next(shop: Shop, forker: Forker) -> None:
    forker.begin()
    assert forker.run({}) == [0]
    with writing(shop.lake) as con:
        con.execute("update recs.recommendations set generated_at = generated_at - interval 1 day")
    shutil.copytree(shop.home, shop.home.parent / "quiet")
    effects, unkilled = forker.written("effects"), forker.state()
    assert unkilled["publications"][-1][:2] == ["minute", 42]
    assert effects.count("lake: commit") == 1
    points = boundaries(effects)
    wrong = {f"{n}, before {effects[n]}": wrong_after(forker, [unkilled], {"kill_before": n}, "quiet") for n in points}
    assert {point: names for point, names in wrong.items() if names} == {}


@pytest.mark.slow
def test_stale_lists_over_the_limit_are_refreshed_later_in_spite_of_a_kill(forker: Forker, effects: list[str]) -> None:
    def minute(**killed: int) -> None:
        assert forker.run({**killed, "settings": CROWDED}) == [-signal.SIGKILL if killed else 0], killed

    def left(**killed: int) -> dict[str, Any]:
        """The state once no list is stale; the number of runs that this takes may differ."""
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
def test_a_minute_run_killed_at_any_moment_is_repaired_by_the_next(moment: str, forker: Forker, ends: list[dict[str, Any]]) -> None:
    assert wrong_after(forker, ends, {"kill": moment}) == []


@pytest.mark.slow
def test_a_minute_run_killed_twice_is_repaired_by_the_third(forker: Forker, ends: list[dict[str, Any]]) -> None:
    forker.begin()
    for moment in ("tasks.publish.transaction:note_publication:after", "mlflow:MlflowClient.delete_logged_model:before"):
        assert forker.run({"kill": moment}) == [-signal.SIGKILL]
    assert forker.run({}) == [0]
    assert forker.state() in ends


@pytest.mark.slow
def test_of_two_concurrent_minute_runs_one_works_and_one_ends_without_error(forker: Forker, ends: list[dict[str, Any]]) -> None:
    forker.begin()
    assert forker.run({}, {}) == [0, 0]
    assert forker.state() in ends
