"""Whole nightly runs on a tiny shop: content of tables and registry afterwards, also after a kill."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from typer.testing import CliRunner

from cli import app
from models.errors import UserError
from tasks import locks
from tasks.access import OURS
from tasks.lake import reading
from tasks.registry import versions
from tests.conftest import ROOT
from tests.flows.shop import Shop, learnt, open_shop, worse
from tests.lakes import habits, put

DUPLICATES = {
    "recs.recommendations": "user_id, rank",
    "recs.similar_items": "item_id, rank",
    "features.user_histories": "user_id",
    "features.item_embeddings": "item_id, encoder",
    "recs.publications": "publication_id",
    "graph.nodes": "node",
    "graph.edges": "source, relation, target",
    "eval.offline": "flow_run_id, model, segment, metric",
}


def demand_sound(shop: Shop) -> None:
    """Checks invariants that hold after every night."""
    for table, key in DUPLICATES.items():
        assert shop.value(f"select count(*) from (select {key} from {table} group by all having count(*) > 1)") == 0, table
    live, run, snapshot = shop.ask("select model_version, mlflow_run_id, data_snapshot from recs.publications order by published_at")[-1]
    assert versions.aliases(shop.models)["champion"] == live
    origins = shop.ask("select distinct model_version, mlflow_run_id, data_snapshot from recs.recommendations")
    assert origins == [(live, run, snapshot)]
    assert shop.ask("select distinct model_version from recs.similar_items") == [(live,)]
    for table in ("graph.nodes", "graph.edges"):
        assert shop.ask(f"select distinct model_version, data_snapshot from {table}") == [(live, snapshot)], table
    assert shop.value("select count(distinct user_id) from recs.recommendations") == 41
    runs = shop.models.client.search_runs([shop.models.experiment_id])
    nights = [found for found in runs if found.data.tags.get("minutehand.cadence") != "minute"]
    assert [found.info.status for found in nights if found.info.status == "RUNNING"] == []
    assert list((shop.home / "nightly").iterdir()) == [shop.home / "nightly" / "lock"]


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Shop]:
    """The shop after its first night, with a copy of that state."""
    with open_shop(tmp_path_factory.mktemp("nightly")) as shop:
        assert shop.spend_night() == "1"
        shop.keep("first-night")
        yield shop


@pytest.fixture
def shop(first_night: Shop) -> Shop:
    """The shop restored to its state after the first night."""
    first_night.go_back("first-night")
    return first_night


@pytest.fixture(autouse=True)
def at_home(shop: Shop, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Use the home of the shop instead of the test's own."""
    monkeypatch.setenv("MINUTEHAND_HOME", str(shop.home))


def test_the_first_night_registers_a_champion_and_publishes_it(shop: Shop) -> None:
    assert versions.aliases(shop.models) == {"champion": "1", "live": "1"}
    assert shop.ask("select model_version, n_users, n_items from recs.publications") == [("1", 40, 30)]
    demand_sound(shop)


def test_a_night_has_one_name_in_prefect_and_mlflow_the_verdict_as_a_tag_and_artifacts_with_descriptions(shop: Shop) -> None:
    from prefect.client.orchestration import get_client

    (night,) = shop.models.client.search_runs([shop.models.experiment_id], "tags.`minutehand.cadence` = 'nightly'")
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(UUID(night.data.tags["minutehand.flow_run_id"]))
        artifacts = client.read_artifacts(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])))
    assert run.name == night.info.run_name
    assert re.fullmatch(r"night \d{4}-\d\d-\d\d( \d\d:\d\d)?", run.name)
    assert set(run.tags) == {"nightly", "had-work"}
    assert (night.data.tags["gate"], night.data.tags["minutehand.version"]) == ("promoted", "1")
    assert "NDCG@10" in night.data.tags["verdict"]
    assert {artifact.key for artifact in artifacts} == {"nightly-report", "nightly-mlflow-run", "mlflow-nights"}
    assert all(artifact.description for artifact in artifacts)


def test_a_night_leaves_the_report_for_the_owner_of_the_shop_in_mlflow_and_in_the_home(shop: Shop) -> None:
    (night,) = shop.models.client.search_runs([shop.models.experiment_id], "tags.`minutehand.cadence` = 'nightly'")
    (file,) = (shop.home / "reports").iterdir()
    html = file.read_text(encoding="utf-8")
    assert "newly trained model makes the lists" in html
    assert "red tent" in html
    assert night.info.run_id in html
    assert Path(shop.models.client.download_artifacts(night.info.run_id, "report.html")).read_text(encoding="utf-8") == html


