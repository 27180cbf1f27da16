"""The registry on a real MLflow store: the run of a night, the content of a version, and the champion."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from urllib.parse import urlparse

import pytest
from mlflow.entities import Run

from models.metrics.segments import SEGMENTS
from models.results import MetricRow
from models.version import checkpoint as checkpoints
from tasks import figures
from tasks.registry.day_run import open_day
from tasks.registry.errors import DamagedError
from tasks.registry.increments import reconcile_live, register_increment
from tasks.registry.names import FIGURES, LEADING
from tasks.registry.night_run import NightRun, log_evaluation, register, start_night
from tasks.registry.upkeep import reconcile
from tasks.registry.versions import Registry, RegistryError, aliases, champion, find_version, open_registry, promote, refuse
from tests.tasks.fruits import EXAMPLE, ITEMS, ROWS

ROOT = Path(__file__).resolve().parents[3]


def run_of(registry: Registry, night: NightRun) -> Run:
    return registry.client.get_run(night.run_id)


def artifacts_of(registry: Registry, night: NightRun) -> Path:
    return Path(urlparse(run_of(registry, night).info.artifact_uri).path)


def test_a_night_is_a_run_with_its_settings_snapshot_and_code(registry: Registry) -> None:
    dataset = {"n_events": 12, "n_users": 3, "n_items": 5, "since": "2026-01-01", "until": "2026-02-01"}
    settings = {"train": {"max_epochs": 3}, "server": {"prefect_port": 4200}, "lake": {"catalog": "lake.sqlite"}, "home": "/srv"}
    with start_night(registry, "night 2026-02-01", settings, 42, "abc123", dataset, flow_run_id="f-1") as night:
        time.sleep(0.1)
    run = run_of(registry, night)
    assert (run.info.run_name, run.info.status) == ("night 2026-02-01", "FINISHED")
    about = {"snapshot": "42", "n_events": "12", "n_users": "3", "n_items": "5", "since": "2026-01-01", "until": "2026-02-01"}
    assert run.data.params == {"train.max_epochs": "3", **{f"data.{name}": text for name, text in about.items()}}
    assert run.data.metrics["seconds"] > 0
    wanted = {"minutehand.cadence": "nightly", "minutehand.snapshot": "42", "minutehand.flow_run_id": "f-1"}
    assert wanted.items() <= run.data.tags.items()
    assert run.data.tags["mlflow.source.git.commit"] == "abc123"
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest, json.loads(used.dataset.profile)) == ("raw.events", "42", dataset)


def test_curves_are_metrics_against_epochs_and_an_epoch_without_validation_has_no_point(registry: Registry) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        for epoch, (loss, ndcg) in enumerate([(3.0, 0.1), (2.0, None), (1.0, 0.3)], start=1):
            night.epoch(epoch, loss, ndcg, 0.5)
        live = registry.client.get_run(night.training_id)
        assert (live.data.metrics["train/loss"], live.data.tags["mlflow.parentRunId"]) == (1.0, night.run_id)
        night.metrics(ROWS)
        night.curves()
    assert next(iter(run_of(registry, night).data.metrics)) == "ndcg_at_10"
    assert registry.client.get_run(night.training_id).info.lifecycle_stage == "deleted"
    history = registry.client.get_metric_history
    assert [(point.step, point.value) for point in history(night.run_id, "train/loss")] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert [(point.step, point.value) for point in history(night.run_id, "validation/ndcg_at_10")] == [(1, 0.1), (3, 0.3)]


def test_a_store_failure_during_training_loses_a_point_but_not_the_training(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        gone = replace(night, training_id="0" * 32)
        gone.epoch(1, 3.0, 0.1, 0.5)
        night.epoch(2, 2.0, 0.2, 0.5)
        night.curves()
    assert "epoch 1 is missing in MLflow" in caplog.text
    assert [point.step for point in registry.client.get_metric_history(night.run_id, "train/loss")] == [2]
    assert run_of(registry, night).info.status == "FINISHED"


def test_a_figure_that_cannot_be_drawn_affects_neither_the_metrics_nor_the_other_figure(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        log_evaluation(night, ROWS, [2.0, 1.0], [0.1])
    assert "the figure training could not be drawn" in caplog.text
    assert run_of(registry, night).data.metrics["ndcg_at_10"] == 0.12
    assert [file.name for file in artifacts_of(registry, night).iterdir()] == ["segments.png"]


def comparison_runs(registry: Registry, night: NightRun) -> dict[str, Run]:
    """The child runs of a night, by name."""
    found = registry.client.search_runs([registry.experiment_id], f"tags.`mlflow.parentRunId` = '{night.run_id}'")
    return {run.info.run_name: run for run in found}


def test_champion_and_baselines_are_child_runs_with_the_metric_names_of_the_night(registry: Registry) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        log_evaluation(night, ROWS, [2.0, 1.0], [0.1, 0.2])
        log_evaluation(night, ROWS, [2.0, 1.0], [0.1, 0.2])  # a retry
    run, others = run_of(registry, night), comparison_runs(registry, night)
    measured = {name: value for name, value in run.data.metrics.items() if name not in ("seconds", "peak_mib")}
    assert measured == pytest.approx(
        {
            "ndcg_at_10": 0.12,
            "hr_at_10": 0.2,
            "coverage_at_10": 0.5,
            "gain_on_baseline": 0.04,
            "gain_on_champion": 0.01,
        }
    )
    assert run.data.tags["best baseline"] == "item_knn 0.0800"
    assert {name: other.data.metrics for name, other in others.items()} == {
        "champion": {"ndcg_at_10": 0.11},
        "item_knn": {"ndcg_at_10": 0.08},
        "most_popular": {"ndcg_at_10": 0.05},
        "minutehand by segment": {
            "segment/warm_user_cold_item": 0.03,
            "range/gain_on_baseline_low": 0.01,
            "range/gain_on_baseline_high": 0.07,
        },
    }
    together = registry.client.search_runs([registry.experiment_id], f"tags.`minutehand.night` = '{night.run_id}'")
    assert {found.info.run_id for found in together} == {night.run_id, *(other.info.run_id for other in others.values())}
    assert {found.info.status for found in together} == {"FINISHED"}


def test_no_run_of_a_night_has_more_than_twenty_metrics_and_gains_use_the_served_metric_if_measured(
    registry: Registry,
) -> None:
    kinds = (*FIGURES, "precision_at_10", "exposure_at_10", "another")
    groups = [f"{family}={name}" for family in ("activity", "account_age") for name in ("none", "low", "medium", "high")]
    groups += [f"attribute country={name}" for name in "ABCDEF"]
    best = {"minutehand": 0.5, "champion": 0.4, "item_knn": 0.3, "recent_popular": 0.2}
    rows = [
        MetricRow(model, segment, kind, value if kind != "ndcg_at_10_served" else value / 10, 9)
        for model, value in best.items()
        for segment in (*SEGMENTS, *groups)
        for kind in kinds
    ]
    rows += [MetricRow("minutehand", f"interest={n}", "exposure_per_demand", 0.1 * n, 99) for n in range(1, 13)]
    rows += [MetricRow("minutehand", "all", f"{kind}_lift", 0.02, 9, 0.01, 0.03) for kind in LEADING]
    with start_night(registry, "night", {}, 1, None, {}) as night:
        night.epoch(1, 3.0, 0.1, 0.5)
        log_evaluation(night, rows, [3.0], [0.1])
    run, children = run_of(registry, night), comparison_runs(registry, night)
    metrics = run.data.metrics
    assert {name: len(child.data.metrics) for name, child in children.items() if len(child.data.metrics) > 20} == {}
    assert len(metrics) == 20
    assert {"ndcg_at_10_served", "ndcg_at_10", "train/loss", "seconds"} <= metrics.keys()
    assert (metrics["gain_on_baseline"], metrics["gain_on_champion"]) == pytest.approx((0.02, 0.01))
    by_segment = children["minutehand by segment"].data.metrics
    assert (by_segment["segment/cold_user_cold_item"], by_segment["group/attribute_country_a"]) == pytest.approx((0.05, 0.05))
    assert children["minutehand by item group"].data.metrics["exposure/interest_12"] == pytest.approx(1.2)
    assert run.data.tags["worst item group"] == "interest=1 0.1000"


def test_the_verdict_of_the_gate_is_on_the_run_and_on_the_version(registry: Registry, checkpoint: Path) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        version = register(night, checkpoint, ROWS, EXAMPLE)
        promote(registry, version, "the best so far")
        night.verdict(version)
    tags = run_of(registry, night).data.tags
    assert (tags["gate"], tags["verdict"], tags["minutehand.version"]) == ("promoted", "promoted: the best so far", version)
    assert registry.client.get_model_version(registry.model_name, version).description == "promoted: the best so far"


def test_figures_and_report_are_artifacts(registry: Registry) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        night.figures({"training": figures.training_curve([2.0, 1.0], [0.1, 0.2])})
        night.report("# Night\n" + "a line\n" * 2000)
    folder = artifacts_of(registry, night)
    assert (folder / "training.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "report.md").read_text(encoding="utf-8").count("a line") == 2000
    note = run_of(registry, night).data.tags["mlflow.note.content"]
    assert len(note) < 5000
    assert "… the rest is in the artifact `report.md`" in note
    assert "[Compare with champion and baselines](#/experiments/" in note
    assert f"night%60%20%3D%20%27{night.run_id}" in note


@pytest.mark.parametrize(("error", "status"), [(ValueError("no events"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_an_aborted_night_has_the_status_of_its_end(registry: Registry, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), start_night(registry, "night", {}, 1, None, {}) as night:
        raise error
    run = run_of(registry, night)
    assert run.info.status == status
    training = registry.client.get_run(night.training_id).info
    assert (training.status, training.lifecycle_stage) == (status, "active")
    assert run.data.tags.get("minutehand.error") == ("ValueError: no events" if status == "FAILED" else None)


@pytest.mark.slow
def test_a_night_ends_the_run_of_a_dead_process_but_not_that_of_a_live_one(registry: Registry, store: Path) -> None:
    script = f"""
