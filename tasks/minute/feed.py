"""New events and items since the last minute run, with the histories of the users they concern."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import polars as pl

from models.errors import UserError
from models.events import Earlier, Events, Floats, Ints, offsets_of
from models.online.step import Step
from tasks.config import PublishConfig
from tasks.experiments import Experiment, experiment_of
from tasks.lake import Lake, Readable, current_snapshot, execute, reading, statement
from tasks.minute.pacing import Refresh, due_refresh
from tasks.scenarios.changes import UNCHANGED, Rules, rules_of
from tasks.scenarios.file import DEFAULT, Scenario
from tasks.watermarks import Watermarks, watermarks_of

ARRAYS = ["item_ids", "event_types", "occurred_at", "times_s", "weights", "trends"]
EVENT = {"item_ids": "item_id", "event_types": "event_type", "times_s": "time_s", "weights": "weight", "trends": "trend"}
SEARCH = pl.Schema({"user_id": pl.String(), "query": pl.String(), "occurred_at": pl.Datetime("us"), "time_s": pl.Int64()})
MERGED = pl.Schema({"alias": pl.String(), "user_id": pl.String()})
ALIKE = ["user_id", "item_id", "event_type", "occurred_at"]


@dataclass(frozen=True)
class News:
    """Events and items that arrived after the watermarks and up to a snapshot.

    events: user_id, item_id, event_type, occurred_at, time_s (unix seconds), weight, received_at, is_new, trend, ordered by time
    (ties: lake order). Events with is_new are unpublished; the others are published and due to be learnt.
    histories: user_id, item_ids, event_types, occurred_at, times_s, weights, trends (lists, oldest first), earlier_item_ids (items of
    events older than the lists), n_events (all events). One row per user in events and merged, as last published, so it includes
    published events that are still due.
    items: item_id, title, is_available, is_new of the items that are new or changed since the learnt watermark. The catalog of the live
    version may lack items without is_new as well.
    searches: user_id, query, occurred_at, time_s: the last unpublished search of each user; nothing is learnt from it, but lists follow it.
    merged: alias, user_id of the unpublished merges. In all other frames, aliases count as their users.
    is_again: whether a person has chosen an earlier model since the last run, which learns the events since then at once.
    """

    snapshot: int
    events: pl.DataFrame
    histories: pl.DataFrame
    items: pl.DataFrame
    searches: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SEARCH))
    merged: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=MERGED))
    is_again: bool = False

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to predict or encode, and no list to change because of a search or a merge.

        Published events that are due are learnt together with the next new ones.
        """
        return not self.has_news and not self.is_again and self.searches.is_empty() and self.merged.is_empty()

    @property
    def has_news(self) -> bool:
        """Whether there are new events or items, or some that are to be learnt again."""
        return bool(self.events["is_new"].any() or self.items["is_new"].any()) or (self.is_again and not self.is_all_learnt)

    @property
    def item_ids(self) -> list[str]:
        """Every item id once, in order of first mention: in items, then in events, then in histories."""
        named = [self.items["item_id"], self.events["item_id"], self.histories["item_ids"].explode(empty_as_null=False)]
        return pl.concat(named).unique(maintain_order=True).to_list()

    @property
    def is_all_learnt(self) -> bool:
        """True if nothing is new and nothing is due to be learnt."""
        return self.events.is_empty() and self.items.is_empty()


@dataclass(frozen=True)
class Work:
    """The pending work of a minute run: the watermarks of the live model, the news since then, and the old lists.

    read_at: the watermarks in the lake. They equal `marks` unless another version replaces a damaged live version. rules: of the
    scenarios of the home.
    """

    marks: Watermarks
    news: News
    refresh: Refresh
    read_at: Watermarks
    rules: Rules = UNCHANGED
    scenarios: Mapping[str, Scenario] = field(default_factory=lambda: {DEFAULT: Scenario(name=DEFAULT)})
    experiment: Experiment | None = None

    @property
    def is_empty(self) -> bool:
        """True if there is no reason to publish."""
        is_due = self.refresh.is_due or self.refresh.is_waiting or self.rules.is_due
        return self.news.is_empty and not is_due and (self.experiment is None or not self.experiment.is_due)


