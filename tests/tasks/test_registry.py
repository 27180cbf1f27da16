"""The registry on a real MLflow store: what a night leaves, what a version holds, which one is the champion."""

from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from urllib.parse import urlparse

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import Run

from models import checkpoint as checkpoints
from tasks import figures
from tasks.gate import decide, pass_gate
from tasks.increments import open_day, reconcile_live, register_increment
from tasks.registry import (
    Night,
    Registry,
    RegistryError,
    aliases,
    champion,
    find_version,
    flatten,
    open_registry,
    promote,
    prune,
    reconcile,
    refuse,
    register,
    start_night,
)
from tests.tasks.fruits import EXAMPLE, ITEMS, ROWS

ROOT = Path(__file__).resolve().parent.parent.parent


def run_of(registry: Registry, night: Night) -> Run:
    return registry.client.get_run(night.run_id)


def artifacts_of(registry: Registry, night: Night) -> Path:
    return Path(urlparse(run_of(registry, night).info.artifact_uri).path)


def test_a_night_is_a_run_with_its_settings_snapshot_and_code(registry: Registry) -> None:
    dataset = {"n_events": 12, "n_users": 3, "n_items": 5, "since": "2026-01-01", "until": "2026-02-01"}
    with start_night(registry, "brisk-owl", {"train": {"max_epochs": 3}}, 42, "abc123", dataset, flow_run_id="f-1") as night:
        pass
    run = run_of(registry, night)
    assert (run.info.run_name, run.info.status) == ("brisk-owl", "FINISHED")
    assert run.data.params == {"train.max_epochs": "3"}
    wanted = {"minutehand.cadence": "nightly", "minutehand.snapshot": "42", "minutehand.flow_run_id": "f-1"}
    assert wanted.items() <= run.data.tags.items()
    assert run.data.tags["mlflow.source.git.commit"] == "abc123"
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest, json.loads(used.dataset.profile)) == ("raw.events", "42", dataset)


def test_curves_are_metrics_against_epochs_and_an_epoch_without_validation_has_no_point(registry: Registry) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        for epoch, (loss, ndcg) in enumerate([(3.0, 0.1), (2.0, None), (1.0, 0.3)], start=1):
            night.epoch(epoch, loss, ndcg, 0.5)
        night.stage_seconds("load dataset", 1.5)
    history = registry.client.get_metric_history
    assert [(point.step, point.value) for point in history(night.run_id, "train/loss")] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert [(point.step, point.value) for point in history(night.run_id, "validation/ndcg_at_10")] == [(1, 0.1), (3, 0.3)]
    assert run_of(registry, night).data.metrics["seconds/load_dataset"] == 1.5


def test_metrics_are_named_by_model_metric_and_segment(registry: Registry) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        night.metrics(ROWS)
    assert run_of(registry, night).data.metrics == {
        "minutehand/ndcg_at_10": 0.12,
        "minutehand/ndcg_at_10_low": 0.10,
        "minutehand/ndcg_at_10_high": 0.14,
        "minutehand/ndcg_at_10_warm_user_cold_item": 0.03,
        "item_knn/ndcg_at_10": 0.08,
    }


