"""The reasons of lists in memory, in the words that tasks.publish.reasons writes into the tables."""

from __future__ import annotations

import numpy as np

from models.events import Ints
from models.ranking.reasons import RECENT_EVENTS
from models.results import RankedLists
from serving.histories import Gathered
from serving.published import Published


def reasons_of(published: Published, gathered: Gathered, lists: RankedLists, user: int, query: str | None, n: int) -> list[str]:
    """The reasons of the first n rows of one list. query: what the rows that rest on a search rest on."""
    words, table = published.sentences, published.items
    item, because, kind = (rows[user, :n] for rows in (lists.item, lists.because, lists.kind_or_unknown))
    by_search, kinds = lists.is_by_search[user, :n], published.checkpoint.kinds
    labels = _shared(published, gathered, user, item, is_asked=(because < 0) & ~by_search)
    out = []
    for row, cited, event, searched, label in zip(item.tolist(), because.tolist(), kind.tolist(), by_search.tolist(), labels, strict=True):
        event_type = kinds[event] if event >= 0 else None
        if cited >= 0:
            out.append(words.once_more(event_type) if cited == row else words.because(event_type, table.name(cited)))
        elif searched and query is not None:
            out.append(words.searched(query))
        else:
            out.append(words.popular if label is None else words.interest(label))
    return [published.reason_texts.get(text, text) for text in out]


def _shared(published: Published, gathered: Gathered, user: int, item: Ints, is_asked: np.ndarray) -> list[str | None]:
    """The label that each asked row shares with the user's last events."""
    start, stop = np.searchsorted(gathered.events.user, [user, user + 1])
    out: list[str | None] = [None] * len(item)
    places = np.flatnonzero(is_asked)
    if stop > start and len(places):
        recent = gathered.events.item[max(start, stop - RECENT_EVENTS) : stop]
        for place, label in zip(places.tolist(), published.labels.shared(recent, item[places]), strict=True):
            out[place] = label
    return out
