"""The live state: one publication, and the events that were accepted since."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.config import EncoderConfig
from models.events import Earlier, Events, Ints
from models.ranking.blend import log_trend
from models.ranking.searches import Searches
from models.text.clean import clean_text
from models.text.encoder import Encoder, load_encoder
from serving.item_rules import Item
from serving.positions import contained_segments
from serving.published import LastSearch, Published, load_published, newest_publication
from serving.put_items import PutItems
from serving.rules import Event
from serving.segments import Segments, line_of, lines_of
from tasks.ingest.aliases import Aliases, MergeError
from tasks.lake import Lake, reading, statement

if TYPE_CHECKING:
    from tasks.registry.versions import Registry

log = logging.getLogger("minutehand.serving")


@dataclass(frozen=True)
class Pending:
    """An accepted event that the publication in memory does not contain."""

    event: Event
    vector: np.ndarray | None = None
    segment: str = ""


@dataclass(frozen=True)
class Asked:
    """A request for one list. A user, a text, both or neither; exclude: item ids that the list must not contain."""

    user_id: str | None
    text: str | None = None
    k: int = 10
    exclude: Sequence[str] = ()
    now: int | None = None


@dataclass
class Live:
    """Answers requests from memory.

    Thread safety: readers take `published` and a user's pending events under the lock, and rank without it.
    """

    lake: Lake
    open_registry: Callable[[], Registry]
    encoder: EncoderConfig
    event_weights: Mapping[str, float]
    max_events: int
    published: Published
    segments: Segments
    pending: dict[str, list[Pending]] = field(default_factory=dict)
    known: dict[str, Pending] = field(default_factory=dict)
    put: PutItems = field(default_factory=PutItems)
    aliases: Aliases = field(default_factory=Aliases)
    merging: threading.Lock = field(default_factory=threading.Lock)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _reader: Encoder | None = None

    @staticmethod
    def start(
        lake: Lake,
        open_registry: Callable[[], Registry],
        encoder: EncoderConfig,
        event_weights: Mapping[str, float],
        max_events: int,
        segments: Segments,
    ) -> Live:
        """The state after a start: the newest publication and the events of the kept segments."""
        published = load_published(lake, open_registry, event_weights, max_events)
        live = Live(lake, open_registry, encoder, event_weights, max_events, published, segments)
        with reading(lake) as con:
            live.aliases = Aliases(con.execute(statement("ingest/aliases")).fetchall())
        for path in segments.all():
            live._restore(lines_of(path), path.stem)
        live._drop_published(published)
        return live

    def _restore(self, rows: Sequence[Mapping[str, Any]], segment: str) -> None:
        """Apply the lines of a kept segment."""
        self._remember([_event_of(row) for row in rows if "kind" not in row], segment)
        self.put.add([Item.of_row(dict(row)) for row in rows if row.get("kind") == "item"], segment)
        for row in rows:
            if row.get("kind") == "alias":
                with suppress(MergeError):  # a later segment, or the lake, has merged the user again
                    self._merge(row["alias"], self.aliases.target(row["alias"], row["user_id"]))

    def is_known(self, event_id: str) -> bool:
        """Whether the event was accepted since the publication."""
        return event_id in self.known

    def accept(self, events: Sequence[Event]) -> None:
        """Write the events durably, then apply them. Raises OSError, and applies nothing, if they cannot be written."""
        if not events:
            return
        self._remember(events, self.segments.append([event.line for event in events]).result())

    def _remember(self, events: Sequence[Event], segment: str) -> None:
        """Apply events that are on disk in a segment of the log."""
        ready = [Pending(event, self._vector(event.query) if event.event_type == "search" else None, segment) for event in events]
        with self.lock:
            for each in ready if self.segments.is_kept(segment) else ():  # otherwise a publication contains them already
                if each.event.event_id not in self.known:
                    self.known[each.event.event_id] = each
                    self.pending.setdefault(self.aliases.resolve(each.event.user_id), []).append(each)

    def put_items(self, items: Sequence[Item]) -> None:
        """Write items durably, then apply them. Raises OSError, and applies nothing, if they cannot be written."""
        if items:
            segment = self.segments.append([item.line for item in items]).result()
            with self.lock:
                if self.segments.is_kept(segment):
                    self.put.add(items, segment)

    def merge(self, alias: str, user_id: str, at: datetime) -> str:
        """Merge a session or another id into a user, durably; returns the user. Everything the alias did counts for the user at once.

        Raises MergeError if the two cannot be merged, and OSError, and applies nothing, if the merge cannot be written.
        """
        with self.merging:
            user = self.aliases.target(alias, user_id)
            if user is not None:
                row = {"alias": alias, "user_id": user, "merged_at": at.astimezone(UTC).isoformat(timespec="microseconds")}
                self.segments.append([line_of("alias", row)]).result()
                self._merge(alias, user)
            return self.aliases.resolve(user_id)

    def _merge(self, alias: str, user: str | None) -> None:
        if user is not None:
            with self.lock:
                self.aliases.add(alias, user)
                self.pending = _by_user(self.known.values(), self.aliases)

    def log_served(self, lines: Sequence[bytes]) -> None:
        """Write lines of served_line to the log, without waiting for the disk."""
        self.segments.append(list(lines), is_synced=False)

    def refresh(self) -> bool:
        """Load the newest publication if there is a newer one; whether there was."""
        self.segments.hand_over_again()
        newest = newest_publication(self.lake)
        if newest is None or newest == self.published.publication_id:
            return False
        started = time.monotonic()
        published = load_published(self.lake, self.open_registry, self.event_weights, self.max_events, self.published)
        published.checkpoint.scorer().vectors  # noqa: B018  the first request shall not pay for it
        self._drop_published(published)
        log.info("model version %s, snapshot %d: loaded in %.2f s", published.version, published.data_snapshot, time.monotonic() - started)
        return True

    def _drop_published(self, published: Published) -> None:
        """Swap the publication, and drop the events that it contains."""
        contained = contained_segments(self.lake, published.data_snapshot, self.segments)
        with self.lock:
            self.published = published
            self.segments.forget(contained)
            self.known = {event_id: each for event_id, each in self.known.items() if each.segment not in contained}
            self.put.forget(contained)
            self.pending = _by_user(self.known.values(), self.aliases)

    def _vector(self, text: str | None) -> np.ndarray | None:
        cleaned = clean_text(text or "")
        if not cleaned or self.published.checkpoint.words is None:
            return None
        if self._reader is None:
            self._reader = load_encoder(self.encoder, torch.device("cpu"))
        if self._reader.key != self.published.checkpoint.encoder:
            return None
        vector: np.ndarray = self._reader.encode([cleaned])[0]
        return vector

    def recommend(self, asked: Asked) -> list[dict[str, Any]]:
        """The list, best item first: item_id, title, score, probability."""
        with self.lock:
            published = self.published
            ids: list[str] = self.aliases.ids_of(asked.user_id) if asked.user_id is not None else []
            pending = list(self.pending.get(ids[0], ())) if ids else []
        checkpoint = published.checkpoint
        taught = [each.event for each in pending if self.event_weights.get(each.event.event_type, 1.0) > 0]
        events, trend, earlier = _history(published, ids, taught)
        now = max(asked.now or int(time.time()), int(events.time.max(initial=0)))
        vector = self._vector(asked.text)
        searches = _searches(published, ids, pending) if vector is None else None
        scorer, hidden = (
            checkpoint.scorer(),
            [published.row_of_item[item] for item in (*asked.exclude, *self.put.withdrawn()) if item in published.row_of_item],
        )
        (scored,) = scorer.score_blocks(events, 1, now=now, trend=trend, earlier=earlier, searches=searches)
        scores = scored.scores
        if vector is not None and checkpoint.words is not None:
            scores = scores + checkpoint.words.scores(vector[None], [clean_text(asked.text or "")])
        scores[:, hidden] = -torch.inf
        best = scores[0].topk(min(asked.k, scores.shape[1]))
        share = (best.values - scores[0].logsumexp(0)).exp()
        ids = checkpoint.catalog.item_ids
        return [
            {"item_id": ids[row], "title": published.titles.get(ids[row]), "score": round(score, 5), "probability": round(p, 6)}
            for row, score, p in zip(best.indices.tolist(), best.values.tolist(), share.tolist(), strict=True)
            if score > -np.inf
        ]


def _by_user(pending: Iterable[Pending], aliases: Aliases) -> dict[str, list[Pending]]:
    found: dict[str, list[Pending]] = {}
    for each in pending:
        found.setdefault(aliases.resolve(each.event.user_id), []).append(each)
    return found


def _event_of(row: Mapping[str, Any]) -> Event:
    moment = datetime.fromisoformat(row["occurred_at"])
    return Event(row["event_id"], row["user_id"], row["item_id"], row["event_type"], row["query"], int(moment.timestamp()), b"")


def _history(published: Published, ids: Sequence[str], pending: Sequence[Event]) -> tuple[Events, np.ndarray, Earlier]:
    """One user's published history, of all their ids, and their pending events, by time; as user 0."""
    rows = [published.row_of_user[each] for each in ids if each in published.row_of_user]
    part = np.concatenate([np.arange(published.offsets[row], published.offsets[row + 1]) for row in rows] or [np.empty(0, np.int64)])
    old, catalog, kinds = published.events, published.row_of_item, published.kind_of
    new = [event for event in pending if event.item_id in catalog]
    item = np.concatenate([old.item[part], np.array([catalog[event.item_id or ""] for event in new], np.int64)])
    kind = np.concatenate([old.kind[part], np.array([kinds.get(event.event_type, 0) for event in new], np.int64)])
    at = np.concatenate([old.time[part], np.array([event.time_s for event in new], np.int64)])
    trend = np.concatenate([published.trend[part], _trend_of(published, item[len(item) - len(new) :])])
    order = np.argsort(at, kind="stable")
    zeros: Ints = np.zeros(len(item), np.int64)
    events = Events(
        zeros, item[order], kind[order], at[order], np.ones(len(item), np.float32), int(len(item) > 0), old.n_items, old.n_kinds
    )
    return events, trend[order].astype(np.float32), _earlier(published.earlier, rows)


