"""Two versions compared by lists that they rank now; loads torch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.config import EncoderConfig, EvaluationConfig
from models.evaluation.evaluator import make_evaluator
from models.events import Floats
from models.results import RankedLists
from models.text.encoder import find_encoder
from models.version.checkpoint import UnreadableFormatError
from tasks.compare.difference import RANKED, Difference, difference_of
from tasks.compare.published import ignored, items_of, live_lists
from tasks.compare.ranked import Ranker, median_ms, sampled_users
from tasks.lake import Lake, newest_snapshot
from tasks.night.dataset import Dataset, load_dataset
from tasks.registry.gate import NOT_MEASURED, Measured
from tasks.scenarios.overview import right_scenarios
from tasks.scenarios.resolved import Places
from tasks.searches import SearchLog, read_search_log

log = logging.getLogger("minutehand.compare")
N_JUDGED = 1000
"""Users whose lists the gate compares."""
AGAINST_LIVE = "the published lists of a sample of users, and lists of the new version for them"


@dataclass(frozen=True)
class Today:
    """What both versions rank from: the dataset of a snapshot, the trend of its events, its searches and the scenarios."""

    data: Dataset
    trend: Floats
    searches: SearchLog | None = None
    places: Places | None = None

    def ranker(self, folder: Path) -> Ranker:
        """The version in a folder on these events."""
        return Ranker.of(self.data, self.trend, folder, self.searches, self.places)


@dataclass(frozen=True)
class Challenge:
    """A challenger against the live lists and the champion, for the gate. lists: its own, of a sample of users.

    difference: to the live lists; None if there are none.
    """

    lists: RankedLists
    difference: Difference | None = None
    measured: Measured = NOT_MEASURED


def ranked_difference(
    lake: Lake, today: Today, versions: Mapping[str, Path], n_users: int, k: int, seed: int, event_weights: Mapping[str, float]
) -> Difference | None:
    """The difference between lists of a sample of users. versions: the earlier one and the later one, with their folders."""
    users = sampled_users(today.data, n_users, seed)
    before, after = versions
    first, second = (today.ranker(folder).lists(users, k) for folder in versions.values())
    return difference_of(before, after, (first, second), items_of(lake, ignored(event_weights)), RANKED)


def challenge(
    lake: Lake,
    today: Today,
    live: str | None,
    challenger: tuple[str, Path],
    champion: Path | None,
    k: int,
    seed: int,
    event_weights: Mapping[str, float],
) -> Challenge:
    """What would change for users if the challenger went live, and how long it takes to rank.

    live: the version of the published lists; None before the first. challenger: version and folder. champion: its folder; None without one.
    """
    users = sampled_users(today.data, N_JUDGED, seed)
    version, folder = challenger
    ours = today.ranker(folder)
    lists = ours.rank(users, k)
    if live is None or champion is None:
        return Challenge(lists)
    both = (live_lists(lake, lists.user_ids), ours.named(users, lists))
    found = difference_of(live, version, both, items_of(lake, ignored(event_weights)), AGAINST_LIVE)
    churn = None if found is None else found.replaced
    try:
        theirs = today.ranker(champion)
    except UnreadableFormatError as error:
        log.warning("no comparison of the time of ranking: %s", error)
        return Challenge(lists, found, Measured(churn))
    return Challenge(lists, found, Measured(churn, *median_ms((ours, theirs), users, k)))


def today_of(lake: Lake, home: Path, event_weights: Mapping[str, float], encoder: EncoderConfig, evaluation: EvaluationConfig) -> Today:
    """The newest snapshot of the lake. Item texts that are not encoded yet count as none."""
    scenarios = right_scenarios(lake, home, event_weights)
    snapshot = newest_snapshot(lake)
    data = load_dataset(lake, snapshot, event_weights, find_encoder(encoder).key)
    asked = read_search_log(lake, snapshot, encoder, data.encoder)
    return Today(data, make_evaluator(data.events, evaluation).trend, asked, Places(lake, snapshot, scenarios))
