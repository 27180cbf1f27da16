from __future__ import annotations

import numpy as np
import pytest

from models.experiments.verdict import Outcomes, Verdict, judge


def shop(n_users: int, ours: float, theirs: float, share: float = 0.5, seed: int = 3, shown: int = 20) -> Outcomes:
    """Users who are shown some items and click with the rate of their arm. theirs: of the control."""
    rng = np.random.default_rng(seed)
    arm = rng.random(n_users) < share
    seen = np.full(n_users, float(shown))
    clicks = rng.binomial(shown, np.where(arm, ours, theirs)).astype(float)
    return Outcomes(arm, {"ctr": clicks, "conversion": clicks * 0}, {"ctr": seen, "conversion": seen})


def verdict(outcomes: Outcomes, share: float = 0.5, **rails: float) -> Verdict:
    return judge(outcomes, "ctr", share, rails)


@pytest.mark.parametrize(
    ("outcomes", "kind"),
    [
        (shop(0, 0.1, 0.1), "too early"),
        (shop(150, 0.5, 0.01), "too early"),
        (shop(4000, 0.0, 0.0), "too early"),
        (shop(4000, 0.1, 0.1), "undecided"),
        (shop(4000, 0.12, 0.1), "better"),
        (shop(4000, 0.08, 0.1), "worse"),
    ],
    ids=["nobody", "few users", "nobody reacts", "equal", "more", "less"],
)
def test_a_verdict_says_no_more_than_the_data(outcomes: Outcomes, kind: str) -> None:
    found = verdict(outcomes)
    assert (found.kind, found.is_stop) == (kind, False)


def test_a_loss_beyond_the_guard_rail_ends_the_experiment_and_a_smaller_one_does_not() -> None:
    outcomes = shop(4000, 0.08, 0.1)
    found = verdict(outcomes, ctr=0.05)
    assert (found.kind, found.is_stop) == ("loss", True)
    assert "loses more than the 5% that the guard rail allows; the experiment stops" in found.text
    assert not verdict(outcomes, ctr=0.5).is_stop
    assert not verdict(shop(4000, 0.12, 0.1), ctr=0.0).is_stop


def test_a_metric_that_nobody_has_reacted_to_ends_nothing() -> None:
    assert verdict(shop(4000, 0.1, 0.1), conversion=0.0).kind == "undecided"


def test_users_that_are_not_divided_by_the_share_make_every_figure_doubtful() -> None:
    found = verdict(shop(4000, 0.2, 0.1, share=0.4), share=0.5, ctr=0.0)
    assert (found.kind, found.is_stop) == ("broken", False)
    assert "trust no figure before" in found.text
