"""A training by workers of Ray Train: `python -m models.training.by_ray FOLDER WORKERS THREADS`.

The workers run on the cluster of RAY_ADDRESS, or on that of this machine; without one, on a local cluster that ends with the training.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from models.device import CPU
from models.training.job import RESULT, Job
from models.training.worker import end_with_parent, run

ROOT = Path(__file__).resolve().parent.parent.parent
MAX_FAILURES = 3


def work(given: dict[str, Any]) -> None:
    """One worker; Ray has joined it with the others."""
    run(Path(given["folder"]))


def connect(n_workers: int, n_threads: int) -> None:
    """Joins a running cluster, or starts one that only this machine can reach."""
    own = {"env_vars": {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(n_threads)}}
    try:
        ray.init(address=os.environ.get("RAY_ADDRESS", "auto"), runtime_env=own)
    except ConnectionError:
        own["env_vars"]["GLOO_SOCKET_IFNAME"] = "lo"
        n_processors = n_workers * n_threads
        ray.init(address="local", num_cpus=n_processors, include_dashboard=False, _node_ip_address="127.0.0.1", runtime_env=own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the job, which all nodes can read and write")
    parser.add_argument("workers", type=int)
    parser.add_argument("threads", type=int, help="of each worker")
    parser.add_argument("--leashed", action="store_true", help="end when the standard input closes")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(name)s - %(message)s")
    if given.leashed:
        end_with_parent()
    device = Job.load(given.folder, CPU).training.config.device
    connect(given.workers, given.threads)
    TorchTrainer(
        work,
        train_loop_config={"folder": str(given.folder.resolve())},
        scaling_config=ScalingConfig(num_workers=given.workers, resources_per_worker={"CPU": given.threads}, use_gpu=device == "cuda"),
        run_config=RunConfig(storage_path=str(given.folder.resolve() / "ray"), failure_config=FailureConfig(max_failures=MAX_FAILURES)),
    ).fit()
    if not (given.folder / RESULT).exists():
        sys.exit("the workers ended without a result")


if __name__ == "__main__":
    main()
