"""Training speed of the sequence model: python -m bench.training [--data FOLDER].

The first steps of an epoch on movielens-1m (histories of 200 events) and p5-beauty (of 50), split as for leave-one-out:
events per second, the resulting duration of an epoch, and the share of the machine's peak, which is measured with a product of
two square matrices of the same number type.
Items have no text, because the cost of the text head does not depend on the vectors.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.table import keep, there
from models.device import matmul_dtype, pick_device
from models.evaluation.protocols import make_task
from models.events import Events, training_windows
from models.night import fit_prior, new_model, training_offsets
from models.sequence.streams import bucket_by_length, make_batch
from models.training.training import descend, make_optimizers, step_loss
from settings import load as load_settings
from tasks.offline.files import Files, load

DATA = {"movielens-1m": 200, "p5-beauty": 50}
N_WARM, N_TIMED, SIDE = 5, 25, 2048


def best_of(work: Callable[[], object], n: int) -> float:
    """Seconds of the fastest of n calls."""
    seconds = []
    for _ in range(n):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def matmul_peak(device: torch.device) -> float:
    """Operations per second in a product of two square matrices; a multiplication and an addition count as two."""
    one = torch.randn(SIDE, SIDE, device=device).to(matmul_dtype(device))

    def product() -> None:
        one @ one
        if device.type == "cuda":
            torch.cuda.synchronize()

    return float(2 * SIDE**3 / best_of(product, 10))


def measure(events: Events, max_events: int, seed: int) -> dict[str, float]:
    """Measure one data set: timed steps after a few warm-up steps."""
    settings = load_settings()
    device = pick_device(settings.train.device)
    config = settings.model.model_copy(update={"max_events": max_events})
    task = make_task("leave-one-out", events, settings.evaluation, seed)
    prior = fit_prior(task.train, task.evaluator.slots)
    offsets = training_offsets(task.train, task.evaluator.slots, prior, device)
    model = new_model(config, np.zeros((events.n_items, config.dim), np.float32), events.n_kinds, device, seed).train()
    optimizers = make_optimizers(model, settings.train, is_sampled=offsets.sampling is not None)
    windows = training_windows(task.train, max_events)
    groups = list(bucket_by_length(windows.length, settings.train.batch_events, np.random.default_rng(seed)))[: N_WARM + N_TIMED]
    n_events = int(sum(windows.length[group].sum() for group in groups[N_WARM:]))

    def steps(some: list[np.ndarray]) -> None:
        for which in some:
            descend(step_loss(model, make_batch(task.train, windows, which), task.train, offsets), optimizers)

    steps(groups[:N_WARM])
    begun = time.perf_counter()
    steps(groups[N_WARM:])
    seconds = time.perf_counter() - begun
    with FlopCounterMode(display=False) as counter:
        steps(groups[N_WARM:])
    rate = n_events / seconds
    return {
        "events_per_s": round(rate),
        "epoch_s": round(len(task.train) / rate, 1),
        "gflop_per_s": round(counter.get_total_flops() / seconds / 1e9),
        "share_of_peak": round(counter.get_total_flops() / seconds / matmul_peak(device), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    settings = load_settings()
    rows = []
    for name in there(DATA, arguments.data):
        files = Files(str(arguments.data / name / "interactions.parquet"))
        events = load(files, settings.ingest, by_position=True, threads=settings.threads).dataset.events
        rows.append({"data": name, "threads": torch.get_num_threads(), **measure(events, DATA[name], settings.seed)})
    keep("training", rows)


if __name__ == "__main__":
    main()
