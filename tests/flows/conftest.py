"""One Prefect server for all tests of flows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores import bucket, object_store
from tests.tasks.conftest import postgres_port

__all__ = ["bucket", "object_store", "postgres_port", "prefect_server"]


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """A server with its own database, for flows run in this process; yields the address of its API."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=300):
        yield str(PREFECT_API_URL.value())
