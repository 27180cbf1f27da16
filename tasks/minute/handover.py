"""From the version that a night chose to the one that goes live: what came in since its snapshot must not be forgotten."""

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
    """What goes live after it has learnt the news; learnt up to before.learnt, with histories up to before.published.

    waiting: what no publish has shown yet. has_moved_on: whether anything that matters to lists came in after the night's snapshot.
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
    """The live increment where it goes back to the champion, for it knows more; else the champion with all since its own snapshot.

    pinned: the snapshot of the night. snapshot: the newest one. Where the lake has let go of the snapshot since which something was to be
    learnt or published, such as that of a champion of long ago that was never published, it is what came in since the night's.
    """

    def read(since: Watermarks, otherwise: str) -> tuple[News, Watermarks]:
        try:
            return read_news(lake, since, snapshot, event_weights, max_events), since
        except UserError as error:
            logger.warning("%s before snapshot %d: %s", otherwise, pinned, error)
            since = Watermarks(pinned, pinned)
            return read_news(lake, since, snapshot, event_weights, max_events), since

    if live is not None and marks is not None and live.champion == champion.version:
        news, since = read(marks, f"version {live.version} goes on without what came in")
        if since != marks:
            return Base(live, since, _as_of(lake, news, pinned, event_weights, max_events), news, not news.is_empty)
        return Base(live, since, news, news, not read_news(lake, Watermarks(pinned, pinned), snapshot, event_weights, max_events).is_empty)
    before = Watermarks(published=pinned, learnt=int(champion.tags["snapshot"]))
    news, before = read(before, f"version {champion.version} goes live without what came in")
    waiting = news if marks is None else read(marks, "no figures of what came in")[0]
    return Base(champion, before, _as_of(lake, news, pinned, event_weights, max_events), waiting, not news.is_empty)


def learnt_again(lake: Lake, work: Work, version: Version, event_weights: Mapping[str, float], max_events: int) -> Work:
    """The work where a version goes on in place of a damaged one: what came in since its own snapshot is to be learnt again."""
    marks = replace(work.marks, learnt=min(int(version.tags["snapshot"]), work.marks.learnt))
    return replace(work, marks=marks, news=read_news(lake, marks, work.news.snapshot, event_weights, max_events))


def _as_of(lake: Lake, news: News, snapshot: int, event_weights: Mapping[str, float], max_events: int) -> News:
    """The news with the histories of a snapshot in place of those that were published last."""
    with reading(lake) as con:
        con.register("at_hand", news.events.select("user_id").unique())
        histories = con.execute(
            statement("minute/histories_at"),
            {
                "snapshot": snapshot,
                "max_events": max_events,
                "event_types": list(event_weights),
                "weights": list(event_weights.values()),
            },
        ).pl()
    return replace(news, histories=histories)
