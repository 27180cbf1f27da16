"""Two models in one list: team-draft interleaving, which needs far fewer clicks for a preference than two arms.

Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", CIKM 2008, algorithm 2. The models choose in turns,
as captains choose their teams; a draw says who chooses first in each turn. A click counts for the model that chose the item.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.events import Ints
from models.experiments.sequences import LEVEL, RatioDifference, ratio_interval


def team_draft(
    control: Sequence[int], challenger: Sequence[int], k: int, is_challenger_first: Sequence[bool]
) -> tuple[Ints, NDArray[np.bool_]]:
    """A list of up to k items, and whether the challenger chose each. is_challenger_first: the draw of each turn, at least k of them.

    control, challenger: their lists, best first, without repeats. If one list has no item left, the other goes on alone.
    """
    items: list[int] = []
    by_challenger: list[bool] = []
    left = {False: list(control), True: list(challenger)}
    n_chosen, draws = {False: 0, True: 0}, iter(is_challenger_first)
    while len(items) < k and (left[False] or left[True]):
        side = n_chosen[True] < n_chosen[False] if n_chosen[True] != n_chosen[False] else bool(next(draws))
        side = side if left[side] else not side
        item = left[side][0]
        items.append(item)
        by_challenger.append(side)
        n_chosen[side] += 1
        left = {each: [other for other in rest if other != item] for each, rest in left.items()}
    return np.array(items, np.int64), np.array(by_challenger, bool)


def preference(challenger_clicks: ArrayLike, control_clicks: ArrayLike, level: float = LEVEL) -> RatioDifference:
    """Share of users who prefer the challenger minus the share who prefer the control, with its confidence sequence.

    clicks: of each user, on items that either model chose. Users without a click, or with as many on both, count as ties.
    """
    sign = np.sign(np.asarray(challenger_clicks, np.float64) - np.asarray(control_clicks, np.float64))
    return ratio_interval(sign, np.ones_like(sign), level)
