"""`minutehand models`: what it lists, and that it fits a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

import cli.models
from cli import app
from models.evaluation.contest import Contest
from tasks.config import RegistryConfig
from tasks.registry.errors import RegistryError
from tasks.registry.gate import NOT_MEASURED, pass_gate
from tasks.registry.names import FIGURES
from tasks.registry.overview import find_model, models
from tasks.registry.versions import Registry
from tests.tasks.registry.test_gate import FINE, between

WORSE: Contest = between(0.05, 0.12)


@pytest.fixture
def three(registry: Registry, register_one: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A champion, a refused version with a changed setting, and the live version of a minute."""
    client, name = registry.client, registry.model_name
    pass_gate(registry, register_one(), 0.12, 0.08, None, NOT_MEASURED, RegistryConfig())
    client.set_model_version_tag(name, register_one(), "changes", json.dumps({"model.dim": "64"}))
    pass_gate(registry, "2", 0.05, 0.08, WORSE, FINE, RegistryConfig(), as_challenger=True)
    minute = register_one()
    for tag, value in {"cadence": "minute", "champion": "1"}.items():
        client.set_model_version_tag(name, minute, tag, value)
    client.set_registered_model_alias(name, "live", "3")
    client.set_registered_model_alias(name, "challenger", "2")
    monkeypatch.setattr(cli.models, "registry_of", lambda _: registry)
    monkeypatch.setattr(cli.models, "lake_of", lambda _: None)
    return registry


def test_models_says_what_each_version_is_how_good_and_why_the_gate_decided_so(three: Registry) -> None:
    newest, second, first = models(three)
    assert (newest.aliases, newest.cadence, newest.champion, newest.gate) == (["live"], "minute", "1", None)
    assert (second.aliases, second.gate, second.changes) == (["challenger"], "refused", {"model.dim": "64"})
    assert second.reason is not None
    assert second.reason.startswith("served NDCG@10 0.0500 against the champion's 0.1200")
    assert set(second.checks) == {"quality", "coverage", "churn", "latency"}
    assert (first.aliases, first.gate, first.figures["ndcg_at_10"], first.snapshot) == (["champion"], "promoted", 0.12, 1)
    with pytest.raises(RegistryError, match=r"no version '9' \(found: 1, 2, 3\); minutehand models lists them"):
        find_model(three, "9")

    done = CliRunner().invoke(app, ["models"])
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines())) <= 80
    assert "version 2 has model.dim=64" in done.output
    assert "version 2 was refused: served NDCG@10 0.0500 against the champion's 0.1200" in done.output
    three.client.set_model_version_tag(three.model_name, "2", FIGURES[-1], "0.123400")
    of_one = CliRunner().invoke(app, ["models", "2"])
    assert f"{FIGURES[-1].replace('_at_', '@').replace('_', ' ')}: 0.1234" in of_one.output, "every figure of a version has a line"
    assert "changed settings: model.dim=64" in of_one.output
    assert "gate: coverage: 50.0% of the catalogue in the top tens" in of_one.output
    assert max(map(len, of_one.output.splitlines())) <= 80
    as_json = json.loads(CliRunner().invoke(app, ["models", "--json"]).output)
    assert [(each["version"], each["gate"]) for each in as_json] == [("3", None), ("2", "refused"), ("1", "promoted")]

    three.client.set_registered_model_alias(three.model_name, "live", "1")
    assert [each.version for each in models(three)] == ["2", "1"], "versions of minutes that are not live are left out"
    assert [each.version for each in models(three, with_minutes=True)] == ["3", "2", "1"]
