"""Why a user is shown an item, or not: the terms of its score, the events that it rests on, what item and history share, and a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.ranking.reasons import Histories
from models.ranking.scorer import Scorer
from models.sequence.weights import LIST_DELAY_S
from models.version.checkpoint import Checkpoint
from tasks.graph import shortest_path
from tasks.lake import Lake, reading, statement
from tasks.live import load_live
from tasks.minute.feed import histories_events, read_histories
from tasks.reading import demand_known
from tasks.requests import titles_of
from tasks.searches import as_searches, last_searches

if TYPE_CHECKING:
    from tasks.registry.versions import Registry

N_EVENTS = 10
"""Number of items of the history that are named: those with the largest effects."""
SAME_SCORE = 1e-4
"""Scores that differ by less count as equal: a matrix product for one user and for many rounds differently."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Why:
    """The evidence about one user and one item.

    rank, reason, source, published_score: of the published list; None if the item is not on it. n_listed: length of this list.
    score: by the live model, for the history as the lists know it; None for an item that the model does not know. probability, place: its
    probability and rank among all items that the user may be shown; None for an item that they may not.
    terms: term, value, average (over those items), difference; the values add up to the score. events: item_id, title, event_type and
    occurred_at of the newest event on the item, effect (how much the sequence model's part of the score falls without the events on the
    item), effect_on_score; strongest first. shared: label, n_items, n_history, examples. path: edges of the graph. notes: for people.
    """

    user_id: str
    item_id: str
    title: str | None
    model_version: str
    rank: int | None
    n_listed: int
    source: str | None
    reason: str | None
    published_score: float | None
    score: float | None
    probability: float | None
    place: int | None
    n_events: int
    terms: list[Row]
    events: list[Row]
    shared: list[Row]
    path: list[Row]
    notes: list[str]


@dataclass(frozen=True)
class Judged:
    """The live model's view of one item: as in Why; effects: catalog row, effect, effect on the whole score, strongest first."""

    score: float
    probability: float | None
    place: int | None
    terms: list[Row]
    effects: list[tuple[int, float, float]]


def explain(
    lake: Lake,
    open_registry: Callable[[], Registry],
    event_weights: Mapping[str, float],
    user_id: str,
    item_id: str,
    loaded: tuple[str, Checkpoint] | None = None,
) -> Why:
    """The evidence for one user and one item; of a merged id, for its user.

    loaded: the live version and its checkpoint, if they are in memory.

    Raises UserError if nothing is published, or if the user or the item is unknown.
    """
    user_id = demand_known(lake, user_id, item_id)
    version, checkpoint = loaded or load_live(lake, open_registry)
    with reading(lake) as con:
        listed = con.execute(statement("read/why_list"), {"user_id": user_id}).pl().to_dicts()
        described = con.execute(statement("read/why_item"), {"item_id": item_id}).fetchone()
        shared = con.execute(statement("read/why_shared"), {"user_id": user_id, "item_id": item_id}).pl().to_dicts()
    title, is_available = described or (None, True)
    own: Row = next((row for row in listed if row["item_id"] == item_id), {})
    history = read_histories(lake, [user_id], event_weights, checkpoint.live.model.config.max_events).to_dicts()[0]
    judged = _judged(
        lake, checkpoint, event_weights, user_id, item_id, next((row["asked_s"] for row in listed if row["asked_s"] is not None), None)
    )
    return Why(
        user_id=user_id,
        item_id=item_id,
        title=title,
        model_version=version,
        **{name: own.get(name) for name in ("rank", "source", "reason")},
        published_score=own.get("score"),
        n_listed=len(listed),
        score=judged.score if judged else None,
        probability=judged.probability if judged else None,
        place=judged.place if judged else None,
        n_events=history["n_events"],
        terms=judged.terms if judged else [],
        events=_events(lake, checkpoint, history, judged.effects[:N_EVENTS]) if judged else [],
        shared=shared,
        path=[asdict(step) for step in shortest_path(lake, f"user:{user_id}", f"item:{item_id}")],
        notes=_notes(checkpoint, version, item_id, own, len(listed), judged, history, is_available=is_available),
    )


