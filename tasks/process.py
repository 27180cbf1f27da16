"""This process: its threads, its memory, and the versions of what it runs."""

from __future__ import annotations

import gc
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import faiss
import torch

RESET = Path("/proc/self/clear_refs")
ROOT = Path(__file__).resolve().parent.parent
GIT_TIMEOUT_S = 5.0


def versions() -> dict[str, str | None]:
    """What the figures were made with. None stands for what cannot be found out: hours of work must not fail on it."""
    packages = ("minutehand", "torch", "numpy", "scipy", "polars", "duckdb")
    return {
        "python": platform.python_version(),
        "revision": git_revision(),
        "machine": platform.machine(),
        **{name: package_version(name) for name in packages},
    }


def package_version(name: str) -> str | None:
    """The installed version of a package; None where it was not installed as a package, as in a bare checkout."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


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
    except (OSError, KeyError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def use_threads(n_threads: int) -> None:
    """Let torch and faiss, each of which brings its own OpenMP, take this many threads; 0 leaves them every processor."""
    if n_threads:
        torch.set_num_threads(n_threads)
        faiss.omp_set_num_threads(n_threads)


def git_revision(root: Path = ROOT) -> str | None:
    """The commit of the code, where it is run from a checkout; None whenever git does not name one in time."""
    if not (root / ".git").exists():  # git would look further up, and name the commit of the folder that this is installed in
        return None
    command = ["git", "rev-parse", "--verify", "HEAD"]
    try:
        found = subprocess.run(
            command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
    return found if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", found) else None
