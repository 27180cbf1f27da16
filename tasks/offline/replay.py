"""Replays files of events: reads them, runs the policies and builds a result ready for JSON."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, ClassVar

import numpy as np

from models.config import EvaluationConfig, IncrementConfig
from models.device import pick_device
from models.errors import UserError
from models.evaluation.baselines import best_half_life
from models.evaluation.evaluator import Evaluator, make_evaluator
from models.events import Events, TemporalSplit
from models.metrics.intervals import mean_difference
from models.metrics.summary import METRICS, nest_by_model, summarise
from models.online.replay import OnStep, ReplayConfig, ReplayResult, known_policies
from models.online.replay import replay as run
from models.version.checkpoint import Checkpoint
from tasks import process
from tasks.figures import Curves
from tasks.night import learning
from tasks.night.dataset import Dataset
from tasks.offline import backtest
from tasks.offline.files import Files, load

log = logging.getLogger("minutehand.replay")
RECENT = "recent_popular"
DEFAULT = ("never_updated", "nightly_tables", "nightly_fresh_lists", "nightly_and_increments", RECENT)
POLICIES = (*(policy.name for policy in known_policies(IncrementConfig())), RECENT)
OURS = "nightly_and_increments"


@dataclass(frozen=True, kw_only=True)
class ReplaySettings(backtest.BacktestSettings):
    """Settings of a backtest plus those of increments; train.minutes is the budget of each night."""

    parts: ClassVar[tuple[str, ...]] = ("ingest", "encoder", "model", "train", "increment", "evaluation")
    increment: IncrementConfig

    def showing(self, *, hide_seen: bool) -> ReplaySettings:
        """A copy for all nights with the decision of the first night: whether lists hide items that the user already had."""
        return replace(self, evaluation=self.evaluation.model_copy(update={"seen_items": "hide" if hide_seen else "show"}))


@dataclass(frozen=True)
class Course:
    """The replayed part of the events [since_share, until_share), the intervals of steps and nights, and the age of lists."""

    since_share: float
    until_share: float
    step_s: int
    night_s: int
    list_delay_s: int
    policies: tuple[str, ...] = DEFAULT


def check_course(course: Course) -> None:
    """Raises UserError for a course that cannot be replayed."""
    if not 0 < course.since_share < course.until_share <= 1:
        raise UserError(
            f"a replay from {course.since_share:.0%} until {course.until_share:.0%} of the time has no events to learn from or no events "
            "to replay; give --from above 0% and below --until, which is at most 100%"
        )
    for name, value in (("--step", course.step_s), ("--night", course.night_s)):
        if value < 1:
            raise UserError(f"{name} is {value} s; give at least a second, such as 60s, 1h or 7d")
    if not course.policies:
        raise UserError(f"no policy to replay; give some of: {','.join(POLICIES)}")
    for name in course.policies:
        if name not in POLICIES:
            near = get_close_matches(name, POLICIES, n=1)
            raise UserError(f"no policy {name!r}; {f'did you mean {near[0]}? else ' if near else ''}give some of: {','.join(POLICIES)}")


def replay(
    files: Files, course: Course, recipe: ReplaySettings, on_step: OnStep | None = None, *, progress: bool = False
) -> tuple[dict[str, Any], Curves]:
    """Replay every policy on the same events: {data, policies, differences, settings, versions}, ready for JSON, and curves to draw."""
    check_course(course)
    encoder = recipe.encoder if files.items is not None else None
    loaded = load(
        files, recipe.ingest, encoder=encoder, device=pick_device(recipe.train.device).type, threads=recipe.threads, progress=progress
    )
    data = always_available(loaded.dataset)
    since, until = border(data.events, course.since_share), border(data.events, course.until_share)
    if not len(data.events.before(since)) or since >= until:
        raise UserError(f"no event is before {course.since_share:.0%} of the time; choose a later --from")
    evaluator, recent = known_at(since, data.events, recipe.evaluation)
    max_events = recipe.model.max_events
    config = ReplayConfig(since, until, course.step_s, course.night_s, course.list_delay_s, recent, max_events, recipe.seed)
    policies = [policy for policy in known_policies(recipe.increment) if policy.name in course.policies]
    replayed = run(evaluator, policies, Nights(data, recipe.showing(hide_seen=evaluator.hide_seen)), config, on_step=on_step)
    result = {
        "data": {
            **data.describe(),
            "replayed_from": moment(since),
            "replayed_until": moment(until),
            "n_replayed": len(replayed.rows),
            "n_steps": replayed.n_steps,
            "step_seconds": course.step_s,
            "night_seconds": course.night_s,
            "list_delay_seconds": course.list_delay_s,
            "hides_seen_items": evaluator.hide_seen,
            "ingest": [{**summary.row(), "reasons": summary.reasons, "notes": summary.notes} for summary in loaded.summaries],
        },
        "policies": figures(replayed, course.policies, data.events.n_items),
        "differences": differences(evaluator, replayed, recipe),
        "settings": recipe.dump(),
        "versions": process.versions(),
    }
    return result, curves(replayed, since, course.step_s)


def border(events: Events, share: float) -> int:
    """The time by which a share of the events has happened; one second after the last event for a share of 1."""
    return int(events.time.max()) + 1 if share >= 1 else int(np.quantile(events.time, share, method="higher"))


def always_available(data: Dataset) -> Dataset:
    """The dataset with every item available, as today's availability says nothing about the past."""
    return replace(data, catalog=replace(data.catalog, is_available=np.ones(len(data.catalog), bool)))


