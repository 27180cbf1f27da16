"""Experiments on people who react, without a home: python -m bench.people_trials [--runs 200].

Frozen lists: a noisy ranking of what people really want, and a second one with more noise, of which people click 15 % less.
Half of 2,000 people get each; they visit for six weeks. Each run has arms, visits and clicks of its own, and looks at the
difference of clicks per impression after every day. same, worse: share of runs with equal lists, and with the worse ones, that ended
because the interval of the difference left zero at some look. days: median number of looks until the worse lists were stopped.
interval: the confidence sequence of experiments, and the usual interval of 1.96 standard errors, which holds for a single look.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from bench.table import keep
from models.experiments.allocation import arms_of
from models.experiments.sequences import ratio_difference
from models.simulation.people import PeopleConfig, click_probability, crowd_at, look, wish
from models.simulation.shop import Floats, Mask, ShopConfig, simulate

SHOP = ShopConfig(n_users=2000, n_items=300, n_days=14)
N_DAYS = 42
"""Each is one look."""
VISITS_A_DAY = 0.3
NOISE = 0.7
LOSS = 0.15
KEY = b"people who react"
Interval = Callable[[Floats, Floats, Mask], tuple[float, float, float]]
"""(difference, low, high) of two arms from clicks [users], impressions [users] and whether a user is in the challenger's arm."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    n_runs, lists = parser.parse_args().runs, frozen_lists(seed=0)
    rows: list[dict[str, object]] = []
    for name, interval in (("sequence", ratio_difference), ("one look", naive_interval)):
        same = trials(lists.champion, lists.champion, interval, n_runs, seed=1)
        worse = trials(lists.champion, lists.challenger, interval, n_runs, seed=2)
        rows.append(
            {
                "interval": name,
                "runs": n_runs,
                "same": f"{np.mean([run.day is not None for run in same]):.3f}",
                "worse": f"{np.mean([run.is_worse for run in worse]):.3f}",
                "days": np.median([run.day or N_DAYS for run in worse]),
            }
        )
    keep("people_trials", rows)


@dataclass(frozen=True)
class Frozen:
    """Chance to click each position of a user's list once it is examined, [users, positions], of both arms."""

    champion: Floats
    challenger: Floats

    @property
    def loss(self) -> float:
        """Share of the clicks that the challenger's lists lose."""
        config = PeopleConfig()
        ours, theirs = (click_probability(chance, config).sum() for chance in (self.champion, self.challenger))
        return float(1 - theirs / ours)


@dataclass(frozen=True)
class Verdict:
    """How an experiment ended. day: of the first look at which the interval was off zero; None if there was none. is_worse: its side."""

    day: int | None
    is_worse: bool


def frozen_lists(seed: int, loss: float = LOSS) -> Frozen:
    """Lists of the noisy ranking, and those of the ranking whose noise loses this share of the clicks."""
    shop, config, rng = simulate(SHOP, seed), PeopleConfig(), np.random.default_rng(seed)
    crowd = crowd_at(shop.items, shop.truth, datetime(2026, 11, 1))
    user = np.arange(len(crowd.user_ids))
    wanted = wish(crowd, config, user, np.tile(np.arange(len(crowd.item_ids)), (len(user), 1)))
    noise = rng.normal(size=wanted.shape)
    champion = _top(wanted, noise, NOISE, config.n_shown)
    low, high = NOISE, 10.0
    for _ in range(20):
        middle = (low + high) / 2
        found = Frozen(champion, _top(wanted, noise, middle, config.n_shown))
        low, high = (middle, high) if found.loss < loss else (low, middle)
    return found


def trials(champion: Floats, challenger: Floats, interval: Interval, n_runs: int, seed: int) -> list[Verdict]:
    """Runs of the experiment that differ in everything that is drawn."""
    return [experiment(champion, challenger, interval, f"{seed}-{run}", np.random.default_rng([seed, run])) for run in range(n_runs)]


def experiment(champion: Floats, challenger: Floats, interval: Interval, name: str, rng: np.random.Generator) -> Verdict:
    """Half of the users get each list, by the keyed hash. The interval is looked at after each day of visits, until it is off zero."""
    n_users = len(champion)
    is_challenger = arms_of(KEY, name, map(str, range(n_users)), 0.5)
    chance = np.where(is_challenger[:, None], challenger, champion)
    activity = rng.gamma(2.0, VISITS_A_DAY / 2, n_users)
    visits = rng.poisson(activity, (N_DAYS, n_users))
    clicks = np.zeros((N_DAYS, n_users))
    for day, n_visits in enumerate(visits):
        user = np.repeat(np.arange(n_users), n_visits)
        clicks[day] = np.bincount(user, look(chance[user], PeopleConfig(), rng).clicked.sum(1), n_users)
    shown = np.cumsum(visits, 0) * chance.shape[1]
    clicked = np.cumsum(clicks, 0)
    for day in range(N_DAYS):
        came = shown[day] > 0
        _, low, high = interval(clicked[day][came], shown[day][came].astype(float), is_challenger[came])
        if low > 0 or high < 0:
            return Verdict(day + 1, high < 0)
    return Verdict(None, is_worse=False)


def naive_interval(clicks: Floats, shown: Floats, is_challenger: Mask) -> tuple[float, float, float]:
    """The interval of a single look: the difference of the ratios, with the delta method over users."""
    ratios, variances = [], []
    for arm in (is_challenger, ~is_challenger):
        ratio = clicks[arm].sum() / shown[arm].sum()
        ratios.append(ratio)
        variances.append(((clicks[arm] - ratio * shown[arm]) ** 2).sum() / shown[arm].sum() ** 2)
    difference, reach = ratios[0] - ratios[1], 1.96 * float(np.sqrt(sum(variances)))
    return difference, difference - reach, difference + reach


def _top(wanted: Floats, noise: Floats, size: float, n_shown: int) -> Floats:
    """The chances of the first items by a noisy ranking."""
    score = np.log(np.maximum(wanted, 1e-9)) + size * noise
    best = np.argsort(-score, axis=1)[:, :n_shown]
    chance: Floats = np.take_along_axis(wanted, best, 1)
    return chance


if __name__ == "__main__":
    main()
