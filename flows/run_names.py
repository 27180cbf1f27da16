"""Names of the flow runs in Prefect, and the tags that find runs with work."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

from tasks.registry.names import moment_name, night_name

NIGHT, WORK = "nightly", "had-work"
"""Tags of flow runs. WORK marks runs that had work; most minute runs have none."""


def name_night() -> str:
    """`night 2026-11-27`, with the time added if the day already has a run of that name."""
    began = _began()
    with get_client(sync_client=True) as client:
        named = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[night_name(began)])))
    return night_name(began, {run.name for run in named if str(run.id) != runtime.flow_run.id})


def name_moment() -> str:
    """`minute 19:05`, and likewise for any flow that runs several times a day."""
    return moment_name(str(runtime.flow_run.flow_name), _began())


def tag_run(*tags: str) -> None:
    """Add tags to the current flow run, keeping those of its deployment."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(runtime.flow_run.id, tags=sorted({*runtime.flow_run.tags, *tags}))


def _began() -> datetime:
    """The scheduled start of the run, UTC."""
    return runtime.flow_run.scheduled_start_time.astimezone(UTC)
