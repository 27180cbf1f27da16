"""The servers that the tests of erasures need."""

from __future__ import annotations

from tests.flows.conftest import postgres_port, prefect_server

__all__ = ["postgres_port", "prefect_server"]
