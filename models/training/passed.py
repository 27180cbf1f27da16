"""Items that were shown and passed over, as weak negatives: what a user did next is preferred to what they had seen and left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from models.events import Events, Floats, Ints, ragged_rows

EXCLUDED = 1e4
MOST = 20
"""Number of passed-over items, newest first, that count for an event."""


@dataclass(frozen=True)
class Shown:
    """Impressions without an outcome. user, item: rows as in Events; time: unix seconds.

    window_s: seconds after which an impression counts as passed over. weight: of the loss.
    """

    user: Ints
    item: Ints
    time: Ints
    window_s: int
    weight: float

    def passed(self, events: Events, until: int | None = None) -> Passed:
        """For each event the impressions that it answers: those since the user's event before, at most a window old, of other items.

        until: impressions whose window ends later are left out, as what came of them was not known then; None for the newest event. Only
        events that teach answer. An impression in the same second as an event came before it.
        """
        end = until if until is not None else int(events.time.max(initial=0)) + 1
        is_known = (self.time + self.window_s <= end) & (self.user < events.n_users)
        user, item, time = self.user[is_known], self.item[is_known], self.time[is_known]
        teaching = np.flatnonzero(events.weight > 0)
        first = min(int(part.min(initial=0)) for part in (time, events.time))
        span = max(int(part.max(initial=0)) for part in (time, events.time)) - first + 1
        key = events.user[teaching] * span + events.time[teaching] - first
        place = np.searchsorted(key, user * span + time - first)
        is_answered = place < len(teaching)
        row = teaching[np.minimum(place, len(teaching) - 1)] if len(teaching) else np.zeros_like(place)
        if len(teaching):
            is_answered &= (events.user[row] == user) & (events.time[row] - time <= self.window_s) & (events.item[row] != item)
        row, item, time = row[is_answered], item[is_answered], time[is_answered]
        order = np.lexsort((item, -time, row))
        row, item = row[order], item[order]
        is_newest = np.arange(len(row)) - np.searchsorted(row, row) < MOST
        row, item = row[is_newest], item[is_newest]
        return Passed(np.searchsorted(row, np.arange(len(events) + 1)), item, self.weight)


@dataclass(frozen=True)
class Passed:
    """Items that users passed over before an event: those of event n are item[start[n]:start[n + 1]]. weight: of the loss."""

    start: Ints
    item: Ints
    weight: float

    def of(self, row: Ints) -> tuple[Ints, Ints]:
        """(place in row, item) of every item that was passed over before the events of these rows."""
        number, place = ragged_rows(self.start[row], self.start[row + 1])
        return number, self.item[place]


def passed_loss(
    queries: Float[Tensor, "batch dim"],
    items: Float[Tensor, "items dim"],
    target: Tensor,
    weight: Floats,
    prior: Float[Tensor, "slots items"],
    slot: Tensor,
    number: Ints,
    negative: Tensor,
) -> Float[Tensor, ""]:
    """Mean of -log sigmoid(logit of the target - logit of an item that was passed over) (BPR: Rendle et al. 2009, section 4.1).

    The mean is over the passed-over items of each row first, and then weighted over all rows, those without any included. number: row of
    each item of `negative`. Logits include the prior; items that the prior excludes do not count.
    """
    place = torch.from_numpy(number).to(queries.device)
    states, of_slot = queries.float().index_select(0, place), slot.index_select(0, place)
    wanted = target.index_select(0, place)
    vectors = items.index_select(0, torch.cat([negative, wanted])).float()
    priors = prior[of_slot, negative].float() - prior[of_slot, wanted].float()
    gap = (states * (vectors[: len(place)] - vectors[len(place) :])).sum(1) + priors.nan_to_num(nan=-EXCLUDED, neginf=-EXCLUDED)
    share = weight[number] / np.bincount(number, minlength=len(weight))[number] / max(float(weight.sum()), 1e-12)
    return (softplus(gap) * torch.from_numpy(share.astype(np.float32)).to(queries.device)).sum()
