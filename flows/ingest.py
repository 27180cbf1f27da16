"""Loads the files of the landing folder into the lake: items first, then events."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact

from flows.logs import printable_errors, speak
from flows.priority import give_way
from flows.run_names import WORK, name_moment, tag_run
from flows.stages import retried
from models.errors import UserError
from models.visible import in_markdown, visible_line
from settings import Settings, load
from tasks.aging import oldest_kept
from tasks.ingest import api_log, arrivals, landing
from tasks.ingest.landed import Landed
from tasks.lake import Lake, locate, migrate
from tasks.locks import arrivals_turn
from tasks.privacy.common_keys import demand_common_keys

speak()
give_way()
LONGEST = 1000
OUTCOME_TEXTS = {
    "failed": "could not be read, and is in failed/",
    "partial": "is in partial/",
    "stuck": "stays there",
    "waiting": "waits there",
}
ingest_files = retried("ingest", landing.ingest_landed_files, run_name="ingest-{kind}")
ingest_segments = retried("ingest-log", api_log.ingest_segments, run_name="ingest-{kind}")


class LandingError(UserError):
    """A landed file was not loaded, or too many of its rows were refused; all other files were loaded."""


@flow(name="ingest", flow_run_name=name_moment, description=__doc__)
@printable_errors
def ingest() -> list[Landed]:
    """The outcome of each waiting file; an empty list if no file waits, or if a minute run is loading them."""
    settings = load()
    return empty_landing(settings, locate(settings.lake, settings.home, settings.store))


def is_waiting(settings: Settings) -> bool:
    """Whether a file that may change lists waits in the landing folder: events, items or merges."""
    bucket, folder = arrivals.bucket_of(settings.ingest, settings.store), landing.open_landing(settings.ingest, settings.home)
    if bucket is not None and arrivals.is_waiting(bucket):
        return True
    return bool(landing.waiting(folder)) or any(kind == "aliases" for kind, _ in api_log.waiting_segments(folder))


def empty_landing(settings: Settings, lake: Lake, wait_s: float = 0) -> list[Landed]:
    """Load the files that wait in the landing folder, items first.

    Raises LandingError after the last file if a file was not loaded or too many of its rows were refused.
    """
    bucket, folder = arrivals.bucket_of(settings.ingest, settings.store), landing.open_landing(settings.ingest, settings.home)
    if bucket is None and not landing.waiting(folder) and not api_log.waiting_segments(folder):
        return []
    arriving = nullcontext(True) if bucket is None else arrivals_turn(lake, wait_s)
    with landing.turn(folder, wait_s) as is_mine, arriving as are_ours:
        may_load = is_mine and are_ours
        fetched = arrivals.fetch(bucket, folder) if bucket is not None and may_load else {}
        files = landing.waiting(folder) if may_load else []
        segments = api_log.waiting_segments(folder) if is_mine else []
        if not files and not segments:
            return []
        migrate(lake)
        demand_common_keys(lake)
        kinds = [(kind, [file for of, file in files if of == kind]) for kind in landing.KINDS]
        oldest = oldest_kept(settings.retention, datetime.now(UTC).replace(tzinfo=None))
        landed = [file for kind, some in kinds if some for file in ingest_files(lake, folder, kind, some, settings.ingest, oldest)]
        of_log = [(kind, [file for of, file in segments if of == kind]) for kind in api_log.OWN_KINDS]
        landed += [file for kind, some in of_log if some for file in ingest_segments(lake, folder, kind, some)]
        if bucket is not None and may_load:
            arrivals.put_away(bucket, folder, fetched)
    report(landed)
    bad = [file for file in landed if file.needs_a_look(settings.ingest.max_rejected_share)]
    if bad:
        more = f" (and {len(bad) - 1} more, in the artifact ingest)" if len(bad) > 1 else ""
        raise LandingError(f"{bad[0].kind}/{bad[0].file} of {bucket or folder} {OUTCOME_TEXTS[bad[0].outcome]}: {bad[0].error}{more}")
    return landed


def report(landed: list[Landed]) -> None:
    """Log one line per file, write a table artifact, and tag the run as a run with work."""
    tag_run(WORK)
    logger = get_run_logger()
    for file in landed:
        if file.error:
            logger.warning("%s %s %s: %s", file.kind, visible_line(file.file), file.outcome, visible_line(file.error))
        else:
            logger.info(
                "%s %s: %d rows, %d new, %d changed, %d duplicate, %d rejected in %.1f s",
                *(file.kind, visible_line(file.file), file.read, file.new, file.changed, file.duplicate, file.rejected, file.seconds),
            )
    create_table_artifact(table=[_row(file) for file in landed], key="ingest", description="Outcome of each file in the landing folder")


def _row(file: Landed) -> dict[str, Any]:
    """The table row of a file, escaped because Prefect renders table cells as markdown."""
    return {name: in_markdown(value, LONGEST) if isinstance(value, str) else value for name, value in asdict(file).items()}


if __name__ == "__main__":
    ingest()
