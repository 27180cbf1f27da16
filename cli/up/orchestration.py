"""Calls of `minutehand up` to the Prefect API. Imports prefect: load it after cli.environment.prepare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from prefect.automations import AutomationCore, CompoundTrigger, EventTrigger, Posture
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.actions import CallWebhook, ChangeFlowRunState
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.states import Crashed
from prefect.types import SecretDict
from prefect.workers.process import ProcessWorker
from pydantic import SecretStr

from flows.run_names import NIGHT, WORK
from flows.watching import ENDED, STARTED

SILENCE = timedelta(seconds=100)  # three heartbeats of PREFECT_FLOWS_HEARTBEAT_FREQUENCY and a little
SILENT_RUNS = "Crash runs whose heartbeat stopped"
OWN_RUNS = "minutehand"
"""The tag of the deployments in prefect.yaml. Their runs send heartbeats; runs of other deployments may not."""
ALARMS, WEBHOOK = "Post alarms to the webhook", "minutehand-alarms"
"""Names of the automation that posts alarms, and of the block with its address."""
POSTED = """{
  "text": {{ event.payload.text | tojson }},
  "check": {{ event.payload.check | tojson }},
  "state": {{ event.payload.state | tojson }},
  "found": {{ event.payload.found | tojson }},
  "checked_at": {{ event.payload.checked_at | tojson }}
}"""
PAGE = 200
FILTERS = {"nights": NIGHT, "runs that did something": WORK}
"""Saved filters of the page of all runs: name and tag of each."""
FILTER_SPAN = timedelta(days=30)


def create_pool(name: str) -> None:
    """Create a work pool of processes on this machine, unless it exists."""
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(
                WorkPoolCreate(
                    name=name,
                    type=ProcessWorker.type,
                    description="Processes on this machine, started by `minutehand up`",
                    base_job_template=ProcessWorker.get_default_base_job_template(),
                )
            )
        except ObjectAlreadyExists:
            return


def crash_unfinished_runs(pool: str, why: str) -> None:
    """Set the unfinished runs of the pool to Crashed, so that they free their slots in the concurrency limit.

    Call it only while no worker of the pool is alive.
    """
    with get_client(sync_client=True) as client:
        for run in _runs(client, pool, StateType.RUNNING, StateType.PENDING, StateType.CANCELLING):
            client.set_flow_run_state(run.id, Crashed(message=why), force=True)


def skip_overdue_runs(pool: str) -> None:
    """Delete scheduled runs that are overdue, except the newest of each deployment."""
    seen = set()
    with get_client(sync_client=True) as client:
        for run in _runs(client, pool, StateType.SCHEDULED, before=datetime.now(UTC)):
            if run.auto_scheduled and run.deployment_id in seen:
                client.delete_flow_run(run.id)
            seen.add(run.deployment_id)


def save_filters() -> None:
    """Save filters for the page of all runs: nights, and runs that had work."""
    span = {"type": "span", "seconds": -int(FILTER_SPAN.total_seconds())}
    with get_client(sync_client=True) as client:
        for name, tag in FILTERS.items():
            wanted = {"tag": [tag], "range": span}
            filters = [{"object": "flowRun", "property": key, "type": "", "operation": "", "value": value} for key, value in wanted.items()]
            client.request("PUT", "/saved_searches/", json={"name": name, "filters": filters}).raise_for_status()


def crash_silent_runs(silence: timedelta = SILENCE) -> None:
    """Create an automation that sets a run to Crashed if its process was killed; otherwise it would stay Pending or Running.

    It replaces the automation of an older version, and stays off if a user has switched that one off.
    """
    stopped = _silence(silence, after="heartbeat")
    never_began = _silence(silence, after="Pending", match_related={"prefect.resource.id": f"prefect.tag.{OWN_RUNS}"})
    with get_client(sync_client=True) as client:
        before = client.read_automations_by_name(SILENT_RUNS)
        for found in before:
            client.delete_automation(found.id)
        client.create_automation(
            AutomationCore(
                name=SILENT_RUNS,
                description="A flow run sends a heartbeat every 30 s. A killed run does not; it would keep its concurrency slot",
                enabled=all(found.enabled for found in before),
                trigger=CompoundTrigger(require="any", triggers=[stopped, never_began]),
                actions=[ChangeFlowRunState(state=StateType.CRASHED, message=f"no heartbeat for {silence.seconds} s")],
            )
        )


def post_alarms(webhook: SecretStr) -> None:
    """Create an automation that posts the start and the end of an alarm to an address, as JSON; without an address, remove it.

    It replaces the automation of an earlier start, and stays off if a user has switched that one off. The address is in a block, as
    Prefect masks the secrets of blocks on its pages.
    """
    with get_client(sync_client=True) as client:
        before = client.read_automations_by_name(ALARMS)
        for found in before:
            client.delete_automation(found.id)
        if not webhook.get_secret_value():
            with suppress(ObjectNotFound):
                client.delete_block_document(client.read_block_document_by_name(WEBHOOK, "webhook").id)
            return
        headers = SecretDict({"content-type": "application/json"})
        block = Webhook(url=webhook, headers=headers).save(WEBHOOK, overwrite=True)
        client.create_automation(
            AutomationCore(
                name=ALARMS,
                description="Posts the start and the end of an alarm of minutehand's hourly check to MINUTEHAND_HEALTH__WEBHOOK",
                enabled=all(found.enabled for found in before),
                trigger=EventTrigger(
                    expect={STARTED, ENDED},
                    match=ResourceSpecification({"prefect.resource.id": "minutehand.check.*"}),
                    for_each={"prefect.resource.id"},
                    posture=Posture.Reactive,
                    threshold=1,
                ),
                actions=[CallWebhook(block_document_id=block, payload=POSTED)],
            )
        )


def _silence(within: timedelta, after: str, match_related: dict[str, str | list[str]] | None = None) -> EventTrigger:
    """A trigger that fires for a run with neither a heartbeat nor an end after an event."""
    expected = ("heartbeat", "Completed", "Failed", "Cancelled", "Crashed")
    return EventTrigger(
        after={f"prefect.flow-run.{after}"},
        expect={f"prefect.flow-run.{name}" for name in expected},
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=ResourceSpecification(match_related or {}),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=within,
    )


def _runs(client: SyncPrefectClient, pool: str, *states: StateType, before: datetime | None = None) -> Iterator[FlowRun]:
    """Flow runs of the pool in any of the states, the newest scheduled first. All pages are read before the first run is returned."""
    chosen = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))),
        next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(before_=before) if before else None,
    )
    found: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(
            flow_run_filter=chosen,
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=PAGE,
            offset=len(found),
        )
        found += page
        if len(page) < PAGE:
            return iter(found)
