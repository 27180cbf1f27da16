"""Lists, neighbours and metrics as Arrow rows of their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from models.events import Ints
from models.ranking.sources import SOURCES
from models.results import MetricRow, Neighbours, RankedLists
from tasks.lake import ANYONE

BLOCK_USERS = 4096
UNKNOWN_SOURCE = "model"
SLOTS = ("ranked", "exploration")
"""Who put an item into a list: the ranking, or a draw among the new items."""
SCORE_DECIMALS = 3
"""Scores of past lists are rounded to this many decimals, which halves their bytes."""
Batch = Callable[[pa.Array, pa.Array, RankedLists, np.ndarray, Sequence[str]], pa.RecordBatch]


def _coded(values: pa.DataType) -> pa.DataType:
    return pa.dictionary(pa.int32(), values)


LISTS = pa.schema(
    {
        "user_id": _coded(pa.string()),
        "rank": pa.int32(),
        "item_id": _coded(pa.string()),
        "score": pa.float32(),
        "probability": pa.float32(),
        "source": _coded(pa.string()),
        "reason": _coded(pa.string()),
        "slot": _coded(pa.string()),
        "propensity": pa.float32(),
    }
)
WHOLE_LISTS = pa.schema(
    {
        "user_id": pa.string(),
        "item_ids": pa.list_(pa.string()),
        "scores": pa.list_(pa.float32()),
        "probability": pa.float32(),
        "sources": pa.list_(pa.string()),
        "reasons": pa.list_(pa.string()),
        "slots": pa.list_(pa.string()),
        "propensities": pa.list_(pa.float32()),
    }
)
NEIGHBOURS = pa.schema(
    {"item_id": _coded(pa.string()), "rank": pa.int32(), "similar_item_id": _coded(pa.string()), "similarity": pa.float32()}
)


@dataclass(frozen=True)
class ListRows:
    """The lists of one scenario as rows of tables, by user; ids and texts stay dictionary-encoded, except in nested lists.

    lists: their `because` is the number of each row's reason in reasons, whose last one is that of popularity.
    """

    item_ids: pa.Array
    fallback: RankedLists
    lists: RankedLists
    reasons: pa.Array

    def flat(self) -> pa.RecordBatchReader:
        """One row per user and rank, as in recs.recommendations. The reader can be consumed once."""
        return pa.RecordBatchReader.from_batches(LISTS, self._batches(_list_batch))

    def whole(self) -> pa.RecordBatchReader:
        """One row per user, as in recs.list_history. The reader can be consumed once."""
        return pa.RecordBatchReader.from_batches(WHOLE_LISTS, self._batches(_whole_batch))

    def _batches(self, batch: Batch) -> Iterator[pa.RecordBatch]:
        lists, fallback = self.lists, self.fallback
        popular = np.full_like(fallback.because, len(self.reasons) - 1)
        anyone = RankedLists((ANYONE,), fallback.item, fallback.score, fallback.probability, popular)
        if len(fallback.item):  # the lists of an experiment's challenger have none
            yield batch(self.item_ids, self.reasons, anyone, np.array([0]), ("popular",))
        in_order = [row for row in sorted(range(len(lists.user_ids)), key=lists.user_ids.__getitem__) if lists.user_ids[row] != ANYONE]
        for start in range(0, len(in_order), BLOCK_USERS):
            yield batch(self.item_ids, self.reasons, lists, np.array(in_order[start : start + BLOCK_USERS]), (*SOURCES, UNKNOWN_SOURCE))


def _list_batch(item_ids: pa.Array, reasons: pa.Array, lists: RankedLists, rows: np.ndarray, sources: Sequence[str]) -> pa.RecordBatch:
    """The rows of some lists. sources: the names of the sources; the last one is that of rows whose source is not known."""
    item = lists.item[rows]
    user, column = np.nonzero(item >= 0)
    columns = [
        _codes(user, pa.array([lists.user_ids[row] for row in rows], pa.string())),
        _ranks(item >= 0),
        _codes(item[user, column], item_ids),
        pa.array(lists.score[rows][user, column], pa.float32()),
        pa.array(lists.probability[rows][user, column], pa.float32()),
        _codes(lists.source_or_unknown[rows][user, column] % len(sources), pa.array(sources)),
        _codes(lists.because[rows][user, column], reasons),
        _codes(lists.is_by_draw[rows][user, column], pa.array(SLOTS)),
        pa.array(lists.propensity_or_one[rows][user, column], pa.float32()),
    ]
    return pa.record_batch(columns, schema=LISTS)


def _whole_batch(item_ids: pa.Array, reasons: pa.Array, lists: RankedLists, rows: np.ndarray, sources: Sequence[str]) -> pa.RecordBatch:
    """As _list_batch, one row per list. DuckDB 1.5.5 crashes on nested lists that are empty if their values are dictionary-encoded."""
    flat = _list_batch(item_ids, reasons, lists, rows, sources)
    is_there = lists.item[rows] >= 0
    offsets = pa.array(np.concatenate([[0], np.cumsum(is_there.sum(1))]), pa.int32())
    scores = pa.array(np.round(flat["score"].to_numpy(), SCORE_DECIMALS), pa.float32())
    first = pa.array(lists.probability[rows, 0] if is_there.shape[1] else np.zeros(len(rows)), pa.float32(), mask=~is_there.any(1))
    words = (flat[name].dictionary_decode() for name in ("item_id", "source", "reason", "slot"))
    nested = (pa.ListArray.from_arrays(offsets, part) for part in (scores, *words, flat["propensity"]))
    users = pa.array([lists.user_ids[row] for row in rows], pa.string())
    scored, items, by, why, slots, propensities = nested
    return pa.record_batch([users, items, scored, first, by, why, slots, propensities], schema=WHOLE_LISTS)


def neighbour_batches(item_ids: pa.Array, rows: Ints, neighbours: Neighbours) -> Iterator[pa.RecordBatch]:
    """Rows of recs.similar_items for the given catalog rows in blocks of items, by item and rank."""
    ids = item_ids.take(pa.array(rows)).to_pylist()
    in_order = np.array(sorted(range(len(rows)), key=ids.__getitem__), dtype=np.int64)
    for start in range(0, len(in_order), BLOCK_USERS):
        block = in_order[start : start + BLOCK_USERS]
        near = neighbours.item[block]
        item, column = np.nonzero(near >= 0)
        similarity = neighbours.similarity[block][item, column]
        columns = [
            _codes(rows[block][item], item_ids),
            _ranks(near >= 0),
            _codes(near[item, column], item_ids),
            pa.array(similarity, pa.float32()),
        ]
        yield pa.record_batch(columns, schema=NEIGHBOURS)


def _codes(codes: np.ndarray, words: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), words)


def _ranks(is_there: np.ndarray) -> pa.Array:
    """Ranks 1, 2, ... over the filled positions of each row."""
    return pa.array(np.cumsum(is_there, axis=1, dtype=np.int32)[is_there])


def metric_rows(rows: Sequence[MetricRow], versions: Mapping[str, str]) -> pa.Table:
    """Rows of eval.offline and eval.prequential without the provenance columns. versions: registered version by model name."""
    return pa.table(
        {
            "model_version": pa.array([versions.get(row.model) for row in rows], pa.string()),
            "model": pa.array([row.model for row in rows], pa.string()),
            "segment": pa.array([row.segment for row in rows], pa.string()),
            "metric": pa.array([row.metric for row in rows], pa.string()),
            "value": _figures([row.value for row in rows]),
            "low": _figures([row.low for row in rows]),
            "high": _figures([row.high for row in rows]),
            "n_events": pa.array([row.n_events for row in rows], pa.int64()),
        }
    )


def check_lists(lists: RankedLists, n_items: int) -> None:
    """Raises ValueError unless each user has exactly one list, every item is in the catalogue and every score is finite."""
    is_there = lists.item >= 0
    if len(set(lists.user_ids)) != len(lists.user_ids) or len(lists.user_ids) != len(lists.item):
        raise ValueError(f"{len(lists.item)} lists for {len(set(lists.user_ids))} users: each user needs exactly one")
    if max(lists.item.max(initial=-1), lists.because.max(initial=-1)) >= n_items:
        raise ValueError(f"a list names catalog row {max(lists.item.max(), lists.because.max())} of {n_items} items")
    if not (np.isfinite(lists.score[is_there]).all() and np.isfinite(lists.probability[is_there]).all()):
        raise ValueError("a list has a score or a probability that is not finite; nothing was published")


def _figures(values: Sequence[float | None]) -> pa.Array:
    return pa.array([None if value is None or np.isnan(value) else float(value) for value in values], pa.float64())
