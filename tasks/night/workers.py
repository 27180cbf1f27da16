"""Training of a night by several processes: starts them, and starts them again from the last epoch if one is lost."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from models.config import TrainConfig
from models.errors import UserError
from models.training.job import ALIVE, EPOCHS, JOB, NEXT, RESULT, Job, Result, Trainer, Training, train_here
from models.training.ranks import KEPT
from models.training.training import Curve, OnEpoch, Sampling

log = logging.getLogger("minutehand.workers")
ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = "training"
"""Folder of trainings in the home folder."""
MAX_RESTARTS = 3
"""Number of restarts without a finished epoch in between after which a training fails."""
POLL_S = 0.1
PATIENCE_S = 1800.0
"""How long a night waits for a sign of workers that it did not start."""
TAIL = 5
"""Number of last lines of a worker's log in an error."""


class WorkersError(UserError):
    """The workers of a training could not be started or did not finish."""


def trainer_of(config: TrainConfig, home: Path, n_threads: int) -> Trainer:
    """How the trainings of a night are carried out. n_threads: of all workers of this machine together."""
    if config.workers == 1:
        return train_here
    if config.launcher == "ray" and find_spec("ray") is None:
        raise WorkersError("MINUTEHAND_TRAIN__LAUNCHER is ray, which is not installed; run: pip install 'minutehand[ray]'")
    return partial(train_by_workers, config.workers, max(n_threads // config.workers, 1), config.launcher, folder_of(config, home))


def folder_of(config: TrainConfig, home: Path) -> Path:
    """The folder of trainings, which all workers can read and write."""
    return Path(config.folder).expanduser().resolve() if config.folder else home.resolve() / FOLDER


def train_by_workers(
    n_workers: int, n_threads: int, launcher: str, folder: Path, training: Training, on_epoch: OnEpoch | None = None
) -> tuple[Curve, Sampling | None]:
    """Trains the model of a training in place, by n_workers processes with n_threads each; as models.training.job.Trainer.

    The folder of the job is named by its content. So a night that was killed goes on from its last epoch if it is run again on the same
    data. Raises WorkersError.
    """
    place = Job(training, n_workers, n_threads).save(folder)
    if (place / KEPT).exists() and not (place / RESULT).exists():
        log.info("an earlier attempt at this training was interrupted; it goes on after its last epoch")
    watch = Watch(place, n_workers, on_epoch)
    if not (place / RESULT).exists():
        START[launcher](place, n_workers, n_threads, watch)
    watch.look()
    result = Result.load(place)
    training.model.load_state_dict(result.state)
    return result.curve, result.sampling


def clear(config: TrainConfig, home: Path) -> None:
    """Removes all trainings from their folder: the night that they belong to is over. Workers that wait there then end."""
    folder = folder_of(config, home)
    (folder / NEXT).unlink(missing_ok=True)
    for job in folder.glob(f"*/{JOB}"):
        shutil.rmtree(job.parent, ignore_errors=True)
    with suppress(OSError):  # it is not there, or holds files of others
        folder.rmdir()


@dataclass
class Watch:
    """Reports the epochs of a training while its workers run. n_seen: number of reported epochs."""

    folder: Path
    n_workers: int
    on_epoch: OnEpoch | None = None
    n_seen: int = 0

    def look(self) -> None:
        """Reports new epochs. An epoch that is trained again after a restart is reported once."""
        with suppress(FileNotFoundError):
            for line in (self.folder / EPOCHS).read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # a worker was killed while it wrote the line
                    epoch, loss, judged, seconds = json.loads(line)
                    if epoch > self.n_seen:
                        self._report(epoch, loss, judged, seconds)

    def _report(self, epoch: int, loss: float, judged: float | None, seconds: float) -> None:
        self.n_seen = epoch
        text = "" if judged is None else f", validation NDCG@10 {judged:.4f}"
        log.info("epoch %d by %d workers: loss %.4f%s, %.0f s", epoch, self.n_workers, loss, text, seconds)
        if self.on_epoch is not None:
            self.on_epoch(epoch, loss, judged, seconds)


def _start_here(folder: Path, n_workers: int, n_threads: int, watch: Watch) -> None:
    """Workers on this machine, which meet at its loopback address. If one is lost, all start again from the last epoch."""
    lost, epochs = 0, 0
    while True:
        failed = _attempt(folder, n_workers, n_threads, watch)
        if failed is None or (folder / RESULT).exists():
            return
        lost, epochs = (lost + 1 if watch.n_seen == epochs else 1), watch.n_seen
        if lost > MAX_RESTARTS:
            raise WorkersError(
                f"a worker of {n_workers} was lost {lost} times since epoch {epochs}, the last time {failed}; look for its cause, such as "
                "too little memory, or train with fewer MINUTEHAND_TRAIN__WORKERS"
            )
        log.warning("a worker of %d was lost: %s; all start again after epoch %d", n_workers, failed, epochs)


def _attempt(folder: Path, n_workers: int, n_threads: int, watch: Watch) -> str | None:
    """Runs all workers to their end; how the first one that failed did so, None if none did."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": n_workers, "LOCAL_WORLD_SIZE": n_workers}
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(n_workers):
            own = {**shared, "RANK": rank, "LOCAL_RANK": rank, "GLOO_SOCKET_IFNAME": _loopback(), "OMP_NUM_THREADS": n_threads}
            with _log_of(folder, rank).open("wb") as sink:
                command = [sys.executable, "-m", "models.training.worker", str(folder), "--leashed"]
                workers.append(subprocess.Popen(command, env=_environment(own), cwd=ROOT, stdin=subprocess.PIPE, stdout=sink, stderr=sink))
        while True:
            codes = [worker.poll() for worker in workers]
            watch.look()
            failed = [rank for rank, code in enumerate(codes) if code]
            if failed:
                return _how(folder, failed[0], codes[failed[0]] or 0)
            if not any(code is None for code in codes):
                return None
            time.sleep(POLL_S)
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.communicate()


def _how(folder: Path, rank: int, code: int) -> str:
    """How a worker ended."""
    lines = _log_of(folder, rank).read_text(encoding="utf-8", errors="replace").splitlines()
    text = f" ({' | '.join(lines[-TAIL:])})" if code > 0 and lines else ""
    return f"rank {rank} by signal {-code}" if code < 0 else f"rank {rank} with code {code}{text}"


def _log_of(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.log"


def _loopback() -> str:
    """The name of the loopback interface of this machine."""
    return next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")


def _environment(own: dict[str, object]) -> dict[str, str]:
    """The environment of this process without settings, of which a worker needs none, as secrets are among them."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MINUTEHAND_", "PREFECT_", "MLFLOW_", "AWS_"))}
    return {**inherited, **{name: str(value) for name, value in own.items()}}


