"""From the ranks of single events to the figures of models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from models.metrics.ranking import Ranking
from models.metrics.segments import Mask
from models.results import MetricRow

SERVED = "ndcg_at_10_served"
"""NDCG@10 of the lists that users get, each made some time before the event that it is judged by. It decides, where it is known."""
METRICS = ("ndcg_at_10", "hr_at_10", "mrr")
COVERAGE = "coverage_at_10"
FIGURES = (*METRICS, COVERAGE)


def means(ranking: Ranking) -> dict[str, float | None]:
    """The mean of each of METRICS over the events, after SERVED where that is known; None where there are no events."""
    metrics = METRICS if ranking.served is None else (SERVED, *METRICS)
    return {metric: float(getattr(ranking, metric).mean()) if len(ranking.rank) else None for metric in metrics}


def deciding_metric(rankings: Iterable[Ranking]) -> str:
    """The metric by which models are compared: SERVED where it is known of all of them, else NDCG@10."""
    return SERVED if all(ranking.served is not None for ranking in rankings) else METRICS[0]


def summarise(rankings: Mapping[str, Ranking], masks: Mapping[str, Mask], n_items: int | None = None) -> list[MetricRow]:
    """Every model x segment x metric of rankings of the same events; None where a segment has no events.

    masks: of the events, by segment. n_items: size of the catalogue; with it, each model has its coverage over all events too.
    """
    rows = []
    for model, ranking in rankings.items():
        for segment, mask in masks.items():
            n_events = int(mask.sum())
            rows += [MetricRow(model, segment, metric, value, n_events) for metric, value in means(ranking.of(mask)).items()]
        if n_items is not None:
            n_events = len(ranking.rank)
            rows.append(MetricRow(model, "all", COVERAGE, ranking.coverage_at_10(n_items) if n_events else None, n_events))
    return rows


def nest_by_model(rows: Sequence[MetricRow]) -> dict[str, dict[str, Any]]:
    """Model -> {metric..., segments: {name: {n_events, metric...}}}, ready for JSON; the figures over all events stand at the top."""
    overall: dict[str, dict[str, Any]] = {}
    parts: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        if row.segment == "all":
            overall.setdefault(row.model, {})[row.metric] = row.value
        else:
            parts.setdefault(row.model, {}).setdefault(row.segment, {"n_events": row.n_events})[row.metric] = row.value
    return {model: {**figures, "segments": parts.get(model, {})} for model, figures in overall.items()}
