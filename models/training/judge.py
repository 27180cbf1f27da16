"""Judges a model after each epoch on validation events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.events import Events, Floats, Ints
from models.metrics.ranking import rank_events
from models.sequence.recommender import Recommender
from models.sequence.users import target_vectors

BLOCK = 500
"""Number of events that are ranked at a time."""


@dataclass(frozen=True)
class Judge:
    """Gives a model's validation NDCG@10 with the prior but without the blend: cheap enough for every epoch.

    rows: sorted rows of `events` to predict; of a model that reads searches, `events` and texts are those of Streams. target: their items.
    table: log prior [slots, items]; place: the slot of each row. seen: (number of the row, item) of items to hide, in the order of the
    rows; None to hide none.
    """

    events: Events
    rows: Ints
    target: Ints
    table: Tensor
    place: Ints
    seen: tuple[Ints, Ints] | None = None
    texts: Floats | None = None

    def __call__(self, model: Recommender) -> float:
        vectors, items = target_vectors(model, self.events, self.rows, self.texts), model.items().detach().float().cpu()
        total = 0.0
        for first in range(0, len(self.rows), BLOCK):
            part = slice(first, first + BLOCK)
            scores = vectors[part] @ items.T + self.table[torch.from_numpy(self.place[part])]
            total += float(rank_events(scores, self.target[part], self._seen(first)).ndcg_at_10.sum())
        return total / max(len(self.rows), 1)

    def _seen(self, first: int) -> tuple[Ints, Ints] | None:
        if self.seen is None:
            return None
        number, item = self.seen
        since, until = np.searchsorted(number, [first, first + BLOCK])
        return number[since:until] - first, item[since:until]

    def of_its_users(self) -> Judge:
        """The same without the events of users whom it asks nothing about."""
        keep = np.isin(self.events.user, self.events.user[self.rows])
        return Judge(self.events.where(keep), np.cumsum(keep)[self.rows] - 1, self.target, self.table, self.place, self.seen, self.texts)
