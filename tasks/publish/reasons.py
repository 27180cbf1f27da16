"""The reason of every list row as a sentence: the cited event, an interest that item and history share, or popularity."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.events import Ints
from models.ranking.reasons import RECENT_EVENTS
from models.results import RankedLists
from models.text.sentences import Sentences, sentences_for
from tasks.lake import ANYONE, statement

N_TITLES = 1000
"""Size of the sample of titles that tells the language of the catalogue."""
BLOCK_ROWS = 500_000


@dataclass(frozen=True)
class Reasons:
    """The texts, the one for popularity last; and for each row of each list the number of its text, [users, ranks]."""

    texts: pa.Array
    number: Ints


def find_reasons(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, snapshot: int) -> Reasons:
    """The reasons of the lists.

    Reads features.user_histories, features.user_searches and the tables of interests within the transaction, so those of the lists' users
    must have been written before.
    """
    sentences = language_of(con, snapshot)
    cited = cite_events(con, item_ids, lists, snapshot, sentences)
    number, texts = cited.number, _worded(con, cited.texts)
    for place, words, sentence in (
        (*_searches(con, lists), sentences.searched),
        (*_shared_labels(con, item_ids, lists, snapshot), sentences.interest),
    ):
        names, code = np.unique(words, return_inverse=True)
        number.reshape(-1)[place] = len(texts) + code
        texts += _worded(con, [sentence(name) for name in names])
    return Reasons(pa.array([*texts, sentences.popular], pa.string()), np.where(number < 0, len(texts), number))


def language_of(con: duckdb.DuckDBPyConnection, snapshot: int) -> Sentences:
    """The templates in the language of the catalogue."""
    sample = con.execute(statement("publish/sample_titles"), {"snapshot": snapshot, "n": N_TITLES}).fetchall()
    return sentences_for([title for (title,) in sample])


@dataclass(frozen=True)
class CitedEvents:
    """The number of the text for each row that cites an event, -1 for others; and for each text what it cites.

    There is one text for each pair of item and event type. titles: of the cited items; None if it is the listed item itself.
    """

    number: Ints
    texts: list[str]
    titles: list[str | None]
    event_types: list[str | None]


def cite_events(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, snapshot: int, sentences: Sentences) -> CitedEvents:
    """The reasons of the rows that cite an event, by the templates."""
    because, kind = lists.because, lists.kind_or_unknown
    n_kinds = len(lists.kind_names) + 1
    code = 2 * ((because * n_kinds) + kind + 1) + (because == lists.item)
    distinct, number = np.unique(code[because >= 0], return_inverse=True)
    pair, is_again = np.divmod(distinct, 2)
    row, kinds = np.divmod(pair, n_kinds)
    cited, place = np.unique(row, return_inverse=True)
    con.register("cited", pa.table({"position": np.arange(len(cited)), "item_id": item_ids.take(pa.array(cited))}))
    names = con.execute(statement("publish/cited_names"), {"snapshot": snapshot}).to_arrow_table()["name"].to_pylist()
    types = [None, *lists.kind_names]
    texts = [
        sentences.once_more(types[kind]) if again else sentences.because(types[kind], names[at])
        for at, kind, again in zip(place, kinds, is_again, strict=True)
    ]
    out = np.full(because.shape, -1)
    out[because >= 0] = number
    titles = [None if again else names[at] for at, again in zip(place, is_again, strict=True)]
    return CitedEvents(out, texts, titles, [types[kind] for kind in kinds])


def _worded(con: duckdb.DuckDBPyConnection, texts: list[str]) -> list[str]:
    """The texts in the words of a language model, where it has worded them."""
    worded = dict(con.execute(statement("publish/reason_texts")).fetchall()) if texts else {}
    return [worded.get(text, text) for text in texts]


def _searches(con: duckdb.DuckDBPyConnection, lists: RankedLists) -> tuple[Ints, NDArray[np.object_]]:
    """The places (positions in the flattened lists) of rows that rest on a search, and its text."""
    place = np.flatnonzero(lists.is_by_search & (lists.item >= 0))
    user, number = np.unique(place // max(lists.item.shape[1], 1), return_inverse=True)
    con.register("searching", pa.table({"position": user, "user_id": pa.array(lists.user_ids, pa.string()).take(pa.array(user))}))
    found = con.execute(statement("publish/cited_searches")).fetchall() if len(user) else []
    query = np.array([query for (query,) in found], object)
    words = query[number] if len(user) else query
    is_known = np.array([word is not None for word in words], bool)
    return place[is_known], words[is_known]


def _shared_labels(
    con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, snapshot: int
) -> tuple[Ints, NDArray[np.object_]]:
    """The places of rows that cite neither an event nor a search and that share a label with the history, and the labels.

    In a catalogue without labels, the clusters of recs.interests stand for them.
    """
    users = pa.array(lists.user_ids, pa.string())
    is_own = np.array([user_id != ANYONE for user_id in lists.user_ids], bool)
    asked = np.flatnonzero((lists.because < 0) & ~lists.is_by_search & (lists.item >= 0) & is_own[:, None])
    if not len(asked):
        return np.empty(0, np.int64), np.empty(0, object)
    con.execute(statement("publish/create_reason_labels"), {"snapshot": snapshot})
    found = []
    for first in range(0, len(asked), BLOCK_ROWS):
        place = asked[first : first + BLOCK_ROWS]
        user, item = place // lists.item.shape[1], lists.item.reshape(-1)[place]
        rows = {"place": place, "user_id": users.take(pa.array(user)), "item_id": item_ids.take(pa.array(item))}
        con.register("unexplained", pa.table(rows))
        found.append(con.execute(statement("publish/shared_labels"), {"n_recent": RECENT_EVENTS}).to_arrow_table())
    table = pa.concat_tables(found)
    return table["place"].to_numpy(), table["label"].to_numpy(zero_copy_only=False)