def look_for_work(
    lake: Lake,
    event_weights: Mapping[str, float],
    max_events: int,
    publish: PublishConfig,
    now: datetime,
    scenarios: Mapping[str, Scenario] | None = None,
) -> Work | None:
    """The watermarks, the news since then, and the lists that are old at `now` (UTC); None before the first publish.

    Uses one connection to be fast, as most minute runs end here. Histories are current, not those of news.snapshot: the caller must
    hold the publishing lock so that no other process changes them.
    """
    with reading(lake) as con:
        con.begin()  # all statements see one snapshot, so that each merge of ids counts for all or for none
        marks = watermarks_of(con)
        if marks is None:
            return None
        news = _news(con, marks, current_snapshot(con), event_weights, max_events)
        news = replace(news, is_again=is_behind(con))
        known = scenarios or {DEFAULT: Scenario(name=DEFAULT)}
        rules = replace(
            rules_of(con, lake, news.snapshot, known, now), hiding=_hiding_users(con, marks, news.snapshot, known, event_weights)
        )
        return Work(marks, news, due_refresh(con, publish, now, rules.since), marks, rules, known, experiment_of(con, lake.home))


def _hiding_users(
    con: duckdb.DuckDBPyConnection, marks: Watermarks, snapshot: int, scenarios: Mapping[str, Scenario], event_weights: Mapping[str, float]
) -> tuple[str, ...]:
    """Users with unpublished events that hide an item in some scenario in tables, but weigh nothing and so are not in the news."""
    types = {name for each in scenarios.values() if each.is_published for name in each.hide if not event_weights.get(name, 1.0) > 0}
    if not types:
        return ()
    asked = {"published": marks.published, "until": snapshot, "event_types": sorted(types)}
    return tuple(user for (user,) in con.execute(statement("scenarios/hiding_users"), asked).fetchall())


def read_news(lake: Lake, marks: Watermarks, snapshot: int, event_weights: Mapping[str, float], max_events: int) -> News:
    """The events and items in (marks, snapshot], with the last max_events events of their users.

    Reads the change feed and features.user_histories, never all of raw.events. Raises UserError if the first snapshot of the feed has
    expired.
    """
    with reading(lake, snapshot) as con:
        return _news(con, marks, snapshot, event_weights, max_events)


def _news(con: duckdb.DuckDBPyConnection, marks: Watermarks, snapshot: int, event_weights: Mapping[str, float], max_events: int) -> News:
    try:
        return _news_since(con, marks, snapshot, min(marks.learnt + 1, snapshot), event_weights, max_events)
    except duckdb.InvalidInputException as error:
        if "No snapshot found" not in str(error):
            raise
        start, _ = feed_start(con, marks.learnt)
        if start is not None and start <= snapshot:
            return _news_since(con, marks, snapshot, start, event_weights, max_events)
        raise UserError(
            f"snapshot {marks.learnt + 1}, where the new events begin, has expired in the lake; `minutehand nightly` learns all events"
        ) from error


def feed_start(con: duckdb.DuckDBPyConnection, learnt: int) -> tuple[int | None, int]:
    """The snapshot from which to read the events after `learnt`, None if it has expired, and the oldest snapshot."""
    start, oldest = execute(con, "minute/feed_start", {"wanted": learnt + 1}).fetchone() or (None, 0)
    return None if start is None else int(start), int(oldest)


