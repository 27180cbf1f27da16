"""An experiment on a tiny shop: both arms are published together, the challenger learns by the minute, and the end returns everybody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import experiment as command
from flows import arms
from models.errors import UserError
from models.version import checkpoint as checkpoints
from settings import load
from tasks.experiments import Experiment, changes, current
from tasks.experiments.experiment import newest
from tasks.registry import versions
from tests.conftest import ROOT
from tests.flows.shop import UNPOOLED, Shop, open_shop
from tests.flows.test_minute import Forker, wrong_after
from tests.lakes import put

LATE = 12 * 24.0
IN_A_MINUTE = [
    "tasks.minute.steps:save:after",
    "flows.arms:arm_of:before",
    "tasks.publish.minute:insert_arm:after",
    "tasks.publish.transaction:note_experiment:after",
    "flows.arms:follow_alias:before",
]
IN_A_NIGHT = ["flows.arms:of_night:after", "tasks.publish.night:insert_arm:after", "flows.arms:renew:before", "flows.arms:renew:after"]
"""Points at which a run with an experiment is killed; those in other parts of a run are in test_minute."""


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Shop]:
    """The shop after two nights."""
    with open_shop(tmp_path_factory.mktemp("arms")) as shop:
        shop.spend_night()
        shop.spend_night()
        yield shop


@pytest.fixture(autouse=True)
def at_home(nights: Shop, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("MINUTEHAND_HOME", str(nights.home))
    monkeypatch.setenv(*UNPOOLED)


def made_by(shop: Shop) -> dict[str, str]:
    """The version behind the list of each user."""
    return dict(shop.ask("select distinct user_id, model_version from recs.recommendations order by user_id"))


def begin(shop: Shop, settings: str = "{}") -> tuple[Experiment, str]:
    """Start an experiment with the other night's version, and publish; returns it, and the live version."""
    control = shop.live
    found = versions.find_version(shop.models, other_than(shop, control))
    snapshot = int(found.tags["snapshot"])
    changes.start(
        shop.lake,
        changes.new_experiment("", "ctr", 0.4, {"ctr": 0.1}, (control, "{}"), (found.version, settings), found.run_id, snapshot),
    )
    shop.spend_minute()
    return running(shop), control


def other_than(shop: Shop, live: str) -> str:
    """The version of the night that the live version is not of."""
    return "1" if versions.find_version(shop.models, live).champion == "2" else "2"


def running(shop: Shop) -> Experiment:
    found = current(shop.lake)
    assert found is not None
    return found


