"""Stages of a run: their seconds in the log, and which errors are retried."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from prefect import flow

from flows.stages import retried, stage, timed
from models.errors import UserError


def test_a_stage_returns_the_result_of_its_work_and_logs_its_seconds(prefect_server: str, caplog: pytest.LogCaptureFixture) -> None:
    @flow
    def run() -> int:
        with timed("read"):
            pass
        return stage("add", _add)(1, second=2)

    with caplog.at_level(logging.INFO, "minutehand.stages"):
        assert run() == 3
    found = list(dict.fromkeys(record for record in caplog.records if record.name == "minutehand.stages"))
    assert [(vars(record)["stage"], record.levelname) for record in found] == [("read", "INFO"), ("add", "INFO")]
    assert all(record.getMessage() == f"{vars(record)['stage']}: {vars(record)['seconds']:.2f} s" for record in found)
    assert all(0 <= vars(record)["seconds"] < 5 for record in found)


class _Counting(tuple[int, ...]):
    """Counts how often all its elements are visited."""

    n_visits = 0

    def __iter__(self) -> Iterator[int]:
        _Counting.n_visits += 1
        return super().__iter__()


def test_prefect_visits_no_element_of_the_arguments_of_a_stage(prefect_server: str) -> None:
    @flow
    def run() -> int:
        return stage("count", len)(_Counting(range(3)))

    assert run() == 3
    assert not _Counting.n_visits


def _add(first: int, second: int) -> int:
    return first + second


def test_work_is_not_retried_after_an_error_that_only_the_user_can_fix(prefect_server: str) -> None:
    tried = []

    def fail() -> None:
        tried.append(1)
        raise UserError("no column 'user_id'")

    @flow
    def run() -> None:
        retried("ingest", fail)()

    with pytest.raises(UserError, match="no column"):
        run()
    assert len(tried) == 1
