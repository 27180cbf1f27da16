"""Reads files for a backtest into a temporary lake, with the same mapping, validation and tie order as an ingest."""

from __future__ import annotations

import tempfile
import time as clock
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from models.config import EncoderConfig
from models.errors import UserError
from tasks.config import ALL, IngestConfig
from tasks.encoding import encode_changed_items
from tasks.ingest.columns import check_fields, resolve
from tasks.ingest.fields import EVENT_ALIASES, ITEM_ALIASES
from tasks.ingest.ingestion import Summary, ingest
from tasks.ingest.sources import ColumnMapping, check_content, discover, inspect, reading_of
from tasks.ingest.staging import prepare, read_whole, resolved
from tasks.lake import NOTHING_FETCHED, Lake, LakeConfig, locate, migrate, newest_snapshot, reading, statement
from tasks.night.dataset import Dataset, load_dataset

ORDER = "pos"
NO_ENCODER = "none"
ONE_TIME = {"occurred_at": "2000-01-01"}
"""Constant time for events with an order column but no times."""


@dataclass(frozen=True)
class Files:
    """Input files and their column mappings.

    order: the column that numbers each user's events; None means `pos`. without_time: keep the order of events, but give all
    events the same time.
    """

    events: str
    items: str | None = None
    event_mapping: ColumnMapping = field(default_factory=ColumnMapping)
    item_mapping: ColumnMapping = field(default_factory=ColumnMapping)
    order: str | None = None
    without_time: bool = False


@dataclass(frozen=True)
class Loaded:
    """The data, the outcome of the rows, the column that orders events, and the seconds for encoding texts."""

    dataset: Dataset
    summaries: list[Summary]
    order: str | None
    encoding_s: float


def load(
    files: Files,
    config: IngestConfig,
    *,
    encoder: EncoderConfig | None = None,
    encode_within_s: float | None = None,
    device: str = "cpu",
    by_position: bool = False,
    threads: int = 0,
    progress: bool = False,
) -> Loaded:
    """Load the events and items; with an encoder, also encode as many texts as encode_within_s seconds allow.

    by_position: order a user's events by the order column, if the files have one, instead of by time.
    """
    as_given = {"pseudonyms": False, "keep_columns": ALL, "keep_context": ALL}  # the lake is temporary, and the order may be in context
    config = config.model_copy(update={"earliest_year": 0, **as_given})  # plain numbers instead of times also define the order
    order = find_order(files) if by_position else None
    if order is not None and not has_times(files, order):
        files = replace(files, event_mapping=replace(files.event_mapping, constants={**files.event_mapping.constants, **ONE_TIME}))
    check_columns(files)
    with tempfile.TemporaryDirectory(prefix="minutehand-backtest-") as name:
        folder = Path(name)
        lake = replace(locate(LakeConfig(), folder), threads=threads)
        migrate(lake)
        paths, mapping = [files.events], files.event_mapping
        if order is not None:
            columns = {name: column for name, column in mapping.columns.items() if name != "context"}
            paths, mapping = with_every_time(files, order, folder), replace(mapping, columns=columns, context=(order,))
        summaries = [ingest(lake, "events", paths, mapping, config)]
        if files.items is not None:
            summaries.append(ingest(lake, "items", [files.items], files.item_mapping, config))
        started = clock.monotonic()
        key, encoding_s = NO_ENCODER, 0.0
        if encoder is not None:
            encoded = encode_changed_items(lake, encoder, device, progress=progress, within_s=encode_within_s)
            key, encoding_s = encoded.encoder, clock.monotonic() - started
            if encoded.n_left_out:
                summaries[-1].notes.append(f"{encoded.n_left_out:,} texts were left out: there was no time to encode them")
        if not summaries[0].new:
            raise UserError(_nothing_left(files.events, summaries[0]))
        dataset = load_dataset(lake, newest_snapshot(lake), config.event_weights, key)
        if order is not None:
            dataset = in_order(dataset, positions(lake, order, config))
        if files.without_time:
            dataset = replace(dataset, events=replace(dataset.events, time=np.full_like(dataset.events.time, dataset.events.time.max())))
    return Loaded(dataset, summaries, order, encoding_s)


def _nothing_left(path: str, summary: Summary) -> str:
    """Error text for a file without usable events."""
    if not summary.read:
        return f"{path} has columns, but no rows below them; export it again"
    reasons = ", ".join(f"{reason['rule']} ({reason['n_rows']:,})" for reason in summary.reasons)
    return f"none of the {summary.read:,} rows of {path} is an event: {reasons}; map its columns with --map FIELD=COLUMN"


