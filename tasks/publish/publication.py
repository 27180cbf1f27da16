"""What each publish writes beside its lists: provenance, watermarks, figures, waits."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import md5

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from models.events import Ints
from models.results import MetricRow, Neighbours, RankedLists
from tasks.lake import statement
from tasks.minute.feed import News
from tasks.minute.pacing import Beside
from tasks.publish.rows import NEIGHBOURS, metric_rows, neighbour_batches
from tasks.watermarks import Watermarks

logger = logging.getLogger("minutehand.publishing")

POPULAR = "popular right now"
CHANGED_DEPTH = 10


@dataclass(frozen=True)
class Provenance:
    """Which model, run and data a table row comes from; generated_at is UTC without a zone."""

    model_version: str
    mlflow_run_id: str
    flow_run_id: str
    data_snapshot: int
    generated_at: datetime


@dataclass(frozen=True)
class Publication:
    """What a publish did."""

    publication_id: str
    n_users: int
    n_users_changed: int
    n_items: int
    seconds: float


def told(done: Publication) -> Publication:
    logger.info("published %d users (%d changed) and %d items in %.1f s", done.n_users, done.n_users_changed, done.n_items, done.seconds)
    return done


def evaluation_of(provenance: Provenance) -> dict[str, object]:
    return {
        "flow_run_id": provenance.flow_run_id,
        "mlflow_run_id": provenance.mlflow_run_id,
        "data_snapshot": provenance.data_snapshot,
        "evaluated_at": provenance.generated_at,
    }


def insert_neighbours(
    con: duckdb.DuckDBPyConnection, item_ids: pa.Array, rows: Ints, neighbours: Neighbours, provenance: Provenance
) -> None:
    con.register("neighbours", pa.RecordBatchReader.from_batches(NEIGHBOURS, neighbour_batches(item_ids, rows, neighbours)))
    names = ("model_version", "data_snapshot", "generated_at")
    con.execute(statement("publish/insert_similar_items"), {name: getattr(provenance, name) for name in names})


def fresh_events(news: News) -> pl.DataFrame:
    """The events that were not published before, numbered in their order."""
    return news.events.filter("is_new").with_row_index("position")


def move_watermarks(con: duckdb.DuckDBPyConnection, marks: Watermarks, provenance: Provenance) -> None:
    con.execute(statement("publish/delete_watermarks"))
    con.execute(statement("publish/insert_watermarks"), {**asdict(marks), "updated_at": provenance.generated_at})


def note_prequential(
    con: duckdb.DuckDBPyConnection, rows: Sequence[MetricRow], versions: Mapping[str, str], provenance: Provenance
) -> None:
    if not rows:
        return
    con.register("metrics", metric_rows(rows, versions))
    con.execute(statement("publish/insert_prequential"), evaluation_of(provenance))


def note_freshness(con: duckdb.DuckDBPyConnection, news: News, publication_id: str, provenance: Provenance) -> None:
    con.register("fresh", fresh_events(news))
    con.execute(statement("publish/insert_freshness"), {"publication_id": publication_id, "generated_at": provenance.generated_at})


def note_moved(con: duckdb.DuckDBPyConnection, beside: Beside, provenance: Provenance) -> None:
    con.register("moved", pa.table({"item_id": pa.array(beside.moved, pa.string())}))
    con.execute(statement("minute/delete_moved_items"), {"is_settled": beside.is_settled})
    if beside.moved and not beside.is_settled:
        moment = {"snapshot": provenance.data_snapshot, "moved_at": provenance.generated_at}
        con.execute(statement("minute/insert_moved_items"), moment)


def note_publication(con: duckdb.DuckDBPyConnection, done: Publication, provenance: Provenance, cadence: str, champion: str | None) -> None:
    origin = {name: value for name, value in asdict(provenance).items() if name != "generated_at"}
    counts = {"n_users": done.n_users, "n_users_changed": done.n_users_changed, "n_items": done.n_items}
    con.execute(
        statement("publish/insert_publication"),
        {**origin, **counts, "publication_id": done.publication_id, "cadence": cadence, "champion": champion, "published_at": _now()},
    )


def with_reasons(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, snapshot: int) -> tuple[RankedLists, pa.Array]:
    """The lists with a phrase's number in place of the item that speaks for another, and the phrases; POPULAR is the last."""
    speaking = np.unique(lists.because[lists.because >= 0])
    con.register("catalog", pa.table({"position": np.arange(len(speaking)), "item_id": item_ids.take(pa.array(speaking))}))
    phrases = con.execute(statement("publish/select_reasons"), {"snapshot": snapshot}).to_arrow_table()["reason"]
    number = np.where(lists.because < 0, len(speaking), np.searchsorted(speaking, lists.because))
    return replace(lists, because=number), pa.concat_arrays([phrases.combine_chunks().cast(pa.string()), pa.array([POPULAR])])


def publication_id_of(provenance: Provenance, cadence: str) -> str:
    key = f"{cadence}|{provenance.flow_run_id}|{provenance.model_version}|{provenance.data_snapshot}|{provenance.generated_at.isoformat()}"
    return md5(key.encode(), usedforsecurity=False).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
