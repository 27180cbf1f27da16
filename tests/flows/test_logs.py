"""Logs and final state of a run: control characters are escaped, and an error that the user can fix is one line."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import Flow, flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
    TaskRunFilter,
    TaskRunFilterFlowRunId,
)
from prefect.states import State

from flows import logs
from flows.ingest import ingest
from flows.logs import is_news
from flows.maintain import maintain
from flows.minute import minute
from flows.nightly import nightly
from flows.promotion import promotion
from flows.stages import may_pass, stage
from models.errors import UserError
from tasks.lake import LakeError, LastingError
from tests.conftest import ROOT

HOSTILE = "x\x1b]52;c;cHduZWQ=\x07\x9b2J\u202e password='it\\'s SECRET'"
END = "from flows.logs import speak; from models.errors import UserError; speak(); raise {}"


def of_run(flow_run: UUID | None) -> LogFilter:
    """A filter for the log lines of one run: the server returns at most 200 lines, and earlier tests may have logged more."""
    assert flow_run is not None
    return LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run]))


def test_a_log_record_and_its_traceback_are_printable() -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        record = logging.LogRecord("minutehand", logging.ERROR, __file__, 1, "%s: %d %%", (HOSTILE, 3), sys.exc_info())
    assert logs.make_printable(record)
    shown = logging.Formatter().format(record)
    assert shown.startswith(r"x\x1b]52;c;cHduZWQ=\x07\x9b2J\u202e password=***: 3 %")
    assert "ValueError" in shown
    for hidden in ("\x1b", "\x07", "\x9b", "\u202e", "SECRET"):
        assert hidden not in shown


@pytest.mark.slow
def test_hostile_file_names_are_escaped_in_the_log_and_the_table_artifact(
    prefect_server: str, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = home / "landing" / "events"
    folder.mkdir(parents=True)
    name = "a\x1b[2J\u202e www.evil.example _x_\nforged.csv"
    (folder / name).write_text("who,what\nu,i\n")
    os.utime(folder / name, (0, 0))
    state: State = ingest(return_state=True)
    for handler in logging.getLogger("prefect.flow_runs").handlers:
        handler.flush()
    with get_client(sync_client=True) as client:
        run = state.state_details.flow_run_id
        messages = [line.message for line in client.read_logs(of_run(run))]
        found = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run])))
        artifacts = [str(artifact.data) for artifact in found if artifact.key == "ingest"]
    (warning, final_state) = [message for message in messages if "who" in message]
    assert state.is_failed()
    assert "LandingError" in final_state
    assert r"a\x1b[2J\u202e www.evil.example _x_\nforged.csv" in warning
    (table,) = artifacts
    assert r"`a\\x1b[2J\\u202e www.evil.example _x_\\nforged.csv`" in table
    for text in (*messages, *artifacts, *capfd.readouterr()):
        assert "\x1b[2J" not in text
        assert "\u202e" not in text


def test_a_failed_run_shows_no_password_and_no_control_character(prefect_server: str) -> None:
    logs.speak()

    @flow(name="hostile")
    def hostile() -> None:
        get_run_logger().warning("title %s", HOSTILE)
        logging.getLogger("minutehand.somewhere").warning("%s", HOSTILE)
        raise UserError(HOSTILE)

    state: State = hostile(return_state=True)
    for handler in logging.getLogger("prefect.flow_runs").handlers:
        handler.flush()
    with get_client(sync_client=True) as client:
        messages = [line.message for line in client.read_logs(of_run(state.state_details.flow_run_id))]
    assert r"title x\x1b]52;c;cHduZWQ=\x07\x9b2J\u202e password=***" in messages
    assert len([message for message in messages if r"\u202e" in message]) == 3
    for text in (*messages, str(state.message)):
        assert "SECRET" not in text
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)


class StubbornError(Exception):
    """An error whose text cannot be changed, like some errors of libraries."""

    def __str__(self) -> str:
        return HOSTILE


@pytest.mark.slow
@pytest.mark.parametrize(
    "error", [ValueError(HOSTILE), OSError(5, HOSTILE, HOSTILE), KeyError(HOSTILE), StubbornError()], ids=lambda error: type(error).__name__
)
def test_the_state_of_a_failed_run_shows_no_password_and_no_control_character_for_any_error(prefect_server: str, error: Exception) -> None:
    def fail() -> None:
        raise error

    @flow(name="hostile-error")
    @logs.printable_errors
    def hostile() -> None:
        stage("fail", fail)()

    state: State = hostile(return_state=True)
    wanted = TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    with get_client(sync_client=True) as client:
        (of_stage,) = client.read_task_runs(task_run_filter=wanted)
    for text in (str(state.message), str(of_stage.state and of_stage.state.message)):
        assert type(error).__name__ in text
        assert r"\x1b" in text
        assert "password=***" in text
        assert "SECRET" not in text
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)


@pytest.mark.parametrize(
    ("deployed", "first_call", "given"),
    [(ingest, "load", ()), (maintain, "load", ()), (minute, "load", ()), (nightly, "of_night", ()), (promotion, "load", ("1",))],
)
def test_the_errors_of_every_flow_are_made_printable(
    deployed: Flow[..., Any], first_call: str, given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError(HOSTILE)

    monkeypatch.setattr(sys.modules[deployed.fn.__module__], first_call, fail)
    with pytest.raises(ValueError, match=r"x\\x1b.* password=\*\*\*$"):
        deployed.fn(*given)


def test_a_printable_error_is_raised_unchanged() -> None:
    error = OSError(28, "No space left on device", "file")

    @logs.printable_errors
    def fail() -> None:
        raise error

    with pytest.raises(OSError) as raised:
        fail()
    assert raised.value is error
    assert raised.value.__cause__ is None


def record_of(error: Exception) -> logging.LogRecord:
    return logging.LogRecord("prefect.task_runs", logging.ERROR, "", 0, "", None, (type(error), error, None))


def test_a_traceback_is_logged_only_for_errors_that_the_user_cannot_fix() -> None:
    assert not is_news(record_of(UserError("no column; map it")))
    assert not is_news(record_of(RuntimeError("I/O error: No space left on device (os error 28)")))
    assert is_news(record_of(ZeroDivisionError("division by zero")))


def test_a_flow_started_by_python_prints_one_line_for_an_error_that_the_user_can_fix() -> None:
    def end(error: str) -> str:
        command = [sys.executable, "-c", END.format(error)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False).stderr

    assert end("UserError('no lake; make one')") == "error: no lake; make one\n"
    assert end("UserError('no file \x1b[2J')") == "error: no file \\x1b[2J\n"
    assert "password=***" in end("ValueError('password=SECRET')").splitlines()[-1]
    assert "ZeroDivisionError" in end("ZeroDivisionError('x')")


@pytest.mark.parametrize(
    ("error", "is_tried_again"),
    [
        (LakeError("another writer; wait"), True),
        (OSError("no answer"), True),
        (LastingError("the catalog is damaged; restore it"), False),
        (UserError("no column; map it"), False),
    ],
)
def test_only_errors_that_may_pass_in_five_seconds_are_retried(error: Exception, *, is_tried_again: bool) -> None:
    class Failed:
        data = error

    assert may_pass(None, None, Failed()) is is_tried_again  # type: ignore[arg-type]
