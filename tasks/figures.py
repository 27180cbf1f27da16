"""Figures of nights, minutes and replays, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, DateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from models.events import Floats
from models.results import MetricRow

OURS = "nightly_and_increments"
MINE = "#0b6e4f"
CHAMPION = "#e8871e"
BASELINES = ("#4f6d9a", "#8fa6c4", "#b9b4ac", "#d8d3c8")
INK = "#333333"
LEAST_SPAN = 3 / 1440
"""Margin on both sides of the time axis of a day, in days."""


@dataclass(frozen=True)
class Curves:
    """NDCG@10 by policy and time interval. time: end of each interval; n_events: number of events in each interval."""

    time: tuple[datetime, ...]
    n_events: tuple[int, ...]
    ndcg_at_10: dict[str, Floats]


def training_curve(loss: Sequence[float], validation_ndcg: Sequence[float | None]) -> Figure:
    """Loss and validation NDCG@10 by epoch in two panels, the best epoch ringed. An epoch without validation has no point."""
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    epochs = range(1, len(loss) + 1)
    scored = [(epoch, value) for epoch, value in zip(epochs, validation_ndcg, strict=True) if value is not None and isfinite(value)]
    _draw_curve(left, "Training loss", list(zip(epochs, loss, strict=True)), BASELINES[0])
    _draw_curve(right, "Validation NDCG@10", scored, MINE)
    if scored:
        epoch, value = max(scored, key=lambda point: point[1])
        right.plot([epoch], [value], marker="o", markersize=11, markerfacecolor="none", markeredgecolor=MINE, markeredgewidth=1.6)
        right.annotate(f"{value:.4f}", (epoch, value), xytext=(0, 11), textcoords="offset points", ha="center", color=MINE, fontsize=9)
    return figure


def _draw_curve(axes: Axes, title: str, points: Sequence[tuple[int, float]], color: str) -> None:
    axes.plot([epoch for epoch, _ in points], [value for _, value in points], color=color, marker="o", markersize=4, linewidth=1.8)
    axes.set_title(title, loc="left", fontweight="bold", color=INK, fontsize=11)
    axes.set_xlabel("epoch", color=INK, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.18)
    _clean(axes)
    if not points:
        axes.text(0.5, 0.5, "nothing to show", transform=axes.transAxes, ha="center", color=INK)


def segment_bars(rows: Sequence[MetricRow]) -> Figure:
    """NDCG@10, of served lists if measured: one group of bars per segment, one bar per model, with intervals if there are any."""
    metric = next((row.metric for row in rows if row.metric == "ndcg_at_10_served"), "ndcg_at_10")
    shown = [row for row in rows if row.metric == metric and row.value is not None and isfinite(row.value)]
    segments = list(dict.fromkeys(row.segment for row in shown))
    models = list(dict.fromkeys(row.model for row in shown))
    figure = Figure(figsize=(max(6.0, 1.2 + 1.9 * len(segments)), 4.8), layout="constrained")
    axes = figure.subplots()
    colors = _colors(models)
    width = min(0.8 / max(len(models), 1), 0.25)
    for number, model in enumerate(models):
        bars = [(segments.index(row.segment), row) for row in shown if row.model == model]
        places = [place + (number - (len(models) - 1) / 2) * width for place, _ in bars]
        axes.bar(places, [row.value or 0.0 for _, row in bars], width * 0.92, color=colors[model], label=model.replace("_", " "))
        _draw_intervals(axes, places, [row for _, row in bars])
    axes.set_xticks(range(len(segments)), [_segment_label(segment, shown) for segment in segments])
    title = "NDCG@10 on the held-out events" + (", from lists as served" if metric != "ndcg_at_10" else "")
    axes.set_title(title, loc="left", fontweight="bold", color=INK)
    axes.set_ylim(bottom=0)
    axes.tick_params(axis="x", length=0)
    _clean(axes)
    axes.set_xlim(-0.5, max(len(segments), 1) - 0.5)
    if models:
        figure.legend(loc="outside lower center", ncols=min(len(models), 6), frameon=False, fontsize=9, labelcolor=INK)
    else:
        axes.text(0.5, 0.5, "nothing was held out", transform=axes.transAxes, ha="center", color=INK)
    return figure


def replay_curves(curves: Curves) -> Figure:
    """NDCG@10 of each policy over time: the mean of all events so far as a bold line, each interval as a faint line."""
    figure = Figure(figsize=(9.5, 5.0), layout="constrained")
    axes = figure.subplots()
    shades = {OURS: MINE, "nightly_fresh_lists": CHAMPION} | {
        name: BASELINES[number % len(BASELINES)]
        for number, name in enumerate(name for name in curves.ndcg_at_10 if name not in {OURS, "nightly_fresh_lists"})
    }
    weights = np.asarray(curves.n_events, float)
    days = date2num(curves.time)
    for name, values in curves.ndcg_at_10.items():
        so_far = np.cumsum(values * weights) / np.maximum(np.cumsum(weights), 1)
        axes.plot(days, values, color=shades[name], linewidth=0.8, alpha=0.35)
        axes.plot(days, so_far, color=shades[name], linewidth=2.4 if name == OURS else 1.6, label=name.replace("_", " "))
    axes.set_title("NDCG@10 of the next events: so far (bold) and by interval", loc="left", fontweight="bold", color=INK, fontsize=11)
    axes.set_ylim(bottom=0)
    axes.xaxis_date(UTC)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    _clean(axes)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9, labelcolor=INK)
    return figure


def day_curves(time: Sequence[datetime], n_events: Sequence[float], values: Mapping[str, Sequence[float | None]], metric: str) -> Figure:
    """A metric of each model over one day: the mean of the day so far as a bold line, each minute as a faint line.

    time: of each minute, UTC. values: by model; None for a minute without a value.
    """
    figure = Figure(figsize=(9.5, 4.6), layout="constrained")
    axes = figure.subplots()
    known = {"live": ("live", MINE), "nightly": ("last night's", CHAMPION), "recent_popular": ("recent popularity", BASELINES[0])}
    others = {name: (name.replace("_", " "), BASELINES[1]) for name in values if name not in known}
    days = date2num(time)
    for name, (label, color) in {name: look for name, look in (known | others).items() if name in values}.items():
        scored = [(day, n, value) for day, n, value in zip(days, n_events, values[name], strict=True) if value is not None]
        at, weights, points = (np.array(column, float) for column in zip(*scored, strict=True)) if scored else (np.empty(0),) * 3
        axes.plot(at, points, color=color, linewidth=0.8, alpha=0.35)
        so_far = np.cumsum(points * weights) / np.maximum(np.cumsum(weights), 1)
        last = f" {so_far[-1]:.4f}" if len(so_far) else ""
        axes.plot(at, so_far, color=color, linewidth=2.4 if name == "live" else 1.6, marker=_dots(at), markersize=4, label=label + last)
    name = {"ndcg_at_10": "NDCG@10", "ndcg_at_10_served": "Served NDCG@10"}.get(metric, metric)
    title = f"{name} of new events, before they were learnt: so far (bold) and by minute"
    axes.set_title(title, loc="left", fontweight="bold", color=INK, fontsize=11)
    axes.set_ylim(bottom=0)
    axes.xaxis_date(UTC)
    if len(days):
        axes.set_xlim(days[0] - LEAST_SPAN, days[-1] + LEAST_SPAN)  # without a margin, a single minute gives an axis of zero width
    axes.xaxis.set_major_locator(AutoDateLocator(maxticks=8))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M", tz=UTC))
    axes.set_xlabel(f"time of day, UTC ({sum(n_events):,.0f} events)", color=INK, fontsize=9)
    _clean(axes)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _dots(points: np.ndarray) -> str:
    """The marker of a line: dots if it has too few points to be visible as a line."""
    return "o" if len(points) < 30 else ""


def _colors(models: Sequence[str]) -> dict[str, str]:
    """Colours by model; a model has the same colour with and without a champion in the figure."""
    known = {"minutehand": MINE, "champion": CHAMPION}
    others = [model for model in models if model not in known]
    return known | {model: BASELINES[number % len(BASELINES)] for number, model in enumerate(others)}


def _draw_intervals(axes: Axes, places: Sequence[float], rows: Sequence[MetricRow]) -> None:
    for place, row in zip(places, rows, strict=True):
        if row.low is not None and row.high is not None:
            axes.plot([place, place], [row.low, row.high], color=INK, linewidth=1.2, solid_capstyle="butt")


def _segment_label(segment: str, rows: Sequence[MetricRow]) -> str:
    n_events = max(row.n_events for row in rows if row.segment == segment)
    words = segment.replace("_", " ").replace(" x ", ",\n").replace(" user ", " user,\n")
    return f"{words}\n{n_events:,} events"


def _clean(axes: Axes) -> None:
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9, left=False, right=False)
