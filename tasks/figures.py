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
from matplotlib.ticker import MaxNLocator, PercentFormatter

from models.events import Floats
from models.metrics.groups import family_of
from models.results import MetricRow

OURS = "nightly_and_increments"
MINE = "#0b6e4f"
CHAMPION = "#e8871e"
BASELINES = ("#4f6d9a", "#8fa6c4", "#b9b4ac", "#d8d3c8")
INK = "#333333"
MODELS_OF_A_DAY = {"live": ("live", MINE), "nightly": ("last night's", CHAMPION), "recent_popular": ("recent popularity", BASELINES[0])}
"""Label and colour of each model that predicts the events of a day."""
LEAST_SPAN = 3 / 1440
"""Margin on both sides of the time axis of a day, in days."""


@dataclass(frozen=True)
class Curves:
    """NDCG@10 by policy and time interval. time: end of each interval; n_events: number of events in each interval."""

    time: tuple[datetime, ...]
    n_events: tuple[int, ...]
    ndcg_at_10: dict[str, Floats]


LABEL_WIDTH, LABEL_HEIGHT = 0.08, 0.05
"""Parts of a figure's width and height within which versions share a label."""
N_NAMED = 5
"""A label names at most so many versions."""


@dataclass(frozen=True)
class Tradeoff:
    """Accuracy and diversity of one version; is_new: whether it is the version of this night."""

    version: str
    accuracy: float
    distance: float
    is_new: bool = False


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
    return _bars([row for row in rows if family_of(row.segment) is None], "NDCG@10 on the held-out events")


def group_bars(rows: Sequence[MetricRow]) -> Figure:
    """The same for each group of users, after the figure of all users."""
    return _bars([row for row in rows if row.segment == "all" or family_of(row.segment)], "NDCG@10 by group of users")


def _bars(rows: Sequence[MetricRow], title: str) -> Figure:
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
    axes.set_title(title + (", from lists as served" if metric != "ndcg_at_10" else ""), loc="left", fontweight="bold", color=INK)
    axes.set_ylim(bottom=0)
    axes.tick_params(axis="x", length=0)
    _clean(axes)
    axes.set_xlim(-0.5, max(len(segments), 1) - 0.5)
    if models:
        figure.legend(loc="outside lower center", ncols=min(len(models), 6), frameon=False, fontsize=9, labelcolor=INK)
    else:
        axes.text(0.5, 0.5, "nothing was held out", transform=axes.transAxes, ha="center", color=INK)
    return figure


def lorenz_curves(curves: Mapping[str, Floats]) -> Figure:
    """How exposure is spread over the catalogue, by model: the diagonal is the same exposure for all items."""
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1, linestyle="--", label="the same for all items")
    for model, color in _colors(list(curves)).items():
        if model in curves:
            place = np.linspace(0, 1, len(curves[model]))
            axes.plot(place, curves[model], color=color, linewidth=2.4 if model == "minutehand" else 1.6, label=model.replace("_", " "))
    axes.set_title("Exposure in top tens: Lorenz curve", loc="left", fontweight="bold", color=INK, fontsize=11)
    axes.set_xlabel("share of the catalogue, least shown items first", color=INK, fontsize=9)
    axes.set_ylabel("share of all places in lists", color=INK, fontsize=9)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    _clean(axes)
    axes.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=INK)
    return figure


def calibration_bars(names: Sequence[str], wanted: Floats, shown: Floats, n_most: int = 15) -> Figure:
    """The largest interests: their mean share in the histories of users, and in the lists of the same users."""
    largest = np.argsort(-wanted, kind="stable")[:n_most]
    figure = Figure(figsize=(8.0, 1.4 + 0.36 * max(len(largest), 2)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(largest), dtype=float)
    axes.barh(places - 0.19, wanted[largest], 0.36, color=BASELINES[1], label="in histories")
    axes.barh(places + 0.19, shown[largest], 0.36, color=MINE, label="in lists")
    axes.set_yticks(places, [_plain(names[n]) for n in largest])
    axes.invert_yaxis()
    axes.set_title("Interests of users and of their lists", loc="left", fontweight="bold", color=INK, fontsize=11)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    _clean(axes)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.8)
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9, labelcolor=INK)
    return figure