def _earlier(earlier: Earlier, rows: Sequence[int]) -> Earlier:
    """The earlier items of several ids, as those of user 0."""
    had = [earlier.item[earlier.start[row] : earlier.stop[row]] for row in rows]
    item = np.concatenate([np.empty(0, np.int64), *had]).astype(np.int64)
    return Earlier(np.array([earlier.n_events[rows].sum()], np.int64), np.zeros(1, np.int64), np.array([len(item)], np.int64), item)


def _trend_of(published: Published, item: Ints) -> np.ndarray:
    online = published.checkpoint.online
    if online is None:
        return np.full(len(item), published.checkpoint.blend.trend[0], np.float32)
    trend: np.ndarray = log_trend(online.popularity.counts[:, item])
    return trend


def _searches(published: Published, ids: Sequence[str], pending: Sequence[Pending]) -> Searches | None:
    """The last search of one user, as user 0."""
    found = [LastSearch(each.event.time_s, clean_text(each.event.query or ""), each.vector) for each in pending if each.vector is not None]
    found = [published.searches[each] for each in ids if each in published.searches] + found
    if not found:
        return None
    last = max(found, key=lambda each: each.time_s)
    zero: Ints = np.zeros(1, np.int64)
    return Searches(zero, np.array([last.time_s]), zero, last.vector[None], [last.text])