def is_behind(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether a person has chosen an earlier model, and no run has published since, so that it has events to learn again."""
    row = con.execute(statement("publish/newest_promotion")).fetchone()
    return row is not None and bool(row[-1])


def _news_since(
    con: duckdb.DuckDBPyConnection, marks: Watermarks, snapshot: int, since: int, event_weights: Mapping[str, float], max_events: int
) -> News:
    """since: the snapshot from which the change feed is read."""
    weights = _by_type(event_weights)
    events = con.execute(statement("minute/events"), {"since": since, **asdict(marks), "until": snapshot, **weights}).pl()
    items = con.execute(statement("minute/items"), {"since": since, **asdict(marks), "until": snapshot}).pl()
    searches = con.execute(statement("minute/searches"), {"published": marks.published, "until": snapshot}).pl()
    merged = con.execute(statement("minute/merged"), {"published": marks.published, "until": snapshot}).pl()
    user_ids = pl.concat([events["user_id"], merged["user_id"]]).unique()
    return News(snapshot, events, _histories(con, user_ids, weights, max_events), items, searches, merged)


def read_histories(at: Readable, user_ids: Collection[str], event_weights: Mapping[str, float], max_events: int) -> pl.DataFrame:
    """The last max_events events of the given users, in the columns of News.histories; empty lists for users without events."""
    wanted = pl.DataFrame({"user_id": pl.Series(list(user_ids), dtype=pl.String)}).unique().sort("user_id")
    with reading(at) as con:
        known = _histories(con, wanted["user_id"], _by_type(event_weights), max_events)
    lists = [pl.col(name).fill_null(pl.lit([], dtype=kind)) for name, kind in known.schema.items() if isinstance(kind, pl.List)]
    return wanted.join(known, on="user_id", how="left", maintain_order="left").with_columns(*lists, pl.col("n_events").fill_null(0))


def _by_type(event_weights: Mapping[str, float]) -> dict[str, list[Any]]:
    return {"event_types": list(event_weights), "weights": list(event_weights.values())}


def _histories(con: duckdb.DuckDBPyConnection, user_ids: pl.Series, weights: Mapping[str, list[Any]], max_events: int) -> pl.DataFrame:
    con.register("at_hand", pl.DataFrame({"user_id": user_ids}))
    return con.execute(statement("minute/histories"), {"max_events": max_events, **weights}).pl()


def make_step(news: News, row_of_item: Mapping[str, int], kinds: Sequence[str], n_items: int, as_of: int) -> Step:
    """The users in the news, ordered by id, with their known and due events merged by time (ties: lake order).

    kinds: event types by number; number 0 stands for unknown types. Raises ValueError if row_of_item lacks one of news.item_ids.
    """
    histories = news.histories.filter(pl.col("user_id").is_in(news.events["user_id"].unique()))
    known = _not_due(_exploded(histories), news.events.filter(~pl.col("is_new")))
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
        earlier=_earlier(histories, user_ids, events.where(~is_new), row_of_item),
    )


def histories_events(
    frame: pl.DataFrame, row_of_item: Mapping[str, int], kinds: Sequence[str], n_items: int
) -> tuple[Events, Floats, Earlier]:
    """The histories as events, the trend of each event, and the earlier items; row n of the frame is user n.

    Skips items that are not in row_of_item.
    """
    known = _exploded(frame).filter(pl.col("item_id").is_in(list(row_of_item)))
    user_ids = frame["user_id"]
    order = np.argsort(_rows(known["user_id"], {user: row for row, user in enumerate(user_ids)}, None), kind="stable")
    events = _events(known, user_ids, row_of_item, kinds, n_items)
    return events, _trend(known)[order], _earlier(frame, user_ids, events, row_of_item)


def _earlier(histories: pl.DataFrame, user_ids: pl.Series, known: Events, row_of_item: Mapping[str, int]) -> Earlier:
    """Counts and items of the events that are older than the known part of each history. Skips unknown items."""
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
    """Trend of each event; NaN if unknown."""
    return frame["trend"].cast(pl.Float32).fill_null(float("nan")).to_numpy()


def _exploded(histories: pl.DataFrame) -> pl.DataFrame:
    """One row per event, oldest first within each user."""
    return histories.select("user_id", *ARRAYS).explode(ARRAYS, empty_as_null=False).rename(EVENT)


def _not_due(known: pl.DataFrame, due: pl.DataFrame) -> pl.DataFrame:
    """Drop the due events from the known events: of several equal events, the due ones are the last."""
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
    """The row of each value; values without a row get `otherwise`, or -1 if that is None."""
    distinct = values.unique()
    default = -1 if otherwise is None else otherwise
    table = pl.DataFrame({values.name: distinct, "row": pl.Series([row_of.get(value, default) for value in distinct], dtype=pl.Int64)})
    return pl.DataFrame({values.name: values}).join(table, on=values.name, how="left", maintain_order="left")["row"].to_numpy()
