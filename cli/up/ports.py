"""Finds the process that listens on a port. Imports only the standard library."""

from __future__ import annotations

import socket
from pathlib import Path

LISTENING = "0A"


def is_free(host: str, port: int) -> bool:
    """Whether a server can listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """The process that listens on a port, as 'process 12 (command line)'; 'another process' if /proc does not show it."""
    inodes = _listening_inodes(port)
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue  # the process has ended, or belongs to another user
        if target.removeprefix("socket:[").removesuffix("]") in inodes:
            pid = descriptor.parts[2]
            return f"process {pid} ({command_line(int(pid))})"
    return "another process"


def command_line(pid: int) -> str:
    """The command line of a process; empty if the process has ended or /proc does not show it."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(fields[9])
    return inodes
