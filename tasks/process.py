"""This process: its threads, its memory, and the versions of what it runs."""

from __future__ import annotations

import gc
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import faiss
import torch

RESET = Path("/proc/self/clear_refs")


def versions() -> dict[str, str | None]:
    """What the figures were made with."""
    packages = ("minutehand", "torch", "numpy", "scipy", "polars", "duckdb")
    return {
        "python": platform.python_version(),
        "revision": git_revision(),
        "machine": platform.machine(),
        **{name: version(name) for name in packages},
    }


@contextmanager
def peak_memory() -> Iterator[Callable[[], float]]:
    """A function that gives the most memory, in MiB, that this process has had in RAM since the block began.

    Where the system does not let the mark be reset (all but Linux) it is the most since the process began. On Linux not ru_maxrss,
    which for a new process begins at the peak of the one that started it.
    """
    gc.collect()
    with suppress(OSError):
        RESET.write_text("5")
    yield peak_mib


def peak_mib() -> float:
    """The most memory, in MiB, that this process has had in RAM: since it began, or since the last block of peak_memory began."""
    try:
        marks = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(marks["VmHWM"].split()[0]) / 1024
    except (OSError, KeyError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def use_threads(n_threads: int) -> None:
    """Let torch and faiss, each of which brings its own OpenMP, take this many threads; 0 leaves them every processor."""
    if n_threads:
        torch.set_num_threads(n_threads)
        faiss.omp_set_num_threads(n_threads)


def git_revision() -> str | None:
    """The commit of the code, where it is run from a checkout."""
    root = Path(__file__).resolve().parent.parent
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=5)
    except OSError:
        return None
    return found.stdout.strip() or None
