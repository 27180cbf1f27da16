"""The gate: decides whether a nightly model becomes the champion."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from math import isfinite, isnan

from tasks.registry.versions import CHAMPION, Registry, RegistryError, Version, aliases, champion, promote, refuse


@dataclass(frozen=True)
class Decision:
    """Decision of the gate; beats_baseline is also True if no baseline could be measured."""

    promoted: bool
    beats_baseline: bool
    reason: str


@dataclass(frozen=True)
class GateOutcome:
    """The live version after the gate, with the text of the verdict and its log level."""

    live: Version
    level: int
    text: str


def decide(
    challenger_ndcg: float | None,
    champion_ndcg: float | None,
    best_baseline_ndcg: float | None,
    tolerance: float,
    *,
    has_champion: bool,
) -> Decision:
    """Whether a challenger becomes the champion; all figures are NDCG@10 of served lists (`ndcg_at_10_served`) on the same held-out events.

    None means that a figure could not be measured: no event was held out, or there is no champion to compare with.
    A model that could not be measured never replaces a champion. NaN means a broken model, which never passes.
    """
    if challenger_ndcg is not None and not isfinite(challenger_ndcg):
        return Decision(False, False, f"its served NDCG@10 is {challenger_ndcg}: the model is broken")
    if challenger_ndcg is None:
        first = "no event was held out to measure it on; it goes live because there is no other"
        later = "no event was held out to measure it on; the champion stays"
        return Decision(not has_champion, True, later if has_champion else first)
    beats = best_baseline_ndcg is None or isnan(best_baseline_ndcg) or challenger_ndcg > best_baseline_ndcg
    if champion_ndcg is None or isnan(champion_ndcg):
        behind = "" if beats else f", though it does not beat the best baseline ({best_baseline_ndcg:.4f})"
        return Decision(True, beats, f"served NDCG@10 {challenger_ndcg:.4f}, and no champion to compare with{behind}")
    floor = champion_ndcg * (1 - tolerance)
    promoted = challenger_ndcg >= floor
    verdict = "is not below" if promoted else "is below"
    reason = f"served NDCG@10 {challenger_ndcg:.4f} {verdict} {floor:.4f} (the champion's {champion_ndcg:.4f} less {tolerance:.0%})"
    return Decision(promoted, beats, reason)


def pass_gate(
    registry: Registry,
    version: str,
    challenger_ndcg: float | None,
    champion_ndcg: float | None,
    best_baseline_ndcg: float | None,
    tolerance: float,
    *,
    must_replace: bool = False,
) -> GateOutcome:
    """Promote or refuse a version, as decided by `decide`.

    must_replace: whether the champion has seen people who are erased. Then any version that is not broken replaces it.
    """
    decision = decide(challenger_ndcg, champion_ndcg, best_baseline_ndcg, tolerance, has_champion=CHAMPION in aliases(registry))
    if must_replace and not decision.promoted and (challenger_ndcg is None or isfinite(challenger_ndcg)):
        decision = replace(decision, promoted=True, reason=f"{decision.reason}; it replaces a champion that has seen erased people")
    (promote if decision.promoted else refuse)(registry, version, decision.reason)
    live = champion(registry)
    if live is None:
        raise RegistryError(f"version {version} was refused and there is no other: {decision.reason}; nothing was published")
    is_fine = decision.promoted and decision.beats_baseline
    outcome = "is the champion" if decision.promoted else f"is refused, version {live.version} stays"
    warning = "" if decision.beats_baseline else "WARNING: NO BETTER THAN THE BEST BASELINE. "
    return GateOutcome(live, logging.INFO if is_fine else logging.WARNING, f"{warning}Version {version} {outcome}: {decision.reason}")
