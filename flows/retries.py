"""Which tasks are tried again: those that speak to a store, unless the error waits for the user."""

from __future__ import annotations

from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from models.errors import UserError
from tasks.lake import LakeError, LastingError
from tasks.registry.versions import RegistryError


def may_pass(task: Task, run: TaskRun, state: State) -> bool:
    """Whether an error may be gone in five seconds: a store that did not answer, but nothing that waits for the user."""
    error = state.data
    if isinstance(error, LastingError):
        return False
    return not isinstance(error, UserError) or isinstance(error, LakeError | RegistryError)


with_retries: dict[str, Any] = {"retries": 2, "retry_delay_seconds": 5, "retry_condition_fn": may_pass, "cache_policy": NO_CACHE}
