"""A run whose process was killed before its first report frees its slot in the concurrency limit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions, FlowRun, StateType
from prefect.events import emit_event
from prefect.states import Pending, Running

from cli.up.orchestration import OWN_RUNS, SILENT_RUNS, crash_silent_runs

pytestmark = pytest.mark.slow
SHORTEST = timedelta(seconds=10)  # the minimum that Prefect accepts
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def automation(prefect_server: str) -> Iterator[None]:
    """The automation of an older version with the shortest interval; deleted after the test, as other tests use the same server."""
    crash_silent_runs(SHORTEST)
    yield
    with get_client(sync_client=True) as client:
        for found in client.read_automations_by_name(SILENT_RUNS):
            client.delete_automation(found.id)


@flow
def nothing() -> None:
    """A flow that is never run."""


def begin(client: SyncPrefectClient, deployment: UUID) -> FlowRun:
    """Begin a run like a worker; its state is Cancelled if the concurrency limit is reached."""
    run = client.create_flow_run_from_deployment(deployment)
    client.set_flow_run_state(run.id, Pending())
    return client.read_flow_run(run.id)


def state_of(client: SyncPrefectClient, run: FlowRun) -> StateType | None:
    return client.read_flow_run(run.id).state_type


def until_crashed(client: SyncPrefectClient, run: FlowRun) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while state_of(client, run) != StateType.CRASHED:
        assert time.monotonic() < deadline, state_of(client, run)
        time.sleep(0.5)


@pytest.mark.parametrize("is_under_way", [False, True])
def test_a_run_killed_before_its_first_heartbeat_is_marked_crashed_and_the_next_may_begin(*, is_under_way: bool) -> None:
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(
            client.create_flow_from_name("silent"),
            f"silent-{is_under_way}",
            tags=[OWN_RUNS],
            concurrency_limit=1,
            concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        )
        killed = begin(client, deployment)
        if is_under_way:
            client.set_flow_run_state(killed.id, Running())
        assert begin(client, deployment).state_type == StateType.CANCELLED
        until_crashed(client, killed)
        assert begin(client, deployment).state_type == StateType.PENDING


def test_a_run_whose_heartbeat_stopped_is_marked_crashed_and_a_foreign_run_without_heartbeat_is_not() -> None:
    with get_client(sync_client=True) as client:
        foreign, killed = (client.create_flow_run(nothing) for _ in range(2))
        for run in (foreign, killed):
            client.set_flow_run_state(run.id, Pending())
            client.set_flow_run_state(run.id, Running())
        emit_event("prefect.flow-run.heartbeat", {"prefect.resource.id": f"prefect.flow-run.{killed.id}"})
        until_crashed(client, killed)
        assert state_of(client, foreign) == StateType.RUNNING


def test_a_newer_version_replaces_the_automation_and_keeps_it_disabled_if_it_was() -> None:
    crash_silent_runs()
    with get_client(sync_client=True) as client:
        (found,) = client.read_automations_by_name(SILENT_RUNS)
        parts = found.trigger.model_dump()["triggers"]
        assert (found.enabled, [part["within"] for part in parts]) == (True, [timedelta(seconds=100)] * 2)
        client.pause_automation(found.id)
        crash_silent_runs()
        (found,) = client.read_automations_by_name(SILENT_RUNS)
        assert not found.enabled
