"""What one minute, or one step of a replay, brings to the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.events import Earlier, Events, Floats


@dataclass(frozen=True)
class Step:
    """The users at hand: what was known of them, and what is new.

    events: users are numbered 0..n_users-1 for this step alone, items and kinds are rows of the live checkpoint. Of each
    user the last events before the step and then the new ones, oldest first.
    is_new: [events] not seen before: predicted now. is_due: [events] not learnt yet: all new ones, and those of earlier
    steps whose update was discarded.
    as_of: unix seconds, after the newest event.
    trend: [events] how trendy each event's item was when it happened (models.ranking.blend.trendiness), NaN where that is not known.
    earlier: what the users did before those events.
    """

    events: Events
    is_new: NDArray[np.bool_]
    is_due: NDArray[np.bool_]
    user_ids: tuple[str, ...]
    as_of: int
    trend: Floats
    earlier: Earlier
