"""Child processes that are started, watched and stopped together, each with its whole process group."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from models.errors import UserError

START_TIMEOUT_S = 180.0


class ChildError(UserError):
    """A child process died or did not come up; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class Child:
    """One child; the leader of its own process group, so that Ctrl-C in the terminal reaches only its parent."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def demand_alive(self) -> None:
        """Raise ChildError if the child has ended."""
        code = self.process.poll()
        if code is not None:
            raise ChildError(f"{self.name} ended with code {code}; the end of {self.log}:\n{tail(self.log)}")


def start(
    name: str,
    command: Sequence[str],
    logs: Path,
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    watches_us: bool = False,
) -> Child:
    """Start a child that writes to logs/<name>.log, which starts empty.

    environment: this process's own if not given. watches_us: the child's standard input is a pipe that closes when this process
    ends, however it ends, so that the child can end with it.
    """
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name.lower().replace(' ', '-')}.log"
    stdin = subprocess.PIPE if watches_us else subprocess.DEVNULL
    log.write_bytes(b"")
    with log.open("ab") as sink:  # upkeep may empty the file
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=stdin, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
    return Child(name, process, log)


def await_answer(url: str, child: Child, patience_s: float = START_TIMEOUT_S) -> None:
    """Wait until the address answers; ChildError if the child ends first or takes too long."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        child.demand_alive()
        if answers(url):
            return
        time.sleep(0.1)
    raise ChildError(f"{child.name} did not answer at {url} within {patience_s:.0f} s; the end of {child.log}:\n{tail(child.log)}")


def answers(url: str, patience_s: float = 5.0) -> bool:
    """Whether the address answers with 200."""
    import urllib.error
    import urllib.request

    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # requests to servers on this machine never use a proxy
    try:
        with direct.open(url, timeout=patience_s) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def stop(children: Sequence[Child], patience_s: float = 10.0) -> None:
    """Send SIGTERM to each child's group, and SIGKILL to the groups that remain after patience_s; returns when all have ended."""
    for child in children:
        signal_group(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, deadline - time.monotonic()))
        signal_group(child.pid, signal.SIGKILL)
        child.process.wait()
        if child.process.stdin:
            child.process.stdin.close()
    while any(group_lives(child.pid) for child in children) and time.monotonic() < deadline + patience_s:
        time.sleep(0.02)  # a killed grandchild holds its ports for a moment more


def with_environment(*variables: str) -> list[int]:
    """Processes whose environment has all of these NAME=VALUE; none if there is no /proc, as on systems other than Linux."""
    wanted = {variable.encode() for variable in variables}
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted <= set(environ.read_bytes().split(b"\0")):
                found.append(int(environ.parent.name))
        except OSError:
            continue  # the process has ended, or belongs to another user
    return found


def end(find: Callable[[], list[int]], patience_s: float = 10.0) -> None:
    """Send SIGTERM to the processes found, and SIGKILL to those still found after patience_s."""
    deadline = time.monotonic() + patience_s
    asked: set[tuple[int, int]] = set()
    while left := find():
        if time.monotonic() > deadline + patience_s:
            return
        number = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
        for pid in left:
            if (pid, number) not in asked:
                asked.add((pid, number))
                _signal(pid, number)
        time.sleep(0.05)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def signal_group(leader: int, number: int) -> bool:
    """Send a signal to a process group. Returns whether the signal was sent."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def group_lives(leader: int) -> bool:
    """Whether a process of the group still runs; zombies do not count."""
    if not Path("/proc/self/stat").exists():
        return signal_group(leader, 0)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue  # it ended while we looked
        if int(group) == leader and state not in "ZX":
            return True
    return False


def tail(log: Path, n_lines: int = 12) -> str:
    """The last lines of a log."""
    lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    return "\n".join(f"    {line}" for line in lines[-n_lines:])