import os, sys
from pathlib import Path
from tasks.registry.names import LEADING
from tasks.registry.night_run import start_night
from tasks.registry.versions import open_registry
registry = open_registry({registry.tracking_uri!r}, {registry.model_name!r}, Path({str(store)!r}))
with start_night(registry, "the-dead", {{}}, 1, None, {{}}) as night:
    print(night.run_id, flush=True)
    os._exit(9)
"""
    died = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    dead_run = died.stdout.strip()
    assert registry.client.get_run(dead_run).info.status == "RUNNING"
    with start_night(registry, "the-living", {}, 1, None, {}) as living:
        assert registry.client.get_run(dead_run).info.status == "KILLED"
        assert reconcile(registry, None).ended_runs == ()
        assert run_of(registry, living).info.status == "RUNNING"


def test_a_version_is_tagged_with_its_snapshot_and_its_own_metrics(registry: Registry, register_one: Callable[[], str]) -> None:
    tags = find_version(registry, register_one()).tags
    assert (tags["snapshot"], tags["ndcg_at_10"]) == ("1", "0.120000")


def test_registering_twice_in_one_night_makes_one_version(registry: Registry, checkpoint: Path) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        first = register(night, checkpoint, ROWS, EXAMPLE)
        assert register(night, checkpoint, ROWS, EXAMPLE) == first
    assert len(registry.client.search_model_versions(f"name = '{registry.model_name}'")) == 1


def test_a_local_champion_is_read_in_place(registry: Registry, register_one: Callable[[], str], store: Path) -> None:
    assert champion(registry) is None
    version = register_one()
    promote(registry, version)
    found = champion(registry)
    assert found is not None
    assert found.version == version
    assert found.checkpoint_folder.is_relative_to(store / registry.model_name)
    assert checkpoints.load(found.checkpoint_folder).catalog.item_ids == ITEMS


def test_promotion_moves_the_aliases_and_a_refusal_keeps_the_champion(registry: Registry, register_one: Callable[[], str]) -> None:
    first, second, third = (register_one() for _ in range(3))
    promote(registry, first)
    promote(registry, second)
    assert aliases(registry) == {"champion": second, "previous": first, "challenger": third}
    refuse(registry, third, "worse")
    assert aliases(registry) == {"champion": second, "previous": first, "challenger": third}
    assert find_version(registry, third).tags["gate"] == "refused"


def test_a_repeated_promotion_keeps_the_previous_champion(registry: Registry, register_one: Callable[[], str]) -> None:
    first, second = register_one(), register_one()
    for version in (first, second, second):
        promote(registry, version)
    assert aliases(registry) == {"champion": second, "previous": first}


def test_a_version_without_files_is_not_champion_and_the_error_names_their_folder(
    registry: Registry, register_one: Callable[[], str]
) -> None:
    promote(registry, register_one())
    found = champion(registry)
    assert found is not None
    model = found.checkpoint_folder.parent.parent
    (model / "MLmodel").unlink()
    with pytest.raises(DamagedError, match=f"its files are not in {model}"):
        find_version(registry, found.version)
    assert champion(registry) is None


def test_the_store_is_in_wal_mode_and_a_deleted_experiment_is_restored(registry: Registry, store: Path) -> None:
    with sqlite3.connect(store / "mlflow.db") as con:
        assert con.execute("pragma journal_mode").fetchone() == ("wal",)
    con.close()
    registry.client.delete_experiment(registry.experiment_id)
    again = open_registry(registry.tracking_uri, registry.model_name, store)
    assert again.experiment_id == registry.experiment_id
    assert registry.client.get_experiment(again.experiment_id).lifecycle_stage == "active"


def test_an_invalid_store_raises_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database " * 100, encoding="utf-8")
    with pytest.raises(RegistryError, match="MINUTEHAND_REGISTRY__TRACKING_URI"):
        open_registry(f"sqlite:///{tmp_path / 'mlflow.db'}", "minutehand", tmp_path)


@pytest.mark.slow
def test_a_registry_behind_a_server_keeps_a_copy_of_the_champion(tmp_path: Path, checkpoint: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    command = ["-m", "mlflow", "server", "--port", str(port), "--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/far.db"]
    server = subprocess.Popen([sys.executable, *command, "--artifacts-destination", str(tmp_path / "far")], cwd=tmp_path)
    try:
        registry = open_registry(f"http://127.0.0.1:{port}", "minutehand", tmp_path / "near")
        with start_night(registry, "night", {"seed": 7}, 1, None, {}) as night:
            night.figures({"training": figures.training_curve([1.0], [0.1])})
            promote(registry, register(night, checkpoint, ROWS, EXAMPLE))
        found = champion(registry)
        assert found is not None
        assert found.checkpoint_folder.is_relative_to(tmp_path / "near" / "downloads")
        assert checkpoints.load(found.checkpoint_folder).catalog.item_ids == ITEMS
        assert reconcile(registry, found.version).deleted_models == ()
        day = open_day(registry, date(2026, 11, 21), found.version)
        increment = register_increment(day, checkpoint, found, 2)
        shutil.rmtree(tmp_path / "near" / "downloads")
        assert find_version(registry, increment.version) == increment
        assert checkpoints.load(increment.checkpoint_folder).catalog.item_ids == ITEMS
        assert reconcile_live(registry, found.version, lambda _: False).deleted_versions == (increment.version,)
        assert not increment.checkpoint_folder.exists()
    finally:
        server.terminate()
        server.wait(30)
