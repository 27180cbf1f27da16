"""What Prefect keeps of a run: no control character, no password and no link comes from the data."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest
from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.states import State

from flows import logs
from flows.ingest import ingest
from models.errors import UserError

HOSTILE = "x\x1b]52;c;cHduZWQ=\x07\x9b2J\u202e password='it\\'s SECRET'"


def test_a_line_of_a_log_is_printable_with_its_traceback() -> None:
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


def test_the_log_and_the_tables_of_a_run_show_hostile_file_names(
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
        messages = [line.message for line in client.read_logs() if line.flow_run_id == run]
        artifacts = [str(found.data) for found in client.read_artifacts() if found.flow_run_id == run and found.key == "ingest"]
    (told,) = [message for message in messages if "failed" in message and "who" in message]
    assert r"a\x1b[2J\u202e www.evil.example _x_\nforged.csv" in told
    (table,) = artifacts
    assert r"`a\\x1b[2J\\u202e www.evil.example _x_ forged.csv`" in table
    for text in (*messages, *artifacts, *capfd.readouterr()):
        assert "\x1b[2J" not in text
        assert "\u202e" not in text


def test_a_run_that_fails_tells_no_password_and_moves_no_cursor(prefect_server: str) -> None:
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
        messages = [line.message for line in client.read_logs() if line.flow_run_id == state.state_details.flow_run_id]
    assert r"title x\x1b]52;c;cHduZWQ=\x07\x9b2J\u202e password=***" in messages
    assert len([message for message in messages if r"\u202e" in message]) == 3
    for text in (*messages, str(state.message)):
        assert "SECRET" not in text
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)