@pytest.mark.slow
def test_both_arms_are_published_and_learn_in_one_minute_and_the_end_gives_everybody_the_control(
    nights: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = nights
    before, control = shop.value("select count(*) from recs.publications"), shop.live
    monkeypatch.setattr(command, "_publish", lambda _: shop.spend_minute())
    with pytest.raises(UserError, match=r"are of the same night .* name a version of another night"):
        command.start(control)
    command.start(other_than(shop, control), share=0.4)
    shown = capsys.readouterr().out
    assert ("is running" in shown, "verdict: too early" in shown) == (True, True)
    experiment = running(shop)
    assert json.loads(experiment.challenger_settings)["model"]["dim"] == 8
    made = made_by(shop)
    mine = set(experiment.challengers(made)) - {"*"}
    assert 0 < len(mine) < len(made) - 1
    assert {user for user, version in made.items() if version == experiment.challenger_version} == mine
    assert {version for user, version in made.items() if user not in mine} == {control}
    assert shop.value("select count(*) from recs.publications") == before + 1

    put(shop.lake, [(user, "i03", LATE) for user in made if user != "*"], event_type="cart")
    shop.spend_minute()
    learnt = running(shop)
    assert learnt.frozen is None
    assert learnt.arm_version not in (experiment.challenger_version, shop.live)
    assert learnt.learnt > experiment.learnt
    assert learnt.learnt == shop.value("select snapshot from ops.watermarks where consumer = 'learnt'")
    assert versions.aliases(shop.models)["experiment"] == learnt.arm_version
    assert versions.find_version(shop.models, learnt.arm_version).champion == experiment.challenger_version
    assert {user for user, version in made_by(shop).items() if version == learnt.arm_version} == mine

    before = shop.value("select count(*) from recs.publications")
    command.stop()
    assert set(made_by(shop).values()) <= {shop.live, control}
    assert shop.value("select count(*) from recs.publications") == before + 1
    assert (current(shop.lake), newest(shop.lake)[0].state, newest(shop.lake)[0].verdict is None) == (None, "stopped", False)
    assert "experiment" not in versions.aliases(shop.models)


@pytest.mark.slow
def test_a_challenger_for_whom_a_minute_has_no_time_is_frozen_and_learns_the_events_in_the_next(
    nights: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = nights
    before, _ = begin(shop)
    put(shop.lake, [("u01", "i05", LATE + 1), ("u02", "i05", LATE + 1)], event_type="cart")
    with monkeypatch.context() as patch:
        patch.setattr(arms, "BOTH_WITHIN_S", 0.0)
        shop.spend_minute()
    frozen = running(shop)
    assert (frozen.arm_version, frozen.learnt) == (before.arm_version, before.learnt)
    assert "so a minute cannot hold both" in (frozen.frozen or "")
    put(shop.lake, [("u03", "i05", LATE + 2)], event_type="cart")
    shop.spend_minute()
    caught_up = running(shop)
    assert caught_up.frozen is None
    assert caught_up.learnt > before.learnt
    assert set(made_by(shop)) - set(caught_up.challengers(made_by(shop))) - {"*"} != set()
    changes.end(shop.lake, "enough")
    shop.spend_minute()


@pytest.mark.slow
def test_a_night_trains_the_challenger_with_its_own_settings_and_the_next_minute_publishes_it(nights: Shop) -> None:
    shop = nights
    wider = load().model.model_copy(update={"dim": 16})
    before, _ = begin(shop, json.dumps({"model": wider.model_dump(mode="json")}))
    live = shop.spend_night()
    waiting = running(shop)
    assert waiting.next_version not in (None, live, before.arm_version)
    assert (waiting.is_due, waiting.arm_version) == (True, before.arm_version)
    shop.spend_minute()
    renewed = running(shop)
    assert (renewed.next_version, renewed.arm_version) == (None, waiting.next_version)
    made = made_by(shop)
    assert {made[user] for user in set(renewed.challengers(made)) - {"*"}} == {renewed.arm_version}
    folder = versions.find_version(shop.models, renewed.arm_version).checkpoint_folder
    assert checkpoints.load(folder).live.model.config.dim == 16
    assert checkpoints.load(versions.find_version(shop.models, shop.live).checkpoint_folder).live.model.config.dim == 8
    changes.end(shop.lake, "enough")
    shop.spend_minute()
    assert set(made_by(shop).values()) <= {shop.live, live}


@pytest.fixture(scope="module")
def forker(nights: Shop, prefect_server: str) -> Iterator[Forker]:
    """Runs in other processes from a copy of the shop, in which an experiment runs and an event of each arm waits to be learnt."""
    environment = {**os.environ, "MINUTEHAND_HOME": str(nights.home), "PREFECT_API_URL": prefect_server}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINUTEHAND_HOME", str(nights.home))
        patch.setenv(*UNPOOLED)
        settings = json.dumps({"model": load().model.model_dump(mode="json")})
        experiment, _ = begin(nights, settings)
    users = [user for user in made_by(nights) if user != "*"]
    mine = set(experiment.challengers(users))
    put(
        nights.lake,
        [(next(user for user in users if (user in mine) == is_mine), "i07", LATE + 5) for is_mine in (True, False)],
        event_type="cart",
    )
    nights.keep("copy")
    command = [sys.executable, "-m", "tests.flows.forker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        yield Forker(process, nights.home)
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.slow
def test_a_minute_with_an_experiment_killed_at_any_moment_is_repaired_by_the_next_in_both_arms(forker: Forker) -> None:
    forker.begin()
    assert forker.run({}) == [0]
    unkilled = forker.state()
    assert unkilled["experiments"][-1] == ["running", None, None, True, True, True]
    assert {is_arm for _, is_arm in unkilled["arms"]} == {True, False}
    wrong = {moment: wrong_after(forker, [unkilled], {"kill": moment}) for moment in IN_A_MINUTE}
    assert {moment: names for moment, names in wrong.items() if names} == {}


@pytest.mark.slow
@pytest.mark.parametrize("moment", IN_A_NIGHT)
def test_after_a_night_that_was_killed_the_challenger_keeps_its_users_and_the_next_night_trains_it(forker: Forker, moment: str) -> None:
    forker.begin()
    before = forker.state()["arms"]
    assert forker.run({"night": True, "kill": moment}) == [-signal.SIGKILL]
    assert forker.state()["arms"] == before
    assert forker.run({"night": True}) == [0]
    waiting = forker.state()
    assert waiting["arms"] == before
    assert waiting["experiments"][-1][:4] == ["running", None, None, False], "a version waits for the next minute"
    assert forker.run({}) == [0]
    done = forker.state()
    assert (done["arms"], done["live is live"]) == (before, True)
    assert done["experiments"][-1] == ["running", None, None, True, True, True]
