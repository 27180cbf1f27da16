"""What a publish is given, and what it says it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import md5

import numpy as np

from models.events import Ints
from models.results import MetricRow, Neighbours, RankedLists, SeenItems
from tasks.minute.feed import News
from tasks.watermarks import Watermarks


@dataclass(frozen=True)
class Provenance:
    """Which model, run and data a table row comes from; generated_at is UTC without a zone."""

    model_version: str
    mlflow_run_id: str
    flow_run_id: str
    data_snapshot: int
    generated_at: datetime


@dataclass(frozen=True)
class Content:
    """Everything that one publish shows, whether a night or a minute made it.

    lists: of all users or of some. fallback: the list for anyone. neighbours: those of the catalog rows neighbours_of; None for all rows.
    max_events: how many events a history keeps. champion: the version of a night that the model goes back to. watermarks: how far the
    work is after the publish; None for the snapshot of provenance. news: the events and items that no earlier publish has shown.
    prequential: how well the new events were predicted. versions: the registered version behind each model name in prequential.
    seen_items: whether the lists leave out what their users already had, and why; None for not noted.
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
    watermarks: Watermarks | None = None
    news: News | None = None
    prequential: Sequence[MetricRow] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def neighbour_rows(self) -> Ints:
        """The catalog rows that the neighbours are of."""
        return np.arange(len(self.item_ids)) if self.neighbours_of is None else self.neighbours_of

    @property
    def watermarks_after(self) -> Watermarks:
        """How far the work is once this is published."""
        return self.watermarks or Watermarks(self.provenance.data_snapshot, self.provenance.data_snapshot)


@dataclass(frozen=True)
class Publication:
    """What a publish did."""

    publication_id: str
    n_users: int
    n_users_changed: int
    n_items: int
    seconds: float


def publication_id_of(provenance: Provenance, cadence: str) -> str:
    """The same for the same publish, run a second time."""
    key = f"{cadence}|{provenance.flow_run_id}|{provenance.model_version}|{provenance.data_snapshot}|{provenance.generated_at.isoformat()}"
    return md5(key.encode(), usedforsecurity=False).hexdigest()
