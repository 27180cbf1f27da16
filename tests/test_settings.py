"""Settings: what docs/settings.md shows is what there is, and a slip of the pen is found."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from settings import SettingsError, changes_of, load, of_night, table, variables
from tests.conftest import ROOT

SHOWN = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
VALUES = re.findall(r"^\| `(MINUTEHAND_\w+)` \| [^|]* \| ([^|]+) \|", table(), re.MULTILINE)


def test_the_settings_page_shows_every_setting_with_its_default_its_values_and_its_topic() -> None:
    assert SHOWN[SHOWN.index("## ") :].strip() == table(), "`python -m settings` prints the tables to paste"


def test_python_m_settings_prints_the_tables() -> None:
    printed = subprocess.run([sys.executable, "-m", "settings"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == table()


def test_a_setting_with_few_values_lists_them_and_a_number_its_range() -> None:
    values = dict(VALUES)
    assert values.keys() == {name for name, _, _ in variables()}
    assert values["MINUTEHAND_TRAIN__DEVICE"] == "`auto`, `cpu`, `cuda`"
    assert values["MINUTEHAND_HOME_ACCESS"] == "`owner`, `group`"
    assert values["MINUTEHAND_INGEST__FOLLOW_LINKS"] == "`True`, `False`"
    assert values["MINUTEHAND_INGEST__MEMORY_MB"] == "whole number, ≥ 64"
    assert values["MINUTEHAND_SERVER__PREFECT_PORT"] == "whole number, > 0, ≤ 65,535"
    assert values["MINUTEHAND_INCREMENT__MAX_DRIFT"] == "number, > 0"


LISTED = [(name, word) for name, values in VALUES for word in re.findall(r"`(\w+)`", values)]


@pytest.mark.parametrize(("name", "value"), LISTED)
def test_each_value_that_is_listed_is_accepted_and_another_is_not(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    load()
    monkeypatch.setenv(name, f"{value}-")
    with pytest.raises(SettingsError, match=f"^{name} has an impossible value"):
        load()


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, _, description in variables() if not description] == []


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://127.0.0.1:5000"),
        ({"SERVER__HOST": "0.0.0.0", "SERVER__MLFLOW_PORT": "5001"}, "http://127.0.0.1:5001"),
        ({"REGISTRY__TRACKING_URI": "https://mlflow.example/"}, "https://mlflow.example"),
        ({"REGISTRY__TRACKING_URI": "sqlite:////tmp/mlflow.db"}, "http://127.0.0.1:5000"),
    ],
)
def test_runs_are_linked_where_the_mlflow_ui_answers(variables: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"MINUTEHAND_{name}", value)
    assert load().mlflow_url == url


@pytest.mark.parametrize(
    ("given", "uri"),
    [
        ("postgresql://mlflow:secret@db/mlflow", "postgresql+psycopg://mlflow:secret@db/mlflow"),
        ("postgres://db/mlflow", "postgresql+psycopg://db/mlflow"),
        ("postgresql+asyncpg://db/mlflow", "postgresql+asyncpg://db/mlflow"),
        ("https://mlflow.example", "https://mlflow.example"),
    ],
)
def test_a_store_of_mlflow_on_postgresql_is_reached_by_psycopg_unless_another_driver_is_named(
    given: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINUTEHAND_REGISTRY__TRACKING_URI", given)
    assert load().tracking_uri == uri


def test_a_misspelt_variable_is_an_error_that_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUTEHAND_TRAIN__MAX_EPOCH", "3")
    with pytest.raises(SettingsError, match="MINUTEHAND_TRAIN__MAX_EPOCH; did you mean MINUTEHAND_TRAIN__MAX_EPOCHS"):
        load()


def test_an_impossible_value_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUTEHAND_SERVER__PREFECT_PORT", "70000")
    with pytest.raises(SettingsError, match=r"MINUTEHAND_SERVER__PREFECT_PORT has an impossible value: .* 65535 \(found: 70000\)"):
        load()


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_a_training_budget_is_a_finite_number_above_0(minutes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=f"a training budget of {minutes} minutes is none; give a finite number above 0"):
        load().with_minutes(float(minutes))
    monkeypatch.setenv("MINUTEHAND_TRAIN__MINUTES", minutes)
    with pytest.raises(SettingsError, match=rf"MINUTEHAND_TRAIN__MINUTES has an impossible value: .* \(found: {minutes}\)"):
        load()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MINUTEHAND_MODEL__N_HEADS", "3", "MINUTEHAND_MODEL has an impossible value: dim 128 is not a multiple of 4 x n_heads 3"),
        ("MINUTEHAND_EVALUATION__TRAIN_SHARE", "0.9", "train_share 0.9 and validation_share 0.1 leave no event to test on"),
    ],
)
def test_values_that_do_not_go_together_are_an_error(name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message):
        load()


NUMBERS = [name for name, default, _ in variables() if isinstance(default, int | float) and not isinstance(default, bool)]


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e300", "1000000000000", "100000000000000000000000000000"])
def test_no_number_is_negative_endless_or_too_large_to_compute_with(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NUMBERS:
        monkeypatch.setenv(name, value)
        with pytest.raises(SettingsError, match=f"^{name} has an impossible value: ") as raised:
            load()
        monkeypatch.delenv(name)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("INGEST__MEMORY_MB", "1"), ("INGEST__FUTURE_TOLERANCE_HOURS", "1e7"), ("INGEST__EVENT_WEIGHTS", '{"view": NaN}')],
)
def test_a_value_that_no_run_could_work_with_is_refused_before_it_begins(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MINUTEHAND_{name}", value)
    with pytest.raises(SettingsError, match=f"^MINUTEHAND_{name}.* has an impossible value"):
        load()


def test_a_nested_variable_reaches_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUTEHAND_PUBLISH__N_RECOMMENDATIONS", "12")
    monkeypatch.setenv("MINUTEHAND_INGEST__EVENT_WEIGHTS", '{"view": 0.5}')
    settings = load()
    assert settings.publish.n_recommendations == 12
    assert settings.ingest.event_weights == {"search": 0, "impression": 0, "return": 0, "view": 0.5}, "what teaches nothing still does not"


def test_a_night_can_change_settings_of_its_own_with_the_messages_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUTEHAND_MODEL__DIM", "32")
    found = load(["model.dim=64", 'ingest.event_weights={"view": 2}', "seed=11"])
    assert (found.model.dim, found.ingest.event_weights["view"], found.seed) == (64, 2, 11)
    assert load().model.dim == 32, "the change holds for this load alone"
    assert "MINUTEHAND_SEED" not in os.environ
    assert changes_of(["model.dim=64", "seed = 11"]) == {"model.dim": "64", "seed": "11"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.dimm=64"], "unknown setting MINUTEHAND_MODEL__DIMM; did you mean MINUTEHAND_MODEL__DIM?"),
        (["model.dim=x"], r"MINUTEHAND_MODEL__DIM has an impossible value: .* \(found: x\)"),
        (["model.dim=30"], "dim 30 is not a multiple of 4 x n_heads 2"),
        (["model.dim"], "'model.dim' is not of the form NAME=VALUE; an example is model.dim=64"),
        (["seed=1", "seed=2"], r"seed is given twice \(1 and 2\); keep one"),
        (["registry.gate_tolerance=1"], "registry.gate_tolerance is not a setting of one night, .* MINUTEHAND_REGISTRY__GATE_TOLERANCE"),
        (["home=/tmp"], "home is not a setting of one night, which are seed, model"),
    ],
)
def test_a_change_that_a_night_cannot_make_is_an_error_with_its_remedy(changes: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(changes)


def test_two_parameters_of_a_night_that_decide_the_same_are_refused() -> None:
    assert of_night(2, None, ["model.dim=64"]).train.minutes == 2
    with pytest.raises(SettingsError, match="decide the same; keep one"):
        of_night(2, None, ["train.minutes=3"])
    with pytest.raises(SettingsError, match="leave out --plan or --set"):
        of_night(None, "3", ["model.dim=64"])
    assert of_night(None, None, [], 4).train.workers == 4
    with pytest.raises(SettingsError, match="a plan names the number of workers"):
        of_night(None, "3", [], 4)