def _start_by_ray(folder: Path, n_workers: int, n_threads: int, watch: Watch) -> None:
    """Workers of Ray Train, on the cluster of RAY_ADDRESS or of this machine, else on a local one that ends with the training."""
    own = {
        "OMP_NUM_THREADS": n_threads,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TRAIN_V2_ENABLED": "1",
        "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",  # of a minute by default, in which a busy machine does not import torch
    }
    output = folder / "ray.log"
    with output.open("wb") as sink:
        command = [sys.executable, "-m", "models.training.by_ray", str(folder), str(n_workers), str(n_threads), "--leashed"]
        driver = subprocess.Popen(command, env=_environment(own), cwd=ROOT, stdin=subprocess.PIPE, stdout=sink, stderr=sink)
    try:
        while driver.poll() is None:
            watch.look()
            time.sleep(POLL_S)
    finally:
        driver.kill()
        driver.communicate()
    if driver.returncode:
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
        raise WorkersError(f"Ray could not train with {n_workers} workers: {' | '.join(lines[-TAIL:])}; the log is {output}")


def _wait_for_workers(folder: Path, n_workers: int, n_threads: int, watch: Watch) -> None:
    """Workers that somebody else starts; the file `next` tells them which job to do."""
    (folder.parent / NEXT).write_text(folder.name, encoding="utf-8")
    log.info("waiting for %d workers: python -m models.training.worker %s --waits", n_workers, folder.parent)
    seen, since = None, time.monotonic()
    while not (folder / RESULT).exists():
        watch.look()
        with suppress(FileNotFoundError):
            alive = (folder / ALIVE).stat().st_mtime_ns
            seen, since = (alive, time.monotonic()) if alive != seen else (seen, since)
        if time.monotonic() - since > PATIENCE_S:
            raise WorkersError(
                f"no worker has worked on {folder} for {PATIENCE_S / 60:.0f} minutes; start {n_workers} of them, such as by torchrun, with "
                f"-m models.training.worker {folder.parent} --waits, where this folder is the same one, or set "
                "MINUTEHAND_TRAIN__LAUNCHER=local"
            )
        time.sleep(POLL_S)


START: dict[str, Callable[[Path, int, int, Watch], None]] = {"local": _start_here, "ray": _start_by_ray, "torchrun": _wait_for_workers}
