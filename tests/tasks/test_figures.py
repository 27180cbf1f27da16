"""Contents of the figures, also for nights with missing values."""

from __future__ import annotations

import io
import math
from datetime import datetime, timedelta

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from models.results import MetricRow
from tasks.figures import (
    Tradeoff,
    accuracy_against_diversity,
    calibration_bars,
    day_curves,
    group_bars,
    hour_curves,
    lorenz_curves,
    segment_bars,
    training_curve,
)


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


def test_groups_of_users_have_a_figure_of_their_own_and_item_groups_none() -> None:
    rows = [MetricRow("minutehand", segment, "ndcg_at_10", 0.1, 9) for segment in ("all", "warm_user_warm_item", "activity=low")]
    rows.append(MetricRow("minutehand", "popularity=tail", "exposure_per_demand", 0.2, 9))
    labels = [[label.get_text() for label in draw(rows).axes[0].get_xticklabels()] for draw in (segment_bars, group_bars)]
    assert labels == [["all\n9 events", "warm user,\nwarm item\n9 events"], ["all\n9 events", "activity:\nlow\n9 events"]]


def test_the_lorenz_curve_has_a_line_a_model_from_nothing_to_all() -> None:
    curve = np.array([0, 0.1, 1], np.float32)
    (axes,) = lorenz_curves({"minutehand": curve, "item_knn": curve}).axes
    lines = {str(line.get_label()): points(line) for line in axes.lines}
    assert lines["minutehand"] == [[0, 0], [0.5, pytest.approx(0.1)], [1, 1]]
    assert set(lines) == {"the same for all items", "minutehand", "item knn"}


def test_calibration_shows_the_largest_interests_of_histories_and_names_are_plain_text() -> None:
    figure = calibration_bars(["rare", "$x$ and $y$", "n" * 90], np.array([0.1, 0.6, 0.3], np.float32), np.array([0, 1, 0], np.float32), 2)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [r"\$x\$ and \$y\$", "n" * 27 + "…"]
    assert [round(bar.get_width(), 1) for bar in axes.patches if isinstance(bar, Rectangle)] == [0.6, 0.3, 1, 0]
    assert png(figure)


def test_each_version_is_a_point_of_accuracy_against_diversity_with_its_number() -> None:
    figure = accuracy_against_diversity([Tradeoff("1", 0.1, 0.5), Tradeoff("2", 0.12, 0.4, is_new=True)], "ndcg_at_10_served")
    (axes,) = figure.axes
    assert [points(line)[0] for line in axes.lines] == [[0.5, 0.1], [0.4, 0.12]]
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    assert png(accuracy_against_diversity([], "ndcg_at_10"))


def test_versions_too_near_to_read_apart_share_a_label() -> None:
    near = [Tradeoff(str(number), 0.4 + number / 10_000, 0.5) for number in range(1, 8)]
    (axes,) = accuracy_against_diversity([*near, Tradeoff("8", 0.3, 0.7, is_new=True)], "ndcg_at_10").axes
    assert [text.get_text() for text in axes.texts] == ["1, 2, 3, 4 and 3 more", "8"]
    assert len(axes.lines) == 8


def test_the_hours_of_a_day_have_a_point_for_each_model_and_the_events_below() -> None:
    figure = hour_curves([9, 10], [30, 5], {"live": [0.4, None], "recent_popular": [0.2, 0.1]}, "ndcg_at_10")
    above, below = figure.axes
    assert {str(line.get_label()): points(line) for line in above.lines} == {"live": [[9, 0.4]], "recent popularity": [[9, 0.2], [10, 0.1]]}
    assert [bar.get_height() for bar in below.patches if isinstance(bar, Rectangle)] == [30, 5]
    assert png(figure)
