"""Lists from memory: the same ranking, reasons and sources as a minute run writes, for requests that wait together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.events import Ints
from models.ranking.choice import Choice
from models.ranking.scorer import best_popularity_column, fallback_list
from models.ranking.sources import SOURCES
from models.results import RankedLists
from models.text.clean import clean_text
from serving.histories import Person, gather
from serving.items import Filter
from serving.published import Published
from serving.reasons import reasons_of
from tasks.publish.rows import SLOTS, UNKNOWN_SOURCE
from tasks.scenarios import DEFAULT

Row = dict[str, Any]
POPULAR = "popular"
"""The source of lists for people about whom nothing is known."""


@dataclass(frozen=True)
class Asked:
    """A request for one list.

    A user, a session, items that are in front of them, a text, or none of these. exclude: item ids that the list must not contain.
    after: the recommendation_id of the list that this one goes on from. variety: instead of that of the scenario. now: unix seconds.
    """

    user_id: str | None
    text: str | None = None
    k: int = 10
    exclude: Sequence[str] = ()
    now: int | None = None
    session_id: str | None = None
    items: Sequence[str] = ()
    scenario: str = DEFAULT
    filter: Filter | None = None
    after: str | None = None
    explain: bool = True
    variety: float | None = None

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The names of the person."""
        return tuple(dict.fromkeys(name for name in (self.user_id, self.session_id) if name is not None))

    @property
    def shape(self) -> tuple[Any, ...]:
        """Requests of one shape can be ranked together."""
        return (self.scenario, self.filter, self.variety, self.explain, self.text is None)


@dataclass(frozen=True)
class Question:
    """A request with what the state knows about it.

    vector: of its text. hidden: catalog rows that the list must not hold. before: items that earlier pages have shown.
    """

    asked: Asked
    person: Person
    now: int
    vector: np.ndarray | None
    hidden: Ints
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """One list, best item first: item_id, title, score, probability, reason, source, slot, propensity.

    experiment_id, arm: of the experiment that runs; None without one, arm also for people about whom nothing is known.
    """

    recommendation_id: str
    model_version: str
    snapshot: int
    scenario: str
    items: list[Row]
    experiment_id: str | None = None
    arm: str | None = None

    @property
    def item_ids(self) -> list[str]:
        """The items of the list."""
        return [row["item_id"] for row in self.items]


@torch.inference_mode()
def answer(published: Published, questions: Sequence[Question], choice: Choice) -> list[list[Row]]:
    """The list of each question, best item first: item_id, title, score, probability, reason, source, slot, propensity.

    All questions have one shape.
    """
    is_ranked = [question.vector is not None or question.person.is_known(published) for question in questions]
    ranked = iter(_ranked(published, [each for each, known in zip(questions, is_ranked, strict=True) if known], choice))
    return [next(ranked) if known else _popular(published, each, choice) for each, known in zip(questions, is_ranked, strict=True)]


def _ranked(published: Published, questions: Sequence[Question], choice: Choice) -> list[list[Row]]:
    if not questions:
        return []
    gathered = gather(published, [each.person for each in questions], [each.now for each in questions])
    request = _request(published, questions)
    explain = questions[0].asked.explain
    n_slots = choice.new_item_slots if request is None else 0  # who asks in words wants what fits the words
    k = max(each.asked.k for each in questions)
    lists = published.scorer.rank(
        gathered.events,
        len(gathered),
        k,
        now=gathered.now,
        trend=gathered.trend,
        earlier=gathered.earlier,
        searches=None if request is not None else gathered.searches,
        request=request,
        explain=explain,
        depth=published.depth if explain else None,  # which events are cited depends on the whole list, so it is as long as in the tables
        is_quick=True,
        choice=choice,
        hidden=_pairs([each.hidden for each in questions]),
        draws=published.draws(questions[0].asked.scenario, n_slots, [next(iter(each.person.user_ids), "") for each in questions]),
    )
    out = []
    for user, question in enumerate(questions):
        n = min(question.asked.k, int((lists.item[user] >= 0).sum()))
        last = question.person.search(published)
        query = question.asked.text if request is not None else None if last is None else last.query
        reasons = reasons_of(published, gathered, lists, user, query, n) if explain else [None] * n
        sources = [_source(code) for code in lists.source_or_unknown[user, :n].tolist()] if explain else [None] * n
        out.append(_rows(published, lists, user, reasons, sources))
    return out


def _popular(published: Published, question: Question, choice: Choice) -> list[Row]:
    """What is popular now, as in the published list for anyone."""
    is_shown = published.items.is_available.copy()
    is_shown[question.hidden] = False
    popularity, column = published.checkpoint.popularity, best_popularity_column(published.checkpoint.blend)
    lists = fallback_list(popularity, is_shown, column, question.asked.k, choice, published.scorer.vectors)
    n, explain = lists.item.shape[1], question.asked.explain
    return _rows(published, lists, 0, [published.sentences.popular if explain else None] * n, [POPULAR if explain else None] * n)


def _rows(published: Published, lists: RankedLists, user: int, reasons: Sequence[str | None], sources: Sequence[str | None]) -> list[Row]:
    table, n = published.items, len(reasons)
    item, score, probability = (part[user, :n].tolist() for part in (lists.item, lists.score, lists.probability))
    slots = [SLOTS[code] for code in lists.is_by_draw[user, :n].astype(int).tolist()]
    columns = (item, score, probability, reasons, sources, slots, lists.propensity_or_one[user, :n].tolist())
    return [
        {
            "item_id": table.ids[row],
            "title": table.title(row),
            "score": round(score, 5),
            "probability": round(probability, 6),
            "reason": reason,
            "source": source,
            "slot": slot,
            "propensity": round(propensity, 6),
        }
        for row, score, probability, reason, source, slot, propensity in zip(*columns, strict=True)
    ]


def _request(published: Published, questions: Sequence[Question]) -> Tensor | None:
    """The term of the texts in the score, [questions, items]; None without texts."""
    words = published.checkpoint.words
    vectors = [each.vector for each in questions if each.vector is not None]
    if words is None or not vectors:
        return None
    return words.scores(np.stack(vectors), [clean_text(each.asked.text or "") for each in questions])


def _pairs(hidden: Sequence[Ints]) -> tuple[Ints, Ints]:
    """(number of the question, catalog row) of every hidden item, by question."""
    return np.repeat(np.arange(len(hidden)), [len(rows) for rows in hidden]), np.concatenate(hidden)


def _source(code: int) -> str:
    return SOURCES[code] if code >= 0 else UNKNOWN_SOURCE


def rows_of(row_of: Mapping[str, int], item_ids: Sequence[str]) -> Ints:
    """The catalog rows of the items that the catalogue knows."""
    return np.array([row_of[item_id] for item_id in item_ids if item_id in row_of], np.int64)