def moment(time_s: int) -> str:
    """The time as ISO text, UTC."""
    return datetime.fromtimestamp(time_s, UTC).isoformat()


def known_at(since: int, events: Events, config: EvaluationConfig) -> tuple[Evaluator, int]:
    """An evaluator of all events with the rules known at a time, and the best half-life of recent popularity before that time.

    The half-life is chosen on the last tenth of the events before that time.
    """
    past = events.before(since)
    rules = make_evaluator(past, config)
    split = TemporalSplit.by_quantile(past.time, 0.9, 0.1)
    tuning = np.flatnonzero(past.time >= split.validation_from)[:: max(len(past) // 50_000, 1)]
    return replace(make_evaluator(events, config), hide_seen=rules.hide_seen), best_half_life(rules, tuning)


@dataclass(frozen=True)
class Nights:
    """Trains in full on the events before a time, like the nightly flow."""

    data: Dataset
    recipe: ReplaySettings

    def __call__(self, events: Events, now: int) -> Checkpoint:
        recipe, data = self.recipe, replace(self.data, events=events)
        log.info("training in full on %d events, as of %s", len(events), moment(now))
        learnt = learning.learn(data, recipe.model, recipe.train, recipe.evaluation, recipe.seed)
        return learning.completed(data, learnt, recipe.model, recipe.train, recipe.increment, recipe.seed)


def figures(replayed: ReplayResult, wanted: Sequence[str], n_items: int) -> dict[str, Any]:
    """Metrics by policy, over all events and by segment, with the seconds per step."""
    rankings = {name: replayed.rankings[name] for name in wanted if name in replayed.rankings}
    found = nest_by_model(summarise(rankings, replayed.segments, n_items))
    return {name: {**of_policy, "seconds_per_step": round(replayed.seconds[name], 4)} for name, of_policy in found.items()}


def differences(evaluator: Evaluator, replayed: ReplayResult, recipe: ReplaySettings) -> dict[str, Any]:
    """Gains of OURS over each other policy with 95 % intervals (resampling users); NDCG@10 also by segment."""
    if OURS not in replayed.rankings or not len(replayed.rows):
        return {}
    user = evaluator.events.user[replayed.rows]
    out = {}
    for name in (name for name in replayed.rankings if name != OURS):
        ours, other = replayed.rankings[OURS], replayed.rankings[name]
        gain = {
            metric: mean_difference(getattr(ours, metric), getattr(other, metric), user, recipe.evaluation.n_bootstrap, recipe.seed)
            for metric in METRICS
        }
        less, base = ours.ndcg_at_10 - other.ndcg_at_10, float(other.ndcg_at_10.mean())
        out[name] = {
            "ndcg_at_10": gain["ndcg_at_10"].difference,
            "low": gain["ndcg_at_10"].low,
            "high": gain["ndcg_at_10"].high,
            "ratio": float(ours.ndcg_at_10.mean()) / base if base else None,
            "hr_at_10": asdict(gain["hr_at_10"]),
            "mrr": asdict(gain["mrr"]),
            "gain_by_segment": {segment: float(less[mask].sum() / len(mask)) for segment, mask in replayed.segments.items()},
        }
    return out


def curves(replayed: ReplayResult, since: int, step_s: int, n_points: int = 60) -> Curves:
    """Curves with the steps grouped into at most n_points intervals of equal length."""
    last = int(replayed.step.max(initial=0)) + 1
    stretch = replayed.step // max(-(-last // n_points), 1)
    numbers, place = np.unique(stretch, return_inverse=True)
    counts = np.bincount(place, minlength=len(numbers))
    ends = tuple(datetime.fromtimestamp(since + (int(n) + 1) * max(-(-last // n_points), 1) * step_s, UTC) for n in numbers)
    means = {
        name: (np.bincount(place, ranking.ndcg_at_10, minlength=len(numbers)) / np.maximum(counts, 1)).astype(np.float32)
        for name, ranking in replayed.rankings.items()
    }
    return Curves(ends, tuple(int(n) for n in counts), means)
