"""Shared fixtures of the tests of models."""

from __future__ import annotations

import pytest

from models import device


@pytest.fixture
def fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without fast bf16."""
    monkeypatch.setattr(device, "has_fast_bf16", lambda device: False)
