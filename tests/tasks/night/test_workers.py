"""The workers of a night: a lost one costs no epoch that was finished, and the result is that of an undisturbed training."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from models.config import TrainConfig
from models.training.job import EPOCHS, Job, Training, train_here
from models.training.ranks import KEPT
from models.training.training import Curve, Sampling
from tasks.night import workers
from tasks.night.workers import WorkersError, clear, trainer_of
from tests.conftest import ROOT
from tests.models.training.test_ranks import a_training, free_port

CONFIG = TrainConfig(workers=2, batch_events=256, device="cpu")


def long_training(n_epochs: int) -> Training:
    """Of several steps an epoch."""
    return replace(a_training(Sampling(24, 6), CONFIG.model_copy(update={"batch_events": 64}), float(n_epochs)), seed=3)


def trained(folder: Path, disturb: bool = False, n_epochs: int = 4) -> tuple[Training, Curve, list[int]]:
    training, epochs = long_training(n_epochs), list[int]()

    def note(epoch: int, *_: object) -> None:
        epochs.append(epoch)
        if disturb and epoch == 1:
            os.kill(children(os.getpid())[-1], signal.SIGKILL)

    curve, sampling = trainer_of(CONFIG, folder, 2)(training, note)
    assert sampling == Sampling(24, 6)
    return training, curve, epochs


def children(parent: int) -> list[int]:
    """The processes that another one has started, oldest first."""
    return sorted(int(pid) for tasks in Path(f"/proc/{parent}/task").iterdir() for pid in (tasks / "children").read_text().split())


@pytest.mark.slow
def test_a_training_that_loses_a_worker_in_its_second_epoch_gives_the_same_bits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    disturbed, curve, epochs = trained(tmp_path / "one", disturb=True)
    assert "a worker of 2 was lost: rank 1 by signal 9; all start again after epoch 1" in caplog.text
    assert epochs == [1, 2, 3, 4]
    calm, other, _ = trained(tmp_path / "other")
    assert curve.loss == other.loss
    assert curve.validation == other.validation
    state = calm.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in disturbed.model.state_dict().items())
    assert all(torch.equal(value, other.squares[name]) for name, value in curve.squares.items())


@pytest.mark.slow
def test_a_night_that_is_killed_takes_its_workers_with_it_and_run_again_goes_on_from_its_last_epoch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    night = multiprocessing.get_context("fork").Process(target=trained, args=(tmp_path / "one", False, 30))
    caplog.set_level(logging.INFO, "minutehand.workers")
    night.start()
    assert night.pid is not None
    wait_until(lambda: any((tmp_path / "one").glob(f"*/*/{KEPT}")))
    orphans = children(night.pid)
    night.kill()
    night.join()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    again, curve, epochs = trained(tmp_path / "one", n_epochs=30)
    assert "an earlier attempt at this training was interrupted; it goes on after its last epoch" in caplog.text
    assert epochs == [*range(1, 31)], "MLflow gets the whole curve"
    calm, other, _ = trained(tmp_path / "other", n_epochs=30)
    assert curve.loss == other.loss
    state = calm.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.model.state_dict().items())


@pytest.mark.slow
def test_workers_that_others_start_do_the_jobs_of_a_night_in_a_shared_folder_and_end_with_it(tmp_path: Path) -> None:
    elsewhere = CONFIG.model_copy(update={"launcher": "torchrun", "folder": str(tmp_path)})
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-m", "models.training.worker", str(tmp_path), "--waits"]
    started = [subprocess.Popen(command, env={**os.environ, **place, "RANK": rank}, cwd=ROOT) for rank in "01"]
    carry_out = trainer_of(elsewhere, tmp_path / "home", 2)
    first, second, here = a_training(), replace(a_training(), seed=5), replace(a_training(), seed=5)
    carry_out(first, None)
    curve, _ = carry_out(second, None)
    clear(elsewhere, tmp_path / "home")
    assert [worker.wait(120) for worker in started] == [0, 0]
    assert curve.loss == pytest.approx(train_here(here)[0].loss, rel=0.01)


def wait_until(happens: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_night_with_one_worker_trains_in_its_own_process_and_one_without_ray_says_how_to_get_it(tmp_path: Path) -> None:
    assert trainer_of(TrainConfig(), tmp_path, 2) is train_here
    if find_spec("ray") is None:
        with pytest.raises(WorkersError, match="pip install"):
            trainer_of(CONFIG.model_copy(update={"launcher": "ray"}), tmp_path, 2)


def test_a_training_whose_workers_always_fail_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "_attempt", lambda *_: "rank 1 with code 1 (error: no memory)")
    with pytest.raises(WorkersError, match=r"a worker of 2 was lost 4 times since epoch 0, the last time rank 1 .* no memory"):
        trainer_of(CONFIG, tmp_path, 2)(a_training(), None)
    assert len({id(record) for record in caplog.records if "was lost" in record.getMessage()}) == 3, "a record may have two ways here"


def test_a_night_whose_workers_never_come_says_which_command_starts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE_S", 0.0)
    elsewhere = CONFIG.model_copy(update={"launcher": "torchrun", "folder": str(tmp_path)})
    with pytest.raises(WorkersError, match=f"-m models.training.worker {tmp_path} --waits"):
        trainer_of(elsewhere, tmp_path / "home", 2)(a_training(), None)


def test_an_epoch_that_is_trained_again_is_reported_once_and_half_a_line_not_at_all(tmp_path: Path) -> None:
    epochs: list[tuple[object, ...]] = []
    watch = workers.Watch(tmp_path, 2, lambda *epoch: epochs.append(epoch))
    lines = [[1, 3.0, 0.1, 5.0], [2, 2.0, None, 5.0], [2, 2.0, None, 6.0]]
    (tmp_path / EPOCHS).write_text("\n".join(map(json.dumps, lines)) + "\n[3, 1.")
    watch.look()
    watch.look()
    assert epochs == [(1, 3.0, 0.1, 5.0), (2, 2.0, None, 5.0)]


def test_the_end_of_a_night_removes_its_trainings_and_no_other_file(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"folder": str(tmp_path / "shared")})
    place = Job(a_training(), 2, 1).save(tmp_path / "shared")
    foreign = tmp_path / "shared" / "notes.txt"
    foreign.touch()
    clear(config, tmp_path)
    assert not place.exists()
    assert foreign.exists()
    foreign.unlink()
    clear(config, tmp_path)
    assert not (tmp_path / "shared").exists()
    clear(config, tmp_path)
