"""The current process: threads, memory, and versions of its software."""

from __future__ import annotations

import ctypes
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
    """Versions of the software behind a run's figures. None: the version is unknown, which must not fail a long run."""
    packages = ("minutehand", "torch", "numpy", "scipy", "polars", "duckdb")
    return {
        "python": platform.python_version(),
        "revision": git_revision(),
        "machine": platform.machine(),
        **{name: package_version(name) for name in packages},
    }


def package_version(name: str) -> str | None:
    """The installed version of a package; None if it is not installed as a package, as in a bare checkout."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@contextmanager
def peak_memory() -> Iterator[Callable[[], float]]:
    """A function that returns the peak resident memory of this process, in MiB, since the block began.

    Only Linux can reset the peak; elsewhere it counts from the start of the process. On Linux, ru_maxrss would be wrong: a new
    process inherits the peak of its parent.
    """
    gc.collect()
    with suppress(OSError):
        RESET.write_text("5")
    yield peak_mib


def peak_mib() -> float:
    """The peak resident memory, in MiB, since the process started or since the last block of peak_memory began."""
    try:
        marks = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(marks["VmHWM"].split()[0]) / 1024
    except (OSError, KeyError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def use_threads(n_threads: int) -> None:
    """Set the number of threads of torch and faiss, which have separate OpenMP runtimes; 0 lets them use every processor."""
    if n_threads:
        torch.set_num_threads(n_threads)
        faiss.omp_set_num_threads(n_threads)


def give_back_memory() -> None:
    """Return memory that the allocator keeps for later to the system; only glibc can be asked."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def git_revision(root: Path = ROOT) -> str | None:
    """The commit of the code if it runs from a checkout; None if git does not return one in time."""
    if not (root / ".git").exists():  # git would search parent folders and return the commit of an unrelated repository
        return None
    command = ["git", "rev-parse", "--verify", "HEAD"]
    try:
        found = subprocess.run(
            command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
    return found if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", found) else None
