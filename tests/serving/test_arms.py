"""While an experiment runs, the API answers each user by their arm, strangers by the control, and the log says whose list it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.errors import UserError
from models.version import checkpoint as checkpoints
from models.version.checkpoint import Checkpoint
from serving.live import Live
from serving.ranking import Asked
from tasks.config import IngestConfig
from tasks.experiments import Experiment, changes, current
from tasks.ingest.ingestion import ingest
from tasks.ingest.log_names import folder_of
from tasks.ingest.sources import ColumnMapping
from tasks.lake import Lake, writing
from tasks.registry.integrity import digest_of
from tests.serving.test_live import NOW, answered, event, post, publish, start, take_in  # noqa: F401
from tests.serving.test_log import rows
from tests.serving.test_log import take_in as take_in_all
from tests.tasks.fruits import save_checkpoint

AT = int(NOW.timestamp()) + 3600
USERS = [f"u{n}" for n in range(12)]


@pytest.fixture
def running(start: Callable[[], Live], lake: Lake, tmp_path: Path) -> Experiment:  # noqa: F811
    """An experiment that runs, with another model, over twelve users who had an apple."""
    file = tmp_path / "more.csv"
    lines = [f"{user},apple,view,2026-11-01T00:00:0{n % 10}" for n, user in enumerate(USERS)]
    file.write_text("\n".join(["user_id,item_id,event_type,occurred_at", *lines]), encoding="utf-8")
    ingest(lake, "events", [str(file)], ColumnMapping(), IngestConfig())
    publish(lake, tmp_path / "first", "2")
    folder = save_checkpoint(tmp_path / "challenger", seed=11)
    changes.start(lake, changes.new_experiment("", "ctr", 0.5, {}, ("2", "{}"), ("7", "{}"), "run", 1))
    with writing(lake) as con:
        con.execute(
            "update ops.experiments set state = 'running', checkpoint = $folder, checkpoint_sha256 = $digest",
            {"folder": str(folder), "digest": digest_of(folder)},
        )
    found = current(lake)
    assert found is not None
    return found


def expected(checkpoint: Checkpoint, history: dict[str, list[Any]]) -> dict[str, float]:
    """The probability of each item, as nearly equal ones may change places."""
    return dict(checkpoint.recommend([history], datetime.fromtimestamp(AT, UTC), 4)[0])


def test_each_user_gets_the_list_of_their_arm_also_in_a_batch_and_after_a_click(
    start: Callable[[], Live],  # noqa: F811
    running: Experiment,
    tmp_path: Path,
) -> None:
    live = start()
    models = {True: checkpoints.load(tmp_path / "challenger"), False: checkpoints.load(tmp_path / "first")}
    lists = live.recommend_all([Asked(user, k=4, now=AT) for user in USERS])
    arms = {user: running.is_challenger(user) for user in USERS}
    assert set(arms.values()) == {True, False}
    assert [each.model_version for each in lists] == ["7" if arms[user] else "2" for user in USERS]
    assert [each.arm for each in lists] == [running.arm(user) for user in USERS]
    history: dict[str, list[Any]] = {"item_ids": ["apple"], "event_types": ["view"], "occurred_at": [datetime(2026, 11, 1)]}
    assert expected(models[True], history) != pytest.approx(expected(models[False], history), abs=1e-3)
    for user, listed in zip(USERS, lists, strict=True):
        seconds = datetime(2026, 11, 1, 0, 0, USERS.index(user) % 10)
        probability = {row["item_id"]: row["probability"] for row in listed.items}
        assert probability == pytest.approx(expected(models[arms[user]], {**history, "occurred_at": [seconds]}), abs=1e-4)
    mine = next(user for user in USERS if arms[user])
    post(live, event(mine, "fig"))
    (listed,) = live.recommend_all([Asked(mine, k=4, now=AT)])
    assert ("fig" in listed.item_ids, listed.model_version) == (False, "7")


def test_strangers_get_the_control_and_are_in_no_arm(start: Callable[[], Live], running: Experiment) -> None:  # noqa: F811
    live = start()
    strangers = [f"stranger {n}" for n in range(20)]
    assert running.challengers(strangers)
    lists = live.recommend_all([Asked(user, k=3, now=AT) for user in strangers] + [Asked(None, k=3, now=AT)])
    assert {(each.model_version, each.experiment_id, each.arm) for each in lists} == {("2", running.experiment_id, None)}


def test_the_lake_knows_the_arm_of_each_list_that_was_served(
    start: Callable[[], Live],  # noqa: F811
    running: Experiment,
    lake: Lake,
    tmp_path: Path,
) -> None:
    live = start()
    live.recommend_all([Asked(user, k=3, now=AT) for user in (*USERS, "stranger")])
    live.segments.close()
    assert [*folder_of(tmp_path / "landing", "served").glob("*.jsonl")]
    take_in_all(lake, tmp_path / "landing")
    found = {user: (experiment, arm) for user, experiment, arm in rows(lake, "select user_id, experiment_id, arm from ops.served")}
    assert found == {user: (running.experiment_id, running.arm(user)) for user in USERS} | {"stranger": (running.experiment_id, None)}


@pytest.mark.slow
def test_after_the_end_the_challenger_leaves_the_memory_with_the_next_publication(
    start: Callable[[], Live],  # noqa: F811
    running: Experiment,
    lake: Lake,
    tmp_path: Path,
) -> None:
    live = start()
    assert live.published.challenger is not None
    assert set(live.published.challenger.row_of_user) == set(running.challengers(["old", *USERS]))
    with writing(lake) as con:
        con.execute("update ops.experiments set state = 'stopped'")
    publish(lake, tmp_path / "first", "3")
    assert live.refresh()
    assert live.published.challenger is None
    assert live.published.experiment is None
    lists = live.recommend_all([Asked(user, k=3, now=AT) for user in USERS])
    assert {(each.model_version, each.experiment_id, each.arm) for each in lists} == {("3", None, None)}


def test_a_challenger_whose_files_are_gone_leaves_everybody_with_the_control(
    start: Callable[[], Live],  # noqa: F811
    running: Experiment,
    lake: Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "challenger").rename(tmp_path / "elsewhere")

    def gone(*_: Any) -> None:
        raise UserError("no version 7")

    monkeypatch.setattr("tasks.registry.versions.find_version", gone)
    monkeypatch.setattr("tests.serving.test_live.no_registry", lambda: None)
    lists = start().recommend_all([Asked(user, k=3, now=AT) for user in USERS])
    assert {each.model_version for each in lists} == {"2"}
