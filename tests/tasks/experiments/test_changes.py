"""An experiment is one row; one runs at a time, and wrong values are refused with a remedy."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.experiments import Experiment, ExperimentError, current
from tasks.experiments.changes import end, new_experiment, start
from tasks.experiments.experiment import newest
from tasks.lake import Lake, writing


def made(
    name: str = "wider", share: float = 0.2, metric: str = "ctr", rails: dict[str, float] | None = None, learnt: int = 7
) -> Experiment:
    return new_experiment(name, metric, share, {"ctr": 0.1} if rails is None else rails, ("3", "{}"), ("2", '{"a": {}}'), "run", learnt)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"share": 0.0}, "a share of 0 leaves one arm without users; give a number between 0 and 1"),
        ({"share": 1.0}, "a share of 1 leaves one arm"),
        ({"metric": "clicks"}, "'clicks' is no metric of outcomes; name one of ctr, conversion, value, satisfaction"),
        ({"rails": {"ctr": 1.5}}, "a guard rail of 1.5 for ctr is no share; give one from 0 to below 1"),
        ({"rails": {"speed": 0.5}}, "'speed' is no metric of outcomes"),
    ],
)
def test_values_that_are_none_are_refused_with_a_remedy(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ExperimentError, match=words):
        made(**wrong)


def test_one_experiment_runs_at_a_time_and_the_row_that_is_read_is_the_row_that_was_written(lake: Lake) -> None:
    assert (current(lake), newest(lake)) == (None, [])
    with pytest.raises(ExperimentError, match="no experiment runs; start one: minutehand experiment start"):
        end(lake, "")
    first = made()
    start(lake, first)
    assert current(lake) == first
    with pytest.raises(
        ExperimentError, match=r"experiment 'wider' \(version 2, 20% of the users\) is starting, and one runs at a time; end it"
    ):
        start(lake, made("narrower"))
    end(lake, "enough")
    stopping = current(lake)
    assert stopping is not None
    assert (stopping.state, stopping.verdict, stopping.is_due, stopping.has_arm) == ("stopping", "enough", True, False)
    with writing(lake) as con:
        con.execute("update ops.experiments set state = 'stopped'")
    start(lake, made("narrower"))
    assert {each.name for each in newest(lake, 2)} == {"wider", "narrower"}


def test_arms_depend_on_the_experiment_and_stay_when_it_is_read_again(lake: Lake) -> None:
    users = [f"u{n}" for n in range(400)]
    start(lake, made(share=0.5))
    one, again = current(lake), current(lake)
    assert one is not None
    assert again is not None
    mine = one.challengers(users)
    assert 140 < len(mine) < 260
    assert again.challengers(users) == mine
    end(lake, "")
    with writing(lake) as con:
        con.execute("update ops.experiments set state = 'stopped'")
    start(lake, made(share=0.5))
    other = current(lake)
    assert other is not None
    assert other.challengers(users) != mine
