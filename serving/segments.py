"""The durable log of what the API takes in: segment files that the ingest takes in from the landing folder."""

from __future__ import annotations

import errno
import json
import logging
import os
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.ingest.log_names import LogKind, folder_of

log = logging.getLogger("minutehand.serving")
SECONDS_OPEN = 5.0
"""A segment is handed to the ingest after this time."""
SECONDS_WAITING = 0.5
"""Lines that need not be on disk wait at most this long for others."""
SECONDS_UNTIL_AGAIN = 600.0
"""A segment that no publication contains after this time is handed over again: its copy may have been renamed or deleted."""
KINDS: Mapping[str, LogKind] = {"item": "items", "alias": "aliases", "served": "served"}
"""Kind of a line by its first field, `kind`. A line without one is an event."""
_STARTS: Mapping[bytes, LogKind] = {b'{"kind": "%s", ' % name.encode(): kind for name, kind in KINDS.items()}


@dataclass(frozen=True)
class Batch:
    """Lines to write together, and the promise of the segment that has them. is_synced: whether the promise waits for the disk."""

    lines: list[bytes]
    done: Future[str]
    is_synced: bool


class Segments:
    """Appends lines durably. Lines of several callers share one fdatasync; a closed segment is copied to the landing folder.

    The landing folder gets one file per segment and kind. A segment stays in `folder` until `forget` says that a publication contains
    it, so that a restart finds its lines. n_lines: number of lines by kind of each segment that is kept.
    """

    def __init__(self, folder: Path, landing: Path) -> None:
        """folder: of the log. landing: the landing folder itself."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.landing = folder, landing
        for kind in ("events", *KINDS.values()):
            folder_of(landing, kind).mkdir(parents=True, exist_ok=True)
        self.n_lines: dict[str, Counter[LogKind]] = {}
        self._handed_over: dict[str, float] = {}
        self._batches: queue.Queue[Batch | None] = queue.Queue()
        self._unsynced: deque[Batch] = deque()
        self._file: int | None = None
        self._path = folder / "none"
        self._opened = 0.0
        for path in self.all():
            self._hand_over(path)
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="segments", daemon=True)
        self._thread.start()

    def append(self, lines: list[bytes], *, is_synced: bool = True) -> Future[str]:
        """A promise of the segment that has the lines, kept once they are on disk; it fails with OSError if they cannot be written.

        is_synced: False for lines that a crash may lose. They wake no thread: they are written with the next others, or after
        SECONDS_WAITING.
        """
        batch = Batch(lines, Future(), is_synced)
        if self._is_closed:
            batch.done.set_exception(OSError(errno.ESHUTDOWN, "the server is stopping"))
        elif is_synced:
            self._batches.put(batch)
        else:
            self._unsynced.append(batch)
        return batch.done

    def close(self) -> None:
        """Write what waits, and hand over the last segment."""
        self._is_closed = True
        self._batches.put(None)
        self._thread.join()

    def all(self) -> list[Path]:
        """The segments that are kept, oldest first."""
        return sorted(self.folder.glob("*.jsonl"))

    def closed(self) -> list[str]:
        """The names of the kept segments to which nothing is appended any more, oldest first."""
        return sorted(name for name in list(self._handed_over) if name in self.n_lines)

    def is_kept(self, name: str) -> bool:
        """Whether a segment is not forgotten."""
        return name in self.n_lines

    def forget(self, names: Collection[str]) -> None:
        """Delete closed segments whose lines are published."""
        for name in names:
            (self.folder / f"{name}.jsonl").unlink(missing_ok=True)
            self.n_lines.pop(name, None)
            self._handed_over.pop(name, None)

    def hand_over_again(self) -> None:
        """Hand over the segments that are still kept a long time after they were handed over."""
        now = time.monotonic()
        for name in list(self._handed_over):
            if now - self._handed_over.get(name, now) > SECONDS_UNTIL_AGAIN:
                self._hand_over(self.folder / f"{name}.jsonl")

    def _run(self) -> None:
        while True:
            batches: list[Batch] = []
            is_last = False
            with suppress(queue.Empty):
                more = self._batches.get(timeout=SECONDS_WAITING)
                while more is not None:
                    batches.append(more)
                    more = self._batches.get_nowait()
                is_last = True
            while self._unsynced:
                batches.append(self._unsynced.popleft())
            if batches:
                self._write(batches)
            self._rotate(at_once=is_last)
            if is_last:
                return

    def _write(self, batches: list[Batch]) -> None:
        try:
            if self._file is None:
                self._path = self.folder / f"{time.time_ns():020d}.jsonl"
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL, 0o600)
                self._opened = time.monotonic()
                self._sync_folder()  # otherwise a power cut could lose the name of the file with all that is acknowledged
                self.n_lines[self._path.stem] = Counter()
            lines = [line for batch in batches for line in batch.lines]
            data = b"".join(line + b"\n" for line in lines)
            before = os.fstat(self._file).st_size
            try:
                written = 0
                while written < len(data):
                    written += os.write(self._file, data[written:])
                if any(batch.is_synced for batch in batches):
                    os.fdatasync(self._file)
            except OSError:
                self._cut(before)
                raise
        except OSError as error:
            log.error("posted lines cannot be written to %s: %s", self.folder, error.strerror or error)
            for batch in batches:
                batch.done.set_exception(error)
            return
        self.n_lines[self._path.stem].update(kind_of(line) for line in lines)
        for batch in batches:
            batch.done.set_result(self._path.stem)

    def _sync_folder(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _rotate(self, *, at_once: bool = False) -> None:
        if self._file is None or (not at_once and time.monotonic() - self._opened < SECONDS_OPEN):
            return
        try:
            os.fdatasync(self._file)
        except OSError as error:
            log.error("%s cannot be written to the disk: %s", self._path.name, error.strerror or error)
        self._close_file()

    def _cut(self, size: int) -> None:
        """Remove a batch that is not acknowledged from the open segment; if that fails too, nothing is appended to it any more."""
        assert self._file is not None, "a segment is open"
        try:
            os.ftruncate(self._file, size)
        except OSError:
            with suppress(OSError):
                os.write(self._file, b"\n")  # what was cut off does not touch another line
            self._close_file()

    def _close_file(self) -> None:
        file, path, self._file, self._path = self._file, self._path, None, self.folder / "none"
        if file is not None:
            try:
                os.close(file)
            except OSError as error:
                log.error("%s cannot be closed: %s", path.name, error.strerror or error)
            self._hand_over(path)

    def _hand_over(self, path: Path) -> None:
        """Give copies to the landing folder, one per kind; a second one of the same lines changes nothing there."""
        try:
            self._handed_over[path.stem] = time.monotonic()
            whole = path.read_bytes()
            lines: dict[LogKind, list[bytes]] = {}
            for line in whole.split(b"\n")[:-1]:  # a last line that a crash cut off was never acknowledged
                lines.setdefault(kind_of(line), []).append(without_kind(line) + b"\n")
            self.n_lines[path.stem] = Counter({kind: len(some) for kind, some in lines.items()})
            for kind, some in lines.items():
                self._put(folder_of(self.landing, kind), path.name, b"".join(some))
        except OSError as error:
            log.error(
                "%s cannot be handed to %s, it will be tried again in %d minutes: %s",
                *(path.name, self.landing, SECONDS_UNTIL_AGAIN // 60, error.strerror or error),
            )

    @staticmethod
    def _put(folder: Path, name: str, content: bytes) -> None:
        target, hidden = folder / f"api-{name}", folder / f".{name}.tmp"
        if target.exists() and target.stat().st_size == len(content):  # it waits there since it was handed over last
            return
        hidden.unlink(missing_ok=True)
        hidden.write_bytes(content)
        hidden.rename(target)


def kind_of(line: bytes) -> LogKind:
    """What a line of the log is."""
    return next((kind for start, kind in _STARTS.items() if line.startswith(start)), "events")


def without_kind(line: bytes) -> bytes:
    """A line as the ingest reads it: without its kind."""
    return next((b"{" + line[len(start) :] for start in _STARTS if line.startswith(start)), line)


def line_of(kind: str, row: Mapping[str, Any]) -> bytes:
    """The line of a row that is no event. kind: one of KINDS."""
    return json.dumps({"kind": kind, **row}, ensure_ascii=False).encode("utf-8", "replace")


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a segment; a line that was cut off by a crash was never acknowledged and is skipped."""
    found = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            found.append(json.loads(line))
        except ValueError:
            log.warning("a damaged line in %s is skipped", path.name)
    return found
