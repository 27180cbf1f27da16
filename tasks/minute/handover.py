"""Choice of the version to publish after a night, and of the events since its snapshot that it still has to learn."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.errors import UserError
from tasks.lake import Lake, reading, statement
from tasks.minute.feed import News, Work, read_news
from tasks.registry.versions import Version
from tasks.watermarks import Watermarks

logger = logging.getLogger("minutehand.handover")


@dataclass(frozen=True)
class Base:
    """The version that goes live once it has learnt the news.

    before: the version has learnt up to before.learnt, and the histories reach up to before.published. waiting: the unpublished news.
    has_moved_on: whether news arrived after the snapshot of the night.
    """

    version: Version
    before: Watermarks
    news: News
    waiting: News
    has_moved_on: bool


def find_base(
    lake: Lake,
    champion: Version,
    live: Version | None,
    marks: Watermarks | None,
    pinned: int,
    snapshot: int,
    event_weights: Mapping[str, float],
    max_events: int,
) -> Base:
    """The live increment if it descends from the champion, as it knows more; else the champion with all news since its own snapshot.

    pinned: the snapshot of the night. snapshot: the newest snapshot. If the lake has already expired the snapshot where the news begins
    (for example because an old champion was never published), the news begins at the pinned snapshot instead.
    """

    def read(since: Watermarks, otherwise: str) -> tuple[News, Watermarks]:
        try:
            return read_news(lake, since, snapshot, event_weights, max_events), since
        except UserError as error:
            logger.warning("%s that arrived before snapshot %d: %s", otherwise, pinned, error)
            since = Watermarks(pinned, pinned)
            return read_news(lake, since, snapshot, event_weights, max_events), since

    if live is not None and marks is not None and live.champion == champion.version:
        news, since = read(marks, f"version {live.version} stays live without the events")
        if since != marks:
            return Base(live, since, _as_of(lake, news, pinned, event_weights, max_events), news, not news.is_empty)
        return Base(live, since, news, news, not read_news(lake, Watermarks(pinned, pinned), snapshot, event_weights, max_events).is_empty)
    before = Watermarks(published=pinned, learnt=int(champion.tags["snapshot"]))
    news, before = read(before, f"version {champion.version} goes live without the events")
    waiting = news if marks is None else read(marks, "no metrics for the events")[0]
    return Base(champion, before, _as_of(lake, news, pinned, event_weights, max_events), waiting, not news.is_empty)


def learnt_again(lake: Lake, work: Work, version: Version, event_weights: Mapping[str, float], max_events: int) -> Work:
    """The work for a version that replaces a damaged one: all news since the snapshot of that version is due again."""
    marks = replace(work.marks, learnt=min(int(version.tags["snapshot"]), work.marks.learnt))
    return replace(work, marks=marks, news=read_news(lake, marks, work.news.snapshot, event_weights, max_events))


def _as_of(lake: Lake, news: News, snapshot: int, event_weights: Mapping[str, float], max_events: int) -> News:
    """The news with the user histories at a snapshot, not the last published ones."""
    with reading(lake) as con:
        con.register("at_hand", news.events.select("user_id").unique())
        histories = con.execute(
            statement("minute/histories_at"),
            {
                "snapshot": snapshot,
                "until": news.snapshot,
                "max_events": max_events,
                "event_types": list(event_weights),
                "weights": list(event_weights.values()),
            },
        ).pl()
    return replace(news, histories=histories)