def test_a_night_measures_whole_lists_for_all_models_with_intervals_and_groups_and_draws_them(shop: Shop) -> None:
    of_all = dict(shop.ask("select metric, value from eval.offline where model = 'minutehand' and segment = 'all'"))
    assert {"recall_at_10", "map_at_10", "novelty_at_10", "distance_at_10", "age_days_at_10", "gini_at_10"} <= of_all.keys()
    assert 0 < of_all["recall_at_10"] < 1
    rows = shop.ask("select model, low <= value and value <= high from eval.offline where metric = 'recall_at_10' order by model")
    assert rows == [(model, True) for model in ("item_knn", "minutehand", "most_popular", "recent_popular")]
    groups = {family for (family,) in shop.ask("select split_part(segment, '=', 1) from eval.offline where contains(segment, '=')")}
    assert {"activity", "account_age", "popularity"} <= groups
    exposed = "select sum(value) from eval.offline where metric = 'exposure_at_10' and segment like 'popularity=%' and model = 'minutehand'"
    assert shop.value(exposed) == pytest.approx(1)
    (night,) = shop.models.client.search_runs([shop.models.experiment_id], "tags.`minutehand.cadence` = 'nightly'")
    assert night.data.metrics["recall_at_10"] == pytest.approx(of_all["recall_at_10"], abs=1e-4)
    assert len(night.data.metrics) <= 20
    files = {file.path for file in shop.models.client.list_artifacts(night.info.run_id)}
    assert {"training.png", "segments.png", "groups.png", "exposure.png", "accuracy-diversity.png"} <= files


@pytest.mark.slow
def test_a_second_night_of_a_day_has_its_time_in_its_name_and_makes_the_same_model_by_the_plan_of_the_first(shop: Shop) -> None:
    from flows.nightly import nightly

    nightly(plan="1")
    files = [versions.find_version(shop.models, number).checkpoint_folder for number in ("1", "2")]
    one, two = ({file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()} for folder in files)
    assert one == two
    assert "epochs on all items, seed" in versions.find_version(shop.models, "2").tags["plan"]
    newest = shop.models.client.search_runs([shop.models.experiment_id], "tags.`minutehand.cadence` = 'nightly'")[0]
    assert re.fullmatch(r"night \d{4}-\d\d-\d\d \d\d:\d\d", newest.info.run_name)


@pytest.mark.slow
def test_a_night_by_two_workers_is_repeated_bit_for_bit_by_its_plan_which_names_them_and_leaves_nothing_behind(shop: Shop) -> None:
    from flows.nightly import nightly

    nightly(n_workers=2)
    made = max(shop.versions, key=int)
    assert ", 1 thread of 2 workers, cpu" in versions.find_version(shop.models, made).tags["plan"]
    assert not (shop.home / "training").exists()
    nightly(plan=made)
    files = [versions.find_version(shop.models, number).checkpoint_folder for number in (made, max(shop.versions, key=int))]
    for name in ("live", "past", "online"):  # interests of the first of these nights continue those of the night before
        one, two = ((folder / f"{name}.safetensors").read_bytes() for folder in files)
        assert one == two, name
    demand_sound(shop)


def test_no_file_of_a_night_is_readable_by_other_users(shop: Shop) -> None:
    assert [str(path) for path in (shop.home, *shop.home.rglob("*")) if path.lstat().st_mode & 0o077] == []
    assert {path.name for path in shop.home.iterdir()} <= OURS


def test_every_user_with_a_history_has_a_list_and_there_is_a_fallback_list(shop: Shop) -> None:
    users = {user for (user,) in shop.ask("select distinct user_id from recs.recommendations")}
    assert users == {user for user, _, _ in habits()} | {"*"}
    assert shop.value("select count(*) from recs.recommendations where rank = 1") == 41
    assert shop.value("select count(*) from recs.recommendations where item_id not in (select item_id from raw.items)") == 0


def test_the_snapshot_named_by_a_publication_can_be_read_again(shop: Shop) -> None:
    snapshot = shop.value("select data_snapshot from recs.publications order by published_at desc limit 1")
    with reading(shop.lake, snapshot) as con:
        assert con.execute("select count(*) from raw.events").fetchone() == (len(habits()),)


def test_the_metrics_of_the_night_cover_the_model_and_three_baselines(shop: Shop) -> None:
    models = {model for (model,) in shop.ask("select distinct model from eval.offline")}
    assert models == {"minutehand", "most_popular", "recent_popular", "item_knn"}
    assert shop.ask("select distinct model_version from eval.offline where model = 'minutehand'") == [("1",)]


