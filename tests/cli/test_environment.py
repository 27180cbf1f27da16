"""What the commands ask of a home before they start Prefect and MLflow in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.environment import check_writable
from cli.lake import registry_of
from models.errors import UserError
from settings import load


def test_a_home_that_nothing_can_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"^cannot write to the home folder .*file: .*; make it writable for you, or set MINUTEHAND_HOME"
    ) as raised:
        check_writable(tmp_path / "file")
    assert "\n" not in str(raised.value)


def test_a_home_is_probed_without_a_trace(tmp_path: Path) -> None:
    check_writable(tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["mlflow"]


def test_whoever_opens_the_registry_reaches_its_store_with_the_settings_and_sends_no_telemetry(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", os.environ.copy())
    for name in [name for name in os.environ if name.startswith(("AWS_", "MLFLOW_"))]:
        del os.environ[name]
    for name, value in (("ENDPOINT", "store.example:9000"), ("KEY_ID", "key-of-the-settings"), ("SECRET", "secret-of-the-settings")):
        os.environ[f"MINUTEHAND_STORE__{name}"] = value
    registry_of(load())
    assert os.environ["AWS_ACCESS_KEY_ID"] == "key-of-the-settings"
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "secret-of-the-settings"
    assert os.environ["MLFLOW_S3_ENDPOINT_URL"] == "https://store.example:9000"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
