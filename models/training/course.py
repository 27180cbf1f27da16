"""What the clock decides about a training, so that the training can be repeated without one."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class Course:
    """How long a training takes and at which rates. n_epochs: the last one possibly in part. is_sampled: whether steps sample items.

    planned: pairs of a step and the number of epochs that the learning rate follows from there on, as the time budget foresaw it.
    """

    n_epochs: float
    planned: tuple[tuple[int, float], ...]
    is_sampled: bool = False

    def planned_at(self, step: int) -> float:
        """The number of epochs that the learning rate of a step follows; steps count from 0."""
        place = bisect_right(self.planned, step, key=lambda entry: entry[0])
        return self.planned[max(place - 1, 0)][1] if self.planned else self.n_epochs
