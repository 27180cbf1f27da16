"""The gate: decides whether a nightly model becomes the champion."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

from tasks.config import RegistryConfig
from tasks.registry.versions import CHAMPION, Registry, RegistryError, Version, aliases, champion, keep_as_challenger, promote, refuse

if TYPE_CHECKING:
    from models.evaluation.contest import Contest, Paired

GATE_FILE = "gate.json"
PROMOTED, REFUSED, PASSED = "promoted", "refused", "passed"
"""Decisions. `passed`: the version could go live, but its night was to make a challenger only."""


@dataclass(frozen=True)
class Measured:
    """What the guard rails need besides the contest; None: not measured.

    churn: mean share of the places of a live top ten that the challenger gives to items from outside of it. latency_ms: median time of
    ranking one user, over the same users as champion_latency_ms.
    """

    churn: float | None = None
    latency_ms: float | None = None
    champion_latency_ms: float | None = None


NOT_MEASURED = Measured()


@dataclass(frozen=True)
class Check:
    """One condition of the gate with its numbers. value: what is compared with the limit; low, high: 95 % interval of the difference."""

    name: str
    passed: bool
    value: float
    limit: float
    text: str
    challenger: float | None = None
    champion: float | None = None
    low: float | None = None
    high: float | None = None
    segment: str | None = None
    n_events: int | None = None
    n_users: int | None = None


@dataclass(frozen=True)
class Decision:
    """Decision of the gate; beats_baseline is also True if no baseline could be measured. checks: empty if there was no contest."""

    promoted: bool
    beats_baseline: bool
    reason: str
    checks: Sequence[Check] = ()


@dataclass(frozen=True)
class GateOutcome:
    """The live version after the gate, the outcome for the judged version, and the text of the verdict with its log level.

    figures: the decision and all its numbers, as JSON.
    """

    live: Version
    level: int
    text: str
    outcome: str
    reason: str
    figures: str


def decide(
    challenger_ndcg: float | None,
    best_baseline_ndcg: float | None,
    contest: Contest | None,
    measured: Measured,
    limits: RegistryConfig,
    *,
    has_champion: bool,
) -> Decision:
    """Whether a challenger becomes the champion. The figures are NDCG@10 of served lists on the same held-out events.

    A figure is None if it could not be measured because no event was held out; contest is None if the champion could not be measured.
    A model that could not be measured never replaces a champion. NaN means a broken model, which never passes.
    A challenger is refused on evidence that it is worse, not for lack of evidence that it is as good: every night learns from scratch and
    from newer events, so the losses of several nights do not add up.
    """
    if challenger_ndcg is not None and not isfinite(challenger_ndcg):
        return Decision(False, False, f"its served NDCG@10 is {challenger_ndcg}: the model is broken")
    if challenger_ndcg is None:
        first = "no event was held out to measure it on; it goes live because there is no other"
        later = "no event was held out to measure it on; the champion stays"
        return Decision(not has_champion, True, later if has_champion else first)
    beats = best_baseline_ndcg is None or isnan(best_baseline_ndcg) or challenger_ndcg > best_baseline_ndcg
    if contest is None:
        behind = "" if beats else f", though it does not beat the best baseline ({best_baseline_ndcg:.4f})"
        return Decision(True, beats, f"served NDCG@10 {challenger_ndcg:.4f}, and no champion to compare with{behind}")
    checks = all_checks(contest, measured, limits)
    failed = [check for check in checks if not check.passed]
    quality, *guards = checks
    kept = f"; within the limits: {', '.join(check.name for check in guards)}" if guards else ""
    reason = "; ".join(check.text for check in failed) if failed else f"{quality.text}{kept}"
    return Decision(not failed, beats, reason, checks)


def all_checks(contest: Contest, measured: Measured, limits: RegistryConfig) -> list[Check]:
    """Quality first, then the guard rails that could be measured."""
    found = [quality_check(contest.all, limits), coverage_check(contest, limits)]
    if contest.segments:
        found.append(segment_check(contest, limits))
    if measured.churn is not None:
        places = f"{measured.churn:.0%} of the places in the live top tens get other items, at most {limits.gate_churn:.0%} may"
        found.append(Check("churn", measured.churn <= limits.gate_churn, measured.churn, limits.gate_churn, places))
    if measured.latency_ms is not None and measured.champion_latency_ms:
        ours, theirs = measured.latency_ms, measured.champion_latency_ms
        slower = ours / theirs
        text = (
            f"a list takes {ours:.1f} ms, {slower:.2f} times the champion's {theirs:.1f} ms, at most {limits.gate_slowdown:g} times it may"
        )
        found.append(Check("latency", slower <= limits.gate_slowdown, slower, limits.gate_slowdown, text, ours, theirs))
    return found


def quality_check(found: Paired, limits: RegistryConfig) -> Check:
    """Whether the challenger is not more than the tolerance below the champion, with the confidence of the settings."""
    risk, (low, high) = found.risk(limits.gate_tolerance), found.interval
    text = (
        f"served NDCG@10 {found.challenger:.4f} against the champion's {found.champion:.4f} ({found.difference:+.4f}, 95 %: {low:+.4f} to "
        f"{high:+.4f}); more than {limits.gate_tolerance:.0%} below it in {risk:.0%} of the bootstrap samples, "
        f"refused from {limits.gate_confidence:.0%} on"
    )
    return _compared("quality", found, risk, limits.gate_confidence, text)


def segment_check(contest: Contest, limits: RegistryConfig) -> Check:
    """The same for the segment for which the challenger is most likely worse; more segments need more confidence (Bonferroni)."""
    limit = 1 - (1 - limits.gate_confidence) / len(contest.segments)
    risks = {name: found.risk(limits.gate_segment_loss) for name, found in contest.segments.items()}
    worst = max(risks, key=lambda name: (risks[name], -contest.segments[name].difference))
    found = contest.segments[worst]
    text = (
        f"worst segment {worst.replace('_', ' ')}: served NDCG@10 {found.challenger:.4f} against {found.champion:.4f}, more than "
        f"{limits.gate_segment_loss:.0%} below in {risks[worst]:.0%} of the bootstrap samples, refused from {limit:.0%} on"
    )
    return replace(_compared("segments", found, risks[worst], limit, text), segment=worst)


def coverage_check(contest: Contest, limits: RegistryConfig) -> Check:
    """Whether the top tens of the challenger still reach enough of the catalogue."""
    ours, theirs = contest.coverage, contest.champion_coverage
    loss = 1 - ours / theirs if theirs else 0.0
    text = f"{ours:.1%} of the catalogue in the top tens, {theirs:.1%} before; it may fall by {limits.gate_coverage_loss:.0%} at most"
    return Check("coverage", loss <= limits.gate_coverage_loss, loss, limits.gate_coverage_loss, text, ours, theirs)


def _compared(name: str, found: Paired, risk: float, limit: float, text: str) -> Check:
    low, high = found.interval
    return Check(
        name,
        risk < limit,
        risk,
        limit,
        text,
        challenger=found.challenger,
        champion=found.champion,
        low=low,
        high=high,
        n_events=found.n_events,
        n_users=found.n_users,
    )


def pass_gate(
    registry: Registry,
    version: str,
    challenger_ndcg: float | None,
    best_baseline_ndcg: float | None,
    contest: Contest | None,
    measured: Measured,
    limits: RegistryConfig,
    *,
    must_replace: bool = False,
    as_challenger: bool = False,
) -> GateOutcome:
    """Promote or refuse a version, as decided by `decide`, and write the decision to the version.

    must_replace: whether the champion has seen people who are erased. Then any version that is not broken replaces it.
    as_challenger: the champion stays, whatever the decision.
    """
    before = aliases(registry).get(CHAMPION)
    decision = decide(challenger_ndcg, best_baseline_ndcg, contest, measured, limits, has_champion=before is not None)
    if must_replace and not decision.promoted and not as_challenger and (challenger_ndcg is None or isfinite(challenger_ndcg)):
        decision = replace(decision, promoted=True, reason=f"{decision.reason}; it replaces a champion that has seen erased people")
    outcome = REFUSED if not decision.promoted else PASSED if as_challenger else PROMOTED
    figures = figures_of(version, before, outcome, decision, best_baseline_ndcg)
    registry.client.log_text(_run_of(registry, version), figures, GATE_FILE)
    for check in decision.checks:
        registry.client.set_model_version_tag(registry.model_name, version, f"gate.{check.name}", check.text)
    {PROMOTED: promote, REFUSED: refuse, PASSED: keep_as_challenger}[outcome](registry, version, decision.reason)
    live = champion(registry)
    if live is None:
        raise RegistryError(f"version {version} was refused and there is no other: {decision.reason}; nothing was published")
    is_fine = decision.promoted and decision.beats_baseline
    stays = f"version {live.version} stays"
    said = {
        PROMOTED: "is the champion",
        REFUSED: f"is refused, {stays}",
        PASSED: f"passes the gate as a challenger, {stays}",
    }[outcome]
    warning = "" if decision.beats_baseline else "WARNING: NO BETTER THAN THE BEST BASELINE. "
    text = f"{warning}Version {version} {said}: {decision.reason}"
    return GateOutcome(live, logging.INFO if is_fine else logging.WARNING, text, outcome, decision.reason, figures)


def figures_of(version: str, before: str | None, outcome: str, decision: Decision, best_baseline_ndcg: float | None) -> str:
    """The decision and all its numbers, as JSON."""
    whole: dict[str, Any] = {
        "version": version,
        "champion": before,
        "decision": outcome,
        "reason": decision.reason,
        "beats_baseline": decision.beats_baseline,
        "best_baseline": best_baseline_ndcg,
        "checks": [{name: value for name, value in asdict(check).items() if value is not None} for check in decision.checks],
    }
    return json.dumps(whole, indent=1)


def _run_of(registry: Registry, version: str) -> str:
    return str(registry.client.get_model_version(registry.model_name, version).run_id)
