"""Measures of whole lists of a night: what the lake knows about items and users, handed to the metrics."""

from __future__ import annotations

import numpy as np

from models.config import EvaluationConfig
from models.evaluation.list_measures import About, Measured, measure_lists
from models.interests.vocabulary import Interests
from tasks.lake import Lake, reading, statement
from tasks.night.dataset import Dataset
from tasks.night.learning import FittedNight, Judged


def measure(
    lake: Lake, dataset: Dataset, learnt: FittedNight, judged: Judged, interests: Interests | None, config: EvaluationConfig, seed: int
) -> Measured:
    """All list measures of the models of the night. Distances are those of the texts of items; without texts, of tonight's item vectors."""
    text = dataset.catalog.text
    vectors = learnt.fit.weights.item_vectors().numpy() if text is None else text
    attribute = None
    if config.user_attribute:
        attribute = config.user_attribute, read_attribute(lake, dataset, config.user_attribute)
    return measure_lists(learnt.task, judged.rankings, About(_unit(vectors), interests, attribute), config, seed)


def read_attribute(lake: Lake, dataset: Dataset, name: str) -> list[str | None]:
    """The value of each user of the dataset; None for users without one."""
    with reading(lake, dataset.snapshot) as con:
        rows = con.execute(statement("training/user_attribute"), {"pointer": f"/{name.replace('~', '~0').replace('/', '~1')}"}).fetchall()
    value = dict(rows)
    return [value.get(user_id) for user_id in dataset.user_ids]


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of unit length, or zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
