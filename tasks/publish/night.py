"""Publish of a nightly run: all lists, neighbours and histories, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import repeat

import duckdb
import pyarrow as pa

from models.results import MetricRow
from tasks.interests.rows import insert_user_interests
from tasks.lake import Lake, statement, writing
from tasks.minute.pacing import ALL_SETTLED
from tasks.night.shards import Shards, bound_memory
from tasks.publish.inserts import insert_arm, insert_lists, insert_neighbours, insert_scenario_lists, insert_searches
from tasks.publish.list_history import note_ended_lists
from tasks.publish.notes import evaluation_of
from tasks.publish.publication import CHANGED_DEPTH, Content, Provenance, Publication, Stamp
from tasks.publish.refilled import refilling
from tasks.publish.rows import metric_rows
from tasks.publish.transaction import check_content, publish

NIGHTLY = "nightly"

NO_TRENDS = pa.table({"user_id": pa.array([], pa.string()), "trends": pa.array([], pa.list_(pa.float32()))})


def publish_night(
    lake: Lake, content: Content, event_weights: Mapping[str, float], trends: pa.Table | None = None, cadence: str = NIGHTLY
) -> Publication:
    """Replace the lists of all users, the fallback list, the neighbours and the histories, and record the publication.

    Idempotent: a second publish of the same run, model and time replaces the first. The histories come from the snapshot of
    content.provenance and hold each user's last max_events events with a weight above 0. trends: table of user_id and trends, the trend
    of each event in the history; unknown for users without a row. cadence: another, if a person has chosen the model.
    """

    def write(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, stamp: Stamp) -> tuple[int, int]:
        con.execute("set threads = 1")  # an insert by several threads does not keep the order of the rows
        # histories and searches come first, as reasons read them
        con.execute(statement("publish/delete_histories"))
        con.execute(statement("publish/delete_searches"))
        insert_searches(con, content)
        if content.shards is None:
            _insert_histories(con, event_weights, content, NO_TRENDS if trends is None else trends)
        con.execute(statement("publish/remember_lists"), {"depth": CHANGED_DEPTH})
        con.execute(statement("publish/delete_recommendations"))
        con.execute(statement("scenarios/delete_all_lists"))
        if content.shards is None:
            _insert_lists(con, item_ids, content, stamp)
        else:
            _insert_shards(con, item_ids, content, content.shards, stamp)
        note_ended_lists(con, content, stamp)
        _replace_neighbours(con, item_ids, content)
        counts = con.execute(statement("publish/count_users"), {"depth": CHANGED_DEPTH}).fetchone() or (0, 0)
        _forget(con, stamp.publication_id, content.provenance)
        return counts

    return publish(lake, content, cadence, ALL_SETTLED, event_weights, write)


def write_offline_metrics(lake: Lake, rows: Sequence[MetricRow], provenance: Provenance, versions: Mapping[str, str] | None = None) -> None:
    """Write the metrics of one night to eval.offline; a second call in the same flow and MLflow run replaces the first.

    versions: registered version by model name. `minutehand` gets the version of provenance; models not named have no version.
    """
    named = {"minutehand": provenance.model_version, **(versions or {})}
    with writing(lake) as con:
        again = {"flow_run_id": provenance.flow_run_id, "mlflow_run_id": provenance.mlflow_run_id}
        con.execute(statement("publish/delete_offline"), again)
        con.register("metrics", metric_rows(rows, named))
        con.execute(statement("publish/insert_offline"), evaluation_of(provenance))


def _insert_lists(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: Content, stamp: Stamp) -> None:
    insert_lists(con, item_ids, content.lists, content.fallback, content.provenance, stamp)
    insert_scenario_lists(con, item_ids, content, stamp)
    insert_arm(con, content, stamp)


def _insert_shards(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: Content, shards: Shards, stamp: Stamp) -> None:
    """Insert histories, interests and lists shard by shard, so that memory holds those of one shard."""
    bound_memory(con, shards)
    con = refilling(con)
    arm = content.of_arm
    in_arm: Iterator[Content | None] = repeat(None) if arm is None else arm.parts()
    for number, (part, of_arm) in enumerate(zip(content.parts(), in_arm, strict=False)):
        _insert_histories_of_shard(con, content, shards, number)
        if content.interests is not None:
            user_ids, found = shards.interests(number)
            of_shard = replace(content.interests, user_ids=user_ids, found=found)
            insert_user_interests(con, item_ids, of_shard, asdict(content.provenance))
        for some in (part, of_arm):
            if some is not None:
                check_content(some)
                _insert_lists(con, pa.array(some.item_ids, pa.string()), some, stamp)


def _insert_histories_of_shard(con: duckdb.DuckDBPyConnection, content: Content, shards: Shards, number: int) -> None:
    events, trends = shards.histories(number)
    con.register("taught", events)
    con.register("trends", trends)
    moment = {"max_events": content.max_events, "updated_at": content.provenance.generated_at}
    con.execute(statement("publish/insert_histories_of_shard"), moment)


def _replace_neighbours(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: Content) -> None:
    con.execute(statement("publish/delete_similar_items"))
    insert_neighbours(con, item_ids, content)


def _insert_histories(con: duckdb.DuckDBPyConnection, event_weights: Mapping[str, float], content: Content, trends: pa.Table) -> None:
    con.register("trends", trends)
    con.execute(
        statement("publish/insert_histories"),
        {
            "snapshot": content.provenance.data_snapshot,
            "ignored_types": [name for name, weight in event_weights.items() if not weight > 0],
            "max_events": content.max_events,
            "updated_at": content.provenance.generated_at,
        },
    )


def _forget(con: duckdb.DuckDBPyConnection, publication_id: str, provenance: Provenance) -> None:
    """Delete the records of a publication that is repeated. Minute publishes are never repeated, as their watermarks have changed."""
    con.execute(statement("publish/delete_publication"), {"publication_id": publication_id})
    con.execute(statement("publish/delete_prequential"), {"flow_run_id": provenance.flow_run_id})
    con.execute(statement("publish/delete_freshness"), {"publication_id": publication_id})
