"""A night's publish: every list, neighbour and history, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import duckdb
import numpy as np
import pyarrow as pa

from models.results import MetricRow, Neighbours, RankedLists
from tasks.lake import Lake, statement, writing
from tasks.minute.feed import News
from tasks.minute.pacing import Beside
from tasks.publish.publication import (
    CHANGED_DEPTH,
    Provenance,
    Publication,
    evaluation_of,
    insert_neighbours,
    move_watermarks,
    note_freshness,
    note_moved,
    note_prequential,
    note_publication,
    publication_id_of,
    told,
    with_reasons,
)
from tasks.publish.rows import LISTS, check_lists, list_batches, metric_rows
from tasks.watermarks import Watermarks

ALL_SETTLED = Beside([], (), is_settled=True)
"""Where every list is made anew, none waits."""
NO_TRENDS = pa.table({"user_id": pa.array([], pa.string()), "trends": pa.array([], pa.list_(pa.float32()))})


def publish_night(
    lake: Lake,
    catalog_item_ids: Sequence[str],
    lists: RankedLists,
    fallback: RankedLists,
    neighbours: Neighbours,
    max_events: int,
    provenance: Provenance,
    *,
    event_weights: Mapping[str, float],
    trends: pa.Table | None = None,
    champion: str | None = None,
    cadence: str = "nightly",
    watermarks: Watermarks | None = None,
    news: News | None = None,
    prequential: Sequence[MetricRow] = (),
    versions: Mapping[str, str] | None = None,
) -> Publication:
    """Replace the lists of all users, the list for anyone, the neighbours and the histories, and note the publication.

    All of it is one transaction: killed at any point, the old tables stay whole. The same publish again (same run, model
    and time) replaces itself. The histories are read from provenance.data_snapshot and hold each user's last max_events
    events of types that weigh more than 0. Raises ValueError for lists that must not be shown: not finite, or of unknown items.

    champion: the night's version that the model goes back to. trends: user_id, trends: how trendy each event of those histories was; not
    known for users it does not name. watermarks: how far the work is then; that snapshot for both if none. news: whose waiting ends.
    prequential, versions: how the new events were predicted, and which registered version each model name stands for.
    """
    started = time.perf_counter()
    check_lists(lists, len(catalog_item_ids))
    check_lists(fallback, len(catalog_item_ids))
    item_ids = pa.array(catalog_item_ids, pa.string())
    publication_id = publication_id_of(provenance, cadence)
    with writing(lake) as con:
        con.execute("set threads = 1")  # an insert by several threads does not keep the order of the rows
        _replace_lists(con, item_ids, lists, fallback, provenance)
        _replace_neighbours(con, item_ids, neighbours, provenance)
        _replace_histories(con, event_weights, max_events, provenance, NO_TRENDS if trends is None else trends)
        n_users, n_users_changed = con.execute(statement("publish/count_users"), {"depth": CHANGED_DEPTH}).fetchone() or (0, 0)
        _forget(con, publication_id, provenance)
        note_publication(con, Publication(publication_id, n_users, n_users_changed, len(item_ids), 0.0), provenance, cadence, champion)
        note_prequential(con, prequential, versions or {}, provenance)
        if news is not None:
            note_freshness(con, news, publication_id, provenance)
        note_moved(con, ALL_SETTLED, provenance)
        move_watermarks(con, watermarks or Watermarks(provenance.data_snapshot, provenance.data_snapshot), provenance)
    return told(Publication(publication_id, n_users, n_users_changed, len(item_ids), round(time.perf_counter() - started, 2)))


def write_offline_metrics(lake: Lake, rows: Sequence[MetricRow], provenance: Provenance, versions: Mapping[str, str] | None = None) -> None:
    """Note the figures of one night in eval.offline; a second call of the same flow run replaces the first.

    versions: which registered version a model name stands for; `minutehand` is provenance's, others have none.
    """
    named = {"minutehand": provenance.model_version, **(versions or {})}
    with writing(lake) as con:
        con.execute(statement("publish/delete_offline"), {"flow_run_id": provenance.flow_run_id})
        con.register("metrics", metric_rows(rows, named))
        con.execute(statement("publish/insert_offline"), evaluation_of(provenance))


def _replace_lists(
    con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, fallback: RankedLists, provenance: Provenance
) -> None:
    con.execute(statement("publish/remember_lists"), {"depth": CHANGED_DEPTH})
    con.execute(statement("publish/delete_recommendations"))
    batches = list_batches(item_ids, fallback, *with_reasons(con, item_ids, lists, provenance.data_snapshot))
    con.register("lists", pa.RecordBatchReader.from_batches(LISTS, batches))
    con.execute(statement("publish/insert_recommendations"), asdict(provenance))


def _replace_neighbours(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, neighbours: Neighbours, provenance: Provenance) -> None:
    con.execute(statement("publish/delete_similar_items"))
    insert_neighbours(con, item_ids, np.arange(len(item_ids)), neighbours, provenance)


def _replace_histories(
    con: duckdb.DuckDBPyConnection, event_weights: Mapping[str, float], max_events: int, provenance: Provenance, trends: pa.Table
) -> None:
    con.register("trends", trends)
    con.execute(statement("publish/delete_histories"))
    con.execute(
        statement("publish/insert_histories"),
        {
            "snapshot": provenance.data_snapshot,
            "ignored_types": [name for name, weight in event_weights.items() if not weight > 0],
            "max_events": max_events,
            "updated_at": provenance.generated_at,
        },
    )


def _forget(con: duckdb.DuckDBPyConnection, publication_id: str, provenance: Provenance) -> None:
    """Forget the notes of a publication that is done again. A minute's cannot be: its watermarks have moved."""
    con.execute(statement("publish/delete_publication"), {"publication_id": publication_id})
    con.execute(statement("publish/delete_prequential"), {"flow_run_id": provenance.flow_run_id})
    con.execute(statement("publish/delete_freshness"), {"publication_id": publication_id})
