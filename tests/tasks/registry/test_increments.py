"""A day of increments on a real MLflow store: content of a version, content of the run, and repair after a killed minute run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from sqlalchemy import event

from models.metrics.segments import SEGMENTS
from models.results import MetricRow
from models.version import checkpoint as checkpoints
from tasks.lake import Lake, writing
from tasks.registry.day_run import Day, Minute, close_days, open_day
from tasks.registry.increments import find_live, prune_increments, publish_alias, reconcile_live, register_increment
from tasks.registry.upkeep import delete_versions, prune, reconcile
from tasks.registry.versions import Registry, Version, aliases, all_versions, find_version, promote
from tests.conftest import ROOT
from tests.tasks.fruits import ITEMS, save_checkpoint

TODAY = date(2026, 11, 21)
NOON = datetime(2026, 11, 21, 12)


@pytest.fixture
def champion(registry: Registry, register_one: Callable[[], str]) -> Version:
    """The live winner of last night."""
    version = register_one()
    promote(registry, version)
    publish_alias(registry, version)
    return find_version(registry, version)


@pytest.fixture
def day(registry: Registry, champion: Version) -> Day:
    return open_day(registry, TODAY, champion.version)


def learn(day: Day, parent: Version, folder: Path, snapshot: int = 5) -> Version:
    return register_increment(day, save_checkpoint(folder / f"learnt-{snapshot}", seed=snapshot), parent, snapshot, reason="it is near")


def files_of(registry: Registry) -> int:
    return len(list((Path(registry.client.get_experiment(registry.experiment_id).artifact_location[7:]) / "models").iterdir()))


INSERT_FIGURE = "insert into eval.prequential values ('f', 'm', '1', 9, 'live', 'all', 'ndcg_at_10', $ndcg, 10, $at, $at)"


def test_a_day_is_one_run_that_ends_when_the_next_day_begins_and_is_not_ended_by_a_night(registry: Registry, lake: Lake, day: Day) -> None:
    assert open_day(registry, TODAY, "9").run_id == day.run_id
    assert reconcile(registry, "1").ended_runs == ()
    run = registry.client.get_run(day.run_id)
    assert (run.info.status, run.info.run_name, run.data.tags["minutehand.champion"]) == ("RUNNING", "day 2026-11-21", "9")
    tomorrow = open_day(registry, TODAY + timedelta(days=1), "9")
    close_days(registry, lake, TODAY)
    assert registry.client.get_run(day.run_id).info.status == "RUNNING"
    close_days(registry, lake, TODAY + timedelta(days=1))
    assert registry.client.get_run(day.run_id).info.status == "FINISHED"
    assert registry.client.get_run(tomorrow.run_id).info.status == "RUNNING"


def test_metrics_that_a_killed_run_did_not_log_are_added_to_the_run_of_its_day_on_the_next_day(
    registry: Registry, lake: Lake, day: Day
) -> None:
    midnight = datetime(2026, 11, 22)
    day.metrics([minute_at(midnight - timedelta(minutes=2), 0.3, 10)])
    with writing(lake) as con:
        for ndcg, at in [(0.3, midnight - timedelta(minutes=2)), (0.5, midnight - timedelta(minutes=1)), (0.7, midnight)]:
            con.execute(INSERT_FIGURE, {"ndcg": ndcg, "at": at})
    close_days(registry, lake, midnight.date())
    history = registry.client.get_metric_history(day.run_id, "live/ndcg_at_10")
    assert [(point.step, point.value) for point in history] == [(2358, 0.3), (2359, 0.5)]
    assert registry.client.get_run(day.run_id).data.metrics["live/ndcg_at_10_so_far"] == pytest.approx(0.4)
    assert [file.path for file in registry.client.list_artifacts(day.run_id)] == ["day.png", "hours.png"]


def test_an_increment_is_packed_like_its_parent_and_descends_from_the_champion(day: Day, champion: Version, tmp_path: Path) -> None:
    first = learn(day, champion, tmp_path, 5)
    second = learn(day, first, tmp_path, 6)
    assert not (tmp_path / "learnt-6").exists()
    found = find_version(day.registry, second.version)
    assert found == second
    assert (found.champion, found.tags["parent"], found.tags["cadence"], found.tags["snapshot"]) == ("1", first.version, "minute", "6")
    assert checkpoints.load(found.checkpoint_folder).catalog.item_ids == ITEMS
    requirements = [version.checkpoint_folder.parent.parent / "requirements.txt" for version in (champion, second)]
    assert requirements[0].samefile(requirements[1])
    assert find_live(day.registry, second.version) == (second, find_version(day.registry, "1"))
    assert aliases(day.registry) == {"champion": "1", "live": "1"}
    description = day.registry.client.get_model_version(day.registry.model_name, second.version).description
    assert description.startswith("accepted: it is near; minute ")
    assert description.endswith(f"based on version {first.version}")


@pytest.mark.slow
def test_mlflow_loads_an_increment_whose_parents_are_deleted(day: Day, champion: Version, tmp_path: Path) -> None:
    first = learn(day, champion, tmp_path, 5)
    second = learn(day, first, tmp_path, 6)
    publish_alias(day.registry, second.version)
    delete_versions(day.registry, [found for found in all_versions(day.registry) if str(found.version) != second.version])
    script = f"""