def accuracy_against_diversity(points: Sequence[Tradeoff], metric: str) -> Figure:
    """All versions: accuracy on their own held-out events, and mean distance within lists; the newest is marked."""
    figure = Figure(figsize=(7.2, 5.0), layout="constrained")
    axes = figure.subplots()
    for point in sorted(points, key=lambda each: each.is_new):
        color, size = (MINE, 9) if point.is_new else (BASELINES[1], 6)
        axes.plot([point.distance], [point.accuracy], "o", color=color, markersize=size)
    for place, label in _labels(points):
        where = (place.distance, place.accuracy)
        axes.annotate(label, where, xytext=(0, 8), textcoords="offset points", ha="center", color=INK, fontsize=8)
    axes.set_title("Accuracy against diversity of all nightly versions", loc="left", fontweight="bold", color=INK, fontsize=11)
    axes.set_xlabel("mean cosine distance within a list", color=INK, fontsize=9)
    axes.set_ylabel({"ndcg_at_10_served": "NDCG@10 as served"}.get(metric, "NDCG@10"), color=INK, fontsize=9)
    axes.margins(0.15)
    _clean(axes)
    if not points:
        axes.text(0.5, 0.5, "no version has both figures", transform=axes.transAxes, ha="center", color=INK)
    return figure


def _labels(points: Sequence[Tradeoff]) -> list[tuple[Tradeoff, str]]:
    """The versions at each place, with the highest point of the place. Points too near for labels of their own share a place."""
    width, height = (np.ptp([getattr(each, name) for each in points]) or 1.0 if points else 1.0 for name in ("distance", "accuracy"))
    places: list[list[Tradeoff]] = []
    for point in points:
        near = (
            each
            for each in places
            if abs(point.distance - each[0].distance) <= LABEL_WIDTH * width
            and abs(point.accuracy - each[0].accuracy) <= LABEL_HEIGHT * height
        )
        place = next(near, None)
        if place is None:
            places.append([point])
        else:
            place.append(point)
    found = []
    for place in places:
        names = [each.version for each in place]
        label = ", ".join(names) if len(names) <= N_NAMED else f"{', '.join(names[: N_NAMED - 1])} and {len(names) - N_NAMED + 1} more"
        found.append((max(place, key=lambda each: each.accuracy), label))
    return found


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
    others = {name: (name.replace("_", " "), BASELINES[1]) for name in values if name not in MODELS_OF_A_DAY}
    days = date2num(time)
    for name, (label, color) in {name: look for name, look in (MODELS_OF_A_DAY | others).items() if name in values}.items():
        scored = [(day, n, value) for day, n, value in zip(days, n_events, values[name], strict=True) if value is not None]
        at, weights, points = (np.array(column, float) for column in zip(*scored, strict=True)) if scored else (np.empty(0),) * 3
        axes.plot(at, points, color=color, linewidth=0.8, alpha=0.35)
        so_far = np.cumsum(points * weights) / np.maximum(np.cumsum(weights), 1)
        last = f" {so_far[-1]:.4f}" if len(so_far) else ""
        axes.plot(at, so_far, color=color, linewidth=2.4 if name == "live" else 1.6, marker=_dots(at), markersize=4, label=label + last)
    title = f"{_metric_title(metric)} of new events, before they were learnt: so far (bold) and by minute"
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


def hour_curves(hour: Sequence[int], n_events: Sequence[float], values: Mapping[str, Sequence[float | None]], metric: str) -> Figure:
    """A metric of each model by hour of one day, each event predicted before it was learnt; the number of events below.

    values: by model; None for an hour without a value.
    """
    figure = Figure(figsize=(9.5, 5.0), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for number, name in enumerate(values):
        label, color = MODELS_OF_A_DAY.get(name, (name.replace("_", " "), BASELINES[1 + number % (len(BASELINES) - 1)]))
        scored = [(at, value) for at, value in zip(hour, values[name], strict=True) if value is not None]
        at, points = ([each[n] for each in scored] for n in (0, 1))
        axes.plot(at, points, color=color, linewidth=2.4 if name == "live" else 1.6, marker="o", markersize=5, label=label, clip_on=False)
    below.bar(hour, n_events, 0.7, color=BASELINES[2])
    title = f"{_metric_title(metric)} of new events by hour, before they were learnt"
    axes.set_title(title, loc="left", fontweight="bold", color=INK, fontsize=11)
    axes.set_ylim(bottom=0)
    below.set_xlim(-0.6, 23.6)
    below.set_xticks(range(0, 24, 2), [f"{at:02}:00" for at in range(0, 24, 2)])
    below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    below.set_ylabel("events", color=INK, fontsize=9)
    below.set_xlabel("hour of the day, UTC", color=INK, fontsize=9)
    for each in (axes, below):
        _clean(each)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _metric_title(metric: str) -> str:
    return {"ndcg_at_10": "NDCG@10", "ndcg_at_10_served": "Served NDCG@10"}.get(metric, metric)


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
    words = _plain(segment).replace("=", ":\n").replace("_", " ").replace(" x ", ",\n").replace(" user ", " user,\n")
    return f"{words}\n{n_events:,} events"


def _plain(name: str, longest: int = 28) -> str:
    """A name from the data in one short line; a dollar sign would begin a formula."""
    text = " ".join(name.split()).replace("$", r"\$")
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _clean(axes: Axes) -> None:
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9, left=False, right=False)
