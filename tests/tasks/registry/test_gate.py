"""Which versions pass the gate, and what it writes down."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.contest import Contest, Paired, paired
from tasks.config import RegistryConfig
from tasks.registry.gate import NOT_MEASURED, Check, Measured, all_checks, decide, pass_gate
from tasks.registry.versions import Registry, RegistryError, aliases, find_version

LIMITS = RegistryConfig()
FINE = Measured(churn=0.3, latency_ms=2.0, champion_latency_ms=2.0)


def sure(challenger: float, champion: float) -> Paired:
    """Two means without any doubt: they are the same in each sample."""
    return Paired(300, 100, challenger, champion, np.tile([[challenger], [champion]], 10))


def between(challenger: float, champion: float, coverage: float = 0.5, **segments: Paired) -> Contest:
    return Contest("ndcg_at_10_served", sure(challenger, champion), segments, coverage, 0.5)


def failed(contest: Contest, measured: Measured = FINE) -> list[str]:
    return [check.name for check in all_checks(contest, measured, LIMITS) if not check.passed]


@pytest.mark.slow
def test_the_gate_promotes_refuses_and_warns(registry: Registry, register_one: Callable[[], str]) -> None:
    first = pass_gate(registry, register_one(), 0.10, 0.20, None, NOT_MEASURED, LIMITS)
    assert (first.live.version, first.outcome, "WARNING" in first.text) == ("1", "promoted", True)
    second = pass_gate(registry, register_one(), 0.09, 0.05, between(0.09, 0.10), FINE, LIMITS)
    assert (second.live.version, second.outcome, "WARNING" in second.text) == ("1", "refused", False)
    with pytest.raises(RegistryError, match=r"no version '7' of .* \(found: 1, 2\)"):
        find_version(registry, "7")


def test_the_decision_and_each_number_behind_it_are_in_the_version_and_in_its_run(
    registry: Registry, register_one: Callable[[], str], tmp_path: Path
) -> None:
    pass_gate(registry, register_one(), 0.10, None, None, NOT_MEASURED, LIMITS)
    passed = pass_gate(registry, register_one(), 0.09, 0.05, between(0.09, 0.10, coverage=0.3), FINE, LIMITS)
    found = registry.client.get_model_version(registry.model_name, "2")
    assert found.tags["gate"] == "refused"
    assert found.description == f"refused: {passed.reason}"
    assert "0.0900 against the champion's 0.1000" in found.tags["gate.quality"]
    assert {"gate.quality", "gate.coverage", "gate.churn", "gate.latency"} <= set(found.tags)
    file = mlflow.artifacts.download_artifacts(
        run_id=found.run_id, artifact_path="gate.json", dst_path=str(tmp_path), tracking_uri=registry.tracking_uri
    )
    written = Path(file).read_text(encoding="utf-8")
    assert written == passed.figures
    whole = json.loads(written)
    assert (whole["version"], whole["champion"], whole["decision"], whole["best_baseline"]) == ("2", "1", "refused", 0.05)
    quality, coverage, churn, latency = whole["checks"]
    assert (quality["name"], quality["passed"], quality["challenger"], quality["champion"], quality["n_users"]) == (
        "quality",
        False,
        0.09,
        0.1,
        100,
    )
    assert (coverage["passed"], coverage["value"], coverage["limit"]) == (False, pytest.approx(0.4), LIMITS.gate_coverage_loss)
    assert (churn["passed"], churn["value"]) == (True, 0.3)
    assert (latency["passed"], latency["challenger"], latency["champion"]) == (True, 2.0, 2.0)


def test_a_challenger_on_request_passes_or_is_refused_and_the_champion_stays(registry: Registry, register_one: Callable[[], str]) -> None:
    pass_gate(registry, register_one(), 0.10, None, None, NOT_MEASURED, LIMITS)
    good = pass_gate(registry, register_one(), 0.2, 0.05, between(0.2, 0.10), FINE, LIMITS, as_challenger=True)
    assert (good.live.version, good.outcome) == ("1", "passed")
    bad = pass_gate(registry, register_one(), 0.05, 0.01, between(0.05, 0.10), FINE, LIMITS, as_challenger=True, must_replace=True)
    assert (bad.live.version, bad.outcome) == ("1", "refused")
    assert aliases(registry) == {"champion": "1", "challenger": "3"}


def test_an_unmeasured_version_goes_live_only_if_there_is_no_other(registry: Registry, register_one: Callable[[], str]) -> None:
    first = pass_gate(registry, register_one(), None, None, None, NOT_MEASURED, LIMITS)
    assert (first.live.version, "there is no other" in first.text) == ("1", True)
    second = pass_gate(registry, register_one(), None, None, None, NOT_MEASURED, LIMITS)
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
        (0.10, 0.09, None, True, True),
        (None, None, None, True, True),
        (None, 0.10, 0.08, False, True),
        (0.0, 0.0, 0.0, True, False),
    ],
)
def test_the_gate_decides_by_metrics_on_the_same_events(
    challenger: float | None, of_champion: float | None, baseline: float | None, promoted: bool, beats: bool
) -> None:
    against = None if challenger is None or of_champion is None else between(challenger, of_champion)
    decision = decide(challenger, baseline, against, FINE, LIMITS, has_champion=of_champion is not None)
    assert (decision.promoted, decision.beats_baseline) == (promoted, beats)
    assert decision.reason


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_a_better_challenger_is_never_refused_and_a_greater_tolerance_never_refuses_more(
    challenger: float, of_champion: float, tolerance: float
) -> None:
    def is_promoted(limits: RegistryConfig) -> bool:
        return decide(challenger, None, between(challenger, of_champion), FINE, limits, has_champion=True).promoted

    strict, loose = (LIMITS.model_copy(update={"gate_tolerance": each}) for each in (0.0, tolerance))
    assert is_promoted(loose) or challenger < of_champion
    assert is_promoted(loose) or not is_promoted(strict)


def test_each_guard_rail_refuses_a_challenger_that_is_as_good_by_the_metric_and_its_setting_lets_it_pass() -> None:
    assert failed(between(0.1, 0.1)) == []
    assert failed(between(0.1, 0.1, coverage=0.34)) == ["coverage"]
    assert failed(between(0.1, 0.1, warm=sure(0.2, 0.1), cold=sure(0.08, 0.1))) == ["segments"]
    assert failed(between(0.1, 0.1), replace(FINE, churn=0.96)) == ["churn"]
    assert failed(between(0.1, 0.1), replace(FINE, latency_ms=4.1)) == ["latency"]
    generous = LIMITS.model_copy(update={"gate_coverage_loss": 1.0, "gate_segment_loss": 1.0, "gate_churn": 1.0, "gate_slowdown": 100.0})
    odd = between(0.1, 0.1, coverage=0.01, cold=sure(0.01, 0.1))
    assert all(check.passed for check in all_checks(odd, Measured(1.0, 40.0, 1.0), generous))


def test_the_worst_segment_is_named_with_its_numbers() -> None:
    contest = between(0.1, 0.1, warm_user=sure(0.2, 0.1), cold_user=sure(0.05, 0.1), other=sure(0.097, 0.1))
    (segments,) = [check for check in all_checks(contest, FINE, LIMITS) if check.name == "segments"]
    assert (segments.segment, segments.challenger, segments.champion) == ("cold_user", 0.05, 0.1)
    assert segments.limit == pytest.approx(1 - 0.2 / 3), "three segments need more confidence than one"
    assert "worst segment cold user" in segments.text


def test_a_paired_bootstrap_resamples_users_for_both_models_alike() -> None:
    user = np.array([7, 7, 7, 9])
    ours, theirs = np.array([0.5, 0.5, 0.5, 0.1], np.float32), np.array([0.4, 0.4, 0.4, 0.0], np.float32)
    found = paired(ours, theirs, user, 500, seed=1)
    assert (found.n_events, found.n_users) == (4, 2)
    assert found.challenger == pytest.approx(0.4)
    assert np.allclose(found.samples[0] - found.samples[1], 0.1), "every user gains a tenth, so there is no doubt about the difference"
    assert set(np.round(found.samples[0], 3)) == {0.1, 0.4, 0.5}, "both users, or one of them twice"
    assert found.interval == pytest.approx((0.1, 0.1))
    assert (found.risk(0.0), paired(theirs, ours, user, 500, seed=1).risk(0.02)) == (0.0, 1.0)


def test_equal_challengers_are_seldom_refused_and_clearly_worse_ones_nearly_always() -> None:
    rng = np.random.default_rng(3)

    def share_refused(loss: float) -> float:
        refused = 0
        for trial in range(60):
            taste = rng.beta(1, 4, 400)
            user = np.repeat(np.arange(400), 3)
            champion, challenger = (rng.random(1200) < np.repeat(taste, 3) * factor for factor in (1.0, 1 - loss))
            found = paired(challenger.astype(np.float32), champion.astype(np.float32), user, 200, trial)
            refused += found.risk(LIMITS.gate_tolerance) >= LIMITS.gate_confidence
        return refused / 60

    assert share_refused(0.0) < 0.25
    assert share_refused(0.3) > 0.95


def test_a_check_without_a_champion_figure_leaves_it_out_of_the_numbers() -> None:
    (churn,) = [check for check in all_checks(between(0.1, 0.1), Measured(churn=0.5), LIMITS) if check.name == "churn"]
    assert isinstance(churn, Check)
    assert (churn.challenger, churn.champion, churn.value) == (None, None, 0.5)
