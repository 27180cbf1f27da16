"""What a night or a minute worked out becomes tables: in one lake transaction, so that a reader sees the old lists or the new."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import md5

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from models.dataset import Ints
from models.errors import UserError
from models.results import MetricRow, Neighbours, RankedLists
from tasks.feed import Beside, News, Watermarks, watermarks_of
from tasks.lake import Lake, reading, statement, writing
from tasks.published_rows import ANYONE, LISTS, NEIGHBOURS, check_lists, list_batches, metric_rows, neighbour_batches

logger = logging.getLogger("minutehand.publishing")

POPULAR = "popular right now"
ALL_SETTLED = Beside([], (), is_settled=True)
"""Where every list is made anew, none waits."""
CHANGED_DEPTH = 10
NO_TRENDS = pa.table({"user_id": pa.array([], pa.string()), "trends": pa.array([], pa.list_(pa.float32()))})


class StaleError(UserError):
    """Somebody else has published since the news were read."""


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


def publish(
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
    publication_id = _publication_id(provenance, cadence)
    with writing(lake) as con:
        con.execute("set threads = 1")  # an insert by several threads does not keep the order of the rows
        _replace_lists(con, item_ids, lists, fallback, provenance)
        _replace_neighbours(con, item_ids, neighbours, provenance)
        _replace_histories(con, event_weights, max_events, provenance, NO_TRENDS if trends is None else trends)
        n_users, n_users_changed = con.execute(statement("publish/count_users"), {"depth": CHANGED_DEPTH}).fetchone() or (0, 0)
        _forget(con, publication_id, provenance)
        _note(con, Publication(publication_id, n_users, n_users_changed, len(item_ids), 0.0), provenance, cadence, champion)
        _note_prequential(con, prequential, versions or {}, provenance)
        if news is not None:
            _note_freshness(con, news, publication_id, provenance)
        _note_moved(con, ALL_SETTLED, provenance)
        _move_watermarks(con, watermarks or Watermarks(provenance.data_snapshot, provenance.data_snapshot), provenance)
    return _told(Publication(publication_id, n_users, n_users_changed, len(item_ids), round(time.perf_counter() - started, 2)))


def publish_minute(
    lake: Lake,
    catalog_item_ids: Sequence[str],
    lists: RankedLists,
    fallback: RankedLists,
    neighbours_of: tuple[Ints, Neighbours],
    news: News,
    beside: Beside,
    max_events: int,
    provenance: Provenance,
    watermarks_before: Watermarks,
    watermarks_after: Watermarks,
    *,
    champion: str | None = None,
    prequential: Sequence[MetricRow] = (),
    versions: Mapping[str, str] | None = None,
    cadence: str = "minute",
) -> Publication:
    """Replace the lists of some users and the list for anyone, add the new events to the histories, and note the publication.

    All of it is one transaction. neighbours_of: some catalog rows, and the neighbours of each. beside: the users without news among those
    of the lists, and what moved; where that is not settled it is remembered for the next minute. champion, prequential, versions: as
    in publish. Raises StaleError, and changes nothing, where the watermarks are no longer those of before: another run has
    published, or this one has already.
    """
    started = time.perf_counter()
    check_lists(lists, len(catalog_item_ids))
    check_lists(fallback, len(catalog_item_ids))
    item_ids = pa.array(catalog_item_ids, pa.string())
    publication_id = _publication_id(provenance, cadence)
    with writing(lake) as con:
        _check_watermarks(con, watermarks_before)
        _make_room(con, lists.user_ids)
        con.execute("set threads = 1")  # an insert by several threads does not keep the order of the rows
        n_users, n_users_changed = _insert_some_lists(con, item_ids, lists, fallback, provenance)
        _replace_some_neighbours(con, item_ids, *neighbours_of, provenance)
        _extend_histories(con, news, max_events, provenance)
        _note(con, Publication(publication_id, n_users, n_users_changed, len(item_ids), 0.0), provenance, cadence, champion)
        _note_prequential(con, prequential, versions or {}, provenance)
        _note_freshness(con, news, publication_id, provenance)
        _note_moved(con, beside, provenance)
        _move_watermarks(con, watermarks_after, provenance)
    return _told(Publication(publication_id, n_users, n_users_changed, len(item_ids), round(time.perf_counter() - started, 2)))


def _told(done: Publication) -> Publication:
    logger.info("published %d users (%d changed) and %d items in %.1f s", done.n_users, done.n_users_changed, done.n_items, done.seconds)
    return done


def live_version(lake: Lake) -> str | None:
    """The model version of the newest publication; None before the first."""
    origin = live_origin(lake)
    return None if origin is None else origin[0]


def live_origin(lake: Lake) -> tuple[str, str] | None:
    """That version and its MLflow run: a registry that was lost gives the number to another."""
    with reading(lake) as con:
        row = con.execute(statement("publish/live_version")).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def is_published(lake: Lake, version: str) -> bool:
    """Whether lists were made by a model version, be they of now or gone."""
    with reading(lake) as con:
        return con.execute(statement("publish/is_published"), {"version": version}).fetchone() == (True,)


def write_offline_metrics(lake: Lake, rows: Sequence[MetricRow], provenance: Provenance, versions: Mapping[str, str] | None = None) -> None:
    """Note the figures of one night in eval.offline; a second call of the same flow run replaces the first.

    versions: which registered version a model name stands for; `minutehand` is provenance's, others have none.
    """
    named = {"minutehand": provenance.model_version, **(versions or {})}
    with writing(lake) as con:
        con.execute(statement("publish/delete_offline"), {"flow_run_id": provenance.flow_run_id})
        con.register("metrics", metric_rows(rows, named))
        con.execute(statement("publish/insert_offline"), _evaluation(provenance))


def _evaluation(provenance: Provenance) -> dict[str, object]:
    return {
        "flow_run_id": provenance.flow_run_id,
        "mlflow_run_id": provenance.mlflow_run_id,
        "data_snapshot": provenance.data_snapshot,
        "evaluated_at": provenance.generated_at,
    }


def _replace_lists(
    con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, fallback: RankedLists, provenance: Provenance
) -> None:
    con.execute(statement("publish/remember_lists"), {"depth": CHANGED_DEPTH})
    con.execute(statement("publish/delete_recommendations"))
    batches = list_batches(item_ids, fallback, *_with_reasons(con, item_ids, lists, provenance.data_snapshot))
    con.register("lists", pa.RecordBatchReader.from_batches(LISTS, batches))
    con.execute(statement("publish/insert_recommendations"), asdict(provenance))


def _make_room(con: duckdb.DuckDBPyConnection, user_ids: Sequence[str]) -> None:
    """Delete the lists of some users and the one for anyone, and remember their tops: the scans that grow with the number of users."""
    con.register("at_hand", pa.table({"user_id": pa.array([*user_ids, ANYONE], pa.string())}))
    con.execute(statement("minute/remember_lists"), {"depth": CHANGED_DEPTH})
    con.execute(statement("minute/delete_recommendations"))


def _insert_some_lists(
    con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, fallback: RankedLists, provenance: Provenance
) -> tuple[int, int]:
    """How many users got a list, and how many of them a changed one."""
    batches = list_batches(item_ids, fallback, *_with_reasons(con, item_ids, lists, provenance.data_snapshot))
    con.register("lists", pa.Table.from_batches(batches, LISTS))
    con.execute(statement("publish/insert_recommendations"), asdict(provenance))
    return con.execute(statement("minute/count_users"), {"depth": CHANGED_DEPTH}).fetchone() or (0, 0)


def _replace_neighbours(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, neighbours: Neighbours, provenance: Provenance) -> None:
    con.execute(statement("publish/delete_similar_items"))
    _insert_neighbours(con, item_ids, np.arange(len(item_ids)), neighbours, provenance)


def _replace_some_neighbours(
    con: duckdb.DuckDBPyConnection, item_ids: pa.Array, rows: Ints, neighbours: Neighbours, provenance: Provenance
) -> None:
    if not len(rows):
        return
    con.register("new_items", pa.table({"item_id": item_ids.take(pa.array(rows))}))
    con.execute(statement("minute/delete_similar_items"))
    _insert_neighbours(con, item_ids, rows, neighbours, provenance)


def _insert_neighbours(
    con: duckdb.DuckDBPyConnection, item_ids: pa.Array, rows: Ints, neighbours: Neighbours, provenance: Provenance
) -> None:
    con.register("neighbours", pa.RecordBatchReader.from_batches(NEIGHBOURS, neighbour_batches(item_ids, rows, neighbours)))
    names = ("model_version", "data_snapshot", "generated_at")
    con.execute(statement("publish/insert_similar_items"), {name: getattr(provenance, name) for name in names})


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


def _extend_histories(con: duckdb.DuckDBPyConnection, news: News, max_events: int, provenance: Provenance) -> None:
    con.register("fresh", _fresh(news))
    con.register("histories", news.histories)
    con.execute(statement("minute/delete_histories"))
    con.execute(statement("minute/insert_histories"), {"max_events": max_events, "updated_at": provenance.generated_at})


def _fresh(news: News) -> pl.DataFrame:
    """The events that were not published before, numbered in their order."""
    return news.events.filter("is_new").with_row_index("position")


def _check_watermarks(con: duckdb.DuckDBPyConnection, before: Watermarks) -> None:
    now = watermarks_of(con)
    if now != before:
        raise StaleError(
            f"another run has published since the news were read: the watermarks are {now} and no longer {before}; "
            "nothing was written, and the next minute goes on from there"
        )


def _move_watermarks(con: duckdb.DuckDBPyConnection, marks: Watermarks, provenance: Provenance) -> None:
    con.execute(statement("publish/delete_watermarks"))
    con.execute(statement("publish/insert_watermarks"), {**asdict(marks), "updated_at": provenance.generated_at})


def _forget(con: duckdb.DuckDBPyConnection, publication_id: str, provenance: Provenance) -> None:
    """Forget the notes of a publish that is done again. A minute cannot be, as its watermarks have moved: it need not look for any."""
    con.execute(statement("publish/delete_publication"), {"publication_id": publication_id})
    con.execute(statement("publish/delete_prequential"), {"flow_run_id": provenance.flow_run_id})
    con.execute(statement("publish/delete_freshness"), {"publication_id": publication_id})


def _note_prequential(
    con: duckdb.DuckDBPyConnection, rows: Sequence[MetricRow], versions: Mapping[str, str], provenance: Provenance
) -> None:
    if not rows:
        return
    con.register("metrics", metric_rows(rows, versions))
    con.execute(statement("publish/insert_prequential"), _evaluation(provenance))


def _note_freshness(con: duckdb.DuckDBPyConnection, news: News, publication_id: str, provenance: Provenance) -> None:
    con.register("fresh", _fresh(news))
    con.execute(statement("publish/insert_freshness"), {"publication_id": publication_id, "generated_at": provenance.generated_at})


def _note_moved(con: duckdb.DuckDBPyConnection, beside: Beside, provenance: Provenance) -> None:
    con.register("moved", pa.table({"item_id": pa.array(beside.moved, pa.string())}))
    con.execute(statement("minute/delete_moved_items"), {"is_settled": beside.is_settled})
    if beside.moved and not beside.is_settled:
        moment = {"snapshot": provenance.data_snapshot, "moved_at": provenance.generated_at}
        con.execute(statement("minute/insert_moved_items"), moment)


def _note(con: duckdb.DuckDBPyConnection, done: Publication, provenance: Provenance, cadence: str, champion: str | None) -> None:
    origin = {name: value for name, value in asdict(provenance).items() if name != "generated_at"}
    counts = {"n_users": done.n_users, "n_users_changed": done.n_users_changed, "n_items": done.n_items}
    con.execute(
        statement("publish/insert_publication"),
        {**origin, **counts, "publication_id": done.publication_id, "cadence": cadence, "champion": champion, "published_at": _now()},
    )


def _with_reasons(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, snapshot: int) -> tuple[RankedLists, pa.Array]:
    """The lists with a phrase's number in place of the item that speaks for another, and the phrases; POPULAR is the last."""
    speaking = np.unique(lists.because[lists.because >= 0])
    con.register("catalog", pa.table({"position": np.arange(len(speaking)), "item_id": item_ids.take(pa.array(speaking))}))
    phrases = con.execute(statement("publish/select_reasons"), {"snapshot": snapshot}).to_arrow_table()["reason"]
    number = np.where(lists.because < 0, len(speaking), np.searchsorted(speaking, lists.because))
    return replace(lists, because=number), pa.concat_arrays([phrases.combine_chunks().cast(pa.string()), pa.array([POPULAR])])


def _publication_id(provenance: Provenance, cadence: str) -> str:
    key = f"{cadence}|{provenance.flow_run_id}|{provenance.model_version}|{provenance.data_snapshot}|{provenance.generated_at.isoformat()}"
    return md5(key.encode(), usedforsecurity=False).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
