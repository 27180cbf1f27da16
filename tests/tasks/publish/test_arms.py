"""The lists of both arms of an experiment are published together or not at all, and everybody returns in one publication."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from models.results import RankedLists
from tasks.experiments import Experiment, changes, current
from tasks.experiments.experiment import RUNNING, STOPPED, newest
from tasks.lake import Lake
from tasks.publish import transaction
from tasks.publish.night import publish_night
from tasks.publish.publication import Arm, Provenance
from tasks.scenarios import ScenarioLists
from tests.tasks.minute.test_feed import minute
from tests.tasks.publish.test_minute import in_cart, written
from tests.tasks.publish.test_night import WEIGHTS, add_events, provenance, put, ranked, rows, shown, snapshot_of

NOBODY = RankedLists((), *(np.empty((0, 0), kind) for kind in (np.int64, np.float32, np.float32, np.int64)))
OTHER_CATALOG = ("d", "c", "b", "a")
LISTS = "select distinct user_id, model_version from recs.recommendations order by all"


def begun(lake: Lake) -> Experiment:
    changes.start(lake, changes.new_experiment("wider", "ctr", 0.5, {}, ("1", "{}"), ("9", "{}"), "run-9", 3))
    found = current(lake)
    assert found is not None
    return found


def arm(experiment: Experiment, lists: RankedLists, snapshot: int, state: str = RUNNING, **more: Any) -> Arm:
    made = Provenance("9", "run-9", "flow-9", snapshot, datetime(2026, 1, 2, 4, 5, 6))
    return Arm(experiment, state, 5, None, made, None, OTHER_CATALOG, lists, NOBODY, **more)


@pytest.mark.slow
def test_a_minute_publishes_both_arms_with_their_own_catalogues_and_counts_them_together(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1), ("v", "a", "view", 1))
    put(lake, ranked({"u": [1, 0], "v": [1, 0], "w": [1, 0]}))
    experiment = begun(lake)
    add_events(lake, ("u", "b", "view", 2))
    places = in_cart("u")
    mine = [ScenarioLists("cart", ranked({"v": [1, 0]}), NOBODY)]
    done = minute(lake, arm=arm(experiment, ranked({"v": [0, 3]}), snapshot_of(lake), in_places=mine), **places)
    assert (done.n_users, done.n_users_changed) == (2, 2)
    assert rows(lake, LISTS) == [("*", "2"), ("u", "2"), ("v", "9"), ("w", "1")]
    assert rows(lake, "select item_id from recs.recommendations where user_id = 'v' order by rank") == [("d",), ("a",)]
    assert rows(lake, "select user_id, model_version, item_id from recs.scenario_recommendations where user_id <> '*' order by all") == [
        ("u", "2", "c"),
        ("u", "2", "d"),
        ("v", "9", "c"),
        ("v", "9", "d"),
    ]
    last = (
        "select user_id, arg_max(model_version, published_at) from recs.list_history where scenario = 'default' group by all order by all"
    )
    assert rows(lake, last) == [("*", "1"), ("u", "2"), ("v", "9"), ("w", "1")]
    now = current(lake)
    assert now is not None
    assert (now.state, now.arm_version, now.arm_run_id, now.learnt, now.frozen) == ("running", "9", "run-9", 5, None)
    assert rows(lake, "select model_version, n_users from recs.publications order by published_at desc limit 1") == [("2", 2)]


def test_a_night_publishes_both_arms(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 0], "v": [1, 0]}))
    about = shown(ranked({"u": [2, 0]}), provenance(lake, "3"), arm=arm(begun(lake), ranked({"v": [1]}), snapshot_of(lake)))
    done = publish_night(lake, about, WEIGHTS)
    assert (done.n_users, done.n_users_changed) == (2, 2)
    assert rows(lake, LISTS) == [("*", "3"), ("u", "3"), ("v", "9")]


@pytest.mark.slow
def test_a_publish_that_fails_at_its_end_leaves_the_lists_of_both_arms_and_the_experiment_as_they_were(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 0], "v": [1, 0]}))
    experiment, before = begun(lake), written(lake)
    add_events(lake, ("u", "b", "view", 2))
    note = transaction.note_experiment

    def fail(*given: Any) -> None:
        note(*given)
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(transaction, "note_experiment", fail)
        with pytest.raises(RuntimeError):
            minute(lake, arm=arm(experiment, ranked({"v": [0, 3]}), snapshot_of(lake)))
    assert (written(lake), current(lake)) == (before, experiment)


@pytest.mark.slow
def test_an_end_that_is_asked_for_during_a_publish_returns_everybody_to_the_control_with_the_next_one(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 0], "v": [1, 0]}))
    experiment = begun(lake)
    changes.end(lake, "enough")
    minute(lake, arm=arm(experiment, ranked({"v": [0, 3]}), snapshot_of(lake)))
    stopping = current(lake)
    assert stopping is not None
    assert (stopping.state, stopping.is_due, rows(lake, LISTS)) == ("stopping", True, [("*", "2"), ("u", "1"), ("v", "9")])
    minute(lake, "4", extra=["v"], arm=arm(stopping, NOBODY, snapshot_of(lake), STOPPED))
    assert rows(lake, LISTS) == [("*", "4"), ("u", "1"), ("v", "4")]
    (ended,) = newest(lake)
    assert (current(lake), ended.state, ended.verdict, ended.stopped_at is not None) == (None, "stopped", "enough", True)


def test_people_who_have_opted_out_get_no_list_in_either_arm(lake: Lake) -> None:
    from tasks.lake import writing

    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 0]}))
    with writing(lake) as con:
        con.execute("insert into ops.opt_outs (user_id, opted_out_at) values ('v', now()::timestamp)")
    minute(lake, arm=arm(begun(lake), ranked({"v": [0, 3]}), snapshot_of(lake)))
    assert rows(lake, LISTS) == [("*", "2"), ("u", "1")]
