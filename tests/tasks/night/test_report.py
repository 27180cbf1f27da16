"""What a night says of itself."""

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


def test_a_report_names_the_gain_on_the_best_baseline_and_shows_titles() -> None:
    gains = [
        MetricRow("minutehand", "all", "ndcg_at_10_lift", 0.08, 8, 0.07, 0.09),
        MetricRow("minutehand", "all", "ndcg_at_10_served_lift", 0.05, 8, 0.01, 0.09),
    ]
    text = night_report("7", "Version 7 is the champion", _judged(*gains), _lists([0, -1]), TITLES)
    assert "# Version 7" in text
    assert "as served is +0.0500 against item_knn, the best baseline (95 % interval +0.0100 to +0.0900)" in text
    assert "**u0**\n\n1. Red tent\n" in f"{text}\n"


def test_a_report_begins_with_the_figure_of_served_lists_and_says_what_it_is() -> None:
    served = [MetricRow("minutehand", segment, "ndcg_at_10_served", 0.125, 8) for segment in ("all", "warm_user_warm_item")]
    text = night_report("7", "fine", _judged(*served), _lists([0]), TITLES)
    assert "| model | ndcg_at_10_served | ndcg_at_10 | hr_at_10 | mrr | coverage_at_10 |" in text
    assert "| minutehand | 0.1250 | 0.2500 |" in text
    assert "predicted from a list one minute old, as users get it" in text
    assert "| minutehand | 0.1250 |  |  |  |" in text, "the segments are of served lists, too"


def test_without_held_out_events_a_report_says_so() -> None:
    judged = _judged()
    assert lift(judged.rows) is None
    assert "No event was held out." in night_report("1", "fine", judged, _lists([0]), TITLES)


def test_titles_stay_text_on_one_short_line() -> None:
    text = night_report("1", "fine", _judged(), _lists([1, 2, 3]), TITLES)
    lines = [line for line in text.splitlines() if line[:2] in {"1.", "2.", "3."}]
    assert lines[0] == r"1. Green \| tent"
    assert lines[1] == r"2. \<b\>\*bold\*\</b\> \# heading"
    assert len(lines[2]) < 130


def test_an_address_in_a_title_or_an_id_is_no_link_and_a_control_character_is_spelt_out() -> None:
    lists = replace(_lists([0, 1]), user_ids=("anna@example.com",))
    text = night_report("1", "fine", _judged(), lists, ("see https://evil.example", "a\x1b[2J\u202e"))
    assert "**`anna@example.com`**" in text
    assert "1. `see https://evil.example`" in text
    assert r"2. a\\x1b\[2J\\u202e" in text


def test_three_users_are_shown_of_many_and_all_of_few() -> None:
    assert night_report("1", "fine", _judged(), _lists(*[[0]] * 100), TITLES).count("1. Red tent") == 3
    assert night_report("1", "fine", _judged(), _lists([0], [0]), TITLES).count("1. Red tent") == 2
