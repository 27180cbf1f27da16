"""The fixtures of the lake and the registry."""

from __future__ import annotations

from tests.tasks.conftest import *  # noqa: F403