def _judged(
    lake: Lake, checkpoint: Checkpoint, event_weights: Mapping[str, float], user_id: str, item_id: str, asked_s: int | None
) -> Judged | None:
    """The view of the live model; None if it does not know the item. asked_s: the time for which the user's list was made, if known."""
    row_of = {name: row for row, name in enumerate(checkpoint.catalog.item_ids)}
    if item_id not in row_of:
        return None
    history = read_histories(lake, [user_id], event_weights, checkpoint.live.model.config.max_events)
    searches = as_searches(last_searches(lake, [user_id], checkpoint.encoder), [user_id], len(checkpoint.whitening.centre))
    events, trend, earlier = histories_events(history, row_of, checkpoint.kinds, len(row_of))
    now = checkpoint.as_of + LIST_DELAY_S if asked_s is None else max(asked_s, checkpoint.as_of + LIST_DELAY_S)
    known_trend = np.where(np.isnan(trend), checkpoint.blend.trend[0], trend).astype(np.float32)
    users = Histories(events, np.zeros(1, np.int64), np.array([len(events)]), now, known_trend, earlier.n_events)
    scorer, row = checkpoint.scorer(), row_of[item_id]
    (scored,) = scorer.score_blocks(events, 1, now=now, trend=known_trend, earlier=earlier, searches=searches, explain=True)
    scores = scored.scores[0]
    may_be_shown = scores.isfinite()
    terms: list[Row] = []
    for name, (values,) in scorer.terms(scored).items():
        value, average = float(values[row]), float(values[may_be_shown].mean()) if bool(may_be_shown.any()) else 0.0
        if value or average:
            terms.append({"term": name, "value": value, "average": average, "difference": value - average})
    is_shown = bool(may_be_shown[row])
    return Judged(
        score=sum(float(term["value"]) for term in terms),
        probability=float((scores[row] - scores.logsumexp(0)).exp()) if is_shown else None,
        place=int((scores > scores[row]).sum()) + 1 if is_shown else None,
        terms=terms,
        effects=_effects(scorer, replace(users, last=scored.last), row, float(scored.sequence[0, row])),
    )


def _effects(scorer: Scorer, users: Histories, row: int, sequence: float) -> list[tuple[int, float, float]]:
    """(catalog row, effect, effect on the whole score) of each item of the history that the model reads, strongest first."""
    variants, on_sequence, on_score = scorer.explainer.every_effect(users, torch.tensor([[row]]), torch.tensor([[sequence]]))
    found = zip(variants.item.tolist(), on_sequence[:, 0].tolist(), on_score[:, 0].tolist(), strict=True)
    return sorted(found, key=lambda each: -each[1])


def _events(lake: Lake, checkpoint: Checkpoint, history: Row, effects: list[tuple[int, float, float]]) -> list[Row]:
    """The newest event on each of some items of the history, with the effects of the item."""
    item_ids = [checkpoint.catalog.item_ids[row] for row, _, _ in effects]
    titles = titles_of(lake, item_ids)
    newest: dict[str, tuple[str, datetime]] = {
        item_id: (event_type, occurred_at)
        for item_id, event_type, occurred_at in zip(history["item_ids"], history["event_types"], history["occurred_at"], strict=True)
    }
    return [
        {
            "item_id": item_id,
            "title": titles.get(item_id),
            "event_type": newest[item_id][0],
            "occurred_at": newest[item_id][1],
            "effect": effect,
            "effect_on_score": on_score,
        }
        for item_id, (_, effect, on_score) in zip(item_ids, effects, strict=True)
    ]


def _notes(
    checkpoint: Checkpoint, version: str, item_id: str, own: Row, n_listed: int, judged: Judged | None, history: Row, *, is_available: bool
) -> list[str]:
    """What a reader must know about the figures, or why the item is on no list of this user."""
    notes = []
    if judged is None:
        notes.append(f"the live model does not know item {item_id} yet; the next minutehand minute adds it")
    if not is_available:
        notes.append(f"item {item_id} is not available, so it is on no list")
    has_seen = item_id in history["item_ids"] or item_id in history["earlier_item_ids"]
    if has_seen and checkpoint.hide_seen:
        notes.append(f"the user already had item {item_id}, and lists leave out what users had (MINUTEHAND_EVALUATION__SEEN_ITEMS)")
    if not n_listed:
        notes.append("the user has no published list yet")
    elif not own and judged is not None and judged.place is not None:
        notes.append(f"item {item_id} is not among the {n_listed} items of the published list; its rank would be {judged.place:,}")
    if own and own["model_version"] != version:
        notes.append(f"the list was made by model version {own['model_version']}, and the figures are those of the live version {version}")
    elif own and judged is not None and abs(own["score"] - judged.score) <= SAME_SCORE:
        if judged.place not in (None, own["rank"]):
            notes.append(f"by score alone, its rank would be {judged.place:,}; variety and the rules of scenarios.toml change the order")
    elif own and judged is not None:
        notes.append(f"the published score {own['score']:.4f} is that of another moment: since then, the user or others did something")
    return notes
