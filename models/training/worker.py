"""One process of a training over several: `python -m models.training.worker FOLDER`, with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT.

torchrun and the PyTorchJob of Kubernetes set these variables. FOLDER is that of a job. With --waits, it is the folder of all jobs, which a
night on any machine shares with its workers; they do one job after the other, and end when the night does.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from models.device import pick_device
from models.errors import UserError
from models.training.job import ALIVE, EPOCHS, NEXT, RESULT, Job, JobError, Result, Training
from models.training.ranks import Ranks
from models.training.training import N_SAMPLED_ITEMS, Sampling, choose_sampling, train

log = logging.getLogger("minutehand.worker")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SAMPLED = "sampled"
"""The file that says whether steps sample items."""
POLL_S, ALIVE_S = 0.5, 10.0
TIMEOUT = timedelta(minutes=30)
"""How long a worker waits for the others; the first rank judges and keeps an epoch meanwhile."""


def run(folder: Path) -> None:
    """Carries out the job in a folder, together with the other workers; the first of them writes the result."""
    if (folder / RESULT).exists():
        return
    about = Job.load(folder, torch.device("cpu"))
    torch.set_num_threads(about.n_threads)
    device = own_device(about.training.config.device)
    if not dist.is_initialized():  # Ray has done it
        meet(device)
    if dist.get_world_size() != about.n_workers:
        raise JobError(f"{folder} is a training for {about.n_workers} workers, and {dist.get_world_size()} came; start as many")
    _train(Job.load(folder, device), folder, device)


def wait_for_jobs(folder: Path) -> None:
    """Carries out the jobs that a night names in the file `next` of a folder, until the night removes it."""
    done: set[str] = set()
    while True:
        try:
            job = (folder / NEXT).read_text(encoding="utf-8")
        except FileNotFoundError:
            if done:
                return
            job = ""
        if job and job not in done:
            run(folder / job)
            done.add(job)
        else:
            time.sleep(POLL_S)


def _train(job: Job, folder: Path, device: torch.device) -> None:
    training = job.training
    model, events, config = training.model, training.events, training.config
    ranks = Ranks(device, folder)
    if ranks.rank == 0:
        threading.Thread(target=_say_alive, args=(folder,), daemon=True).start()
    sampling = _sampling(training, ranks, folder)

    def note(epoch: int, loss: float, judged: float | None, seconds: float) -> None:
        with (folder / EPOCHS).open("a", encoding="utf-8") as sink:
            sink.write(json.dumps([epoch, loss, judged, seconds]) + "\n")

    curve = train(
        *(model, events, replace(training.offsets, sampling=ranks.sampling(sampling)), config),
        seed=training.seed,
        n_epochs=training.n_epochs,
        course=training.course,
        judge=None if training.judge is None else ranks.judged(training.judge),
        on_epoch=note if ranks.rank == 0 else None,
        searches=training.searches,
        ranks=ranks,
    )
    if ranks.rank == 0:
        Result(model.state_dict(), curve, sampling).save(folder)
    dist.barrier()


def _say_alive(folder: Path) -> None:
    while not (folder / RESULT).exists():
        with suppress(OSError):  # the night removes the folder at its end
            (folder / ALIVE).touch()
        time.sleep(ALIVE_S)


def _sampling(training: Training, ranks: Ranks, folder: Path) -> Sampling | None:
    """How steps sample items; chosen once, as it depends on the clock, and not again after a restart."""
    file = folder / SAMPLED
    if not training.chooses:
        return training.offsets.sampling
    if ranks.agree(float(file.exists())):
        is_sampled = ranks.agree(float(file.exists() and file.read_text(encoding="utf-8") == "True"))
        return Sampling(training.events.n_items, N_SAMPLED_ITEMS) if is_sampled else None
    model, events, offsets, config = training.model, training.events, training.offsets, training.config
    chosen = choose_sampling(model, events, offsets, config, seed=training.seed, searches=training.searches, ranks=ranks)
    if ranks.rank == 0:
        file.write_text(str(chosen is not None), encoding="utf-8")
    return chosen


def own_device(name: str) -> torch.device:
    """The device of this worker: workers of one machine share its cards evenly."""
    device = pick_device(name)
    if device.type != "cuda":
        return device
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def meet(device: torch.device) -> None:
    """Waits for the other workers. Workers of one machine meet at its loopback address, where no other machine can join them.

    NCCL needs a card for each worker; otherwise gloo exchanges the gradients.
    """
    own_card = device.type == "cuda" and int(os.environ.get("LOCAL_WORLD_SIZE", "1")) <= torch.cuda.device_count()
    backend, address, rank = "nccl" if own_card else "gloo", os.environ["MASTER_ADDR"], int(os.environ["RANK"])
    if address not in LOOPBACK or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":  # torchrun's agent keeps the store
        dist.init_process_group(backend, timeout=TIMEOUT)
        return
    port, size = int(os.environ["MASTER_PORT"]), int(os.environ["WORLD_SIZE"])
    listener = socket.create_server((address, port)).detach() if rank == 0 else None  # torch itself would listen to all addresses
    store = dist.TCPStore(address, port, size, rank == 0, TIMEOUT, wait_for_workers=False, master_listen_fd=listener)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)


def end_with_parent() -> None:
    """Ends this process when its standard input closes, as that of its parent then has ended, however it did."""

    def wait() -> None:
        while os.read(0, 1024):  # sys.stdin has a lock, which the end of a process does not like to find taken
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the job")
    parser.add_argument("--waits", action="store_true", help="wait in the folder for the jobs of a night")
    parser.add_argument("--leashed", action="store_true", help="end when the standard input closes")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO if os.environ.get("RANK") == "0" else logging.WARNING, format="%(name)s - %(message)s")
    if given.leashed:
        end_with_parent()
    try:
        (wait_for_jobs if given.waits else run)(given.folder)
        if dist.is_initialized():
            dist.destroy_process_group()
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
