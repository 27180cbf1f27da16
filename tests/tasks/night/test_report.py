"""The report of a night."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.metrics.summary import FIGURES
from models.results import MetricRow, RankedLists
from tasks.night.learning import Judged
from tasks.night.report import lift, night_report

TITLES = ("Red tent", "Green | tent", "<b>*bold*</b>\n# heading", "x" * 10_000)


def _judged(*extra: MetricRow) -> Judged:
    rows = [MetricRow(model, "all", metric, 0.25, 8) for model in ("minutehand", "item_knn") for metric in FIGURES]
    return Judged([*rows, *extra], ndcg=0.25, champion_ndcg=None, best_baseline="item_knn", best_baseline_ndcg=0.2)


def _lists(*rows: list[int]) -> RankedLists:
    item = np.array(rows)
    users = tuple(f"u{n}" for n in range(len(rows)))
    return RankedLists(users, item, np.zeros(item.shape, np.float32), np.zeros(item.shape, np.float32), np.full(item.shape, -1))


def test_a_report_has_the_gain_on_the_best_baseline_and_titles() -> None:
    gains = [
        MetricRow("minutehand", "all", "ndcg_at_10_lift", 0.08, 8, 0.07, 0.09),
        MetricRow("minutehand", "all", "ndcg_at_10_served_lift", 0.05, 8, 0.01, 0.09),
    ]
    text = night_report("7", "Version 7 is the champion", _judged(*gains), _lists([0, -1]), TITLES)
    assert "# Version 7" in text
    assert "as served is +0.0500 against item_knn, the best baseline (95 % interval +0.0100 to +0.0900)" in text
    assert "**u0**\n\n1. Red tent\n" in f"{text}\n"


def test_a_report_begins_with_the_metric_of_served_lists_and_explains_it() -> None:
    served = [MetricRow("minutehand", segment, "ndcg_at_10_served", 0.125, 8) for segment in ("all", "warm_user_warm_item")]
    text = night_report("7", "fine", _judged(*served), _lists([0]), TITLES)
    assert "| model | ndcg_at_10_served | ndcg_at_10 | hr_at_10 | mrr | coverage_at_10 |" in text
    assert "| minutehand | 0.1250 | 0.2500 |" in text
    assert "predicts each held-out event from a list one minute old, as served to users" in text
    assert "| minutehand | 0.1250 |  |  |  |" in text, "the segments are of served lists, too"


def test_a_report_says_if_no_event_was_held_out() -> None:
    judged = _judged()
    assert lift(judged.rows) is None
    assert "No event was held out." in night_report("1", "fine", judged, _lists([0]), TITLES)


def test_titles_are_escaped_to_one_short_line() -> None:
    text = night_report("1", "fine", _judged(), _lists([1, 2, 3]), TITLES)
    lines = [line for line in text.splitlines() if line[:2] in {"1.", "2.", "3."}]
    assert lines[0] == r"1. Green \| tent"
    assert lines[1] == r"2. \<b\>\*bold\*\</b\> \# heading"
    assert len(lines[2]) < 130


def test_an_address_in_a_title_or_id_is_not_a_link_and_control_characters_are_spelt_out() -> None:
    lists = replace(_lists([0, 1]), user_ids=("anna@example.com",))
    text = night_report("1", "fine", _judged(), lists, ("see https://evil.example", "a\x1b[2J\u202e"))
    assert "**`anna@example.com`**" in text
    assert "1. `see https://evil.example`" in text
    assert r"2. a\\x1b\[2J\\u202e" in text


def test_a_report_shows_three_of_many_users_and_all_of_few() -> None:
    assert night_report("1", "fine", _judged(), _lists(*[[0]] * 100), TITLES).count("1. Red tent") == 3
    assert night_report("1", "fine", _judged(), _lists([0], [0]), TITLES).count("1. Red tent") == 2
