"""Input and result of a publish."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from models.events import Ints
from models.results import NO_LISTS, MetricRow, Neighbours, RankedLists, SeenItems
from tasks.experiments import Experiment
from tasks.minute.feed import News
from tasks.scenarios.changes import UNCHANGED, Rules
from tasks.scenarios.resolved import ScenarioLists
from tasks.watermarks import Watermarks

if TYPE_CHECKING:
    from tasks.interests.rows import FoundInterests  # loads torch
    from tasks.night.shards import Shards

logger = logging.getLogger("minutehand.publishing")
CHANGED_DEPTH = 10
"""A list counts as changed if one of its first so many items differs."""


@dataclass(frozen=True)
class Provenance:
    """The model, runs and data behind a table row; generated_at is UTC without a zone."""

    model_version: str
    mlflow_run_id: str
    flow_run_id: str
    data_snapshot: int
    generated_at: datetime


@dataclass(frozen=True)
class Files:
    """The folder of a checkpoint, and the digest of its files (tasks.registry.integrity); None if it was not stored."""

    folder: Path
    digest: str | None


@dataclass(frozen=True)
class GateNote:
    """Decision of the gate of a night, the version that it judged and why, and all numbers as JSON."""

    gate: str
    gate_reason: str
    gate_figures: str


NO_GATE = {"gate": None, "gate_reason": None, "gate_figures": None}


@dataclass(frozen=True)
class Searched:
    """The last search of some users (user_id, query, occurred_at, vector), and the key of the encoder of its vectors."""

    rows: pl.DataFrame
    encoder: str


@dataclass(frozen=True)
class Arm:
    """The part of a publish that belongs to the challenger of an experiment.

    state: of the experiment after the publish. learnt: snapshot up to which the version has learnt. frozen: why it did not learn; None if
    it did. lists, in_places: of users in the challenger's arm, who get no lists by the control then; no users where everybody returns to
    the control. Their fallback lists are empty, because unknown users get those of the control. shards: the lists if they are in files.
    """

    experiment: Experiment
    state: str
    learnt: int
    frozen: str | None
    provenance: Provenance
    checkpoint: Files | None
    item_ids: Sequence[str]
    lists: RankedLists
    fallback: RankedLists
    in_places: Sequence[ScenarioLists] = ()
    shards: Shards | None = None


@dataclass(frozen=True)
class Content:
    """Everything that one publish writes, for a nightly or a minute run.

    lists: lists of all or some users. fallback: list for users without one. neighbours: neighbours of the catalog rows neighbours_of;
    None means all rows. max_events: length of a history. champion: nightly version that the model descends from. watermarks: values after
    the publish; None means the snapshot of provenance. news: unpublished events and items. prequential: metrics of predicting the new
    events. versions: registered version behind each model name in prequential. seen_items: whether lists leave out items that the user
    already had, and why; None if not recorded. searches: a night replaces all with them, a
    minute those of the same users; None leaves them in a minute and deletes them in a night. checkpoint: the files of the version.
    interests: of the users with news, or of all; None if the version has no interests. in_places: the lists of scenarios besides
    `default`, for the same users. rules: of the scenarios. barred: by scenario, whether each item must be in no list, for a minute.
    arm: the challenger's part while an experiment runs; its users have no lists in `lists`.
    gate: the decision of the night; None for a minute. shards: the lists of users, and with interests those of users, if they are in
    files; then `lists` and those of in_places are of nobody, and `interests` are those of everybody.
    """

    item_ids: Sequence[str]
    lists: RankedLists
    fallback: RankedLists
    neighbours: Neighbours
    max_events: int
    provenance: Provenance
    neighbours_of: Ints | None = None
    champion: str | None = None
    seen_items: SeenItems | None = None
    searches: Searched | None = None
    checkpoint: Files | None = None
    watermarks: Watermarks | None = None
    news: News | None = None
    prequential: Sequence[MetricRow] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    interests: FoundInterests | None = None
    in_places: Sequence[ScenarioLists] = ()
    rules: Rules = UNCHANGED
    barred: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    gate: GateNote | None = None
    arm: Arm | None = None
    shards: Shards | None = None

    def parts(self) -> Iterator[Content]:
        """The content by shard of users, without the challenger's part; the fallback lists are in the first one."""
        shards = self.shards
        for number in range(0 if shards is None else shards.n_shards):
            assert shards is not None
            default, *others = shards.lists(number)
            is_first = number == 0
            in_places = [
                replace(each, users=users, fallback=each.fallback if is_first else NO_LISTS)
                for each, users in zip(self.in_places, others, strict=True)
            ]
            fallback = self.fallback if is_first else NO_LISTS
            yield replace(self, lists=default, fallback=fallback, in_places=in_places, arm=None, shards=None)

    def listed(self) -> pa.ChunkedArray:
        """The ids of all users who get a list, in both arms."""
        if self.shards is None:
            return pa.chunked_array([pa.array(self.user_ids, pa.string())])
        return pa.chunked_array([self.shards.user_ids(number) for number in range(self.shards.n_shards)], pa.string())

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The users who get a list, in both arms."""
        return self.lists.user_ids if self.arm is None else (*self.lists.user_ids, *self.arm.lists.user_ids)

    @property
    def of_arm(self) -> Content | None:
        """The lists of the challenger's users as content of their own; None without such users."""
        arm = self.arm
        if arm is None or not (arm.lists.user_ids or arm.shards):
            return None
        return replace(
            self,
            item_ids=arm.item_ids,
            lists=arm.lists,
            fallback=arm.fallback,
            in_places=arm.in_places,
            provenance=arm.provenance,
            shards=arm.shards,
        )

    @property
    def neighbour_rows(self) -> Ints:
        """The catalog rows whose neighbours are published."""
        return np.arange(len(self.item_ids)) if self.neighbours_of is None else self.neighbours_of

    @property
    def watermarks_after(self) -> Watermarks:
        """The watermarks after the publish."""
        return self.watermarks or Watermarks(self.provenance.data_snapshot, self.provenance.data_snapshot)


@dataclass(frozen=True)
class Stamp:
    """The id of a publication, and its time (UTC without a zone), which is later than those of all publications before."""

    publication_id: str
    published_at: datetime


@dataclass(frozen=True)
class Publication:
    """Result of a publish."""

    publication_id: str
    n_users: int
    n_users_changed: int
    n_items: int
    seconds: float


def publication_id_of(provenance: Provenance, cadence: str) -> str:
    """A deterministic id: a repeated publish has the same one."""
    key = f"{cadence}|{provenance.flow_run_id}|{provenance.model_version}|{provenance.data_snapshot}|{provenance.generated_at.isoformat()}"
    return md5(key.encode(), usedforsecurity=False).hexdigest()


def log_publication(done: Publication) -> Publication:
    logger.info("published %d users (%d changed) and %d items in %.1f s", done.n_users, done.n_users_changed, done.n_items, done.seconds)
    return done
