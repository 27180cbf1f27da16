"""Rates by a property, read without SQL."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import UserError
from tasks.lake import Lake
from tasks.online.rates import PROPERTIES, rates_by
from tests.cli.test_ingest import minutehand
from tests.tasks.online.made import act, at, count, serve


@pytest.fixture
def shop(lake: Lake) -> Lake:
    """Two versions: of version 9, one of two items is clicked and bought; of version 10, nothing is."""
    for version, user in (("9", "u"), ("9", "v"), ("10", "u"), ("10", "v")):
        serve(lake, f"{version}{user}", user, ["a", "b"], version)
        for item in "ab":
            act(lake, int(version) * 60, user, item, recommendation_id=f"{version}{user}")
    act(lake, 9 * 60 + 1, "u", "a", "click")
    act(lake, 9 * 60 + 2, "u", "a", "purchase", value=8.0)
    act(lake, 9 * 60 + 3, "u", "a", "rating", value=5.0)
    count(lake)
    return lake


def test_each_version_has_counts_rates_and_intervals_in_the_order_of_numbers(shop: Lake) -> None:
    nine, ten = rates_by(shop, "version")
    assert (nine["version"], nine["users"], nine["shown"], nine["clicks"], nine["purchases"], nine["ratings"]) == ("9", 2, 4, 1, 1, 1)
    assert (nine["ctr"], nine["conversion"], nine["value"], nine["satisfaction"]) == (0.25, 0.25, 2.0, 5.0)
    assert nine["ctr_low"] < 0.25 < nine["ctr_high"]
    assert (ten["version"], ten["ctr"], ten["value"], ten["satisfaction"], ten["ratings"]) == ("10", 0.0, 0.0, None, 0)


def test_impressions_before_a_time_are_left_out_and_every_property_sums_to_all(shop: Lake) -> None:
    (late,) = rates_by(shop, since=at(10 * 60))
    assert (late["shown"], late["clicks"]) == (4, 0)
    for by in PROPERTIES:
        rows = rates_by(shop, by)
        assert (sum(row["shown"] for row in rows), sum(row["clicks"] for row in rows)) == (8, 1), by
    with pytest.raises(UserError, match="no property 'colour'; give one of: version, "):
        rates_by(shop, "colour")


@pytest.mark.slow
def test_the_command_prints_a_table_json_and_what_to_do_without_impressions(shop: Lake, home: Path, tmp_path: Path) -> None:
    shown = minutehand("outcomes", "--by", "version", home=home).stdout
    assert "25.00 % (" in shown
    rows = json.loads(minutehand("outcomes", "--by", "slot", "--since", "2026-06-01", "--json", home=home).stdout)
    assert [(row["slot"], row["shown"]) for row in rows] == [("ranked", 8)]
    refused = minutehand("outcomes", "--since", "noon", home=home)
    assert (refused.returncode, "--since 'noon' is no time" in refused.stderr) == (1, True)