@pytest.mark.slow
def test_a_night_with_nothing_new_encodes_nothing_and_is_compared_with_the_champion(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "minutehand")
    shop.spend_night()
    assert "0 of 30 items encoded" in caplog.text
    assert "epoch 1 of 2 planned" in caplog.text
    assert shop.versions >= {"1", "2"}
    figures = shop.ask("""
        select model, model_version, n_events from eval.offline
        where metric = 'ndcg_at_10' and segment = 'all' and model in ('minutehand', 'champion')
        order by evaluated_at desc, model limit 2
    """)
    assert [(model, version) for model, version, _ in figures] == [("champion", "1"), ("minutehand", "2")]
    assert figures[0][2] == figures[1][2] > 0
    demand_sound(shop)


@pytest.mark.slow
def test_a_worse_challenger_is_refused_and_the_champion_publishes_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import nightly as flow

    live = versions.aliases(shop.models)["champion"]
    before = shop.value("select count(*) from recs.publications")
    judge = flow.learning.judge
    monkeypatch.setattr(flow, "judge", lambda *given: worse(judge(*given)))
    assert shop.spend_night() == live
    assert shop.value("select count(*) from recs.publications") == before + 1
    assert versions.aliases(shop.models)["champion"] == live
    refused = versions.aliases(shop.models)["challenger"]
    assert refused != live
    columns = "model_version, gate, gate_reason, json_extract_string(gate_figures, '$.version')"
    ((version, decision, reason, judged),) = shop.ask(f"select {columns} from recs.publications where gate = 'refused'")
    assert (version, decision, judged) == (live, "refused", refused)
    assert f"Version {refused} is refused, version {live} stays" in reason
    demand_sound(shop)


@pytest.mark.slow
def test_a_challenger_on_request_is_judged_with_its_settings_and_changes_nothing_that_users_see(
    shop: Shop, prefect_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import mlflow

    from flows.nightly import nightly

    seen = "select * from recs.recommendations order by all", "select * from recs.publications order by all", "from ops.watermarks"
    before, live = [shop.ask(sql) for sql in seen], shop.live
    assert nightly(changes=["model.dim=16", "seed=3"], as_challenger=True) == live
    assert [shop.ask(sql) for sql in seen] == before
    now = versions.aliases(shop.models)
    version = versions.find_version(shop.models, now["challenger"])
    assert (now["champion"], now["live"], version.tags["gate"] in ("passed", "refused")) == (live, live, True)
    assert json.loads(version.tags["changes"]) == {"model.dim": "16", "seed": "3"}
    run = shop.models.client.get_run(version.run_id)
    assert (run.data.params["model.dim"], run.data.tags["changes"]) == ("16", "model.dim=16 seed=3")
    assert shop.value(f"select count(*) from eval.offline where model_version = '{version.version}'") > 0
    written = {
        name: json.loads(
            Path(
                mlflow.artifacts.download_artifacts(
                    run_id=version.run_id, artifact_path=name, dst_path=str(tmp_path), tracking_uri=shop.models.tracking_uri
                )
            ).read_text(encoding="utf-8")
        )
        for name in ("gate.json", "diff.json")
    }
    assert {"quality", "coverage", "churn", "latency"} <= {check["name"] for check in written["gate.json"]["checks"]}
    assert (written["diff.json"]["before"], written["diff.json"]["after"], written["diff.json"]["n_users"]) == (live, version.version, 40)
    assert not re.search(r"\bu\d\d\b", json.dumps(written)), "an artifact names no user"

    done = CliRunner().invoke(app, ["diff", live, version.version, "--users", "12", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["n_users"], found["basis"][:17]) == (12, "lists of a sample")


@pytest.mark.slow
def test_old_versions_are_pruned_but_not_the_live_one(shop: Shop) -> None:
    n_nights = max(map(int, shop.versions))
    while n_nights < 6:
        shop.spend_night()
        n_nights += 1
    held = set(versions.aliases(shop.models).values())
    assert held <= shop.versions
    assert len(shop.versions - held) <= 2
    assert len(shop.versions) < n_nights


def test_a_second_concurrent_night_is_refused_and_the_error_names_the_running_process(shop: Shop) -> None:
    before = shop.value("select count(*) from recs.publications")
    with locks.take(shop.lake), pytest.raises(UserError, match=rf"a night is under way in .*\(process {os.getpid()}, since 20"):
        shop.spend_night()
    assert shop.value("select count(*) from recs.publications") == before


KILLERS = {
    "training": "import tasks.registry.night_run as r; r.NightRun.epoch = die",
    "saving the model": "import tasks.registry.packing as p; p._example_frame = die",
    "between saving and the gate": "import tasks.registry.gate as g; g.pass_gate = die",
    "between the gate and publishing": "import tasks.night.learning as n; n.best_popularity_column = die",
    "publishing": "import tasks.publish.transaction as p; p.note_publication = die",
    "upkeep": "import tasks.upkeep as u; u._expire = die",
}


HAND_OVER_KILLERS = {
    "before the news is predicted": "h.predict = die",
    "before the news is learnt": "h.catch_up = die",
    "before the lists are made": "h.make_lists = die",
    "while the lists are published": "import tasks.publish.transaction as p; p.move_watermarks = die",
    "between the lists and the alias": "import tasks.registry.increments as i; i.publish_alias = die",
}
NEWS = """
import flows.handover as h
from tests.lakes import put
repair = h.repair_live
def while_something_happens(tables, models):
    put(tables, [("u03", "i05", 12 * 24.0 + 48 * {n})], event_type="click")
    return repair(tables, models)
h.repair_live = while_something_happens
"""
"""An event that arrives between the snapshot of a night and its hand-over."""


def kill(killer: str, prefect_server: str) -> None:
    """Run a night in another process that kills itself by SIGKILL at the given point."""
    code = f"import os, signal\ndie = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n{killer}\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}from flows.nightly import nightly\nnightly()"],
        env={**os.environ, "PREFECT_API_URL": prefect_server},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]


