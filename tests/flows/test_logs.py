"""What a run says about an error that the user can mend, and what it leaves out."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from flows.logs import is_news
from flows.stages import may_pass
from models.errors import UserError
from tasks.lake import LakeError, LastingError
from tests.conftest import ROOT

END = "from flows.logs import speak; from models.errors import UserError; speak(); raise {}"


def record_of(error: Exception) -> logging.LogRecord:
    return logging.LogRecord("prefect.task_runs", logging.ERROR, "", 0, "", None, (type(error), error, None))


def test_a_traceback_is_logged_only_for_what_the_user_cannot_mend() -> None:
    assert not is_news(record_of(UserError("no column; map it")))
    assert not is_news(record_of(RuntimeError("I/O error: No space left on device (os error 28)")))
    assert is_news(record_of(ZeroDivisionError("division by zero")))


def test_a_flow_started_by_python_ends_in_one_line_where_the_user_can_mend_it() -> None:
    def end(error: str) -> str:
        command = [sys.executable, "-c", END.format(error)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False).stderr

    assert end("UserError('no lake; make one')") == "error: no lake; make one\n"
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
def test_only_what_may_be_gone_in_five_seconds_is_tried_again(error: Exception, *, is_tried_again: bool) -> None:
    class Failed:
        data = error

    assert may_pass(None, None, Failed()) is is_tried_again  # type: ignore[arg-type]
