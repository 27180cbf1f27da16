"""Backtest from files to metrics: content of the result, refused input, and time budget."""

from __future__ import annotations

import json
import mmap
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.config import EncoderConfig, EvaluationConfig, RecommenderConfig, TrainConfig
from models.errors import UserError
from models.evaluation.protocols import make_task
from tasks.config import IngestConfig
from tasks.offline.backtest import MODELS, BacktestSettings, backtest, check_choice, rank_learner
from tasks.offline.files import Files, load
from tasks.process import peak_memory
from tests.models.text.test_encoder import save_tiny_bert

FIGURES = {"temporal": {"ndcg_at_10_served", "ndcg_at_10", "hr_at_10", "mrr"}, "leave-one-out": {"ndcg_at_10", "hr_at_10", "mrr"}}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> BacktestSettings:
    return BacktestSettings(
        ingest=IngestConfig(),
        encoder=EncoderConfig(name=str(save_tiny_bert(tmp_path_factory.mktemp("encoder") / "tiny"))),
        model=RecommenderConfig(dim=16, n_blocks=1, n_heads=2, dropout=0, max_events=16),
        train=TrainConfig(max_epochs=2, batch_events=512, learning_rate=1e-2, device="cpu", minutes=2),
        evaluation=EvaluationConfig(n_bootstrap=100),
        seed=3,
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Users walk through a catalogue of 24 described items, one step per day: times have the resolution of a day."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [(f"u{user}", f"i{(7 * user + step) % 24}", 1_700_000_000 // 86400 + step, step) for user in range(40) for step in range(12)]
    pl.DataFrame(rows, schema=["user_id", "item_id", "day", "step"], orient="row").with_columns(
        pl.from_epoch("day", time_unit="d").alias("day")
    ).write_parquet(folder / "events.parquet")
    pl.DataFrame({"item_id": [f"i{n}" for n in range(25)], "title": ["red tent", "green tent", None, "red", "green"] * 5}).write_parquet(
        folder / "items.parquet"
    )
    return Files(str(folder / "events.parquet"), str(folder / "items.parquet"))


def test_without_time_needs_a_protocol_that_uses_the_order(files: Files, recipe: BacktestSettings) -> None:
    with pytest.raises(UserError, match="'temporal' splits by time; add --protocol leave-one-out"):
        backtest(replace(files, without_time=True), "temporal", ["most_popular"], recipe)


def test_an_order_needs_a_protocol_that_uses_the_order(files: Files, recipe: BacktestSettings) -> None:
    with pytest.raises(UserError, match="--order 'step' numbers each user's events, but 'temporal' orders them by time; add --protocol"):
        backtest(replace(files, order="step"), "temporal", ["most_popular"], recipe)


@pytest.mark.slow
def test_without_time_only_the_order_counts(files: Files, recipe: BacktestSettings, tmp_path: Path) -> None:
    stretched = tmp_path / "stretched.parquet"
    pl.read_parquet(files.events).with_columns(pl.col("day") + pl.duration(days=pl.col("step") ** 2)).write_parquet(stretched)
    one, other = (
        backtest(replace(files, events=path, without_time=True), "leave-one-out", ["minutehand", "most_popular", "recent_popular"], recipe)
        for path in (files.events, str(stretched))
    )
    assert one["data"]["without_time"]
    for name, found in one["models"].items():
        assert found["ndcg_at_10"] == other["models"][name]["ndcg_at_10"], name


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "models"), [("temporal", ("minutehand", "recent_popular")), ("leave-one-out", MODELS)])
def test_the_result_has_every_metric_and_is_json(protocol: str, models: Sequence[str], files: Files, recipe: BacktestSettings) -> None:
    result = json.loads(json.dumps(backtest(files, protocol, models, recipe), allow_nan=False))
    assert list(result) == ["protocol", "data", "models", "differences", "segment_differences", "settings", "versions"]
    assert list(result["models"]) == list(models)
    for name, found in result["models"].items():
        assert {*FIGURES[protocol], "coverage_at_10", "seconds", "peak_mib", "segments"} <= set(found), name
        assert 0 <= found["ndcg_at_10"] <= found["hr_at_10"] <= 1
        assert 0 < found["coverage_at_10"] <= 1
        assert found["peak_mib"] > 100
        assert sum(part["n_events"] for part in found["segments"].values()) == result["data"]["n_test"]
        assert all(set(part) == {*FIGURES[protocol], "n_events"} for part in found["segments"].values())
    assert set(result["differences"]) == set(models) - {"minutehand"}
    assert [found["is_best_baseline"] for found in result["differences"].values()].count(True) == 1
    assert all(("ndcg_at_10_served" in found) == (protocol == "temporal") for found in result["differences"].values())
    assert result["segment_differences"] == {}, "no segment has enough events"
    data = result["data"]
    assert (data["n_events"], data["n_users"], data["n_items"], data["n_items_with_text"]) == (480, 40, 25, 20)
    assert data["n_train"] + data["n_validation"] + data["n_test"] == 480
    assert (result["settings"]["seed"], result["settings"]["model"]["dim"]) == (3, 16)
    assert {"python", "torch", "minutehand"} <= set(result["versions"])
    assert result["models"]["minutehand"]["epochs"] == 2


@pytest.mark.slow
def test_training_ends_early_enough_that_all_work_fits_the_budget(files: Files, recipe: BacktestSettings) -> None:
    endless = recipe.train.model_copy(update={"max_epochs": 100_000, "patience": 100_000})
    task = make_task("leave-one-out", load(files, recipe.ingest).dataset.events, recipe.evaluation, seed=0)
    text = np.zeros((25, 8), np.float32)
    epochs = []
    for seconds in (5.0, -1.0):
        begun = time.monotonic()
        details = rank_learner(task, text, replace(recipe, train=endless), begun + seconds)[1]
        epochs.append(details["epochs"])
        assert time.monotonic() - begun < max(seconds, 0) * 1.1 + 5, "the margin allows for other load on the machine"
    assert epochs[0] > 2
    assert epochs[1] >= 1


def test_unknown_protocols_and_models_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="no protocol 'temproal'; did you mean temporal"):
        check_choice("temproal", ["most_popular"])
    with pytest.raises(
        UserError, match=r"no model 'item-knn'; did you mean item_knn.*minutehand,id_only,most_popular,recent_popular,item_knn"
    ):
        check_choice("temporal", ["most_popular", "item-knn"])
    for names in ([], ["item_knn", "item_knn"]):
        with pytest.raises(UserError, match="names no model, or one twice"):
            check_choice("temporal", names)


@pytest.mark.parametrize(
    ("old", "new"), [("pop", "most_popular"), ("recent", "recent_popular"), ("itemknn", "item_knn"), ("idonly", "id_only")]
)
def test_a_model_may_be_requested_by_its_old_name_but_not_by_both_names(old: str, new: str) -> None:
    check_choice("temporal", [old])
    with pytest.raises(UserError, match="names no model, or one twice"):
        check_choice("temporal", [old, new])


@pytest.mark.slow
def test_peak_memory_covers_only_the_block() -> None:
    with peak_memory() as before, mmap.mmap(-1, 200 * 1024**2) as big:  # goes back to the system at once, unlike memory of malloc
        for first in range(0, len(big), mmap.PAGESIZE):
            big[first] = 1
        high = before()
    with peak_memory() as after:
        time.sleep(0.01)
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux can reset the peak")
    assert after() < high - 150