@contextmanager
def reader() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads files like an ingest."""
    with duckdb.connect(config=NOTHING_FETCHED) as con:
        con.execute("set enable_progress_bar = false")  # the bar would go to stdout, into the result
        con.execute("set timezone = 'UTC'")
        prepare(con, ColumnMapping(), IngestConfig())
        yield con


def check_columns(files: Files) -> None:
    """Raises UserError for unreadable files, mappings that match no column, and mappings without a file; runs before other work."""
    _check_items_are_given(files)
    check_fields(files.event_mapping, EVENT_ALIASES, "events")
    check_fields(files.item_mapping, ITEM_ALIASES, "items")
    with reader() as con:
        for path in discover([files.events]):
            check_content(path)
            resolved(con, inspect(con, path, files.event_mapping), "events", files.event_mapping)
        for path in discover([files.items]) if files.items is not None else ():
            check_content(path)
            resolved(con, inspect(con, path, files.item_mapping), "items", files.item_mapping)


def has_times(files: Files, order: str) -> bool:
    """Whether an event file has a time column or a mapping for one; without times, the order column alone orders events."""
    if "occurred_at" in files.event_mapping.columns or "occurred_at" in files.event_mapping.constants:
        return True
    with reader() as con:
        sources = [inspect(con, path, files.event_mapping) for path in discover([files.events])]
        mapping = replace(files.event_mapping, context=(*files.event_mapping.context, order))
        return any("occurred_at" in resolve(con, source, mapping, EVENT_ALIASES, ())[0] for source in sources)


def _check_items_are_given(files: Files) -> None:
    """Raises UserError for a mapping of item columns without a file of items."""
    mapping = files.item_mapping
    if files.items is not None or mapping == ColumnMapping():
        return
    given = [f"--map-items {name}={column}" for name, column in mapping.columns.items()]
    given += [] if mapping.separator is None else [f"--split {mapping.separator!r}"]
    options = " and ".join(given) or "a mapping"
    raise UserError(f"{options} is for the columns of items, and no items are given; add --items FILE, or leave it out")


def find_order(files: Files) -> str | None:
    """The column that numbers each user's events: the requested one, or else `pos` if every file has it."""
    wanted = ORDER if files.order is None else files.order
    with reader() as con:
        for path in discover([files.events]):
            check_content(path)
            source = inspect(con, path, files.event_mapping)
            if wanted not in source.columns:
                if files.order is None:
                    return None
                raise UserError(f"no column {wanted!r} in {path.name} (found: {', '.join(source.columns)}); name one of them with --order")
            for name, column in resolve(con, source, files.event_mapping, EVENT_ALIASES, ())[0].items():
                if column == wanted and name != "context":
                    raise UserError(f"column {wanted!r} of {path.name} is its {name}; --order needs one that numbers each user's events")
    return wanted


def with_every_time(files: Files, order: str, folder: Path) -> list[str]:
    """Paths of the files, replaced by copies where times are missing: a missing time is taken from the previous event in the order.

    A protocol that uses the order must keep events without a time, as their order is known.
    """
    paths = []
    with reader() as con:
        for number, path in enumerate(discover([files.events])):
            source = inspect(con, path, files.event_mapping)
            chosen = resolved(con, source, "events", files.event_mapping)[0]
            user, time = chosen.get("user_id"), chosen.get("occurred_at")
            if user is None or time is None or not {user, time} <= source.columns.keys():  # no times to fill, or inside other columns
                paths.append(str(path))
                continue
            with reading_of(path):
                rows = read_whole(con, path, files.event_mapping, folder)
            filled = fill_times(rows, user, time, order)
            if filled.equals(rows):
                paths.append(str(path))
                continue
            copy = folder / "filled" / str(number) / f"{path.name.split('.')[0]}.parquet"
            copy.parent.mkdir(parents=True)
            filled.write_parquet(copy)
            paths.append(str(copy))
    return paths


def fill_times(rows: pl.DataFrame, user: str, time: str, order: str) -> pl.DataFrame:
    """The rows with missing times filled from the user's previous event, or else from the next one."""
    is_blank = pl.col(time).cast(pl.String).str.strip_chars() == ""
    known = pl.when(~is_blank).then(pl.col(time))
    place = pl.col(order).cast(pl.Float64, strict=False)
    return rows.with_columns(known.forward_fill().over(user, order_by=place).alias(time)).with_columns(
        pl.col(time).backward_fill().over(user, order_by=place)
    )


def positions(lake: Lake, order: str, config: IngestConfig) -> np.ndarray:
    """The position of each event by the order column, in the row order of `load_dataset`."""
    pointer = "/" + order.replace("~", "~0").replace("/", "~1")
    weights = config.event_weights
    parameters = {"event_types": list(weights), "weights": list(weights.values()), "pointer": pointer}
    with reading(lake) as con:
        found = con.execute(statement("backtest/positions"), parameters).pl()["position"]
    if found.null_count():
        raise UserError(f"{found.null_count():,} events have no number in column {order!r}; correct them, or name another with --order")
    return found.to_numpy()


def in_order(dataset: Dataset, position: np.ndarray) -> Dataset:
    """The dataset with each user's events sorted by position; ties keep their order."""
    events = dataset.events
    order = np.lexsort((position, events.user))
    return replace(
        dataset,
        events=replace(events, item=events.item[order], kind=events.kind[order], time=events.time[order], weight=events.weight[order]),
    )
