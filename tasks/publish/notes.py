"""Records that each publish writes in addition to its lists: publication, metrics, freshness, moved items and watermarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

import duckdb
import polars as pl
import pyarrow as pa

from models.results import MetricRow
from tasks.lake import statement
from tasks.minute.feed import News
from tasks.minute.pacing import UsersToRefresh
from tasks.publish.publication import NO_GATE, Arm, Content, Provenance, Publication, Stamp
from tasks.publish.rows import metric_rows
from tasks.watermarks import Watermarks


def note_publication(con: duckdb.DuckDBPyConnection, done: Publication, content: Content, cadence: str, published_at: datetime) -> None:
    provenance, seen = content.provenance, content.seen_items
    decision = {
        "hides_seen_items": seen.are_hidden if seen else None,
        "seen_items_setting": seen.setting if seen else None,
        "repeat_share": seen.repeat_share if seen else None,
    }
    origin = {name: value for name, value in asdict(provenance).items() if name != "generated_at"}
    counts = {"n_users": done.n_users, "n_users_changed": done.n_users_changed, "n_items": done.n_items}
    con.execute(
        statement("publish/insert_publication"),
        {
            **origin,
            **counts,
            **decision,
            **(NO_GATE if content.gate is None else asdict(content.gate)),
            "publication_id": done.publication_id,
            "cadence": cadence,
            "champion": content.champion,
            "checkpoint": None if content.checkpoint is None else str(content.checkpoint.folder),
            "checkpoint_sha256": None if content.checkpoint is None else content.checkpoint.digest,
            "asked_s": content.lists.asked_s,
            "learnt": content.watermarks_after.learnt,
            "published_at": published_at,
        },
    )


def note_prequential(
    con: duckdb.DuckDBPyConnection, rows: Sequence[MetricRow], versions: Mapping[str, str], provenance: Provenance
) -> None:
    if not rows:
        return
    con.register("metrics", metric_rows(rows, versions))
    con.execute(statement("publish/insert_prequential"), evaluation_of(provenance))


def note_freshness(con: duckdb.DuckDBPyConnection, news: News | None, publication_id: str, provenance: Provenance) -> None:
    if news is None:
        return
    con.register("fresh", fresh_events(news))
    con.execute(statement("publish/insert_freshness"), {"publication_id": publication_id, "generated_at": provenance.generated_at})


def note_moved(con: duckdb.DuckDBPyConnection, to_refresh: UsersToRefresh, provenance: Provenance) -> None:
    con.register("moved", pa.table({"item_id": pa.array(to_refresh.moved, pa.string())}))
    con.execute(statement("minute/delete_moved_items"), {"is_settled": to_refresh.is_settled})
    if to_refresh.moved and not to_refresh.is_settled:
        moment = {"snapshot": provenance.data_snapshot, "moved_at": provenance.generated_at}
        con.execute(statement("minute/insert_moved_items"), moment)


def move_watermarks(con: duckdb.DuckDBPyConnection, marks: Watermarks, provenance: Provenance) -> None:
    con.execute(statement("publish/delete_watermarks"))
    con.execute(statement("publish/insert_watermarks"), {**asdict(marks), "updated_at": provenance.generated_at})


def note_experiment(con: duckdb.DuckDBPyConnection, arm: Arm | None, stamp: Stamp) -> None:
    """Record what this publish makes of the experiment."""
    if arm is None:
        return
    con.execute(
        statement("experiments/note"),
        {
            "experiment_id": arm.experiment.experiment_id,
            "was": arm.experiment.state,
            "state": arm.state,
            "arm_version": arm.provenance.model_version,
            "arm_run_id": arm.provenance.mlflow_run_id,
            "learnt": arm.learnt,
            "checkpoint": None if arm.checkpoint is None else str(arm.checkpoint.folder),
            "checkpoint_sha256": None if arm.checkpoint is None else arm.checkpoint.digest,
            "taken": arm.experiment.next_version,
            "frozen": arm.frozen,
            "published_at": stamp.published_at,
        },
    )


def fresh_events(news: News) -> pl.DataFrame:
    """The unpublished events, numbered in order."""
    return news.events.filter("is_new").with_row_index("position")


def evaluation_of(provenance: Provenance) -> dict[str, object]:
    """Provenance columns of the tables in eval."""
    return {
        "flow_run_id": provenance.flow_run_id,
        "mlflow_run_id": provenance.mlflow_run_id,
        "data_snapshot": provenance.data_snapshot,
        "evaluated_at": provenance.generated_at,
    }
