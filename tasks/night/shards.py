"""The lists of many users: made in shards of users that wait in Parquet files for the publish, so that memory does not grow with users.

A folder of shards belongs to one publish. It is below the folder of the publisher's turn, which the next publisher empties.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.events import Events, Floats, offsets_of, ragged_rows
from models.interests.users import UserInterests
from models.results import COLUMNS, RankedLists
from models.version import checkpoint as checkpoints
from models.version.checkpoint import Checkpoint
from tasks.config import PublishConfig
from tasks.lake import Lake, quote, reading, statement
from tasks.process import n_threads, use_threads
from tasks.scenarios.resolved import Place
from tasks.searches import SearchLog

KIND_NAMES, ASKED_S = b"kind_names", b"asked_s"
TYPES = {"item": pa.int32(), "because": pa.int32(), "kind_or_unknown": pa.int32(), "source_or_unknown": pa.int32()}
"""Columns that a file keeps in a smaller type than the array has."""
EVENTS, TRENDS = "events.parquet", "trends.parquet"
BLOCK_EVENTS, BLOCK_USERS = 100_000, 20_000


@dataclass(frozen=True)
class People:
    """Users by row, with their events and the trend of each event."""

    user_ids: tuple[str, ...]
    events: Events
    trend: Floats

    def __len__(self) -> int:
        return len(self.user_ids)

    def shards(self, size: int) -> Iterator[People]:
        """The users by rising id, at most `size` at a time."""
        order = pc.array_sort_indices(pa.array(self.user_ids, pa.large_string())).to_numpy().astype(np.int64)
        events, offsets = self.events, offsets_of(self.events, len(self))
        for first in range(0, len(order), size):
            users = order[first : first + size]
            number, row = ragged_rows(offsets[:-1][users], offsets[1:][users])
            columns = (number, events.item[row], events.kind[row], events.time[row], events.weight[row])
            part = Events(*columns, n_users=len(users), n_items=events.n_items, n_kinds=events.n_kinds)
            yield People(tuple(self.user_ids[user] for user in users), part, self.trend[row])

    def trends(self, max_events: int) -> pa.Table:
        """Table of user_id and trends: the trends of each user's last max_events events, oldest first."""
        offsets = offsets_of(self.events, len(self))
        start, stop = np.maximum(offsets[1:] - max_events, offsets[:-1]), offsets[1:]
        _, rows = ragged_rows(start, stop)
        borders = np.concatenate([[0], np.cumsum(stop - start)]).astype(np.int32)
        values = pa.ListArray.from_arrays(pa.array(borders), pa.array(self.trend[rows].astype(np.float32)))
        return pa.table({"user_id": pa.array(self.user_ids, pa.string()), "trends": values})


@dataclass(frozen=True)
class Order:
    """Which lists to make: of k items for asked_s (unix seconds), in each place. searches: of all users; None if none count."""

    k: int
    asked_s: int
    searches: SearchLog | None
    places: Sequence[Place]


def rank(version: Checkpoint, order: Order, people: People) -> list[RankedLists]:
    """The lists of users in each place of the order."""
    asked = None if order.searches is None else order.searches.of_users(people.user_ids)
    scorer, hides = version.scorer(), any(not place.hidden.is_empty() for place in order.places)
    row = {item_id: n for n, item_id in enumerate(version.catalog.item_ids)} if hides else {}
    out = []
    for place in order.places:
        ranked = scorer.rank(
            people.events,
            len(people),
            order.k,
            now=order.asked_s,
            trend=people.trend,
            searches=asked,
            choice=place.choice,
            hidden=place.hidden_rows(people.user_ids, row),
            draws=place.draws(version, order.asked_s, people.user_ids),
        )
        out.append(replace(ranked, user_ids=people.user_ids, kind_names=version.kinds, asked_s=order.asked_s))
    return out


