"""What an experiment has shown, and what it has not: the arms' figures and a verdict in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.experiments.sequences import LEVEL, RatioDifference, ratio_difference, sample_ratio_evidence

Kind = Literal["too early", "broken", "loss", "worse", "better", "undecided"]
LEAST_USERS = 100
"""An asymptotic interval counts from so many users in each arm."""
LEAST_REACTIONS = 20
"""It counts if at least so many users reacted, both arms together."""


@dataclass(frozen=True)
class Outcomes:
    """One value per user who was shown something: numerator and denominator of each metric, and the arm.

    Of the click-through rate, the numerator is the number of impressions with a click, the denominator that of impressions.
    """

    is_challenger: NDArray[np.bool_]
    numerator: Mapping[str, NDArray[np.float64]]
    denominator: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Arm:
    """The figures of one arm in one metric. ratio: NaN if nobody was shown anything."""

    n_users: int
    n_shown: float
    n_reacted: int
    ratio: float


@dataclass(frozen=True)
class Compared:
    """Both arms in one metric. relative: the bounds of the difference as shares of the control's ratio."""

    metric: str
    control: Arm
    challenger: Arm
    difference: RatioDifference

    @property
    def may_count(self) -> bool:
        """Whether the data allow a statement."""
        enough = min(self.control.n_users, self.challenger.n_users) >= LEAST_USERS
        return enough and self.control.n_reacted + self.challenger.n_reacted >= LEAST_REACTIONS

    @property
    def relative(self) -> tuple[float, float]:
        """The bounds of the difference as shares of the control's ratio."""
        if not self.control.ratio > 0:
            return -math.inf, math.inf
        return self.difference.low / self.control.ratio, self.difference.high / self.control.ratio


@dataclass(frozen=True)
class Verdict:
    """kind: what the data say; text: in words. is_stop: whether the experiment must end. evidence: that users are divided wrongly."""

    kind: Kind
    text: str
    is_stop: bool
    evidence: float
    compared: Sequence[Compared]


def compare(outcomes: Outcomes, metric: str, level: float = LEVEL) -> Compared:
    """Both arms in one metric."""
    above, below, arm = outcomes.numerator[metric], outcomes.denominator[metric], outcomes.is_challenger
    parts = [(above[(below > 0) & side], below[(below > 0) & side]) for side in (~arm, arm)]
    control, challenger = (
        Arm(len(some), float(shown.sum()), int((some > 0).sum()), float(some.sum() / shown.sum()) if len(some) else math.nan)
        for some, shown in parts
    )
    return Compared(metric, control, challenger, ratio_difference(above, below, arm, level))


def judge(outcomes: Outcomes, metric: str, share: float, guard_rails: Mapping[str, float], level: float = LEVEL) -> Verdict:
    """The verdict on an experiment at any time. guard_rails: the largest relative loss by metric that does not stop it.

    The level is shared by all metrics that may decide (Bonferroni), so that their verdicts together are wrong with this probability.
    """
    metrics = [metric, *(name for name in guard_rails if name != metric)]
    compared = [compare(outcomes, name, level / len(metrics)) for name in metrics]
    arm = outcomes.is_challenger
    evidence = sample_ratio_evidence(int(arm.sum()), int((~arm).sum()), share)
    first = compared[0]
    if evidence > 1 / level:
        text = (
            f"the arms are not divided as planned: {int(arm.sum()):,} of {len(arm):,} users are in the challenger's arm, {share:.0%} were "
            "meant; look for users or impressions that are not logged, and trust no figure before"
        )
        return Verdict("broken", text, False, evidence, compared)
    for each in compared:
        tolerance = guard_rails.get(each.metric)
        if tolerance is not None and each.may_count and each.relative[1] < -tolerance:
            text = f"{_words(each)}: the challenger loses more than the {tolerance:.0%} that the guard rail allows; the experiment stops"
            return Verdict("loss", text, True, evidence, compared)
    if not first.may_count:
        return Verdict("too early", _too_early(first), False, evidence, compared)
    if first.difference.high < 0:
        return Verdict("worse", f"{_words(first)}: the challenger is worse", False, evidence, compared)
    if first.difference.low > 0:
        return Verdict("better", f"{_words(first)}: the challenger is better", False, evidence, compared)
    return Verdict("undecided", f"{_words(first)}: not decided; either may be better", False, evidence, compared)


def _words(each: Compared) -> str:
    low, high = each.relative
    figures = f"{each.metric} {each.challenger.ratio:.4f} with the challenger, {each.control.ratio:.4f} with the control"
    return figures if math.isinf(low) else f"{figures} ({low:+.1%} to {high:+.1%})"


def _too_early(each: Compared) -> str:
    least = min(each.control.n_users, each.challenger.n_users)
    n_reacted = each.control.n_reacted + each.challenger.n_reacted
    return (
        f"too early for a statement about {each.metric}: {least:,} users in the smaller arm ({LEAST_USERS} are needed), "
        f"{n_reacted:,} users with a result ({LEAST_REACTIONS} are needed)"
    )
