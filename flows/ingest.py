"""Takes the files of the landing folder into the lake: items first, then events."""

from __future__ import annotations

from dataclasses import asdict

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.logs import speak
from settings import load
from tasks import landing
from tasks.lake import locate, migrate

speak()
as_task = task(name="take-in", task_run_name="take-in-{kind}-{file.name}", retries=2, retry_delay_seconds=5, cache_policy=NO_CACHE)
take_in = as_task(landing.take_in)


@flow(name="ingest", description=__doc__)
def ingest() -> list[landing.Landed]:
    """What became of each waiting file; ends at once where none waits."""
    settings = load()
    folder = landing.open_landing(settings.ingest, settings.home)
    files = landing.waiting(folder)
    if not files:
        return []
    lake = locate(settings.lake, settings.home)
    migrate(lake)
    landed = [take_in(lake, folder, kind, file, settings.ingest) for kind, file in files]
    report(landed)
    return landed


def report(landed: list[landing.Landed]) -> None:
    """One line a file in the log, and the table among the run's artifacts."""
    logger = get_run_logger()
    for file in landed:
        if file.error:
            logger.warning("%s %s failed: %s", file.kind, file.file, file.error)
        else:
            logger.info(
                "%s %s: %d rows, %d new, %d changed, %d duplicate, %d rejected in %.1f s",
                *(file.kind, file.file, file.read, file.new, file.changed, file.duplicate, file.rejected, file.seconds),
            )
    create_table_artifact(
        table=[asdict(file) for file in landed], key="ingest", description="What became of the files of the landing folder"
    )


if __name__ == "__main__":
    ingest()
