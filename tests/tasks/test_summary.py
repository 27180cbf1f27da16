"""The summary of a user's interests: asked for only where a setting names a model, and checked against the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.config import GeneratorConfig
from tasks.lake import LakeConfig, locate, migrate
from tasks.summary import reason_of, summary_of
from tests.lakes import put
from tests.tasks.endpoint import open_endpoint

ROWS: list[dict[str, Any]] = [
    {"name": "Horror", "dimension": "topic", "probability": 0.5, "evidence_titles": ["Alien (1979)"]},
    {"name": "Sci-Fi", "dimension": "topic", "probability": 0.3, "evidence_titles": ["Alien (1979)", "Looper"]},
    {"name": "Drama", "dimension": "topic", "probability": 0.1, "evidence_titles": None},
    {"name": "1970s", "dimension": "decade", "probability": 0.7, "evidence_titles": []},
]


def test_the_strongest_interests_of_each_dimension_are_summed_up_and_titles_of_others_are_lies(tmp_path: Path) -> None:
    lake = locate(LakeConfig(), tmp_path / "home")
    migrate(lake)
    put(lake, titles={"a": "Alien (1979)", "b": "Metropolis", "c": None})
    assert summary_of(lake, ROWS, GeneratorConfig()) is None
    with open_endpoint() as endpoint:
        config = GeneratorConfig(url=endpoint.url, model="tiny")
        endpoint.says("You like horror and sci-fi, mostly of the 1970s. Alien is your latest.")
        assert summary_of(lake, ROWS, config) == "You like horror and sci-fi, mostly of the 1970s. Alien is your latest."
        assert '"interests": ["Horror", "Sci-Fi", "1970s"]' in endpoint.asked[0]["messages"][1]["content"]
        endpoint.says("Metropolis would be your first choice.")
        assert summary_of(lake, ROWS, config) == "Most interested in Horror, Sci-Fi and 1970s. Recent: Alien (1979) and Looper."


def test_a_reason_is_worded_from_the_events_that_raise_the_item_and_the_shared_labels(tmp_path: Path) -> None:
    lake = locate(LakeConfig(), tmp_path / "home")
    migrate(lake)
    put(lake, titles={"a": "Alien (1979)", "b": "Metropolis"})
    events: list[dict[str, Any]] = [
        {"title": "Alien (1979)", "effect": 0.4},
        {"title": None, "effect": 0.2},
        {"title": "Metropolis", "effect": -0.1},
    ]
    shared = [{"label": "Horror"}]
    assert reason_of(lake, "because of Alien (1979)", events, shared, GeneratorConfig()) == "because of Alien (1979)"
    with open_endpoint() as endpoint:
        config = GeneratorConfig(url=endpoint.url, model="tiny")
        endpoint.says("You watched Alien, and this is horror as well.")
        assert reason_of(lake, "the template", events, shared, config) == "You watched Alien, and this is horror as well."
        endpoint.says("You watched Metropolis.")
        assert reason_of(lake, "the template", events, shared, config) == "the template"
