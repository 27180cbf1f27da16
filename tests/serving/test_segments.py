"""The durable log: acknowledged means on disk, and every segment reaches the landing folder."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from serving import segments
from serving.segments import Segments, lines_of


def lines(*numbers: int) -> list[bytes]:
    return [json.dumps({"event_id": str(number)}).encode() for number in numbers]


def ids(folder: Path) -> list[str]:
    return [str(row["event_id"]) for path in sorted(folder.rglob("*.jsonl")) for row in lines_of(path)]


def test_what_is_acknowledged_is_on_disk_and_a_closed_segment_is_in_the_landing_folder(tmp_path: Path) -> None:
    log = Segments(tmp_path / "log", tmp_path / "landing")
    log.append(lines(1, 2)).result(5)
    log.append(lines(3)).result(5)
    assert ids(tmp_path / "log") == ["1", "2", "3"]
    log.close()
    assert ids(tmp_path / "landing") == ["1", "2", "3"]
    assert [path.name for path in (tmp_path / "landing" / "events" / "api").iterdir()] == [f"api-{path.name}" for path in log.all()]


def test_the_name_of_a_new_segment_is_on_disk_before_its_first_line_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(segments.os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}")))
    log = Segments(tmp_path / "log", tmp_path / "landing")
    for number in (1, 2):
        log.append(lines(number)).result(5)
        assert synced == [str(tmp_path / "log")]
    log.close()


def test_lines_that_may_be_lost_wake_nothing_and_are_written_with_the_next_ones_or_soon(tmp_path: Path) -> None:
    log = Segments(tmp_path / "log", tmp_path / "landing")
    log.append(lines(1), is_synced=False)
    log.append(lines(2)).result(5)
    assert sorted(ids(tmp_path / "log")) == ["1", "2"]
    alone = log.append(lines(3), is_synced=False)
    assert log._batches.empty()
    alone.result(5)
    assert ids(tmp_path / "log")[2:] == ["3"]
    log.append(lines(4), is_synced=False)
    log.close()
    assert ids(tmp_path / "landing")[2:] == ["3", "4"]


def test_a_segment_is_handed_over_after_its_time_and_kept_until_it_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SECONDS_OPEN", 0.1)
    log = Segments(tmp_path / "log", tmp_path / "landing")
    log.append(lines(1)).result(5)
    deadline = time.monotonic() + 10
    while not ids(tmp_path / "landing") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ids(tmp_path / "landing") == ids(tmp_path / "log") == ["1"]
    log.forget(log.closed())
    assert log.all() == []
    current = log.append(lines(2)).result(5)
    assert [path.stem for path in log.all()] == [current]
    assert log.closed() == [], "the open segment stays"
    log.close()


def test_a_batch_that_cannot_be_written_fails_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Segments(tmp_path / "log", tmp_path / "landing")
    log.append(lines(1)).result(5)
    write = os.write

    def full(file: int, data: bytes) -> int:
        write(file, data[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(segments.os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            log.append(lines(2)).result(5)
    log.append(lines(3)).result(5)
    log.close()
    assert ids(tmp_path / "log") == ["1", "3"]


def test_a_process_killed_at_any_moment_loses_no_acknowledged_line(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from serving.segments import Segments\n"
        "log = Segments(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "for n in range(10**6):\n"
        '    log.append([b\'{"event_id": "%d"}\' % n]).result()\n'
        "    print(n, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log"), str(tmp_path / "landing")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(50)]
    process.send_signal(signal.SIGKILL)
    acknowledged += process.stdout.read().split()
    process.stdout.close()
    process.wait()
    found = ids(tmp_path / "log")
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1
    Segments(tmp_path / "log", tmp_path / "landing").close()
    assert ids(tmp_path / "landing") == found, "the next start hands over what was left"


def test_a_line_that_a_crash_cut_off_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "1.jsonl"
    path.write_bytes(b'{"event_id": "1"}\n{"event_id": \n{"event_id": "3"}\n{"event_id": "4')
    found: list[Any] = [row["event_id"] for row in lines_of(path)]
    assert found == ["1", "3"]
    assert "a damaged line in 1.jsonl is skipped" in caplog.text
