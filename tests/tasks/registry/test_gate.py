"""Which versions pass the gate."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.registry.gate import decide, pass_gate
from tasks.registry.versions import Registry, RegistryError, find_version


def test_the_gate_promotes_refuses_and_warns(registry: Registry, register_one: Callable[[], str]) -> None:
    first = pass_gate(registry, register_one(), 0.10, None, 0.20, 0.02)
    assert (first.live.version, "WARNING" in first.text) == ("1", True)
    second = pass_gate(registry, register_one(), 0.09, 0.10, 0.05, 0.02)
    assert (second.live.version, "WARNING" in second.text) == ("1", False)
    with pytest.raises(RegistryError, match=r"no version '7' of .* \(found: 1, 2\)"):
        find_version(registry, "7")


def test_an_unmeasured_version_goes_live_only_if_there_is_no_other(registry: Registry, register_one: Callable[[], str]) -> None:
    first = pass_gate(registry, register_one(), None, None, None, 0.02)
    assert (first.live.version, "there is no other" in first.text) == ("1", True)
    second = pass_gate(registry, register_one(), None, None, None, 0.02)
    assert (second.live.version, "the champion stays" in second.text) == ("1", True)


@pytest.mark.parametrize(
    ("challenger", "of_champion", "baseline", "promoted", "beats"),
    [
        (0.10, None, 0.08, True, True),
        (0.05, None, 0.08, True, False),
        (0.10, 0.10, 0.08, True, True),
        (0.0981, 0.10, 0.08, True, True),
        (0.0979, 0.10, 0.08, False, True),
        (math.nan, None, 0.08, False, False),
        (math.inf, 0.10, 0.08, False, False),
        (0.10, math.nan, 0.08, True, True),
        (0.10, 0.09, None, True, True),
        (None, None, None, True, True),
        (None, 0.10, 0.08, False, True),
        (0.0, 0.0, 0.0, True, False),
    ],
)
def test_the_gate_decides_by_metrics_on_the_same_events(
    challenger: float | None, of_champion: float | None, baseline: float | None, promoted: bool, beats: bool
) -> None:
    decision = decide(challenger, of_champion, baseline, 0.02, has_champion=of_champion is not None)
    assert (decision.promoted, decision.beats_baseline) == (promoted, beats)
    assert decision.reason


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_a_better_challenger_is_never_refused_and_a_greater_tolerance_never_refuses_more(
    challenger: float, of_champion: float, baseline: float, tolerance: float
) -> None:
    is_promoted = decide(challenger, of_champion, baseline, tolerance, has_champion=True).promoted
    assert is_promoted or challenger < of_champion
    assert is_promoted or not decide(challenger, of_champion, baseline, 0.0, has_champion=True).promoted
