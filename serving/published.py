"""What the API knows of one publication: model, histories, searches and items, read at one snapshot of the lake."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import polars as pl

from models.errors import UserError
from models.events import Earlier, Events, Floats, Ints, offsets_of
from models.ranking.exploration import Draws, Lottery
from models.ranking.labels import Labels
from models.ranking.scorer import Scorer
from models.sequence.weights import LIST_DELAY_S
from models.text.sentences import Sentences, sentences_for
from models.version.checkpoint import Checkpoint, keep_vectors_only
from serving.items import Item, ItemTable
from serving.places import Place, load_places, scenarios_of
from tasks.experiments import Experiment, experiment_of
from tasks.experiments.experiment import RUNNING, STOPPING
from tasks.lake import ANYONE, Lake, Readable, newest_snapshot, reading, statement
from tasks.live import load_live, load_version
from tasks.minute.feed import histories_events
from tasks.publish.publication import Files
from tasks.publish.reasons import N_TITLES
from tasks.scenarios import Scenario, key_of_draws

if TYPE_CHECKING:
    from tasks.registry.versions import Registry

log = logging.getLogger("minutehand.serving")
BLOCK_USERS = 8192
"""The histories of so many users are converted at once."""


@dataclass(frozen=True)
class LastSearch:
    """The last search of a user; time_s: unix seconds; query: as typed; vector: of the encoder."""

    time_s: int
    query: str
    vector: np.ndarray


@dataclass(frozen=True)
class Published:
    """One publication in memory. User row n of events, earlier and offsets is the user with row n in row_of_user.

    depth: length of the published lists. labels, sentences: what reasons are made of. places: the scenarios by name. read_at: the snapshot
    of the lake at which all this was read; asked_s: the time for which the lists were made, in unix seconds. key: of draws of new items.
    experiment, challenger: while an experiment runs; the challenger knows the users of its arm only.
    """

    publication_id: str
    version: str
    data_snapshot: int
    published_at: datetime
    checkpoint: Checkpoint
    row_of_user: Mapping[str, int]
    kind_of: Mapping[str, int]
    events: Events
    trend: Floats
    earlier: Earlier
    offsets: np.ndarray
    searches: Mapping[str, LastSearch]
    items: ItemTable
    labels: Labels
    sentences: Sentences
    depth: int
    places: Mapping[str, Place]
    read_at: int
    asked_s: int
    key: bytes = b""
    experiment: Experiment | None = None
    challenger: Published | None = None

    def side_of(self, user_id: str | None) -> Published:
        """What makes the lists of a user: the publication itself, or its challenger."""
        if self.challenger is None or self.experiment is None or user_id is None or not self.experiment.is_challenger(user_id):
            return self
        return self.challenger

    def warm_up(self) -> None:
        """Compute what does not depend on the user, so that the first request does not pay for it."""
        nothing: Ints = np.empty(0, np.int64)
        nobody = Events(nothing, nothing, nothing, nothing, np.empty(0, np.float32), 0, len(self.items), self.events.n_kinds)
        self.scorer.rank(nobody, 1, 1, is_quick=True)
        if self.challenger is not None:
            self.challenger.warm_up()

    def with_items(self, put: Sequence[Item]) -> Published:
        """The publication after some items were put: titles, availability, filters and conditions follow at once."""
        items = self.items.with_items(put)
        places = {name: place.with_items(items, put) for name, place in self.places.items()}
        return replace(self, items=items, places=places, challenger=self.challenger and self.challenger.with_items(put))

    def with_scenarios(self, lake: Lake, scenarios: Mapping[str, Scenario]) -> Published:
        """The publication after the scenarios have changed. If its snapshot has expired, they are read at the newest one."""
        at = self.read_at if has_snapshot(lake, self.read_at) else newest_snapshot(lake)
        places = load_places(lake, at, scenarios, self.row_of_item, self.checkpoint.variety, self.asked_s)
        placed = {name: place.with_items(self.items, [*self.items.changed.values()]) for name, place in places.items()}
        challenger = self.challenger and self.challenger.with_scenarios(lake, scenarios)
        return replace(self, places=placed, key=key_of_draws(lake, scenarios.values()), challenger=challenger)

    @property
    def row_of_item(self) -> Mapping[str, int]:
        """The catalog row of each item."""
        return self.items.row_of

    @cached_property
    def scorer(self) -> Scorer:
        """What ranks: that of the checkpoint, with the availability of the items as it is now."""
        scorer, available = self.checkpoint.scorer(), self.items.is_available
        return scorer if np.array_equal(scorer.is_available, available) else replace(scorer, is_available=available)

    def draws(self, scenario: str, n_slots: int, user_ids: Sequence[str]) -> Draws | None:
        """The draws for the slots of new items in lists of some users, as in the tables; None without slots."""
        return self._lottery.draws(self.key, scenario, self.asked_s, user_ids, n_slots) if n_slots else None

    @cached_property
    def _lottery(self) -> Lottery:
        return self.checkpoint.new_items.lottery(self.key, self.asked_s, self.checkpoint.catalog.item_ids)


def newest_publication(at: Readable) -> str | None:
    """The id of the newest publication; None before the first, also while another process creates the tables."""
    with reading(at) as con:
        try:
            row = con.execute(statement("serving/publication")).fetchone()
        except duckdb.CatalogException:
            return None
    return None if row is None else str(row[0])


def load_published(
    lake: Lake,
    open_registry: Callable[[], Registry],
    event_weights: Mapping[str, float],
    max_events: int,
    before: Published | None = None,
    home: Path | None = None,
) -> Published:
    """The newest publication. before: an older one, whose checkpoint is kept if the version is the same. home: where the scenarios are.

    Raises UserError before the first publication.
    """
    pinned = newest_snapshot(lake)
    try:
        return _load_at(pinned, lake, open_registry, event_weights, max_events, before, home)
    except (UserError, duckdb.Error, OSError):
        if has_snapshot(lake, pinned):
            raise
        log.info("snapshot %d expired while it was read, as after an erasure; the newest one is read instead", pinned)
        return load_published(lake, open_registry, event_weights, max_events, before, home)


def has_snapshot(lake: Lake, snapshot: int) -> bool:
    """Whether a snapshot of the lake can still be read."""
    with reading(lake) as con:
        (found,) = con.execute(statement("serving/has_snapshot"), {"snapshot": snapshot}).fetchone() or (False,)
    return bool(found)


def _load_at(
    pinned: int,
    lake: Lake,
    open_registry: Callable[[], Registry],
    event_weights: Mapping[str, float],
    max_events: int,
    before: Published | None,
    home: Path | None,
) -> Published:
    with reading(lake, pinned) as con:
        row = con.execute(statement("serving/publication")).fetchone()
        if row is not None and before is not None and row[1] == before.version:
            version, checkpoint = before.version, before.checkpoint
        else:
            version, checkpoint = load_live(lake, open_registry)
            checkpoint = keep_vectors_only(checkpoint)
        if row is None or version != row[1]:  # published in between; before the first publication, load_live has raised an error
            return load_published(lake, open_registry, event_weights, max_events, before, home)
        con.execute(statement("publish/create_reason_labels"), {"snapshot": pinned})
        weights = {"event_types": list(event_weights), "weights": list(event_weights.values())}
        histories = con.execute(statement("serving/histories"), {"max_events": max_events, **weights}).pl()
        sides = [_side(con, row, pinned, checkpoint, histories)]
        experiment = experiment_of(con, lake.home)
        if experiment is not None and experiment.state in (RUNNING, STOPPING):
            model = _challenger(experiment, open_registry, None if before is None else before.challenger)
            mine = histories.filter(pl.Series([experiment.is_challenger(user) for user in histories["user_id"]], dtype=pl.Boolean))
            if model is not None:
                sides.append(replace(_side(con, row, pinned, model, mine), version=experiment.arm_version))
        del histories
    known = scenarios_of(home)
    key = key_of_draws(lake, known.values())
    placed = [
        replace(each, places=load_places(lake, pinned, known, each.row_of_item, each.checkpoint.variety, each.asked_s), key=key)
        for each in sides
    ]
    return placed[0] if len(placed) == 1 else replace(placed[0], experiment=experiment, challenger=placed[1])


def _challenger(experiment: Experiment, open_registry: Callable[[], Registry], before: Published | None) -> Checkpoint | None:
    """The model of the challenger's arm; None if its version is gone or damaged, as then the next minute ends the experiment.

    before: what was in memory, which is kept if the version is the same.
    """
    if before is not None and before.version == experiment.arm_version:
        return before.checkpoint
    files = None if experiment.checkpoint is None else Files(Path(experiment.checkpoint), experiment.checkpoint_sha256)
    try:
        return keep_vectors_only(load_version(experiment.arm_version, files, open_registry))
    except UserError as error:
        log.warning("everybody gets lists of the live version: the challenger cannot be loaded: %s", error)
        return None


def _side(con: duckdb.DuckDBPyConnection, row: tuple[Any, ...], pinned: int, checkpoint: Checkpoint, histories: pl.DataFrame) -> Published:
    """The publication as one model sees it, still without scenarios. row: as of sql/serving/publication; histories: of its users."""
    table = ItemTable.build(con.execute(statement("serving/items")).pl(), checkpoint.catalog.item_ids, checkpoint.catalog.is_available)
    row_of_item = table.row_of
    row_of_user = {user: n for n, user in enumerate(histories["user_id"])}
    events, trend, earlier = _events(histories, row_of_item, checkpoint.kinds)
    titles = [title for (title,) in con.execute(statement("publish/sample_titles"), {"snapshot": pinned, "n": N_TITLES}).fetchall()]
    labels = con.execute(statement("serving/labels")).pl()
    (depth,) = con.execute(statement("serving/depth"), {"user_id": ANYONE}).fetchone() or (0,)
    searches = con.execute(statement("serving/searches"), {"encoder": checkpoint.encoder}).pl()
    return Published(
        publication_id=str(row[0]),
        version=str(row[1]),
        data_snapshot=int(row[2]),
        published_at=row[3],
        checkpoint=checkpoint,
        row_of_user=row_of_user,
        kind_of={kind: n for n, kind in enumerate(checkpoint.kinds)},
        events=events,
        trend=np.where(np.isnan(trend), checkpoint.blend.trend[0], trend).astype(np.float32),
        earlier=earlier,
        offsets=offsets_of(events, len(row_of_user)),
        searches=_searches(searches),
        items=table,
        labels=_labels(labels, row_of_item),
        sentences=sentences_for(titles),
        depth=int(depth),
        places={},
        read_at=pinned,
        asked_s=checkpoint.as_of + LIST_DELAY_S if row[4] is None else int(row[4]),
    )


def _events(histories: pl.DataFrame, row_of_item: Mapping[str, int], kinds: Sequence[str]) -> tuple[Events, Floats, Earlier]:
    """As `histories_events`, a block of users at a time, so that its working memory stays small."""
    n_items = len(row_of_item)
    parts = [histories_events(frame, row_of_item, kinds, n_items) for frame in histories.iter_slices(BLOCK_USERS)]
    if not parts:
        return histories_events(histories, row_of_item, kinds, n_items)
    events, trend, earlier = zip(*parts, strict=True)

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in events])

    user = np.concatenate([part.user + n * BLOCK_USERS for n, part in enumerate(events)])
    n_users = int(user[-1]) + 1 if len(user) else 0
    whole = Events(user, joined("item"), joined("kind"), joined("time"), joined("weight"), n_users, n_items, len(kinds))
    sizes = [0, *itertools.accumulate(len(part.item) for part in earlier)]
    start, stop = (
        np.concatenate([getattr(part, name) + size for part, size in zip(earlier, sizes, strict=False)]) for name in ("start", "stop")
    )
    n_events, item = (np.concatenate([getattr(part, name) for part in earlier]) for name in ("n_events", "item"))
    return whole, np.concatenate(trend), Earlier(n_events, start, stop, item)


def _labels(frame: pl.DataFrame, row_of_item: Mapping[str, int]) -> Labels:
    """frame: as of sql/serving/labels."""
    known = frame.join(pl.DataFrame({"item_id": list(row_of_item), "row": np.arange(len(row_of_item))}), on="item_id")
    names = known.select("label", "rarity").unique("label").sort("label").with_row_index("code")
    pairs = known.join(names.select("label", "code"), on="label")
    code = pairs["code"].cast(pl.Int64).to_numpy()
    return Labels.build(names["label"].to_list(), names["rarity"].to_numpy(), pairs["row"].to_numpy(), code, len(row_of_item))


def _searches(frame: pl.DataFrame) -> dict[str, LastSearch]:
    rows = frame.select("user_id", "time_s", "query", "vector").iter_rows()
    return {user: LastSearch(time_s, query, np.array(vector, np.float32)) for user, time_s, query, vector in rows}
