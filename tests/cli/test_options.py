"""Options are taken or refused, never ignored."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from cli.options import mapping_of
from models.errors import UserError
from tests.conftest import ROOT


def refused(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, UserError)
    return str(done.exception)


def test_the_version_is_that_of_the_project_and_needs_no_home(home: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"minutehand {project['version']}\n")
    assert not home.exists()


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("backtest", "--events", "a", "--models", "most_popular", "--models", "item_knn"), "--models"),
        (("replay", "--events", "a", "--step", "1h", "--events", "b"), "--events"),
        (("ingest", "items", "a", "--split", "|", "--split", ","), "--split"),
        (("ingest", "events", "a", "--event-type", "view", "--event-type", "click"), "--event-type"),
        (("nightly", "--minutes", "1", "--minutes", "2"), "--minutes"),
        (("recommend", "u", "-k", "3", "-k", "4"), "-k"),
        (("up", "--mlflow", "--no-mlflow"), "mlflow"),
    ],
)
def test_an_option_given_twice_is_refused_where_one_value_would_be_ignored(words: tuple[str, ...], option: str) -> None:
    assert f"{option} is given 2 times, and only one of them can count; keep one" in refused(*words)


def test_options_that_can_be_repeated_are_taken_each_time() -> None:
    words = ("--map", "user_id=a", "--map", "item_id=b", "--context", "c", "--context", "d", "--set", "event_type=view", "--set", "value=1")
    assert "no file missing.csv" in refused("ingest", "events", "missing.csv", *words)


@pytest.mark.parametrize(
    ("option", "kind"), [("--event-type", "events"), ("--where", "events"), ("--time-format", "events"), ("--split", "items")]
)
def test_an_empty_value_is_refused_for_it_would_do_nothing(option: str, kind: str) -> None:
    text = refused("ingest", kind, "missing.csv", option, "")
    assert text.startswith(f"{option} is empty, and that says nothing; give a value such as {option} ")


def test_a_blank_is_a_separator() -> None:
    assert mapping_of(None, split=" ").separator == " "
