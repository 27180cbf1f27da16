"""What the API knows of one publication: model, histories, searches and titles, read at one snapshot of the lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.events import Earlier, Events, Floats, offsets_of
from models.text.clean import clean_text
from models.version.checkpoint import Checkpoint
from tasks.lake import Lake, newest_snapshot, reading, statement
from tasks.live import load_live
from tasks.minute.feed import histories_events

if TYPE_CHECKING:
    from tasks.registry.versions import Registry


@dataclass(frozen=True)
class LastSearch:
    """The last search of a user; time_s: unix seconds; vector: of the encoder."""

    time_s: int
    text: str
    vector: np.ndarray


@dataclass(frozen=True)
class Published:
    """One publication in memory. User row n of events, earlier and offsets is the user with row n in row_of_user."""

    publication_id: str
    version: str
    data_snapshot: int
    published_at: datetime
    checkpoint: Checkpoint
    row_of_user: Mapping[str, int]
    row_of_item: Mapping[str, int]
    kind_of: Mapping[str, int]
    events: Events
    trend: Floats
    earlier: Earlier
    offsets: np.ndarray
    searches: Mapping[str, LastSearch]
    titles: Mapping[str, str | None]


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
        titles = dict(con.execute(statement("serving/titles")).fetchall())
    if row is not None and before is not None and row[1] == before.version:
        version, checkpoint = before.version, before.checkpoint
    else:
        version, checkpoint = load_live(lake, open_registry)
    if row is None or version != row[1]:  # published in between; before the first publication, load_live has raised an error
        return load_published(lake, open_registry, event_weights, max_events, before)
    with reading(lake, pinned) as con:
        searches = con.execute(statement("serving/searches"), {"encoder": checkpoint.encoder}).pl()
    row_of_item = {item_id: n for n, item_id in enumerate(checkpoint.catalog.item_ids)}
    events, trend, earlier = histories_events(histories, row_of_item, checkpoint.kinds, len(row_of_item))
    return Published(
        publication_id=str(row[0]),
        version=version,
        data_snapshot=int(row[2]),
        published_at=row[3],
        checkpoint=checkpoint,
        row_of_user={user: n for n, user in enumerate(histories["user_id"])},
        row_of_item=row_of_item,
        kind_of={kind: n for n, kind in enumerate(checkpoint.kinds)},
        events=events,
        trend=np.where(np.isnan(trend), checkpoint.blend.trend[0], trend).astype(np.float32),
        earlier=earlier,
        offsets=offsets_of(events, len(histories)),
        searches=_searches(searches),
        titles=titles,
    )


def _searches(frame: pl.DataFrame) -> dict[str, LastSearch]:
    rows = frame.select("user_id", "time_s", "query", "vector").iter_rows()
    return {user: LastSearch(time_s, clean_text(text), np.array(vector, np.float32)) for user, time_s, text, vector in rows}