import sys
sys.path[:] = [path for path in sys.path if path != {str(ROOT)!r}]
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model("models:/{day.registry.model_name}@live")
print("\\n" + model.predict(pd.DataFrame({{"item_ids": [["apple", "pear"]]}}), params={{"k": 2}}).to_json())
"""
    environment = os.environ | {"MLFLOW_TRACKING_URI": day.registry.tracking_uri}
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wanted = checkpoints.load(second.checkpoint_folder).recommend([{"item_ids": ["apple", "pear"]}], k=2)
    assert json.loads(done.stdout.splitlines()[-1])["item_ids"]["0"] == [item for item, _ in wanted[0]]


def test_unpublished_increments_are_deleted_and_the_alias_follows_the_lists(
    registry: Registry, day: Day, champion: Version, tmp_path: Path
) -> None:
    first = learn(day, champion, tmp_path, 5)
    learn(day, first, tmp_path, 6)
    registry.client.create_logged_model(registry.experiment_id, "half", day.run_id, tags={"cadence": "minute"})
    repairs = reconcile_live(registry, first.version, lambda _: False)
    assert (repairs.deleted_versions, len(repairs.deleted_models), repairs.alias_was) == (("3",), 1, "1")
    assert len(repairs.messages) == 3
    assert aliases(registry) == {"champion": "1", "live": "2"}
    assert files_of(registry) == 2
    assert reconcile_live(registry, first.version, lambda _: False).messages == []


def test_a_published_increment_stays_after_a_night_publishes_an_older_version(
    registry: Registry, day: Day, champion: Version, tmp_path: Path
) -> None:
    """A minute run publishes while a night, whose version is registered, waits for the publishing lock."""
    shown = learn(day, champion, tmp_path, 5)
    repairs = reconcile_live(registry, champion.version, lambda version: version == shown.version)
    assert repairs.deleted_versions == ()
    assert str(shown.version) in {str(found.version) for found in all_versions(registry)}


def test_a_live_increment_of_the_champion_counts_as_its_publication(day: Day, champion: Version, tmp_path: Path) -> None:
    live = learn(day, champion, tmp_path)
    assert reconcile(day.registry, live.version).unpublished is None
    day.registry.client.delete_registered_model_alias(day.registry.model_name, "champion")
    assert reconcile(day.registry, live.version).unpublished is None
    assert aliases(day.registry)["champion"] == "1"


def test_only_the_newest_increments_are_kept_and_nights_are_counted_separately(
    registry: Registry, day: Day, champion: Version, register_one: Callable[[], str], tmp_path: Path
) -> None:
    live = champion
    for snapshot in range(5, 9):
        live = learn(day, live, tmp_path, snapshot)
    publish_alias(registry, live.version)
    promote(registry, register_one())
    assert prune_increments(registry, 2, live.version) == ["3", "2"]
    assert [str(found.version) for found in all_versions(registry)] == ["6", "5", "4", "1"]
    promote(registry, register_one())  # the alias `previous` leaves version 1
    assert prune(registry, keep=0) == []
    publish_alias(registry, "7")
    assert prune(registry, keep=0) == ["1"]


def test_deleted_versions_do_not_slow_the_queries_of_a_minute_run(registry: Registry, day: Day, champion: Version, tmp_path: Path) -> None:
    live = champion
    for snapshot in range(5, 15):
        live = learn(day, live, tmp_path, snapshot)
    publish_alias(registry, live.version)
    prune_increments(registry, 1, live.version)
    loaded: list[int] = []

    def note(version: SqlModelVersion, _: object) -> None:
        loaded.append(version.version)

    event.listen(SqlModelVersion, "load", note)
    assert aliases(registry) == {"champion": champion.version, "live": live.version}
    event.remove(SqlModelVersion, "load", note)
    assert len(loaded) <= 2
    assert len(all_versions(registry)) == 2


def test_minute_runs_are_points_of_curves_with_the_mean_of_the_last_hour(registry: Registry, day: Day) -> None:
    minutes = [
        minute_at(NOON - timedelta(minutes=70), 0.9, 50),
        minute_at(NOON - timedelta(minutes=30), 0.1, 30),
        minute_at(NOON, 0.3, 10),
    ]
    assert day.logged_until() is None
    assert day.metrics(minutes[:1]) == 1
    assert day.missing_since() == max(datetime(2026, 11, 21), minutes[0].evaluated_at - timedelta(hours=1))
    assert day.metrics(minutes) == 2
    assert day.metrics(minutes) == 0
    history = registry.client.get_metric_history
    assert [(point.step, point.value) for point in history(day.run_id, "live/ndcg_at_10")] == [(1050, 0.9), (1130, 0.1), (1200, 0.3)]
    assert [point.value for point in history(day.run_id, "live/ndcg_at_10_last_hour")] == pytest.approx([0.9, 0.5999999, 0.15], abs=1e-6)
    assert [point.value for point in history(day.run_id, "events")] == [50, 30, 10]


def test_the_run_of_a_day_has_the_metrics_of_its_models_and_a_figure(registry: Registry, day: Day) -> None:
    models = {"live": 0.4, "nightly": 0.3, "recent_popular": 0.2}
    kinds = ("ndcg_at_10", "ndcg_at_10_served", "hr_at_10", "mrr")
    minutes = [
        Minute(
            at, [MetricRow(model, segment, kind, value, 10) for model, value in models.items() for segment in SEGMENTS for kind in kinds]
        )
        for at in (NOON, NOON + timedelta(minutes=65))
    ]
    assert "before it was learnt" in registry.client.get_run(day.run_id).data.tags["mlflow.note.content"]
    assert day.is_due(NOON)
    day.metrics(minutes)
    day.draw(minutes)
    run = registry.client.get_run(day.run_id)
    assert len(run.data.metrics) <= 20
    assert run.data.metrics["nightly/ndcg_at_10_served_so_far"] == pytest.approx(0.3)
    assert "ndcg_at_10_served of 20 events until 13:05 UTC: `live` **0.4000**" in run.data.tags["mlflow.note.content"]
    assert [file.path for file in registry.client.list_artifacts(day.run_id)] == ["day.png", "hours.png"]


def test_the_figure_of_a_day_is_drawn_after_each_of_the_first_runs_and_then_every_quarter_of_an_hour(registry: Registry, day: Day) -> None:
    minutes = [minute_at(NOON + timedelta(minutes=number), 0.3, 10) for number in range(10)]
    last = minutes[-1].evaluated_at
    day.draw(minutes[:9])
    assert day.is_due(minutes[8].evaluated_at)
    day.draw(minutes)
    assert not day.is_due(last + timedelta(minutes=14))
    assert day.is_due(last + timedelta(minutes=15))


def minute_at(moment: datetime, ndcg: float, n_events: int) -> Minute:
    return Minute(moment, [MetricRow("live", "all", "ndcg_at_10", ndcg, n_events), MetricRow("live", "cold item", "ndcg_at_10", None, 0)])


def test_a_partly_logged_minute_is_logged_again_without_a_second_point(registry: Registry, day: Day) -> None:
    from mlflow.entities import Metric

    noon = minute_at(NOON, 0.3, 10)
    registry.client.log_batch(day.run_id, [Metric("live/ndcg_at_10", 0.3, int(NOON.replace(tzinfo=UTC).timestamp() * 1000), 1200)])
    assert day.metrics([noon]) == 1
    assert len(registry.client.get_metric_history(day.run_id, "live/ndcg_at_10")) == 1


def test_the_reason_of_a_discarded_update_is_an_artifact(registry: Registry, day: Day) -> None:
    day.discarded(NOON, "NDCG fell")
    assert [file.path for file in registry.client.list_artifacts(day.run_id, "discarded")] == ["discarded/12-00.md"]
