"""A version with random weights, for measurements at sizes where training takes too long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from models.device import CPU
from models.evaluation.evaluator import Evaluator
from models.events import Floats
from models.night import Fit, new_model
from models.online.begin import make_online_state, sample_memory
from models.ranking.blend import starting_blend
from models.ranking.prior import single_popularity
from models.sequence.recommender import Recommender
from models.sequence.weights import Weights
from models.sequence.whitening import Whitening
from models.training.training import Curve
from models.version.checkpoint import Checkpoint
from models.version.online_state import DELTA
from settings import Settings
from tasks.night import learning
from tasks.night.dataset import Dataset

DAY = 2
"""The row of the popularity of a day."""


def random_model(data: Dataset, settings: Settings, device: torch.device = CPU) -> Recommender:
    """A model for items without text."""
    text = np.zeros((len(data.catalog), settings.model.dim), np.float32)
    return new_model(settings.model, text, data.events.n_kinds, device, settings.seed)


def version_of(model: Recommender, data: Dataset, settings: Settings, evaluator: Evaluator, prior: Floats | None = None) -> Checkpoint:
    """A version with this model and the starting blend of a night, which cannot learn."""
    dim = settings.model.dim
    return Checkpoint(
        catalog=data.catalog,
        kinds=data.kinds,
        encoder="none",
        hide_seen=evaluator.hide_seen,
        as_of=learning.as_of(data),
        popularity=learning.popularity_now(data).features(),
        blend=starting_blend(np.array([0.0, 1.0], np.float32)),
        prior=single_popularity(DAY) if prior is None else prior,
        whitening=Whitening(np.zeros(1, np.float32), np.zeros((1, dim), np.float32)),
        live=Weights(model.eval().cpu(), torch.zeros(dim), torch.zeros(len(data.catalog))),
        past=None,
        seen_items=evaluator.seen_items,
    )


def able_to_learn(version: Checkpoint, data: Dataset, settings: Settings, evaluator: Evaluator) -> Checkpoint:
    """The version with the state for minutes, as after a night; no predictions of held-out events are in it."""
    config = settings.increment.model_copy(update={"blend_rows": 0})
    model = version.live.model
    sample = sample_memory(data.events, config, model.config.max_events, settings.seed)
    squares = {name: torch.full_like(value.detach(), 1e-4) for name, value in model.named_parameters() if name != DELTA}
    fit = Fit(version.live, version.blend, version.whitening, Curve(), version.prior)
    popularity = learning.popularity_now(data)
    return replace(version, online=make_online_state(evaluator, fit, sample, squares, popularity, config, learning.as_of(data)))
