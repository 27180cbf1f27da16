"""Summarises the ranks of events as metrics per model and segment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from models.metrics.ranking import Ranking
from models.metrics.segments import Mask
from models.results import MetricRow

SERVED = "ndcg_at_10_served"
"""NDCG@10 of served lists, each made some time before its event. If all models have it, it is the deciding metric."""
METRICS = ("ndcg_at_10", "hr_at_10", "mrr")
COVERAGE = "coverage_at_10"
FIGURES = (*METRICS, COVERAGE)


def means(ranking: Ranking) -> dict[str, float | None]:
    """Mean of each metric over the events, SERVED first if the ranking has it. Without events, each mean is None."""
    metrics = METRICS if ranking.served is None else (SERVED, *METRICS)
    return {metric: float(getattr(ranking, metric).mean()) if len(ranking.rank) else None for metric in metrics}


def deciding_metric(rankings: Iterable[Ranking]) -> str:
    """The metric for comparing models: SERVED if all rankings have it, otherwise NDCG@10."""
    return SERVED if all(ranking.served is not None for ranking in rankings) else METRICS[0]


def summarise(rankings: Mapping[str, Ranking], masks: Mapping[str, Mask], n_items: int | None = None) -> list[MetricRow]:
    """One row per model, segment and metric for rankings of the same events; the value of an empty segment is None.

    masks: masks of the events by segment. n_items: size of the catalogue; with it, each model also has a row for coverage over all events.
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
    """Model -> {metric..., segments: {name: {n_events, metric...}}}, for JSON. The metrics at the top level are over all events."""
    overall: dict[str, dict[str, Any]] = {}
    parts: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        if row.segment == "all":
            overall.setdefault(row.model, {})[row.metric] = row.value
        else:
            parts.setdefault(row.model, {}).setdefault(row.segment, {"n_events": row.n_events})[row.metric] = row.value
    return {model: {**figures, "segments": parts.get(model, {})} for model, figures in overall.items()}
