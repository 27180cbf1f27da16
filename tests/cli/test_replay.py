"""`minutehand replay` as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner, Result

from cli import app
from cli import replay as command
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


@pytest.mark.slow
def test_a_replay_writes_every_figure_a_plot_and_curves_in_mlflow(events: str, tmp_path: Path, home: Path) -> None:
    out = tmp_path / "results" / "replay.json"
    home.mkdir()
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
    assert "events.csv: took column timestamp as occurred_at" in done.stdout
    client = MlflowClient(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("minutehand")
    assert experiment is not None
    (logged,) = client.search_runs([experiment.experiment_id])
    curve = client.get_metric_history(logged.info.run_id, "nightly_and_increments/ndcg_at_10")
    assert [point.step for point in curve] == list(range(len(curve)))
    assert len(curve) > 3
    of_the_run = {"ndcg_at_10", "mean_ndcg_at_10", "mean_hr_at_10"}
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
        (("--out", "."), "it is a folder; name a file in it with --out"),
        (("--out", "replay.png"), "--out replay.png is for JSON, and the curves go to a file with the same name"),
        (("--split", "|"), "--split '|' is for the columns of items, and no items are given"),
        (("--map-items", "title=Name"), "--map-items title=Name is for the columns of items, and no items are given"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_what_to_do(events: str, words: tuple[str, ...], message: str) -> None:
    done = run("--events", events, *words)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


def test_a_picture_that_cannot_be_written_is_refused_before_the_replay(events: str, tmp_path: Path) -> None:
    (tmp_path / "replay.png").mkdir()
    done = run("--events", events, "--out", str(tmp_path / "replay.json"))
    assert f"cannot write {tmp_path / 'replay.png'}: it is a folder" in str(done.exception)
    assert not (tmp_path / "replay.json").exists()


@pytest.mark.slow
def test_without_a_home_a_replay_logs_nowhere_and_makes_none(events: str, tmp_path: Path, home: Path) -> None:
    refused = run("--events", events, "--mlflow", home=home)
    assert f"there is no minutehand home at {home}; name the home by MINUTEHAND_HOME, or leave --mlflow out" in str(refused.exception)
    words = ("--from", "90%", "--night", "10d", "--policies", "recent_popular", "--out", str(tmp_path / "replay.json"))
    assert run("--events", events, *words, home=home).exit_code == 0
    assert (tmp_path / "replay.png").exists()
    assert not home.exists()


def test_a_store_that_cannot_be_opened_is_refused_before_the_events_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUTEHAND_REGISTRY__TRACKING_URI", "sqlite:////dev/null/mlflow.db")
    done = run("--events", str(tmp_path / "missing.csv"), "--mlflow")
    assert "cannot open the MLflow store at sqlite:////dev/null/mlflow.db" in str(done.exception)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoilt", "message"),
    [("results", "cannot write {folder}/replay.json"), ("home/mlflow/artifacts", "the replay is done, but could not be logged to MLflow")],
)
def test_a_file_or_a_store_that_fails_after_all_does_not_cost_the_figures(
    spoilt: str, message: str, events: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / spoilt
    home.mkdir()

    def spoil() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.touch()

    monkeypatch.setattr(command, "_Progress", spoil)  # made when everything has been checked
    words = ("--events", events, "--from", "90%", "--night", "10d", "--policies", "recent_popular")
    done = run(*words, "--mlflow", "--json", "--out", str(tmp_path / "results" / "replay.json"), home=home)
    assert isinstance(done.exception, UserError)
    assert message.format(folder=folder) in str(done.exception)
    assert set(json.loads(done.stdout)["policies"]) == {"recent_popular"}


def test_shares_and_lengths_of_time_are_read_as_people_write_them() -> None:
    assert share("70%", "--from") == share("0.7", "--from") == 0.7
    assert [span(text, "--step") for text in ("60s", "15m", "1h", "7d")] == [60, 900, 3600, 604800]
