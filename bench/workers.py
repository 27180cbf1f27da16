"""Training by one process and by several: python -m bench.workers [--data FOLDER] [--epochs 4] [--seeds 7 8] [--sampled].

Each row trains movietweetings for the same number of epochs as a night does, and ranks its test events: seconds of an epoch, judging
included, seconds of starting processes and handing over arrays, NDCG@10 of the best epoch on validation events and, with the blend, on test
events. Rows: one process with one thread, one with two threads, two with one thread each; the seeds show the noise between trainings.
Items have no text.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.table import keep, there
from models.evaluation.comparison import rank_recommender
from models.evaluation.protocols import make_task
from models.events import Events
from models.night import fit_past
from models.training.course import Course
from models.training.job import Training
from models.training.training import Curve, OnEpoch, Sampling
from settings import load as load_settings
from tasks.night.workers import trainer_of
from tasks.offline.files import Files, load
from tasks.process import use_threads

DATA = "movietweetings"
SETUPS = ((1, 1), (1, 2), (2, 1))
"""Numbers of processes, and of threads of each."""


def measure(events: Events, n_workers: int, n_threads: int, seed: int, course: Course) -> dict[str, float]:
    """One training."""
    settings = load_settings()
    use_threads(n_threads)
    train = settings.train.model_copy(update={"workers": n_workers})
    task = make_task("temporal", events, settings.evaluation, seed)
    trained: list[float] = []
    with tempfile.TemporaryDirectory(prefix="minutehand-") as folder:
        carry_out = trainer_of(train, Path(folder), n_workers * n_threads)

        def timed(training: Training, on_epoch: OnEpoch | None) -> tuple[Curve, Sampling | None]:
            begun = time.perf_counter()
            found = carry_out(training, on_epoch)
            trained.append(time.perf_counter() - begun)
            return found

        text = np.zeros((events.n_items, settings.model.dim), np.float32)
        evaluator, split, validation = task.evaluator, task.split, task.validation
        fit = fit_past(evaluator, split, validation, text, settings.model, train, seed, course=course, trainer=timed)
    ranking = task.rank(lambda judged, rows: rank_recommender(judged, fit.weights, fit.blend, rows))
    seconds = sum(fit.curve.seconds)
    return {
        "epoch_s": round(seconds / len(fit.curve.seconds), 1),
        "start_s": round(trained[0] - seconds, 1),
        "validation": round(max(fit.curve.validation), 4),
        "test": round(float(ranking.ndcg_at_10.mean()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8])
    parser.add_argument("--sampled", action="store_true", help="steps score a sample of the items")
    given = parser.parse_args()
    rows = []
    for name in there([DATA], given.data):
        events = load(Files(str(given.data / name / "interactions.parquet")), load_settings().ingest).dataset.events
        course = Course(given.epochs, ((0, given.epochs),), given.sampled)
        for n_workers, n_threads in SETUPS:
            for seed in given.seeds:
                row = {"workers": n_workers, "threads": n_threads, "seed": seed, **measure(events, n_workers, n_threads, seed, course)}
                print(row, flush=True)
                rows.append(row)
    keep("workers", rows)


if __name__ == "__main__":
    main()
