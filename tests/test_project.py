"""The files around the code agree with each other and with the code."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from packaging.requirements import Requirement
from prefect import Flow
from prefect.utilities.importtools import import_object

from cli.environment import PACKAGED_ENCODERS, defaults
from cli.up.orchestration import OWN_RUNS
from models.text.encoder import MULTILINGUAL, PACKAGES
from settings import load
from tests.conftest import ROOT

BY_HAND = ("flows.promotion.promotion",)
"""Flows without a deployment: a person starts them, with a version."""


@cache
def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _requirements() -> list[Requirement]:
    project = _project()["project"]
    return [Requirement(line) for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]]]


@cache
def _constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {_normal(name): version for name, version in pins}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _deployments() -> list[dict[str, Any]]:
    deployments: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    return deployments


def test_runs_of_the_deployments_work_in_the_folder_of_the_code_wherever_it_is() -> None:
    (step,) = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["pull"]
    ((name, inputs),) = step.items()
    assert import_object(name)(**inputs) == {"directory": str(ROOT)}, "not the folder of the machine that deploys"


@pytest.mark.parametrize("requirement", _requirements(), ids=lambda requirement: requirement.name)
def test_every_dependency_is_bounded_and_pinned_within_its_bounds(requirement: Requirement) -> None:
    assert re.search(r"<|==", str(requirement.specifier)), "no upper bound"
    assert requirement.specifier.contains(_constraints()[_normal(requirement.name)])


def test_the_multilingual_encoder_is_pinned_because_the_hash_of_its_weights_is_known() -> None:
    (requirement,) = map(Requirement, _project()["project"]["optional-dependencies"]["multilingual"])
    assert re.fullmatch(r"==[\d.]+", str(requirement.specifier))
    assert _normal(requirement.name) not in _constraints(), "an extra is not part of the default installation"
    assert set(PACKAGED_ENCODERS) == set(PACKAGES)
    assert PACKAGES[MULTILINGUAL].module == requirement.name


def test_the_constraints_name_no_local_build_and_not_the_project() -> None:
    assert [version for version in _constraints().values() if "+" in version] == []
    assert "minutehand" not in _constraints()


@pytest.mark.parametrize("name", ["fastapi", "sqlalchemy"])
def test_the_versions_that_stop_prefect_are_out_of_bounds(name: str) -> None:
    (requirement,) = [need for need in _requirements() if need.name == name]
    assert not requirement.specifier.contains({"fastapi": "0.155.0", "sqlalchemy": "2.1.0"}[name])


@pytest.mark.parametrize("deployment", _deployments(), ids=lambda deployment: deployment["name"])
def test_the_runs_of_a_deployment_beat_so_that_a_killed_one_is_known(deployment: dict[str, Any]) -> None:
    assert OWN_RUNS in deployment["tags"]
    assert deployment["work_pool"]["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"


@pytest.mark.parametrize("deployment", _deployments(), ids=lambda deployment: deployment["name"])
def test_the_runs_of_a_deployment_log_and_send_no_telemetry_as_commands_do_whoever_starts_them(deployment: dict[str, Any]) -> None:
    of_commands = defaults(load())
    logs = ("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "PREFECT_LOGGING_EXTRA_LOGGERS")
    silent = ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY")
    assert deployment["work_pool"]["job_variables"]["env"] == {name: of_commands[name] for name in (*logs, *silent)}


@pytest.mark.parametrize("deployment", _deployments(), ids=lambda deployment: deployment["name"])
def test_every_deployment_says_what_it_does(deployment: dict[str, Any]) -> None:
    assert deployment["description"].strip()


def _flow_of(entrypoint: str) -> Flow[..., Any]:
    """The flow that an entrypoint names; fails where there is none."""
    module, _, name = entrypoint.rpartition(".")
    found = getattr(import_module(module), name)
    assert isinstance(found, Flow), f"{entrypoint} is no flow"
    return found


@pytest.mark.parametrize(
    ("entrypoint", "error"), [("flows.nightly.nigthly", AttributeError), ("flows.nigthly.nightly", ModuleNotFoundError)]
)
def test_a_misspelt_entrypoint_is_found(entrypoint: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        _flow_of(entrypoint)


def test_every_flow_has_one_deployment_and_every_deployment_a_flow() -> None:
    modules = [f"flows.{file.stem}" for file in sorted((ROOT / "flows").glob("*.py")) if file.stem != "__init__"]
    flows = [f"{module}.{name}" for module in modules for name, found in vars(import_module(module)).items() if _is_flow_of(module, found)]
    assert len(flows) >= 4
    assert sorted([*(deployment["entrypoint"] for deployment in _deployments()), *BY_HAND]) == sorted(flows)


def _is_flow_of(module: str, found: object) -> bool:
    return isinstance(found, Flow) and found.fn.__module__ == module


@pytest.mark.parametrize("deployment", _deployments(), ids=lambda deployment: deployment["name"])
def test_a_deployment_is_described_limited_scheduled_and_runs_without_parameters(deployment: dict[str, Any]) -> None:
    flow = _flow_of(deployment["entrypoint"])
    assert flow.name == deployment["name"]
    given = set(deployment.get("parameters", {}))
    needed = {name for name, parameter in inspect.signature(flow.fn).parameters.items() if parameter.default is inspect.Parameter.empty}
    assert needed <= given <= set(inspect.signature(flow.fn).parameters)
    assert len(deployment["description"]) > 80
    assert deployment["tags"]
    assert deployment["concurrency_limit"]["limit"] == 1
    assert len(deployment["schedules"]) == 1


def test_make_alone_lists_every_target() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "test-all", "check", "bench", "clean"):
        assert f"make {target} " in shown


def test_make_bench_runs_every_bench_that_needs_no_arguments_in_the_order_of_their_names() -> None:
    benches = sorted(file.stem for file in (ROOT / "bench").glob("*.py") if '__name__ == "__main__"' in file.read_text(encoding="utf-8"))
    assert len(benches) >= 9
    assert [name for name in benches if "required=True" in (ROOT / "bench" / f"{name}.py").read_text(encoding="utf-8")] == []
    (loop,) = [line for line in _dry_run("bench") if "-m bench." in line]
    assert re.findall(r"for name in ([a-z_ ]+);", loop) == [" ".join(benches)]


def test_a_bench_that_takes_hours_has_a_target_of_its_own() -> None:
    for folder in sorted(file.parent.name for file in (ROOT / "bench").glob("*/__main__.py")):
        assert any(f"-m bench.{folder} " in line for line in _dry_run(f"bench-{folder}"))


def _dry_run(target: str) -> list[str]:
    """The commands that make would run."""
    return subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("name", ["nightly", "recipes", "training"])
def test_a_bench_whose_data_is_not_there_says_so_and_keeps_the_results_of_before(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = import_module(f"bench.{name}")
    results = tmp_path / "results"
    monkeypatch.setattr("bench.table.RESULTS", results)
    monkeypatch.setattr("bench.nightly.RESULTS", results / "nightly.json")
    monkeypatch.setattr("sys.argv", [name, "--data", str(tmp_path)])
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    bench.main()
    *left_out, last = capsys.readouterr().out.splitlines()
    assert len(left_out) >= 2
    assert all(line.endswith(f": not in {tmp_path}, left out") for line in left_out)
    assert last == "nothing was measured"
    assert not results.exists()


STUB = """#!/bin/sh
echo "$MINUTEHAND_HOME|$MINUTEHAND_LAKE__CATALOG|$MINUTEHAND_REGISTRY__TRACKING_URI|$PREFECT_API_URL|$1" >> {log}
[ "$1" = sql ] && echo '[]'
true
"""


def test_the_demo_has_a_home_of_its_own_and_ends_with_the_line_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binaries, log, home = tmp_path / "venv" / "bin", tmp_path / "log", tmp_path / "demo home"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(sys.executable)
    (binaries / "minutehand").write_text(STUB.format(log=log))
    (binaries / "minutehand").chmod(0o755)
    (tmp_path / "venv" / ".installed").touch()
    for name, value in (
        ("MINUTEHAND_HOME", str(tmp_path / "mine")),
        ("MINUTEHAND_LAKE__CATALOG", "postgres:dbname=mine"),
        ("MINUTEHAND_REGISTRY__TRACKING_URI", "http://mine"),
        ("PREFECT_API_URL", "http://mine/api"),
    ):
        monkeypatch.setenv(name, value)
    words = ["make", "demo", f"VENV={tmp_path / 'venv'}", f"DEMO_HOME={home}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    calls = [line.split("|") for line in log.read_text().splitlines()]
    assert [call[-1] for call in calls] == ["simulate", "ingest", "ingest", "nightly", "sql", "status"]
    assert {tuple(call[:-1]) for call in calls} == {(str(home), "", "", "")}
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("  export MINUTEHAND_HOME=")]
    done = subprocess.run(["bash", "-c", f'{line}; printf "%s" "$MINUTEHAND_HOME"'], capture_output=True, text=True, check=True)
    assert done.stdout == str(home)


def test_make_refuses_a_python_that_does_not_fit_with_a_clear_error(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.0 && exit 0\nexit 1\n')
    old.chmod(0o755)
    made = subprocess.run(
        ["make", "setup", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode != 0
    assert "minutehand needs Python 3.11 or 3.12, found: Python 3.8.0" in made.stderr
    assert not (tmp_path / "venv").exists()
