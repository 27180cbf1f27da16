"""Scenarios: the rules of the places where lists are shown, from scenarios.toml in the home folder."""

from tasks.scenarios.file import DEFAULT, FILE, Scenario, ScenarioError, load_scenarios, read_scenarios
from tasks.scenarios.resolved import Places, ScenarioLists, hidden_pairs, hidden_rows, key_of_draws, resolve

__all__ = [
    "DEFAULT",
    "FILE",
    "Places",
    "Scenario",
    "ScenarioError",
    "ScenarioLists",
    "hidden_pairs",
    "hidden_rows",
    "key_of_draws",
    "load_scenarios",
    "read_scenarios",
    "resolve",
]
