"""Packs a checkpoint as an MLflow model: code, weights, signature and requirements, no pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.entities import LoggedModel
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import AnyType, Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema

from tasks.access import as_if_written

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ("jaxtyping", "mlflow", "numpy", "pandas", "polars", "pydantic", "rich", "safetensors", "scipy", "torch")
SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec(Array(DataType.string), "item_ids"),
            ColSpec(Array(DataType.string), "event_types", required=False),
            ColSpec(Array(AnyType()), "occurred_at", required=False),
        ]
    ),
    outputs=Schema([ColSpec(Array(DataType.string), "item_ids"), ColSpec(Array(DataType.double), "scores")]),
    params=ParamSchema([ParamSpec("k", DataType.long, 10), ParamSpec("now", DataType.string, "")]),
)


def pack(model: LoggedModel, run_id: str, checkpoint_folder: Path, example: Sequence[Mapping[str, Any]], target: Path) -> None:
    """Write a checkpoint and the code that it needs to a folder. example: histories, saved with the model as its input example."""
    mlflow.pyfunc.save_model(
        target,
        python_model=str(ROOT / "tasks" / "registry" / "pyfunc_model.py"),
        code_paths=[str(ROOT / "models")],
        artifacts={"checkpoint": str(checkpoint_folder.resolve())},
        signature=SIGNATURE,
        input_example=_example_frame(example),
        pip_requirements=[f"{name}=={installed_version(name).partition('+')[0]}" for name in REQUIREMENTS],
        mlflow_model=Model(artifact_path=model.artifact_location, run_id=run_id, model_uuid=model.model_id, model_id=model.model_id),
    )
    as_if_written(target)  # MLflow copies the code with its permissions


def _example_frame(histories: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Histories in the input format of the model, times as text; a column that any history lacks is left out."""
    columns = {"item_ids": [list(history["item_ids"]) for history in histories]}
    if all(history.get("event_types") is not None for history in histories):
        columns["event_types"] = [list(history["event_types"]) for history in histories]
    if all(history.get("occurred_at") is not None for history in histories):
        columns["occurred_at"] = [[pd.Timestamp(time).isoformat() for time in history["occurred_at"]] for history in histories]
    frame = pd.DataFrame(columns)
    frame.columns = frame.columns.astype(object)  # MLflow compares them with a range, which pandas' own strings warn about
    return frame
