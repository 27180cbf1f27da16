"""Contents of the figures, also for nights with missing values."""

from __future__ import annotations

import io
import math
from datetime import datetime, timedelta

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from models.results import MetricRow
from tasks.figures import day_curves, segment_bars, training_curve


def points(line: Line2D) -> list[list[float]]:
    return np.asarray(line.get_xydata()).tolist()


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def test_the_curve_has_a_point_for_each_validated_epoch_and_marks_the_best() -> None:
    figure = training_curve([3.0, 2.0, 1.5, 1.2], [0.1, None, 0.3, 0.2])
    loss, validation = figure.axes
    assert points(loss.lines[0]) == [[1, 3.0], [2, 2.0], [3, 1.5], [4, 1.2]]
    assert points(validation.lines[0]) == [[1, 0.1], [3, 0.3], [4, 0.2]]
    assert points(validation.lines[1]) == [[3, 0.3]]
    assert png(figure)


def test_a_night_without_validation_or_without_epochs_still_has_a_figure() -> None:
    _, validation = training_curve([2.0, 1.0], [None, math.nan]).axes
    assert [text.get_text() for text in validation.texts] == ["nothing to show"]
    assert png(training_curve([], []))


def test_every_model_has_one_bar_a_segment_with_its_interval_and_missing_values_have_none() -> None:
    rows = [
        MetricRow("minutehand", "all", "ndcg_at_10", 0.12, 100, 0.1, 0.14),
        MetricRow("item_knn", "all", "ndcg_at_10", 0.08, 100),
        MetricRow("minutehand", "warm user x cold item", "ndcg_at_10", 0.02, 10),
        MetricRow("item_knn", "warm user x cold item", "ndcg_at_10", None, 10),
        MetricRow("minutehand", "all", "mrr", 0.5, 100),
    ]
    (axes,) = segment_bars(rows).axes
    assert [round(bar.get_height(), 2) for bar in axes.patches if isinstance(bar, Rectangle)] == [0.12, 0.02, 0.08]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["all\n100 events", "warm user,\ncold item\n10 events"]
    assert [[y for _, y in points(line)] for line in axes.lines] == [[0.1, 0.14]]


def test_the_bars_show_served_lists_if_these_were_measured() -> None:
    rows = [MetricRow("minutehand", "all", metric, value, 9) for metric, value in (("ndcg_at_10_served", 0.12), ("ndcg_at_10", 0.22))]
    (axes,) = segment_bars(rows).axes
    assert [round(bar.get_height(), 2) for bar in axes.patches if isinstance(bar, Rectangle)] == [0.12]
    assert axes.get_title(loc="left").endswith("from lists as served")


def test_the_figure_says_if_nothing_was_held_out() -> None:
    figure = segment_bars([])
    assert [text.get_text() for text in figure.axes[0].texts] == ["nothing was held out"]
    assert png(figure)


def test_the_day_has_a_bold_line_a_model_with_the_mean_so_far_and_the_time_of_day_below() -> None:
    noon = datetime(2026, 11, 27, 12)
    values: dict[str, list[float | None]] = {"live": [0.4, None, 0.1], "recent_popular": [0.2, 0.2, 0.2]}
    figure = day_curves([noon + timedelta(hours=hour) for hour in range(3)], [10, 5, 20], values, "ndcg_at_10")
    (axes,) = figure.axes
    bold = {str(line.get_label()): [round(y, 4) for _, y in points(line)] for line in axes.lines if line.get_linewidth() > 1}
    assert bold == {"live 0.2000": [0.4, 0.2], "recent popularity 0.2000": [0.2, 0.2, 0.2]}
    assert png(figure)
    assert "13:00" in [label.get_text() for label in axes.get_xticklabels()]


def test_a_day_of_one_minute_and_one_without_figures_are_drawn() -> None:
    noon = datetime(2026, 11, 27, 12)
    assert png(day_curves([noon], [3], {"live": [0.4]}, "ndcg_at_10_served"))
    assert png(day_curves([noon], [0], {"live": [None]}, "ndcg_at_10"))
