"""A registered model outside this repository: its files and its answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from models.version import checkpoint as checkpoints
from tasks.registry.versions import Registry, champion, find_version, promote
from tests.tasks.fruits import EXAMPLE

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_a_registered_model_answers_without_this_repository(registry: Registry, register_one: Callable[[], str], tmp_path: Path) -> None:
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


def test_a_version_has_requirements_a_signature_and_an_example_and_no_pickle(registry: Registry, register_one: Callable[[], str]) -> None:
    folder = find_version(registry, register_one()).checkpoint_folder.parent.parent
    names = {line.split("==")[0] for line in (folder / "requirements.txt").read_text(encoding="utf-8").split()}
    assert {"mlflow", "numpy", "safetensors", "torch"} <= names
    assert not [file for file in folder.rglob("*") if file.suffix in (".pkl", ".pickle", ".pt", ".pth", ".joblib")]
    assert json.loads((folder / "input_example.json").read_text(encoding="utf-8"))["data"][1][0] == ["fig"]
    assert "item_ids" in (folder / "MLmodel").read_text(encoding="utf-8")
