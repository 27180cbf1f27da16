"""Publish of an earlier version from its past lists, in one transaction. No model is loaded.

The lists of recs.list_history at the end of the version's time become the lists of now, without what may not be shown any more. The
watermark `learnt` moves back to that of the version, so the next minute learns the events since, and ranks their users. What is made of
weights and not kept as rows (neighbours, interests, the graph) follows with that minute.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import duckdb
import polars as pl

from tasks.experiments.experiment import experiment_of
from tasks.lake import Lake, execute, writing
from tasks.minute.feed import feed_start
from tasks.publish.past import Past, feed_floor
from tasks.publish.pointer import next_moment
from tasks.publish.publication import CHANGED_DEPTH, Publication, Stamp, log_publication
from tasks.scenarios import Scenario
from tasks.scenarios.barred import barred_items
from tasks.scenarios.resolved import hidden_pairs
from tasks.watermarks import Watermarks, watermarks_of


@dataclass(frozen=True)
class Restored:
    """Result of a restore. version: is live now. marks: the watermarks after it. wanted: the snapshot up to which the version has learnt.

    If the events since then cannot be read any more, marks.learnt is later than wanted.
    """

    version: str
    publication: Publication
    marks: Watermarks
    wanted: int


def restore(
    lake: Lake, past: Past, cadence: str, scenarios: Mapping[str, Scenario], event_weights: Mapping[str, float], now: datetime
) -> Restored:
    """Make the lists of a past publication, its model and its watermark those of now. The caller holds the publishing lock.

    past: with files and learnt. cadence: promote or rollback. now: UTC. If the process is killed, nothing has changed.
    """
    started = time.perf_counter()
    run = f"{cadence}-{uuid.uuid4().hex}"
    with writing(lake) as con:
        con.execute("set threads = 1")  # an insert by several threads does not keep the order; two also take longer for wide rows
        stamp = Stamp(uuid.uuid4().hex, next_moment(con))
        in_tables = {name: each for name, each in scenarios.items() if each.is_published}
        _make_lists(con, past, in_tables, event_weights, now)
        marks, wanted = _move_back(con, past, now)
        n_users, n_users_changed = _replace_lists(con, past, stamp, run, marks.published)
        done = Publication(stamp.publication_id, n_users, n_users_changed, past.n_items, seconds=0.0)
        ended = f"ended by {cadence} of version {past.version}, because it changed the control"
        if experiment_of(con, lake.home) is not None:
            execute(con, "experiments/end_now", {"verdict": ended, "stopped_at": stamp.published_at})
        _note_publication(con, past, done, cadence, run, marks, stamp.published_at)
    return Restored(past.version, log_publication(replace(done, seconds=round(time.perf_counter() - started, 2))), marks, wanted)


def _make_lists(
    con: duckdb.DuckDBPyConnection, past: Past, scenarios: Mapping[str, Scenario], event_weights: Mapping[str, float], now: datetime
) -> None:
    """Make the temporary tables restored_lists, past lists without what may not be shown any more, and newest_lists."""
    are_capped = [each.max_per_category is not None for each in scenarios.values()]
    execute(con, "publish/create_in_tables", {"names": list(scenarios), "is_capped": are_capped})
    execute(con, "publish/create_newest_lists", {"depth": CHANGED_DEPTH})
    execute(con, "publish/create_past_lists", {"until": past.published_at})
    execute(con, "publish/insert_newcomers")
    _apply_rules(con, scenarios, now)
    hides_seen = past.hides_seen_items is not False  # unknown in an old lake: then nothing is shown again
    event_types, weights = list(event_weights), list(event_weights.values())
    execute(con, "publish/create_blocked_items", {"hides_seen": hides_seen, "event_types": event_types, "weights": weights})
    execute(con, "publish/create_mended_lists")
    execute(con, "publish/create_restored_lists")


def _apply_rules(con: duckdb.DuckDBPyConnection, scenarios: Mapping[str, Scenario], now: datetime) -> None:
    """Make the temporary tables barred and hidden: what scenarios show nobody, and what they hide from each user."""
    execute(con, "publish/create_barred")
    execute(con, "publish/create_hidden")
    conditions = [each for each in scenarios.values() if each.where]
    if conditions:
        listed = [item for (item,) in execute(con, "publish/past_items").fetchall()]
        con.register("barred_by_condition", pl.concat([barred_items(con, each, listed) for each in conditions]))
        execute(con, "publish/insert_barred")
    for name, each in scenarios.items():
        if each.hide:
            con.register("hidden_pairs", hidden_pairs(con, each.hide, int(now.replace(tzinfo=UTC).timestamp()), None))
            execute(con, "publish/insert_hidden", {"scenario": name})


def _replace_lists(con: duckdb.DuckDBPyConnection, past: Past, stamp: Stamp, run: str, snapshot: int) -> tuple[int, int]:
    """Write restored_lists to the tables; returns the number of users with a list, and of those whose list changed."""
    execute(con, "publish/delete_recommendations")
    execute(con, "publish/insert_restored_default")
    execute(con, "publish/delete_restored_scenarios")
    execute(con, "publish/insert_restored_scenarios")
    execute(
        con,
        "publish/insert_restored_history",
        {
            "publication_id": stamp.publication_id,
            "published_at": stamp.published_at,
            "model_version": past.version,
            "mlflow_run_id": past.mlflow_run_id,
            "flow_run_id": run,
            "data_snapshot": snapshot,
        },
    )
    return execute(con, "publish/count_restored_users", {"depth": CHANGED_DEPTH}).fetchone() or (0, 0)


def _move_back(con: duckdb.DuckDBPyConnection, past: Past, now: datetime) -> tuple[Watermarks, int]:
    """Set the watermark of the weights to that of the version; returns the watermarks, and the one that the version has."""
    before, wanted = watermarks_of(con), past.learnt
    if before is None or wanted is None:
        raise ValueError(f"version {past.version} has the watermark {wanted}, and the lake has {before}; both must be known")
    start, oldest = feed_start(con, wanted)
    readable = wanted if start is not None else oldest - 1
    marks = Watermarks(before.published, min(before.published, max(readable, feed_floor(con))))
    execute(con, "publish/delete_watermarks")
    execute(con, "publish/insert_watermarks", {"published": marks.published, "learnt": marks.learnt, "updated_at": now})
    return marks, wanted


def _note_publication(
    con: duckdb.DuckDBPyConnection, past: Past, done: Publication, cadence: str, run: str, marks: Watermarks, at: datetime
) -> None:
    execute(
        con,
        "publish/insert_restored_publication",
        {
            "publication_id": done.publication_id,
            "cadence": cadence,
            "model_version": past.version,
            "champion": past.champion,
            "mlflow_run_id": past.mlflow_run_id,
            "flow_run_id": run,
            "data_snapshot": marks.published,  # the histories reach up to it
            "n_users": done.n_users,
            "n_users_changed": done.n_users_changed,
            "n_items": done.n_items,
            "hides_seen_items": past.hides_seen_items,
            "seen_items_setting": past.seen_items_setting,
            "repeat_share": past.repeat_share,
            "checkpoint": None if past.files is None else str(past.files.folder),
            "checkpoint_sha256": None if past.files is None else past.files.digest,
            "learnt": marks.learnt,
            "published_at": at,
        },
    )
