"""Names of runs, parameters and metrics in MLflow."""

from __future__ import annotations

from datetime import date, datetime

from models.results import MetricRow
from tasks.registry.names import best_baseline, clock, day_name, figures_of, flatten, gains, leading, moment_name, night_name


def test_settings_are_flattened_shortened_and_without_passwords() -> None:
    nested = {
        "lake": {"catalog": "postgres:host=db password=hunter2 user=me", "busy_timeout_ms": 5000},
        "registry": {"tracking_uri": "postgresql://me:hunter2@db/mlflow"},
        "text": "x" * 600,
        "weights": {},
        "seed": 7,
    }
    flat = flatten(nested)
    assert flat["lake.catalog"] == "postgres:host=db password=*** user=me"
    assert flat["registry.tracking_uri"] == "postgresql://me:***@db/mlflow"
    assert (len(flat["text"]), flat["weights"], flat["seed"], flat["lake.busy_timeout_ms"]) == (500, "{}", "7", "5000")


def test_runs_are_named_by_kind_and_date_and_a_second_night_of_a_day_also_by_its_time() -> None:
    began = datetime(2026, 11, 27, 19, 5)
    assert (night_name(began), moment_name("minute", began), day_name(date(2026, 11, 27))) == (
        "night 2026-11-27",
        "minute 19:05",
        "day 2026-11-27",
    )
    assert night_name(began, {"night 2026-11-27"}) == "night 2026-11-27 19:05"
    assert clock(began) == 1905


def test_the_served_metric_leads_if_it_was_measured() -> None:
    assert leading({"hr_at_10", "ndcg_at_10", "ndcg_at_10_served"}) == "ndcg_at_10_served"
    assert leading({"hr_at_10", "ndcg_at_10"}) == leading(set()) == "ndcg_at_10"
    rows = [MetricRow("minutehand", "all", name, 0.5, 9) for name in ("mrr", "ndcg_at_10", "ndcg_at_10_served")]
    assert list(figures_of(rows, "minutehand")) == ["ndcg_at_10_served", "ndcg_at_10", "mrr"]


def test_without_held_out_events_there_is_no_baseline_and_no_gain() -> None:
    rows = [MetricRow(model, "all", "ndcg_at_10", None, 0) for model in ("minutehand", "item_knn")]
    assert (best_baseline(rows), gains(rows), figures_of(rows, "minutehand")) == (None, {}, {})
