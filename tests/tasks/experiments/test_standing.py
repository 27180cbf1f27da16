"""How an experiment stands, by the outcomes of its users in the lake."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from tasks.experiments import Experiment, changes, current
from tasks.experiments.standing import standing
from tasks.lake import Lake, writing
from tests.tasks.experiments.test_changes import made


def react(lake: Lake, experiment: Experiment, ours: float, theirs: float, *, hours: int = 1, source: str = "sequence") -> None:
    """400 users are shown ten items each, and click with the rate of their arm, some hours after the start."""
    rng, users = np.random.default_rng(2), [f"u{n}" for n in range(400) for _ in range(10)]
    clicked = rng.random(len(users)) < np.where([experiment.is_challenger(user) for user in users], ours, theirs)
    at = experiment.started_at + timedelta(hours=hours)
    frame = pl.DataFrame({"user_id": users, "is_clicked": clicked, "n": np.arange(len(users))})
    with writing(lake) as con:
        con.register("frame", frame)
        con.execute(
            "insert into eval.outcomes by name select concat($hours, $source, n) as impression_id, null as recommendation_id, user_id,"
            " 'a' as item_id, 1 as position, 'default' as scenario, $source as source, 'ranked' as slot, 1 as propensity,"
            " '1' as model_version, null as arm, 'warm' as segment, $at as shown_at, case when is_clicked then $at end as clicked_at,"
            " null as bought_at, null as value, null as rating, $at as built_at from frame",
            {"at": at, "source": source, "hours": hours},
        )


def test_outcomes_since_the_start_decide_and_lists_for_anyone_and_earlier_ones_do_not_count(lake: Lake) -> None:
    changes.start(lake, made(share=0.5, rails={"ctr": 0.1}))
    experiment = current(lake)
    assert experiment is not None
    react(lake, experiment, 0.9, 0.1, hours=-1)
    react(lake, experiment, 0.9, 0.1, hours=0, source="popular")
    assert standing(lake, experiment).verdict.kind == "too early"
    react(lake, experiment, 0.1, 0.4, hours=0)
    found = standing(lake, experiment).verdict
    assert (found.kind, found.is_stop) == ("loss", True)
    (ctr,) = found.compared
    assert (ctr.control.n_users + ctr.challenger.n_users, ctr.control.n_shown + ctr.challenger.n_shown) == (400, 4000)
    assert abs(ctr.challenger.ratio - 0.1) < 0.03
    assert abs(ctr.control.ratio - 0.4) < 0.05
