"""Tiny event tables with an obvious answer, and planted structure that a model must find."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from models.config import RecommenderConfig, TrainConfig
from models.events import Events, Floats
from models.sequence.recommender import Recommender
from models.sequence.whitening import Whitening

TINY = RecommenderConfig(dim=16, n_blocks=2, n_heads=2, dropout=0.0, max_events=8)
QUICK = TrainConfig(max_epochs=12, patience=12, minutes=1.0, learning_rate=1e-2, batch_events=512, device="cpu")
HOUR = 3600


def make_events(
    rows: Iterable[tuple[int, int, int]], *, n_items: int, kinds: Iterable[int] | None = None, weights: Iterable[float] | None = None
) -> Events:
    """Events of (user, item, time); kind 0 and weight 1 by default."""
    table = np.array(list(rows), np.int64).reshape(-1, 3)
    kind = np.zeros(len(table), np.int64) if kinds is None else np.array(list(kinds), np.int64)
    weight = np.ones(len(table), np.float32) if weights is None else np.array(list(weights), np.float32)
    order = np.argsort(table[:, 2], kind="stable")
    user, item, time = table[order].T
    return Events.build(user, item, kind[order], time, weight[order], n_items=n_items, n_kinds=2)


def walks(n_users: int = 60, n_steps: int = 16, n_items: int = 24, seed: int = 0) -> Events:
    """Users walk round the catalogue from random starts, always to the next item, one step an hour: no item is popular."""
    rng = np.random.default_rng(seed)
    start, late = rng.integers(0, n_items, n_users), rng.integers(0, HOUR, n_users)
    user, step = np.divmod(np.arange(n_users * n_steps), n_steps)
    return make_events(zip(user, (start[user] + step) % n_items, step * HOUR + late[user], strict=True), n_items=n_items)


def random_events(n_users: int = 20, n_events: int = 300, n_items: int = 30, seed: int = 0) -> Events:
    """Users, items and times drawn at random, two kinds of events."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, n_users, n_events), rng.integers(0, n_items, n_events)
    time = np.sort(rng.integers(0, 30 * 24 * HOUR, n_events))
    kinds = rng.integers(0, 2, n_events)
    return make_events(zip(user, item, time, strict=True), n_items=n_items, kinds=kinds)


def random_text(n_items: int, dim: int = 16, seed: int = 0) -> Floats:
    """Unit rows."""
    text = np.random.default_rng(seed).normal(size=(n_items, dim)).astype(np.float32)
    unit: Floats = text / np.linalg.norm(text, axis=1, keepdims=True)
    return unit


def shaken(
    n_items: int, config: RecommenderConfig = TINY, *, text: Floats | None = None, seed: int = 0, whitening: Whitening | None = None
) -> Recommender:
    """A model with all parameters moved from their neutral start, so that every input affects the output.

    whitening: for a model that reads searches.
    """
    generator = torch.manual_seed(seed)
    rows = random_text(n_items, config.dim, seed) if text is None else text
    model = Recommender(config, torch.from_numpy(rows), 2, generator, whitening)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def reader(n_items: int, text_dim: int = 16, seed: int = 0) -> Recommender:
    """A shaken model that reads searches whose vectors have text_dim dimensions."""
    whitening = Whitening.fit(random_text(50, text_dim, seed), TINY.dim, np.ones(50, bool))
    return shaken(n_items, seed=seed, whitening=whitening)


def with_searches(model: Recommender, whitening: Whitening) -> Recommender:
    """The model with a random tower for searches."""
    generator = torch.Generator().manual_seed(5)
    reading = Recommender(model.config, model.items.text, model.kind.num_embeddings, generator, whitening)
    with torch.no_grad():
        for parameter in reading.parameters():
            parameter.normal_(generator=generator)
    reading.load_state_dict(model.state_dict(), strict=False)
    return reading.eval()
