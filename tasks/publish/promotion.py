"""A person makes another version live: from its past lists, if these are still there as rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from tasks.aging import cutoff
from tasks.lake import Lake
from tasks.locks import publishing_turn
from tasks.publish.past import Past, before_champion, demand_other, newest_promotion, past_publication
from tasks.publish.publication import Files
from tasks.publish.restore import Restored, restore
from tasks.registry.errors import DamagedError, RegistryError
from tasks.registry.integrity import DIGEST, demand_whole
from tasks.scenarios.overview import right_scenarios

if TYPE_CHECKING:
    from tasks.registry.versions import Registry

logger = logging.getLogger("minutehand.publishing")
PATIENCE_S = 600.0
"""How long a promotion waits for a publish in flight."""


@dataclass(frozen=True)
class Chosen:
    """A version that shall go live, and its past lists; past is None if the model has to rank again, for the reason why."""

    version: str
    past: Past | None
    why: str = ""


@dataclass(frozen=True)
class Home:
    """What a promotion needs of a home. open_registry imports MLflow, which takes seconds. lists_days: how long past lists are kept."""

    lake: Lake
    folder: Path
    open_registry: Callable[[], Registry]
    event_weights: Mapping[str, float]
    lists_days: int


def promote(home: Home, version: str, on_visible: Callable[[Restored], None]) -> Chosen:
    """Make a version live from its past lists. If they are not there, nothing has changed, and the result says why.

    on_visible: is called once readers see the lists, before the aliases in MLflow follow. Raises UserError for a version that cannot go
    live.
    """
    with publishing_turn(home.lake, PATIENCE_S):
        demand_other(home.lake, version)
        return _go_live(home, _choose(home, version), "promote", on_visible)


def rollback(home: Home, on_visible: Callable[[Restored], None]) -> Chosen:
    """Make the version live again that was live before the champion last changed, as `promote` does.

    If its files are gone, the nightly version that it descends from takes its place.
    """
    with publishing_turn(home.lake, PATIENCE_S):
        before = before_champion(home.lake)
        if before is None:
            raise UserError(
                "there is no earlier champion to go back to; `minutehand models` lists the versions, and `minutehand promote` takes one"
            )
        try:
            chosen = _choose(home, before[0])
        except RegistryError as error:
            if before[0] == before[1]:
                raise
            logger.warning("%s; the nightly version %s takes its place", error, before[1])
            chosen = _choose(home, before[1])
        return _go_live(home, chosen, "rollback", on_visible)


def _go_live(home: Home, chosen: Chosen, cadence: str, on_visible: Callable[[Restored], None]) -> Chosen:
    if chosen.past is not None:
        scenarios = right_scenarios(home.lake, home.folder, home.event_weights)
        now = datetime.now(UTC).replace(tzinfo=None)
        on_visible(restore(home.lake, chosen.past, cadence, scenarios, home.event_weights, now))
        from tasks.registry.promotion import follow

        follow(home.open_registry(), newest_promotion(home.lake))
    return chosen


def _choose(home: Home, version: str) -> Chosen:
    """The past publication of a version, if its lists are there. Raises RegistryError for a version without intact files."""
    past = past_publication(home.lake, version)
    if past is None or past.learnt is None or not _is_whole(past):
        from tasks.registry.versions import find_version

        found = find_version(home.open_registry(), version)
        if past is None or past.mlflow_run_id != found.run_id:
            return Chosen(version, None, "it has never published lists")
        past = past.with_files(Files(found.checkpoint_folder, found.digest), int(found.tags["snapshot"]))
    oldest = cutoff(datetime.now(UTC).replace(tzinfo=None), home.lists_days)
    if not past.has_lists or past.published_at < oldest:
        kept = f"MINUTEHAND_RETENTION__LISTS_DAYS keeps past lists for {home.lists_days} days"
        return Chosen(version, None, f"its lists of {past.published_at:%Y-%m-%d %H:%M} are gone ({kept})")
    return Chosen(version, past)


def _is_whole(past: Past) -> bool:
    """Whether the files of a version are where its publication says, and unchanged."""
    if past.files is None or past.files.digest is None or not past.files.folder.is_dir():
        return False
    try:
        demand_whole(f"version {past.version}", past.files.folder, {DIGEST: past.files.digest})
    except DamagedError:
        return False
    return True
