"""`minutehand replay` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner, Result

from cli import app
from cli.replay import share, span
from models.errors import UserError

SMALL = {
    "COLUMNS": "160",
    "MINUTEHAND_MODEL__DIM": "16",
    "MINUTEHAND_MODEL__MAX_EVENTS": "8",
    "MINUTEHAND_TRAIN__MAX_EPOCHS": "1",
    "MINUTEHAND_INCREMENT__MEMORY_WINDOWS": "40",
    "MINUTEHAND_INCREMENT__BLEND_ROWS": "40",
}


@pytest.fixture
def events(tmp_path: Path) -> str:
    """Walks round twelve items, a user an hour."""
    rows = [f"u{user},i{(5 * user + step) % 12},{1_700_000_000 + 3600 * user + 60 * step}" for user in range(40) for step in range(6)]
    file = tmp_path / "events.csv"
    file.write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n", encoding="utf-8")
    return str(file)


def run(*words: str, home: Path | None = None) -> Result:
    env = SMALL | ({"MINUTEHAND_HOME": str(home)} if home else {})
    return CliRunner().invoke(app, ["replay", *words], env=env)


def test_a_replay_writes_every_figure_a_plot_and_curves_in_mlflow(events: str, tmp_path: Path, home: Path) -> None:
    out = tmp_path / "results" / "replay.json"
    done = run("--events", events, "--step", "2h", "--night", "10d", "--out", str(out), "--mlflow", home=home)
    assert done.exit_code == 0, done.output
    result = json.loads(out.read_text(encoding="utf-8"))
    assert set(result) == {"data", "policies", "differences", "settings", "versions"}
    assert result["data"]["n_replayed"] == 72
    assert set(result["policies"]) == {"never_updated", "nightly_tables", "nightly_fresh_lists", "nightly_and_increments", "recent_popular"}
    ours = result["policies"]["nightly_and_increments"]
    assert {"ndcg_at_10", "hr_at_10", "mrr", "coverage_at_10", "seconds_per_step", "segments"} == set(ours)
    assert {"trending_item", "warm_and_not_trending", "warm_user_warm_item"} < set(ours["segments"])
    assert set(result["differences"]["nightly_tables"]) == {
        *("ndcg_at_10", "low", "high", "ratio", "hr_at_10", "mrr", "gain_by_segment"),
    }
    gain = result["differences"]["nightly_tables"]["hr_at_10"]
    assert gain["low"] <= gain["difference"] == pytest.approx(ours["hr_at_10"] - result["policies"]["nightly_tables"]["hr_at_10"])
    assert gain["difference"] <= gain["high"]
    assert out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    assert "nightly_and_increments" in done.stdout
    client = MlflowClient(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("minutehand")
    assert experiment is not None
    (logged,) = client.search_runs([experiment.experiment_id])
    curve = client.get_metric_history(logged.info.run_id, "nightly_and_increments/ndcg_at_10")
    assert [point.step for point in curve] == list(range(len(curve)))
    assert len(curve) > 3
    of_the_run = {"ndcg_at_10", "mean_ndcg_at_10", "mean_hr_at_10", "mean_mrr", "mean_seconds_per_step"}
    assert {name.partition("/")[2] for name in logged.data.metrics} == of_the_run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from", "seven"), "'seven' is no share"),
        (("--from", "90%", "--until", "50%"), "give --from above 0% and below --until"),
        (("--step", "soon"), "'soon' is no length of time"),
        (("--policies", "nightly_table"), "did you mean nightly_tables?"),
        (("--policies", " , "), "no policy to replay; give some of: never_updated"),
        (("--out", "/dev/null/replay.json"), "cannot write /dev/null/replay.json"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_what_to_do(events: str, words: tuple[str, ...], message: str) -> None:
    done = run("--events", events, *words)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


def test_shares_and_lengths_of_time_are_read_as_people_write_them() -> None:
    assert share("70%", "--from") == share("0.7", "--from") == 0.7
    assert [span(text, "--step") for text in ("60s", "15m", "1h", "7d")] == [60, 900, 3600, 604800]
