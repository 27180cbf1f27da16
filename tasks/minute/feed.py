"""What came into the lake since the last minute, beside what was known of the users it is about."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import polars as pl

from models.errors import UserError
from models.events import Earlier, Events, Floats, Ints, offsets_of
from models.online.step import Step
from tasks.config import PublishConfig
from tasks.lake import Lake, current_snapshot, reading, statement
from tasks.minute.pacing import Refresh, due_refresh
from tasks.watermarks import Watermarks, watermarks_of

ARRAYS = ["item_ids", "event_types", "occurred_at", "times_s", "weights", "trends"]
EVENT = {"item_ids": "item_id", "event_types": "event_type", "times_s": "time_s", "weights": "weight", "trends": "trend"}
ALIKE = ["user_id", "item_id", "event_type", "occurred_at"]


@dataclass(frozen=True)
class News:
    """What came in after the watermarks and up to a snapshot.

    events: user_id, item_id, event_type, occurred_at, time_s (unix seconds), weight, received_at, is_new, trend, in order of time
    (ties: the order of the lake). New ones have not been published; the others have, and wait to be learnt.
    histories: user_id, item_ids, event_types, occurred_at, times_s, weights, trends (lists, oldest first), earlier_item_ids (of the events
    before those), n_events (of both), of the users of events, as last published: the events that only wait to be learnt are in there too.
    items: item_id, title, is_available, is_new of the items whose description is new or changed since what is learnt: the catalog of the
    live version may not know those of before is_new either.
    """

    snapshot: int
    events: pl.DataFrame
    histories: pl.DataFrame
    items: pl.DataFrame

    @property
    def is_empty(self) -> bool:
        """Nothing to predict and nothing to encode; what waits to be learnt waits for company."""
        return not self.events["is_new"].any() and not self.items["is_new"].any()

    @property
    def item_ids(self) -> list[str]:
        """Every item that is named, once: described ones first, then as the events and histories name them."""
        named = [self.items["item_id"], self.events["item_id"], self.histories["item_ids"].explode(empty_as_null=False)]
        return pl.concat(named).unique(maintain_order=True).to_list()

    @property
    def is_all_learnt(self) -> bool:
        """Nothing is new, and nothing waits to be learnt either."""
        return self.events.is_empty() and self.items.is_empty()


@dataclass(frozen=True)
class Work:
    """What a minute finds: how far the live model is, what came in since, and which lists have grown old.

    read_at: the watermarks of the lake, which are those of the live model unless another version goes on in its place.
    """

    marks: Watermarks
    news: News
    refresh: Refresh
    read_at: Watermarks

    @property
    def is_empty(self) -> bool:
        """No reason to publish anything."""
        return self.news.is_empty and not self.refresh.is_due and not self.refresh.is_waiting


def look_for_work(lake: Lake, event_weights: Mapping[str, float], max_events: int, publish: PublishConfig, now: datetime) -> Work | None:
    """How far the work is, what came in since, and the lists that have grown old by now (UTC); None before the first publish.

    One connection does, for most minutes end here. The histories are those of now, not of news.snapshot: only whoever has the
    publishing turn may call this, so that nobody else changes them.
    """
    with reading(lake) as con:
        marks = watermarks_of(con)
        if marks is None:
            return None
        return Work(marks, _news(con, marks, current_snapshot(con), event_weights, max_events), due_refresh(con, publish, now), marks)


def read_news(lake: Lake, marks: Watermarks, snapshot: int, event_weights: Mapping[str, float], max_events: int) -> News:
    """The events and items in (marks, snapshot], with the last max_events events of their users.

    Reads the change feed and features.user_histories, never the whole of raw.events. Raises UserError where the feed begins at a
    snapshot that the lake has let go of.
    """
    with reading(lake, snapshot) as con:
        return _news(con, marks, snapshot, event_weights, max_events)


def _news(con: duckdb.DuckDBPyConnection, marks: Watermarks, snapshot: int, event_weights: Mapping[str, float], max_events: int) -> News:
    weights = _by_type(event_weights)
    try:
        events = con.execute(statement("minute/events"), {**asdict(marks), "until": snapshot, **weights}).pl()
        items = con.execute(statement("minute/items"), {**asdict(marks), "until": snapshot}).pl()
    except duckdb.InvalidInputException as error:
        if "No snapshot found" not in str(error):
            raise
        raise UserError(
            f"the lake has let go of snapshot {marks.learnt + 1}, where the news begin; `minutehand nightly` learns everything anew"
        ) from error
    return News(snapshot, events, _histories(con, events["user_id"].unique(), weights, max_events), items)


def read_histories(lake: Lake, user_ids: Collection[str], event_weights: Mapping[str, float], max_events: int) -> pl.DataFrame:
    """The last max_events events of some users, as News.histories; users without any have no row."""
    with reading(lake) as con:
        return _histories(con, pl.Series(list(user_ids), dtype=pl.String), _by_type(event_weights), max_events)


def _by_type(event_weights: Mapping[str, float]) -> dict[str, list[Any]]:
    return {"event_types": list(event_weights), "weights": list(event_weights.values())}


def _histories(con: duckdb.DuckDBPyConnection, user_ids: pl.Series, weights: Mapping[str, list[Any]], max_events: int) -> pl.DataFrame:
    con.register("at_hand", pl.DataFrame({"user_id": user_ids}))
    return con.execute(statement("minute/histories"), {"max_events": max_events, **weights}).pl()


def make_step(news: News, row_of_item: Mapping[str, int], kinds: Sequence[str], n_items: int, as_of: int) -> Step:
    """The users of the news, by id, with what was known of them and what is due, merged by time (ties: the order of the lake).

    row_of_item: must know every one of news.item_ids, or ValueError is raised. kinds: event types by number, the first for all others.
    """
    known = _not_due(_exploded(news.histories), news.events.filter(~pl.col("is_new")))
    due = news.events.select(*known.columns, "is_new", is_due=pl.lit(value=True))
    merged = pl.concat([known.with_columns(is_new=pl.lit(value=False), is_due=pl.lit(value=False)), due]).sort(
        "user_id", "occurred_at", maintain_order=True
    )
    user_ids = merged["user_id"].unique().sort()
    events, is_new = _events(merged, user_ids, row_of_item, kinds, n_items), merged["is_new"].to_numpy()
    return Step(
        events=events,
        is_new=is_new,
        is_due=merged["is_due"].to_numpy(),
        user_ids=tuple(user_ids),
        as_of=as_of,
        trend=_trend(merged),
        earlier=_earlier(news.histories, user_ids, events.where(~is_new), row_of_item),
    )


def histories_events(
    frame: pl.DataFrame, row_of_item: Mapping[str, int], kinds: Sequence[str], n_items: int
) -> tuple[Events, Floats, Earlier]:
    """Histories as events, how trendy each was, and what came before them: row n of the frame is user n.

    Items that row_of_item does not know are passed over.
    """
    known = _exploded(frame).filter(pl.col("item_id").is_in(list(row_of_item)))
    user_ids = frame["user_id"]
    order = np.argsort(_rows(known["user_id"], {user: row for row, user in enumerate(user_ids)}, None), kind="stable")
    events = _events(known, user_ids, row_of_item, kinds, n_items)
    return events, _trend(known)[order], _earlier(frame, user_ids, events, row_of_item)


def _earlier(histories: pl.DataFrame, user_ids: pl.Series, known: Events, row_of_item: Mapping[str, int]) -> Earlier:
    """What the users did before the known events, the part of their histories that is at hand; unknown items are passed over."""
    number = {user: row for row, user in enumerate(user_ids)}
    n_events = np.zeros(len(user_ids), np.int64)
    n_events[_rows(histories["user_id"], number, None)] = histories["n_events"].to_numpy()
    had = histories.select("user_id", item_id="earlier_item_ids").explode("item_id", empty_as_null=False)
    user, item = _rows(had["user_id"], number, None), _rows(had["item_id"], row_of_item, None)
    in_catalog = np.flatnonzero(item >= 0)
    by_user = in_catalog[np.argsort(user[in_catalog], kind="stable")]
    borders = np.searchsorted(user[by_user], np.arange(len(user_ids) + 1))
    return Earlier(n_events - np.diff(offsets_of(known, len(user_ids))), borders[:-1], borders[1:], item[by_user])


def _trend(frame: pl.DataFrame) -> Floats:
    """NaN where it is not known."""
    return frame["trend"].cast(pl.Float32).fill_null(float("nan")).to_numpy()


def _exploded(histories: pl.DataFrame) -> pl.DataFrame:
    """One row per event, oldest first within each user."""
    return histories.select("user_id", *ARRAYS).explode(ARRAYS, empty_as_null=False).rename(EVENT)


def _not_due(known: pl.DataFrame, due: pl.DataFrame) -> pl.DataFrame:
    """The known events without those that are due, which came in later than all that are alike."""
    counts = due.group_by(ALIKE).agg(n_due=pl.len())
    later_alike = pl.int_range(pl.len()).reverse().over(ALIKE)
    return (
        known.with_columns(n_later=later_alike)
        .join(counts, on=ALIKE, how="left", maintain_order="left")
        .filter(pl.col("n_later") >= pl.col("n_due").fill_null(0))
        .drop("n_later", "n_due")
    )


def _events(frame: pl.DataFrame, user_ids: pl.Series, row_of_item: Mapping[str, int], kinds: Sequence[str], n_items: int) -> Events:
    user = _rows(frame["user_id"], {user: row for row, user in enumerate(user_ids)}, None)
    item = _rows(frame["item_id"], row_of_item, None)
    kind = _rows(frame["event_type"], {kind: row for row, kind in enumerate(kinds)}, 0)
    for name, rows in (("user_id", user), ("item_id", item)):
        if (rows < 0).any():
            raise ValueError(f"no row for {name} {frame[name][int(np.argmax(rows < 0))]!r}: grow the catalog by news.item_ids first")
    time, weight = frame["time_s"].to_numpy(), frame["weight"].to_numpy()
    return Events.build(user, item, kind, time, weight, n_items=n_items, n_kinds=len(kinds))


def _rows(values: pl.Series, row_of: Mapping[str, int], otherwise: int | None) -> Ints:
    """The row of each value; -1 where it has none and there is no other for it."""
    distinct = values.unique()
    default = -1 if otherwise is None else otherwise
    table = pl.DataFrame({values.name: distinct, "row": pl.Series([row_of.get(value, default) for value in distinct], dtype=pl.Int64)})
    return pl.DataFrame({values.name: values}).join(table, on=values.name, how="left", maintain_order="left")["row"].to_numpy()
