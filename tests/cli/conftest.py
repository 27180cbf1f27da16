"""The servers that the tests of `minutehand doctor` need."""

from __future__ import annotations

from tests.stores import bucket, object_store
from tests.tasks.conftest import postgres_port

__all__ = ["bucket", "object_store", "postgres_port"]
