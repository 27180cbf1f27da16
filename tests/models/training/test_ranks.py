"""Training by two processes: the same steps as in one, the same bits on both, and on from the last epoch after a loss."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models import device
from models.config import TrainConfig
from models.evaluation.evaluator import Evaluator
from models.night import make_judge, new_model, training_offsets
from models.ranking.prior import HALF_LIVES_H, Slots, single_popularity
from models.training import worker
from models.training.course import Course
from models.training.job import JOB, Job, JobError, Result, Training, train_here
from models.training.ranks import owners
from models.training.training import Sampling
from tests.models.planted import QUICK, TINY, random_events, random_text, walks


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums in bfloat16 would hide small mistakes; forked workers inherit this."""
    monkeypatch.setattr(device, "has_fast_bf16", lambda _: False)


FORK = multiprocessing.get_context("fork")
CPU = torch.device("cpu")
EVEN = single_popularity(len(HALF_LIVES_H))
ONE_STEP = QUICK.model_copy(update={"batch_events": 2048})


def a_training(sampling: Sampling | None = None, config: TrainConfig = ONE_STEP, n_epochs: float = 1.0) -> Training:
    events = walks(n_users=40)
    model = new_model(TINY, random_text(events.n_items, TINY.dim), 2, CPU, 0)
    evaluator = Evaluator(events, Slots.over(events.time, 100), hide_seen=True)
    judge = make_judge(evaluator, np.arange(0, len(events), 7), EVEN)
    offsets = replace(training_offsets(events, evaluator.slots, EVEN, CPU), sampling=sampling)
    return Training(model, events, offsets, config, 0, judge=judge, course=Course(n_epochs, ((0, n_epochs),), sampling is not None))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def work(folder: Path, rank: int, n_workers: int, port: int) -> None:
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": n_workers, "RANK": rank, "GLOO_SOCKET_IFNAME": "lo"}
    os.environ |= {name: str(value) for name, value in place.items()}
    worker.run(folder)


def carried_out(training: Training, folder: Path, n_workers: int = 2) -> Result:
    """By forks of this process, which need not import torch."""
    place, port = Job(training, n_workers, 1).save(folder), free_port()
    workers = [FORK.Process(target=work, args=(place, rank, n_workers, port)) for rank in range(n_workers)]
    for process in workers:
        process.start()
    for process in workers:
        process.join(120)
    assert [process.exitcode for process in workers] == [0] * n_workers
    return Result.load(place)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def check_that_two_are_as_one(training: Callable[[], Training], folder: Path) -> None:
    found = carried_out(training(), folder)
    curve, _ = train_here(training())
    assert found.curve.squares.keys() == curve.squares.keys()
    for name, value in curve.squares.items():  # the epoch is one step of the same windows, so these are the gradients
        assert torch.allclose(found.curve.squares[name].sqrt(), value.sqrt(), rtol=1e-3, atol=1e-4 * float(value.max().sqrt())), name
    assert not same(found.state, training().model.state_dict())
    assert found.curve.loss == pytest.approx(curve.loss, rel=1e-4)
    assert found.curve.validation == pytest.approx(curve.validation, abs=0.01)


def test_two_workers_learn_what_one_learns_with_the_joined_batch_and_send_the_rows_of_sampled_items_only(tmp_path: Path) -> None:
    check_that_two_are_as_one(lambda: a_training(Sampling(24, 500)), tmp_path)


def test_two_workers_learn_what_one_learns_with_the_joined_batch_where_steps_score_all_items(tmp_path: Path) -> None:
    check_that_two_are_as_one(a_training, tmp_path)


def test_every_user_has_one_rank_and_all_ranks_get_as_many_events() -> None:
    events = random_events(n_users=50, n_events=2000)
    owner = owners(events, 3)
    n_events = np.bincount(owner[events.user], minlength=3)
    assert n_events.sum() == len(events)
    assert n_events.max() < 1.1 * n_events.min()


def test_a_job_is_read_as_it_was_written_and_the_same_training_has_the_same_folder(tmp_path: Path) -> None:
    training = a_training(Sampling(24, 6))
    place = Job(training, 2, 1).save(tmp_path)
    assert Job(a_training(Sampling(24, 6)), 2, 1).save(tmp_path) == place
    assert Job(replace(training, seed=1), 2, 1).save(tmp_path) != place
    found = Job.load(place, CPU)
    assert (found.n_workers, found.n_threads, found.training.config) == (2, 1, training.config)
    assert same(found.training.model.state_dict(), training.model.state_dict())
    assert found.training.course == training.course
    assert found.training.offsets.sampling == training.offsets.sampling
    assert np.array_equal(found.training.events.time, training.events.time)
    assert found.training.judge is not None
    assert training.judge is not None
    assert found.training.judge(training.model) == training.judge(training.model)


def test_a_folder_without_a_job_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=f"cannot read {tmp_path / JOB}"):
        Job.load(tmp_path, CPU)
