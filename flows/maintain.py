"""Checks the health of lists and events, counts the outcomes of impressions, merges small files, and expires snapshots."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows import erasing, watching
from flows.logs import printable_errors, speak
from flows.priority import give_way
from flows.registry import open_models
from flows.run_names import name_moment
from flows.stages import retried
from settings import load
from tasks import aging, upkeep
from tasks.erasure.aged import empty_free_pages, rewrite_aged_events
from tasks.ingest import arrivals
from tasks.lake import locate, migrate
from tasks.online import outcomes
from tasks.privacy.common_keys import demand_common_keys
from tasks.publish import pointer
from tasks.registry import versions

speak()
give_way()
maintain_lake = retried("maintain", upkeep.maintain)
count_outcomes = retried("count-outcomes", outcomes.count_outcomes)


@flow(name="maintain", flow_run_name=name_moment, description=__doc__)
@printable_errors
def maintain() -> upkeep.MaintenanceSummary:
    """Maintain the lake; safe at any time, also while other flows run."""
    settings = load()
    lake = locate(settings.lake, settings.home, settings.store)
    migrate(lake)
    demand_common_keys(lake)
    watching.go_on(settings, lake)
    counted = count_outcomes(lake, settings.ingest.event_weights, settings.online, settings.retention)
    models = open_models(settings)
    unpublished = versions.unpublished_snapshot(models, pointer.live_version(lake))
    done = maintain_lake(lake, spare=versions.snapshots(models), keep_from=unpublished, retention=settings.retention)
    now = datetime.now(UTC).replace(tzinfo=None)
    aging.prune_files(settings.home, aging.landing_of(settings.ingest, settings.home), settings.retention, now)
    bucket = arrivals.bucket_of(settings.ingest, settings.store)
    if bucket is not None and settings.retention.landing_days:
        arrivals.prune(bucket, aging.cutoff(now, settings.retention.landing_days).date())
    if unpublished is None:
        rewrite_aged_events(lake)
    if done.rows_aged or done.files_deleted:  # once a day, as both go by days
        empty_free_pages(lake)
    erasing.go_on(settings, lake)
    create_table_artifact(table=[asdict(done)], key="maintain", description="Changes that maintenance made to the files of the lake")
    create_table_artifact(
        table=[asdict(counted)], key="outcomes", description="Impressions and clicks that were counted, and those that were not"
    )
    return done


if __name__ == "__main__":
    maintain()
