"""The stages of a run: each logs its seconds, and the long ones are tasks that Prefect shows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from flows.logs import printable_errors
from models.errors import UserError
from tasks.lake import LakeError, LastingError
from tasks.registry.errors import RegistryError

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger("minutehand.stages")


def stage(name: str, work: Callable[P, R]) -> Callable[P, R]:
    """The work as a Prefect task that runs once: an error of learning would only come again."""
    return task(name=name, cache_policy=NO_CACHE)(_timed(name, work))


def retried(name: str, work: Callable[P, R], run_name: str | None = None) -> Callable[P, R]:
    """The work as a Prefect task that runs up to three times, for work that speaks to a store.

    run_name: what Prefect calls one run of it, as a template over the parameters of the work.
    """
    as_task = task(name=name, task_run_name=run_name, retries=2, retry_delay_seconds=5, retry_condition_fn=may_pass, cache_policy=NO_CACHE)
    return as_task(_timed(name, work))


@contextmanager
def timed(name: str) -> Iterator[None]:
    """A stage without a Prefect task, whose database writes would cost more than the work itself."""
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    logger.info("%s: %.2f s", name, seconds, extra={"stage": name, "seconds": seconds})


def may_pass(task: Task[..., object], run: TaskRun, state: State[object]) -> bool:
    """Whether an error may be gone in five seconds: a store that did not answer, but nothing that waits for the user."""
    error = state.data
    if isinstance(error, LastingError):
        return False
    return not isinstance(error, UserError) or isinstance(error, LakeError | RegistryError)


def _timed(name: str, work: Callable[P, R]) -> Callable[P, R]:
    @wraps(work)
    @printable_errors
    def call(*given: P.args, **named: P.kwargs) -> R:
        with timed(name):
            return work(*given, **named)

    return call
