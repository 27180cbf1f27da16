"""The files around the code agree with each other and with the code."""

from __future__ import annotations

import inspect
import re
import subprocess
import tomllib
from functools import cache
from importlib import import_module
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from cli.up.orchestration import OWN_RUNS
from tests.conftest import ROOT


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


@pytest.mark.parametrize("requirement", _requirements(), ids=lambda requirement: requirement.name)
def test_every_dependency_is_bounded_and_pinned_within_its_bounds(requirement: Requirement) -> None:
    assert re.search(r"<|==", str(requirement.specifier)), "no upper bound"
    assert requirement.specifier.contains(_constraints()[_normal(requirement.name)])


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
    assert deployment["work_pool"]["job_variables"]["env"] == {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}


@pytest.mark.parametrize("deployment", _deployments(), ids=lambda deployment: deployment["name"])
def test_a_deployment_is_described_limited_scheduled_and_runs_without_parameters(deployment: dict[str, Any]) -> None:
    module, _, function = deployment["entrypoint"].rpartition(".")
    if not (ROOT / f"{module.replace('.', '/')}.py").exists():
        pytest.skip(f"there is no {module} yet")
    flow = getattr(import_module(module), function)
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


def test_make_refuses_a_python_that_does_not_fit_with_a_clear_error(tmp_path: Any) -> None:
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.0 && exit 0\nexit 1\n')
    old.chmod(0o755)
    made = subprocess.run(
        ["make", "setup", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode != 0
    assert "minutehand needs Python 3.11 or 3.12, found: Python 3.8.0" in made.stderr
    assert not (tmp_path / "venv").exists()
