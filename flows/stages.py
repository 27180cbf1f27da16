"""Stages of a run: each logs its duration, and the long ones are Prefect tasks."""

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
    """The work as a Prefect task without retries: an error while learning would only repeat.

    Prefect does not see the arguments: it would visit every element of them, for a large catalogue several times as long as the work.
    """

    def as_task(*given: P.args, **named: P.kwargs) -> R:
        def without_arguments() -> R:
            return _timed(name, work)(*given, **named)

        return task(name=name, cache_policy=NO_CACHE)(without_arguments)()

    return as_task


def retried(name: str, work: Callable[P, R], run_name: str | None = None) -> Callable[P, R]:
    """The work as a Prefect task with up to three attempts, for work that reads or writes a store.

    run_name: name of the task run, a template over the parameters of the work.
    """
    as_task = task(name=name, task_run_name=run_name, retries=2, retry_delay_seconds=5, retry_condition_fn=may_pass, cache_policy=NO_CACHE)
    return as_task(_timed(name, work))


@contextmanager
def timed(name: str) -> Iterator[None]:
    """A stage without a Prefect task: the database writes of a task would take longer than the work."""
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    logger.info("%s: %.2f s", name, seconds, extra={"stage": name, "seconds": seconds})


def may_pass(task: Task[..., object], run: TaskRun, state: State[object]) -> bool:
    """Whether a retry in five seconds may succeed: yes for a store that did not answer, no for an error that the user must fix."""
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
