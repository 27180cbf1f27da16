"""What the API knows of one publication: model, histories, searches and items, read at one snapshot of the lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.events import Earlier, Events, Floats, offsets_of
from models.ranking.labels import Labels
from models.ranking.scorer import Scorer, best_popularity_column
from models.text.sentences import Sentences, sentences_for
from models.version.checkpoint import Checkpoint
from serving.items import ItemTable
from tasks.lake import ANYONE, Lake, newest_snapshot, reading, statement
from tasks.live import load_live
from tasks.minute.feed import histories_events
from tasks.publish.reasons import N_TITLES

if TYPE_CHECKING:
    from tasks.registry.versions import Registry


@dataclass(frozen=True)
class LastSearch:
    """The last search of a user; time_s: unix seconds; query: as typed; vector: of the encoder."""

    time_s: int
    query: str
    vector: np.ndarray


@dataclass(frozen=True)
class Published:
    """One publication in memory. User row n of events, earlier and offsets is the user with row n in row_of_user.

    depth: length of the published lists. labels, sentences: what reasons are made of.
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

    @property
    def row_of_item(self) -> Mapping[str, int]:
        """The catalog row of each item."""
        return self.items.row_of

    @cached_property
    def scorer(self) -> Scorer:
        """What ranks: that of the checkpoint, with the availability of the items as it is now."""
        scorer, available = self.checkpoint.scorer(), self.items.is_available
        return scorer if np.array_equal(scorer.is_available, available) else replace(scorer, is_available=available)

    @cached_property
    def popularity(self) -> Floats:
        """How popular each item is, as a share of all events: the popularity of the list for anyone."""
        share: Floats = self.checkpoint.popularity[:, best_popularity_column(self.checkpoint.blend)]
        return share


def newest_publication(lake: Lake) -> str | None:
    """The id of the newest publication; None before the first."""
    with reading(lake) as con:
        row = con.execute(statement("serving/publication")).fetchone()
    return None if row is None else str(row[0])


def load_published(
    lake: Lake, open_registry: Callable[[], Registry], event_weights: Mapping[str, float], max_events: int, before: Published | None = None
) -> Published:
    """The newest publication. before: an older one, whose checkpoint is kept if the version is the same.

    Raises UserError before the first publication.
    """
    pinned = newest_snapshot(lake)
    with reading(lake, pinned) as con:
        row = con.execute(statement("serving/publication")).fetchone()
        weights = {"event_types": list(event_weights), "weights": list(event_weights.values())}
        histories = con.execute(statement("serving/histories"), {"max_events": max_events, **weights}).pl()
        items = con.execute(statement("serving/items")).pl()
        titles = [title for (title,) in con.execute(statement("publish/sample_titles"), {"snapshot": pinned, "n": N_TITLES}).fetchall()]
        con.execute(statement("publish/create_reason_labels"), {"snapshot": pinned})
        labels = con.execute(statement("serving/labels")).pl()
        (depth,) = con.execute(statement("serving/depth"), {"user_id": ANYONE}).fetchone() or (0,)
    if row is not None and before is not None and row[1] == before.version:
        version, checkpoint = before.version, before.checkpoint
    else:
        version, checkpoint = load_live(lake, open_registry)
    if row is None or version != row[1]:  # published in between; before the first publication, load_live has raised an error
        return load_published(lake, open_registry, event_weights, max_events, before)
    with reading(lake, pinned) as con:
        searches = con.execute(statement("serving/searches"), {"encoder": checkpoint.encoder}).pl()
    table = ItemTable.build(items, checkpoint.catalog.item_ids, checkpoint.catalog.is_available)
    row_of_item = table.row_of
    events, trend, earlier = histories_events(histories, row_of_item, checkpoint.kinds, len(row_of_item))
    return Published(
        publication_id=str(row[0]),
        version=version,
        data_snapshot=int(row[2]),
        published_at=row[3],
        checkpoint=checkpoint,
        row_of_user={user: n for n, user in enumerate(histories["user_id"])},
        kind_of={kind: n for n, kind in enumerate(checkpoint.kinds)},
        events=events,
        trend=np.where(np.isnan(trend), checkpoint.blend.trend[0], trend).astype(np.float32),
        earlier=earlier,
        offsets=offsets_of(events, len(histories)),
        searches=_searches(searches),
        items=table,
        labels=_labels(labels, row_of_item),
        sentences=sentences_for(titles),
        depth=int(depth),
    )


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
