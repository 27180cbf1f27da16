"""The durable log of posted events: segment files that the ingest takes in from the landing folder."""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("minutehand.serving")
SECONDS_OPEN = 5.0
"""A segment is handed to the ingest after this time."""


@dataclass(frozen=True)
class Batch:
    """Lines to write together, and the promise that they are on disk."""

    lines: list[bytes]
    done: Future[None]


class Segments:
    """Appends lines durably. Lines of several callers share one fdatasync; a segment moves to the landing folder when it is closed.

    A segment stays in `folder` until `forget` says that a publication contains its events, so that a restart finds them.
    """

    def __init__(self, folder: Path, landing: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        landing.mkdir(parents=True, exist_ok=True)
        self.folder, self.landing = folder, landing
        self._batches: queue.Queue[Batch | None] = queue.Queue()
        self._file: int | None = None
        self._path = folder / "none"
        self._opened = 0.0
        for path in self.all():
            self._hand_over(path)
        self._thread = threading.Thread(target=self._run, name="segments", daemon=True)
        self._thread.start()

    def append(self, lines: list[bytes]) -> Future[None]:
        """A promise that the lines are on disk; it fails with OSError if they cannot be written."""
        batch = Batch(lines, Future())
        self._batches.put(batch)
        return batch.done

    def close(self) -> None:
        """Write what waits, and hand over the last segment."""
        self._batches.put(None)
        self._thread.join()

    def all(self) -> list[Path]:
        """The segments that are kept, oldest first."""
        return sorted(self.folder.glob("*.jsonl"))

    def forget(self, path: Path) -> None:
        """Delete a segment whose events are published; the open one stays."""
        if path != self._path:
            path.unlink(missing_ok=True)

    def _run(self) -> None:
        while True:
            try:
                first = self._batches.get(timeout=0.5)
            except queue.Empty:
                self._rotate()
                continue
            batches: list[Batch] = []
            is_last = first is None
            if first is not None:
                batches.append(first)
            while not is_last and not self._batches.empty():
                more = self._batches.get()
                is_last = more is None
                if more is not None:
                    batches.append(more)
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
            data = b"".join(line + b"\n" for batch in batches for line in batch.lines)
            before = os.fstat(self._file).st_size
            try:
                written = 0
                while written < len(data):
                    written += os.write(self._file, data[written:])
                os.fdatasync(self._file)
            except OSError:
                os.ftruncate(self._file, before)  # nothing of a batch that is not acknowledged stays
                raise
        except OSError as error:
            log.error("posted events cannot be written to %s: %s", self.folder, error.strerror or error)
            for batch in batches:
                batch.done.set_exception(error)
            return
        for batch in batches:
            batch.done.set_result(None)

    def _rotate(self, *, at_once: bool = False) -> None:
        if self._file is None or (not at_once and time.monotonic() - self._opened < SECONDS_OPEN):
            return
        os.close(self._file)
        path, self._file, self._path = self._path, None, self.folder / "none"
        self._hand_over(path)

    def _hand_over(self, path: Path) -> None:
        """Give a copy to the landing folder; a second one of the same events changes nothing there."""
        target, hidden = self.landing / f"api-{path.name}", self.landing / f".{path.name}.tmp"
        try:
            hidden.unlink(missing_ok=True)
            hidden.write_bytes(path.read_bytes())
            hidden.rename(target)
        except OSError as error:
            log.error("%s cannot be handed to %s, the next start tries again: %s", path.name, self.landing, error.strerror or error)


def lines_of(path: Path) -> list[dict[str, object]]:
    """The events of a segment; a line that was cut off by a crash was never acknowledged and is skipped."""
    found = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            found.append(json.loads(line))
        except ValueError:
            log.warning("a damaged line in %s is skipped", path.name)
    return found
