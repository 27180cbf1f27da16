"""The steps of an erasure after the first: model versions, files, logs, and at last the weights. Each run goes on where the last one ended.

| step | what is gone afterwards | when |
| --- | --- | --- |
| lists | rows of all tables (tasks.erasure.at_once) | at once |
| memories | replay windows in all model versions | at once, unless a night is under way |
| files | Parquet files, snapshots, what the catalog keeps of deleted rows | as soon as no run needs an earlier snapshot |
| logs | landed files, the log of the API, reports in MLflow and Prefect | then |
| done | versions whose weights have seen the people | after the next night |
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.erasure import logs
from tasks.erasure.aged import empty_free_pages
from tasks.erasure.at_once import PATIENCE_S, erase_requested, is_settled, move_on
from tasks.lake import Lake, reading, statement, writing
from tasks.locks import BusyError, night_paused, publishing_paused
from tasks.privacy import files
from tasks.privacy.certificate import certificate
from tasks.privacy.ledger import NAME, Erasure, State, erasures, missing_requests, record_step
from tasks.privacy.owners import owners_of_digests
from tasks.privacy.scan import scan, unreached
from tasks.store import Place, is_remote, place_of

if TYPE_CHECKING:
    from tasks.registry.versions import Registry

logger = logging.getLogger("minutehand.erasure")


def was_used(home: Path) -> bool:
    """Whether anybody was ever erased from this home."""
    return (home / NAME).exists()


def is_due(lake: Lake, home: Path) -> bool:
    """Whether an erasure has steps left that a run between nights can do."""
    if not was_used(home):
        return False
    with reading(lake) as con:
        return any(found.is_before("logs") for found in erasures(con)) or bool(missing_requests(con, home))


def must_retrain(lake: Lake, registry: Registry, champion: str | None) -> bool:
    """Whether a champion has seen people who are erased, so that the next night must replace it."""
    if champion is None:
        return False
    from tasks.registry.forgetting import is_trained_since

    with reading(lake) as con:
        latest = max((found.snapshot or 0 for found in erasures(con) if found.state != "done"), default=None)
    return latest is not None and not is_trained_since(registry, champion, latest)


def go_on(
    lake: Lake,
    home: Path,
    open_registry: Callable[[], Registry],
    event_weights: Mapping[str, float],
    landing: Place,
    *,
    in_night: bool = False,
) -> list[str]:
    """Do the steps that can be done now; returns a sentence for each that is left. Safe to kill at any point and to run again.

    in_night: the caller holds the nightly lock, at the end of a night.
    """
    erase_requested(lake, home, event_weights)
    known = erasures(lake)
    if not known:
        return []
    logs.sweep(home, landing, [digest for found in known for digest in found.digests if digest not in found.readmitted])
    if all(found.state == "done" for found in known):
        return []
    try:
        if in_night:
            return _go_on(lake, home, open_registry(), landing)
        with night_paused(lake):
            return _go_on(lake, home, open_registry(), landing)
    except BusyError as error:
        return [str(error)]


def _go_on(lake: Lake, home: Path, registry: Registry, landing: Place) -> list[str]:
    _step(lake, "memories", lambda found: _forget(lake, home, registry, found))
    left = []
    if _before(lake, "files"):
        counts = rewrite_files(lake)
        if counts is None:
            left.append("files: events wait to be learnt, and earlier snapshots have them; the next minute run makes room")
        else:
            _step(lake, "files", lambda _: counts)
    if not left:
        _step(lake, "logs", lambda found: dict(logs.redact(home, landing, _digests(found), _remote_artifacts(lake, registry))))
        left += _finish(lake, home, registry, landing)
        _certify(lake, home, registry, landing)
    return left


def _before(lake: Lake, state: State) -> list[Erasure]:
    return [found for found in erasures(lake) if found.is_before(state) and found.state != "requested"]


def _step(lake: Lake, state: State, work: Callable[[list[Erasure]], dict[str, Any]]) -> None:
    """Do a step for all erasures that wait for it, and record it."""
    waiting = _before(lake, state)
    if not waiting:
        return
    counts = work(waiting)
    with writing(lake) as con:
        record_step(con, [found.erasure_id for found in waiting], state, _now(), counts)
    logger.info("erasure of %d people, %s: %s", sum(len(found.digests) for found in waiting), state, counts)


def _digests(waiting: list[Erasure]) -> list[str]:
    """The digests of the people under all keys that were held at their request."""
    return [digest for found in waiting for digest in (*found.digests, *found.steps["lists"].get("older", ()))]


def _forget(lake: Lake, home: Path, registry: Registry, waiting: list[Erasure]) -> dict[str, Any]:
    from tasks.registry.forgetting import forget

    def note(before: str, after: str) -> None:
        with writing(lake) as con:
            for name in ("change_digest", "change_arm_digest"):
                con.execute(statement(f"privacy/{name}"), {"before": before, "after": after})

    owners = owners_of_digests(_digests(waiting))
    why = f"rewritten by erasure {waiting[-1].erasure_id}"
    with publishing_paused(lake, PATIENCE_S):
        return dict(forget(registry, owners, why, note))


def rewrite_files(lake: Lake) -> dict[str, Any] | None:
    """Take deleted and rewritten rows out of all files and snapshots of the lake; the counts, or None if something waits to be learnt."""
    counts: dict[str, Any] = files.rewrite_tables(lake)
    if files.rewrite_feed(lake, is_settled, move_on, PATIENCE_S) is None:
        return None
    expired = files.expire_all(lake, is_settled, PATIENCE_S)
    if expired is None:
        return None
    counts["snapshots_expired"] = expired
    counts["files_deleted"] = files.clean_up(lake)
    files.renew_bounds(lake)
    with writing(lake) as con:  # the bounds are in the newest snapshot, and so is the ledger
        con.execute(statement("maintain/flush")).fetchall()
    files.vacuum(lake)
    return counts


def _finish(lake: Lake, home: Path, registry: Registry, landing: Place) -> list[str]:
    """Retire versions that have seen the people, once the live one has not; the sentence if that is still due.

    Logs are looked through a second time: a night that was under way, or the API, may have written to them after the first time.
    """
    from tasks.registry.forgetting import is_trained_since, retire

    waiting = [found for found in erasures(lake) if found.state == "logs"]
    with reading(lake) as con:
        row = con.execute(statement("publish/live_version")).fetchone()
    ready = [found for found in waiting if row is None or is_trained_since(registry, str(row[0]), found.snapshot or 0)]
    if ready:
        logs.redact(home, landing, _digests(ready), _remote_artifacts(lake, registry))
        retired = retire(registry, max(found.snapshot or 0 for found in ready), "" if row is None else str(row[0]))
        with writing(lake) as con:
            record_step(con, [found.erasure_id for found in ready], "done", _now(), {"versions_retired": len(retired)})
    late = [found for found in waiting if found not in ready and found.weights_due_by is not None]
    if not late:
        return []
    due = max(found.weights_due_by for found in late if found.weights_due_by is not None)
    return [f"weights: the next night trains without them; due by {due:%Y-%m-%d %H:%M} UTC"]


def _certify(lake: Lake, home: Path, registry: Registry, landing: Place) -> None:
    """Scan all stores for the people of each erasure that has come further since its last certificate, and keep what was found."""
    for found in erasures(lake):
        before = json.loads(found.certificate or "{}")
        due = None if found.state == "done" else found.weights_due_by
        if found.is_before("logs") or (before and (before["weights_due_by"] is None) == (due is None)):
            continue
        empty_free_pages(lake)  # what later runs left there of other ids could not be judged
        findings = scan(home, lake, digests=found.digests, also=_elsewhere(lake, home, registry, landing))
        made = certificate(found.erasure_id, found.digests, findings, unreached(lake, registry.tracking_uri), due)
        with writing(lake) as con:
            con.execute(statement("privacy/insert_certificate"), {"erasure_id": found.erasure_id, "certificate": json.dumps(made)})


def _elsewhere(lake: Lake, home: Path, registry: Registry, landing: Place) -> list[Place]:
    """What belongs to a home and is not below it: a landing folder elsewhere, and model versions in an object store."""
    found = [] if isinstance(landing, Path) and landing.is_relative_to(home) else [landing]
    remote = _remote_artifacts(lake, registry)
    return [*found, remote] if remote is not None else found


def _remote_artifacts(lake: Lake, registry: Registry) -> Place | None:
    """The model versions and reports of the experiment, if they are in an object store."""
    from tasks.registry.versions import artifact_location

    location = artifact_location(registry)
    return place_of(location, lake.store) if is_remote(location) else None


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
