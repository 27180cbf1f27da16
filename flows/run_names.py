"""What Prefect calls the runs of the flows, and the tags by which those that did something are found."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

from tasks.registry.names import moment_name, night_name

NIGHT, WORK = "nightly", "had-work"
"""Tags of flow runs. Of the minutes, most find nothing to do: those with WORK did something."""


def name_night() -> str:
    """`night 2026-11-27`, with the time where the day has had a night of that name."""
    began = _began()
    with get_client(sync_client=True) as client:
        named = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[night_name(began)])))
    return night_name(began, {run.name for run in named if str(run.id) != runtime.flow_run.id})


def name_moment() -> str:
    """`minute 19:05`, and likewise for any flow that comes back within the day."""
    return moment_name(str(runtime.flow_run.flow_name), _began())


def tag_run(*tags: str) -> None:
    """Give the run in progress tags beside those of its deployment."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(runtime.flow_run.id, tags=sorted({*runtime.flow_run.tags, *tags}))


def _began() -> datetime:
    """When the run was to begin, UTC."""
    return runtime.flow_run.scheduled_start_time.astimezone(UTC)
