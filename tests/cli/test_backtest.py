"""`minutehand backtest` as a user runs it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import app
from cli import backtest as command
from models.errors import UserError


@pytest.fixture
def events(tmp_path: Path) -> str:
    """Walks round twelve items, with a column name of its own and one bad row."""
    rows = [f"u{user},i{(5 * user + step) % 12},{1_700_000_000 + 3600 * step + user}" for user in range(30) for step in range(8)]
    file = tmp_path / "events.csv"
    file.write_text("\n".join(["user_id,Article,ts", *rows, "u1,,1700000000"]) + "\n", encoding="utf-8")
    return str(file)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["backtest", *words], env={"COLUMNS": "160"})


@pytest.mark.slow
def test_json_goes_to_stdout_alone_and_to_the_file_and_no_home_is_made(events: str, tmp_path: Path, home: Path) -> None:
    out = tmp_path / "results" / "result.json"
    done = run("--events", events, "--protocol", "leave-one-out", "--models", "most_popular,item_knn", "--json", "--out", str(out))
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result == json.loads(out.read_text(encoding="utf-8"))
    assert list(result["models"]) == ["most_popular", "item_knn"]
    assert result["settings"]["seed"] == 7
    assert "item_knn ..." in done.stderr
    assert not home.exists()


@pytest.mark.slow
def test_tables_say_what_was_read_and_how_minutehand_does_against_the_best_baseline(events: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MODEL__DIM", "16"), ("TRAIN__MAX_EPOCHS", "1"), ("TRAIN__DEVICE", "cpu"), ("EVALUATION__N_BOOTSTRAP", "50")):
        monkeypatch.setenv(f"MINUTEHAND_{name}", value)
    mapped = ("--map", "item_id=Article", "--protocol", "leave-one-out")
    done = run("--events", events, *mapped, "--minutes", "1", "--models", "minutehand,item_knn", "--seed", "1")
    assert done.exit_code == 0, done.output
    text = ("took column ts as occurred_at", "item_id is empty (1)", "180 to learn from, 30 to choose by, 30 to test on")
    tables = ("HR@10", "warm user warm item (30)", "against item_knn, the best baseline: ", "95 % interval")
    assert [words for words in (*text, *tables) if words not in done.output] == []
    assert "served" not in done.output, "leave-one-out goes by order, and no list has an age"


@pytest.mark.slow
def test_of_a_split_by_time_lists_as_served_come_first_and_every_table_fits_a_terminal(
    events: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path(events).open("a", encoding="utf-8") as more:
        for n in range(15):
            who = ((f"u{n}", "new"), (f"new{n}", f"i{n % 12}"), ("x", "y"))
            more.writelines(f"{user},{item},{1_700_040_000 + n}\n" for user, item in who)
    for name, value in (("MODEL__DIM", "16"), ("TRAIN__MAX_EPOCHS", "1"), ("TRAIN__DEVICE", "cpu"), ("EVALUATION__N_BOOTSTRAP", "50")):
        monkeypatch.setenv(f"MINUTEHAND_{name}", value)
    monkeypatch.setattr("models.evaluation.comparison.LEAST_EVENTS", 10)
    words = ("backtest", "--events", events, "--map", "item_id=Article", "--models", "minutehand,most_popular,recent_popular,item_knn")
    done = CliRunner().invoke(app, words, env={"COLUMNS": "80", "FORCE_COLOR": "1"})
    assert done.exit_code == 0, done.output
    output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    text = " ".join(output.split())
    first, second = text.index("temporal: NDCG@10 served (lists a minute old), full catalogue"), text.index("with the event before known")
    assert first < second < text.index("NDCG@10 served: minutehand less the best baseline of each segment")
    tables = [line for line in output.splitlines() if line.startswith(("│", "┃"))]
    assert tables
    assert max(map(len, tables)) <= 80
    assert all(sum(name in line for line in tables) >= 2 for name in ("minutehand", "recent_popular", "item_knn")), "no name is cut"


def test_what_the_user_can_mend_is_said_with_a_remedy(events: str, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    cases = {
        ("--events", events, "--protocol", "random"): "give one of: temporal, leave-one-out",
        ("--events", events, "--models", "svd"): "give some of: minutehand,id_only,most_popular",
        ("--events", events, "--minutes", "0"): "give a finite number above 0",
        ("--events", events, "--order", "ts"): "add --protocol leave-one-out, or leave --order out",
        ("--events", events, "--order", "", "--protocol", "leave-one-out"): "no column '' in events.csv",
        ("--events", events, "--split", "|"): "--split '|' is for the columns of items, and no items are given; add --items FILE",
        ("--events", events, "--map-items", "title=Name"): "--map-items title=Name is for the columns of items",
        ("--events", events, "--out", str(tmp_path)): "it is a folder; name a file in it with --out",
        ("--events", events, "--out", "/dev/null/result.json"): "cannot write /dev/null/result.json",
        ("--events", events, "--map", "user_id=who"): "map it with --map user_id=user_id",
        ("--events", events, "--map", "who"): "not of the form FIELD=",
        ("--events", str(tmp_path / "empty.csv")): "0 bytes",
        ("--events", events, "--items", str(tmp_path / "items.csv")): "no file",
    }
    for words, message in cases.items():
        done = run(*words)
        assert done.exit_code == 1, words
        assert isinstance(done.exception, UserError)
        assert message in str(done.exception), words


def test_what_cannot_be_written_is_refused_before_the_events_are_read(tmp_path: Path) -> None:
    done = run("--events", str(tmp_path / "missing.csv"), "--out", "/dev/null/result.json")
    assert "cannot write /dev/null/result.json" in str(done.exception)


@pytest.mark.slow
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["tables", "json"])
def test_a_file_that_cannot_be_written_after_all_does_not_cost_the_figures(
    form: tuple[str, ...], events: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "results"

    def spoil(model: str) -> None:
        shutil.rmtree(folder)
        folder.touch()

    monkeypatch.setattr(command, "_say", spoil)
    done = run("--events", events, "--map", "item_id=Article", "--models", "most_popular", "--out", str(folder / "result.json"), *form)
    assert isinstance(done.exception, UserError)
    assert "cannot write" in str(done.exception)
    assert ("hr_at_10" if form else "HR@10") in done.stdout


@pytest.mark.slow
def test_under_names_of_before_the_result_has_them_and_a_budget_that_no_model_spends_is_told(events: str) -> None:
    done = run("--events", events, "--models", "pop,recent", "--minutes", "5", "--json")
    assert done.exit_code == 0, done.output
    assert set(json.loads(done.stdout)["models"]) == {"pop", "recent"}
    assert "--minutes 5 makes no difference: none of pop,recent is trained" in done.stderr