@dataclass(frozen=True)
class Shards:
    """The lists of all users in files of a folder, by shard of at most `size` users and place.

    memory_mb: the limit of DuckDB's memory while it reads and writes them. is_kept: whose lists are read; None for those of all.
    """

    folder: Path
    n_shards: int
    size: int
    n_places: int
    memory_mb: int
    is_kept: Callable[[str], bool] | None = None

    @staticmethod
    def of(n_users: int, n_places: int, folder: Path, publish: PublishConfig) -> Shards:
        """Shards without files yet, in a folder that this creates."""
        folder.mkdir(parents=True)
        return Shards(folder, -(-n_users // publish.shard_users), publish.shard_users, n_places, publish.memory_mb)

    def write(self, number: int, lists: Sequence[RankedLists]) -> None:
        """Write the lists of a shard, those of each place."""
        for place, users in enumerate(lists):
            write_lists(users, _file(self.folder, number, f"lists-{place}"))

    def lists(self, number: int) -> list[RankedLists]:
        """The lists of a shard in each place."""
        return [self._kept(read_lists(_file(self.folder, number, f"lists-{place}"))) for place in range(self.n_places)]

    def _kept(self, lists: RankedLists) -> RankedLists:
        if self.is_kept is None:
            return lists
        return lists.of_rows(np.flatnonzero([self.is_kept(user_id) for user_id in lists.user_ids]))

    def user_ids(self, number: int) -> pa.Array:
        """The users of a shard, those not kept included."""
        return pq.read_table(_file(self.folder, number, "lists-0"), columns=["user_id"])["user_id"].combine_chunks()

    def interests(self, number: int) -> tuple[Sequence[str], UserInterests]:
        """The users of a shard and their interests."""
        table = pq.read_table(_file(self.folder, number, "interests"))
        user, horizon, interest, probability = (table[name].to_numpy() for name in ("user", "horizon", "interest", "probability"))
        return self.user_ids(number).to_pylist(), UserInterests(user, horizon, interest, probability, _matrix(table["evidence"]))

    def histories(self, number: int) -> tuple[pa.Table, pa.Table]:
        """The events of a shard's users, for their histories, and the trends of these events as People.trends gives them."""
        first = None if number == 0 else self.user_ids(number)[0].as_py()
        after = None if number + 1 == self.n_shards else self.user_ids(number + 1)[0].as_py()
        bounds = [("user_id", ">=", first)] * (first is not None) + [("user_id", "<", after)] * (after is not None)
        events, trends = (pq.read_table(self.folder / name, filters=bounds or None) for name in (EVENTS, TRENDS))
        return events, trends


def rank_in_shards(version: Checkpoint, order: Order, people: People, folder: Path, publish: PublishConfig) -> Shards:
    """Make the lists of all users in shards of at most publish.shard_users users, by publish.workers processes.

    Each worker loads the version from a checkpoint in the folder, and gets its share of the threads.
    """
    shards = Shards.of(len(people), len(order.places), folder, publish)
    with _submitting(version, order, shards, publish.workers) as submit:
        for number, part in enumerate(people.shards(shards.size)):
            submit(part, number)
    return shards


@contextmanager
def _submitting(version: Checkpoint, order: Order, shards: Shards, n_workers: int) -> Iterator[Callable[[People, int], None]]:
    """A function that ranks a numbered shard in this process, or has another process rank it. All are done at the end of the block."""
    if n_workers == 1:
        yield lambda people, number: shards.write(number, rank(version, order, people))
        return
    folder = shards.folder
    checkpoints.save(replace(version, past=None, online=None, interests=None, capture=None), folder / "version")
    begin = (shards, order, max(n_threads() // n_workers, 1))
    with ProcessPoolExecutor(n_workers, get_context("spawn"), _begin_worker, begin) as pool:
        waiting: deque[Future[None]] = deque()

        def submit(people: People, number: int) -> None:
            if len(waiting) >= 2 * n_workers:  # more would wait in memory
                waiting.popleft().result()
            waiting.append(pool.submit(_rank_for_parent, people, number))

        yield submit
        for each in waiting:
            each.result()


_job: list[tuple[Checkpoint, Order, Shards]] = []
"""What a worker ranks with, and where it puts the lists."""


def _begin_worker(shards: Shards, order: Order, threads: int) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    use_threads(threads)
    _job[:] = [(checkpoints.load(shards.folder / "version"), order, shards)]


def _end_with_parent() -> None:
    """End this worker when its parent is killed, as nobody would tell it to end."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _rank_for_parent(people: People, number: int) -> None:
    ((version, order, shards),) = _job
    shards.write(number, rank(version, order, people))


def write_lists(lists: RankedLists, file: Path) -> None:
    """Write lists as one row a user."""
    columns = {name: getattr(lists, name) for name in COLUMNS}
    table = pa.table(
        {
            "user_id": pa.array(lists.user_ids, pa.string()),
            **{name: _nested(values, TYPES.get(name)) for name, values in columns.items()},
        }
    )
    about = {KIND_NAMES: json.dumps(lists.kind_names), ASKED_S: json.dumps(lists.asked_s)}
    _write(table.replace_schema_metadata(about), file)


def read_lists(file: Path) -> RankedLists:
    """The lists of a file."""
    table = pq.read_table(file)
    columns: dict[str, Any] = {name: _matrix(table[name]) for name in COLUMNS}
    columns |= {name: columns[name].astype(np.int64) for name in TYPES}
    asked_s, names = (table.schema.metadata[key].decode() for key in (ASKED_S, KIND_NAMES))
    return RankedLists(
        tuple(table["user_id"].to_pylist()),
        *columns.values(),
        kind_names=tuple(json.loads(names)),
        asked_s=json.loads(asked_s),
    )


def write_interests(found: UserInterests, n_users: int, folder: Path, number: int) -> None:
    """Write the interests of the first n_users users of a shard."""
    kept = found.user < n_users
    columns = {name: getattr(found, name)[kept] for name in ("user", "horizon", "interest", "probability")}
    _write(pa.table({**columns, "evidence": _nested(found.evidence[kept], None)}), _file(folder, number, "interests"))


def write_histories(lake: Lake, shards: Shards, people: People, snapshot: int, event_weights: Mapping[str, float], max_events: int) -> None:
    """Write what histories of at most max_events are made of into the folder of shards, by user."""
    folder = shards.folder
    ignored = [name for name, weight in event_weights.items() if not weight > 0]
    with reading(lake, snapshot) as con:
        bound_memory(con, shards)
        batches = con.execute(statement("publish/history_events"), {"ignored_types": ignored}).to_arrow_reader(BLOCK_EVENTS)
        with pq.ParquetWriter(folder / EVENTS, batches.schema, compression="zstd") as out:
            for batch in batches:
                out.write_batch(batch)
    with pq.ParquetWriter(folder / TRENDS, people.trends(0).schema, compression="zstd") as out:
        for part in people.shards(BLOCK_USERS):
            out.write_table(part.trends(max_events))


def bound_memory(con: duckdb.DuckDBPyConnection, shards: Shards) -> None:
    """Limit the memory of a connection: sorts and joins beyond the limit spill to the folder of the shards."""
    con.execute(f"set memory_limit = '{shards.memory_mb}MB'")
    con.execute(f"set temp_directory = {quote(str(shards.folder / 'spill'))}")


def _nested(values: np.ndarray, kind: pa.DataType | None) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat if kind is None else flat.cast(kind), max(values.shape[1], 1))


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    width = column.type.list_size
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, width)


def _write(table: pa.Table, file: Path) -> None:
    pq.write_table(table, file, compression="zstd")


def _file(folder: Path, number: int, name: str) -> Path:
    return folder / f"{number:06d}-{name}.parquet"