def test_figures_and_report_are_artifacts(registry: Registry) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        night.figures({"training": figures.training_curve([2.0, 1.0], [0.1, 0.2])})
        night.report("# Night\n" + "a line\n" * 2000)
    folder = artifacts_of(registry, night)
    assert (folder / "figures" / "training.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "report.md").read_text(encoding="utf-8").count("a line") == 2000
    note = run_of(registry, night).data.tags["mlflow.note.content"]
    assert len(note) < 5000
    assert note.endswith("`report.md`")


@pytest.mark.parametrize(("error", "status"), [(ValueError("no events"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_night_that_breaks_off_says_how(registry: Registry, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), start_night(registry, "night", {}, 1, None, {}) as night:
        raise error
    run = run_of(registry, night)
    assert run.info.status == status
    assert run.data.tags.get("minutehand.error") == ("ValueError: no events" if status == "FAILED" else None)


def test_a_night_whose_process_died_is_ended_by_the_next_and_a_living_one_is_left(registry: Registry, store: Path) -> None:
    script = f"""
import os, sys
from pathlib import Path
from tasks.registry import open_registry, start_night
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


def test_the_files_of_a_model_under_way_in_a_living_night_are_left_alone(registry: Registry) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        model = registry.client.create_logged_model(registry.experiment_id, "half", night.run_id)
        assert reconcile(registry, None).deleted_models == ()
    assert reconcile(registry, None).deleted_models == (model.model_id,)
    assert reconcile(registry, None).deleted_models == ()


@pytest.mark.slow
def test_a_registered_model_answers_far_from_this_repository(registry: Registry, register_one: Callable[[], str], tmp_path: Path) -> None:
    promote(registry, register_one())
    script = f"""
import sys
sys.path[:] = [path for path in sys.path if path != {str(ROOT)!r}]
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model("models:/{registry.model_name}@champion")
histories = pd.DataFrame({{
    "item_ids": [["apple", "pear"], ["fig"], []],
    "event_types": [["view", "view"], ["view"], []],
    "occurred_at": [["2026-01-01", "2026-01-02T03:04:05Z"], [pd.Timestamp("2026-01-03")], []],
}})
full = model.predict(histories, params={{"k": 2, "now": "2026-01-05"}})
bare = model.predict(histories[["item_ids"]])
import models
print("\\n" + pd.Series([full.to_json(), bare.to_json(), models.__file__]).to_json(orient="values"))
"""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    environment = os.environ | {"MLFLOW_TRACKING_URI": registry.tracking_uri}
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    full, bare, code = json.loads(done.stdout.splitlines()[-1])
    version = champion(registry)
    assert version is not None
    asked = checkpoints.load(version.checkpoint_folder)
    histories = [*EXAMPLE, {"item_ids": [], "event_types": [], "occurred_at": []}]
    histories[0] = EXAMPLE[0] | {"occurred_at": [datetime(2026, 1, 1), datetime(2026, 1, 2, 3, 4, 5)]}
    wanted = asked.recommend(histories, datetime(2026, 1, 5), 2)
    assert list(json.loads(full)["item_ids"].values()) == [[item for item, _ in ranked] for ranked in wanted]
    assert list(json.loads(full)["scores"].values()) == [pytest.approx([score for _, score in ranked]) for ranked in wanted]
    assert [len(items) for items in json.loads(bare)["item_ids"].values()] == [3, 4, 5]
    assert Path(code).is_relative_to(version.checkpoint_folder.parent.parent)


def test_a_version_names_its_requirements_signature_and_example_and_holds_no_pickle(
    registry: Registry, register_one: Callable[[], str]
) -> None:
    folder = find_version(registry, register_one()).checkpoint_folder.parent.parent
    names = {line.split("==")[0] for line in (folder / "requirements.txt").read_text(encoding="utf-8").split()}
    assert {"mlflow", "numpy", "safetensors", "torch"} <= names
    assert not [file for file in folder.rglob("*") if file.suffix in (".pkl", ".pickle", ".pt", ".pth", ".joblib")]
    assert json.loads((folder / "input_example.json").read_text(encoding="utf-8"))["data"][1][0] == ["fig"]
    assert "item_ids" in (folder / "MLmodel").read_text(encoding="utf-8")


def test_a_version_is_tagged_with_its_snapshot_and_its_own_figures(registry: Registry, register_one: Callable[[], str]) -> None:
    tags = find_version(registry, register_one()).tags
    assert (tags["snapshot"], tags["ndcg_at_10"]) == ("1", "0.120000")


def test_registering_twice_in_one_night_makes_one_version(registry: Registry, checkpoint: Path) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        first = register(night, checkpoint, ROWS, EXAMPLE)
        assert register(night, checkpoint, ROWS, EXAMPLE) == first
    assert len(registry.client.search_model_versions(f"name = '{registry.model_name}'")) == 1


def test_the_champion_is_read_where_it_lies(registry: Registry, register_one: Callable[[], str], store: Path) -> None:
    assert champion(registry) is None
    version = register_one()
    promote(registry, version)
    found = champion(registry)
    assert found is not None
    assert found.version == version
    assert found.checkpoint_folder.is_relative_to(store / registry.model_name)
    assert checkpoints.load(found.checkpoint_folder).catalog.item_ids == ITEMS


def test_promotion_moves_the_aliases_and_a_refusal_leaves_the_champion(registry: Registry, register_one: Callable[[], str]) -> None:
    first, second, third = (register_one() for _ in range(3))
    promote(registry, first)
    promote(registry, second)
    assert aliases(registry) == {"champion": second, "previous": first, "challenger": third}
    refuse(registry, third, "worse")
    assert aliases(registry) == {"champion": second, "previous": first, "challenger": third}
    assert find_version(registry, third).tags["gate"] == "refused"


def test_a_promotion_done_twice_keeps_the_previous_champion(registry: Registry, register_one: Callable[[], str]) -> None:
    first, second = register_one(), register_one()
    for version in (first, second, second):
        promote(registry, version)
    assert aliases(registry) == {"champion": second, "previous": first}


def test_the_gate_promotes_refuses_and_warns(registry: Registry, register_one: Callable[[], str]) -> None:
    first = pass_gate(registry, register_one(), 0.10, None, 0.20, 0.02)
    assert (first.live.version, "WARNING" in first.text) == ("1", True)
    second = pass_gate(registry, register_one(), 0.09, 0.10, 0.05, 0.02)
    assert (second.live.version, "WARNING" in second.text) == ("1", False)
    with pytest.raises(RegistryError, match=r"no version '7' of .* \(found: 1, 2\)"):
        find_version(registry, "7")


@pytest.mark.parametrize(
    ("challenger", "of_champion", "baseline", "promoted", "beats"),
    [
        (0.10, None, 0.08, True, True),
        (0.05, None, 0.08, True, False),
        (0.10, 0.10, 0.08, True, True),
        (0.0981, 0.10, 0.08, True, True),
        (0.0979, 0.10, 0.08, False, True),
        (math.nan, None, 0.08, False, False),
        (math.inf, 0.10, 0.08, False, False),
        (0.10, math.nan, 0.08, True, True),
        (0.10, 0.09, None, True, True),
        (None, None, None, True, True),
        (None, 0.10, 0.08, False, True),
        (0.0, 0.0, 0.0, True, False),
    ],
)
def test_the_gate_decides_on_the_same_events(
    challenger: float | None, of_champion: float | None, baseline: float | None, promoted: bool, beats: bool
) -> None:
    decision = decide(challenger, of_champion, baseline, 0.02)
    assert (decision.promoted, decision.beats_baseline) == (promoted, beats)
    assert decision.reason


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_a_better_challenger_is_never_refused_and_a_greater_tolerance_never_refuses_more(
    challenger: float, of_champion: float, baseline: float, tolerance: float
) -> None:
    is_promoted = decide(challenger, of_champion, baseline, tolerance).promoted
    assert is_promoted or challenger < of_champion
    assert is_promoted or not decide(challenger, of_champion, baseline, 0.0).promoted


def test_pruning_deletes_old_versions_with_their_files_and_spares_those_in_use(
    registry: Registry, register_one: Callable[[], str], store: Path
) -> None:
    versions = [register_one() for _ in range(6)]
    promote(registry, versions[0])
    promote(registry, versions[1])
    assert prune(registry, keep=2, spare={versions[2]}) == [versions[3]]
    assert len(list((store / registry.model_name / "models").iterdir())) == 5
    assert prune(registry, keep=2, spare={versions[2]}) == []
    assert prune(registry, keep=0) == [versions[4], versions[2]]
    assert reconcile(registry, versions[1]).deleted_models == ()


def test_what_a_killed_promotion_left_is_named_until_it_is_published(registry: Registry, register_one: Callable[[], str]) -> None:
    first, second = register_one(), register_one()
    promote(registry, first)
    promote(registry, second)
    assert reconcile(registry, first).unpublished == second
    assert reconcile(registry, second).unpublished is None
    assert reconcile(registry, None).unpublished == second


def test_a_lost_champion_alias_goes_back_to_the_live_version(registry: Registry, register_one: Callable[[], str]) -> None:
    version = register_one()
    reconcile(registry, "77")
    assert "champion" not in aliases(registry)
    reconcile(registry, version)
    assert aliases(registry)["champion"] == version


def test_a_champion_whose_files_are_gone_is_an_error_that_says_where_they_were(registry: Registry, register_one: Callable[[], str]) -> None:
    promote(registry, register_one())
    found = champion(registry)
    assert found is not None
    (found.checkpoint_folder.parent.parent / "MLmodel").unlink()
    with pytest.raises(RegistryError, match="bring that folder back"):
        champion(registry)


def test_settings_are_flat_short_and_without_passwords() -> None:
    nested = {
        "lake": {"catalog": "postgres:host=db password=hunter2 user=me", "busy_timeout_ms": 5000},
        "registry": {"tracking_uri": "postgresql://me:hunter2@db/mlflow"},
        "text": "x" * 600,
        "weights": {},
        "seed": 7,
    }
    flat = flatten(nested)
    assert flat["lake.catalog"] == "postgres:host=db password=*** user=me"
    assert flat["registry.tracking_uri"] == "postgresql://me:***@db/mlflow"
    assert (len(flat["text"]), flat["weights"], flat["seed"], flat["lake.busy_timeout_ms"]) == (500, "{}", "7", "5000")


def test_the_store_is_in_wal_mode_and_a_deleted_experiment_comes_back(registry: Registry, store: Path) -> None:
    with sqlite3.connect(store / "mlflow.db") as con:
        assert con.execute("pragma journal_mode").fetchone() == ("wal",)
    con.close()
    registry.client.delete_experiment(registry.experiment_id)
    again = open_registry(registry.tracking_uri, registry.model_name, store)
    assert again.experiment_id == registry.experiment_id
    assert registry.client.get_experiment(again.experiment_id).lifecycle_stage == "active"


def test_a_store_that_is_none_is_an_error_with_a_remedy(tmp_path: Path) -> None:
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
        assert reconcile_live(registry, found.version).deleted_versions == (increment.version,)
        assert not increment.checkpoint_folder.exists()
    finally:
        server.terminate()
        server.wait(30)
