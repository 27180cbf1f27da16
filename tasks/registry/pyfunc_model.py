"""The registered model as MLflow loads it: user histories in, ranked items out.

MLflow copies this file and models/ into every version and runs the copy. So a version does not depend on this
repository, and its answers never change.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext


class RankedItems(PythonModel):
    """Input: one history per row with items, event types and times, oldest first; types and times are optional."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the checkpoint (safetensors and JSON)."""
        from models.version.checkpoint import load

        self.checkpoint = load(Path(context.artifacts["checkpoint"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The best k items for each history, best first; `now`: an ISO time, empty for the newest time that the model knows."""
        chosen = params or {}
        histories = [_history(row) for row in model_input.to_dict("records")]
        now = chosen.get("now")
        ranked = self.checkpoint.recommend(histories, _time(now) if now else None, int(chosen.get("k", 10)))
        return pd.DataFrame(
            {
                "item_ids": [[item for item, _ in items] for items in ranked],
                "scores": [[float(score) for _, score in items] for items in ranked],
            }
        )


def _history(row: dict[Any, Any]) -> dict[str, Any]:
    times, types = _values(row.get("occurred_at")), _values(row.get("event_types"))
    return {
        "item_ids": [str(item) for item in _values(row["item_ids"]) or ()],
        "event_types": None if types is None else [str(kind) for kind in types],
        "occurred_at": None if times is None else [_time(time) for time in times],
    }


def _values(cell: Any) -> list[Any] | None:
    """The entries of a cell; None where the column is missing or the cell is empty (pandas writes NaN)."""
    return list(cell) if isinstance(cell, list | tuple | np.ndarray) else None


def _time(value: Any) -> datetime:
    """The time in UTC; a time without a zone counts as UTC."""
    time = pd.Timestamp(value)
    return (time.tz_localize(UTC) if time.tzinfo is None else time.tz_convert(UTC)).to_pydatetime()


mlflow.models.set_model(RankedItems())