@pytest.mark.slow
def test_a_night_killed_while_publishing_changes_no_list_and_the_next_one_repairs_everything(shop: Shop, prefect_server: str) -> None:
    before = shop.ask("select * from recs.recommendations order by all"), shop.ask("select * from recs.publications order by all")
    kill(KILLERS["publishing"], prefect_server)
    assert (shop.ask("select * from recs.recommendations order by all"), shop.ask("select * from recs.publications order by all")) == before
    live = shop.spend_night()
    assert shop.ask("select distinct model_version from recs.recommendations") == [(live,)]
    demand_sound(shop)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [moment for moment in KILLERS if moment != "publishing"])
def test_a_night_killed_at_any_moment_is_repaired_by_the_next(moment: str, shop: Shop, prefect_server: str) -> None:
    kill(KILLERS[moment], prefect_server)
    shop.spend_night()
    demand_sound(shop)


@pytest.mark.slow
@pytest.mark.parametrize("n", range(len(HAND_OVER_KILLERS)), ids=list(HAND_OVER_KILLERS))
def test_after_a_killed_hand_over_the_next_minute_run_learns_the_events_in_between_exactly_once(
    n: int, shop: Shop, prefect_server: str
) -> None:
    before, figures = learnt(shop), shop.value("select count(distinct evaluated_at) from eval.prequential")
    kill(NEWS.format(n=n) + list(HAND_OVER_KILLERS.values())[n], prefect_server)
    shop.spend_minute()
    assert learnt(shop) == {**before, "i05": before["i05"] + 1}
    marks = dict(shop.ask("select consumer, snapshot from ops.watermarks"))
    assert marks["learnt"] == marks["published"]
    assert versions.aliases(shop.models)["live"] == shop.live
    assert shop.value("select count(distinct evaluated_at) from eval.prequential") == figures + 1
    origins = shop.ask("select user_id from recs.recommendations group by user_id having count(distinct generated_at) > 1")
    assert origins == []
    assert shop.spend_minute() is None
    shop.spend_night()
    demand_sound(shop)
    assert learnt(shop) == {**before, "i05": before["i05"] + 1}


@pytest.mark.slow
def test_a_night_after_the_loss_of_the_registry_creates_a_new_one(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """The second time, the number of the live version belongs to an unrelated version that knows all events."""
    before = learnt(shop)
    for n in range(2):
        put(shop.lake, [("u04", "i06", (13 + 2 * n) * 24.0)], event_type="click")
        for alias in versions.aliases(shop.models):
            shop.models.client.delete_registered_model_alias(shop.models.model_name, alias)
        shop.models.client.delete_registered_model(shop.models.model_name)
        caplog.clear()
        assert shop.spend_night() == "1"
        assert "is no longer in the registry" in caplog.text
        assert learnt(shop) == {**before, "i06": before["i06"] + n + 1}
        demand_sound(shop)
    put(shop.lake, [("u04", "i08", 18 * 24.0)], event_type="click")
    assert shop.spend_minute() == "2"
