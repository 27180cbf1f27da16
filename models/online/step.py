"""Input of one minute run, or of one replay step, for the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.events import Earlier, Events, Floats


@dataclass(frozen=True)
class Step:
    """Histories and new events of the users of one step.

    events: each user's last events before the step and then the new ones, oldest first. Users are numbered 0..n_users-1 for this
    step only; items and kinds are rows of the live checkpoint.
    is_new: [events] new in this step, to be predicted now. is_due: [events] not learnt yet: the new ones, and those of earlier
    steps whose update was discarded.
    as_of: unix seconds, after the newest event.
    trend: [events] trendiness of each event's item at the time of the event (models.ranking.blend.trendiness), NaN if unknown.
    earlier: the users' history before these events.
    """

    events: Events
    is_new: NDArray[np.bool_]
    is_due: NDArray[np.bool_]
    user_ids: tuple[str, ...]
    as_of: int
    trend: Floats
    earlier: Earlier
