"""What the commands ask of a home before they start Prefect and MLflow in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.environment import check_writable
from models.errors import UserError


def test_a_home_that_nothing_can_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"^cannot write to the home folder .*file: .*; make it writable for you, or set MINUTEHAND_HOME"
    ) as caught:
        check_writable(tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_a_home_is_probed_without_a_trace(tmp_path: Path) -> None:
    check_writable(tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["mlflow"]
