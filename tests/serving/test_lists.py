"""The lists of the API are those of the tables, and obey what a request asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serving.live import Asked, Live
from serving.rules import accept
from tasks.config import IngestConfig
from tasks.ingest.ingestion import ingest
from tasks.ingest.sources import ColumnMapping
from tests.lakes import START, put
from tests.serving.shop import PUBLISH, Shop, open_shop

SAME = 1e-4
LATER = 500.0
"""Hours after the start of the shop, when all its habits are past."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return open_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def live(shop: Shop) -> Iterator[Live]:
    started = shop.start("log-of-night")
    yield started
    started.segments.close()


def at(hours: float) -> int:
    """Unix seconds."""
    return int((START + timedelta(hours=hours)).replace(tzinfo=UTC).timestamp())


def event(user_id: str, item_id: str | None, hours: float, event_type: str = "view", **more: Any) -> Mapping[str, Any]:
    moment = (START + timedelta(hours=hours)).isoformat()
    return {"user_id": user_id, "item_id": item_id, "event_type": event_type, "occurred_at": moment, **more}


def post(live: Live, *events: Mapping[str, Any]) -> None:
    live.accept([accept(dict(each), datetime.now(UTC), IngestConfig()) for each in events])


def demand_alike(found: Sequence[Mapping[str, Any]], published: Sequence[tuple[str, float, float, str, str]]) -> None:
    """The same items, order, reasons and sources where neighbouring scores differ by more than SAME; the same scores everywhere.

    published: item, score, probability, reason and source by rank.
    """
    assert len(found) == len(published)
    scores = [score for _, score, *_ in published]
    for n, (mine, (item, score, probability, reason, source)) in enumerate(zip(found, published, strict=True)):
        assert mine["score"] == pytest.approx(score, abs=SAME)
        assert mine["probability"] == pytest.approx(probability, abs=SAME)
        if all(abs(score - other) > SAME for other in scores[max(n - 1, 0) : n] + scores[n + 1 : n + 2]):
            assert (mine["item_id"], mine["reason"], mine["source"]) == (item, reason, source)


def demand_the_lists_of_the_table(shop: Shop, live: Live, asked_s: int, k: int = PUBLISH.n_recommendations) -> set[str]:
    """All lists of the newest publication are those of the API; returns the reasons without what they cite."""
    columns = "item_id, score, probability, reason, source"
    users = [user for (user,) in shop.rows("select distinct user_id from recs.recommendations where user_id <> '*' order by 1")]
    assert len(users) >= 40
    said = set()
    lists = live.recommend_all([Asked(user, k=k, now=asked_s) for user in users])
    for user, listed in zip(users, lists, strict=True):
        rows = shop.rows(f"select {columns} from recs.recommendations where user_id = '{user}' and rank <= {k} order by rank")
        demand_alike(listed.items, rows)  # type: ignore[arg-type]
        demand_alike(live.recommend(Asked(user, k=k, now=asked_s)), rows)  # type: ignore[arg-type]
        said |= {" ".join(reason.split()[:3]) for *_, reason, _ in rows}
    return said


def test_the_lists_of_a_minute_and_of_the_api_are_the_same_also_before_the_minute_knows_the_newest_events(tmp_path: Path) -> None:
    shop = open_shop(tmp_path)
    put(shop.lake, [("u00", "i05", LATER), ("u00", "i09", LATER + 1), ("stranger", "i05", LATER)], event_type="click")
    asked_s = shop.minute()
    live = shop.start()
    said = demand_the_lists_of_the_table(shop, live, asked_s)
    said |= demand_the_lists_of_the_table(shop, live, asked_s, k=3)
    assert {"because you viewed", "because of your"} <= said
    anyone = shop.rows("select item_id, score, probability, reason, source from recs.recommendations where user_id = '*' order by rank")
    demand_alike(live.recommend(Asked("nobody", k=PUBLISH.n_recommendations)), anyone)  # type: ignore[arg-type]

    soon = LATER + 1 + 1 / 3600
    news = [
        event("u01", "i11", soon, "purchase"),
        event("u01", "i12", soon + 0.001),
        event("newcomer", "i20", soon),
        event("u02", None, soon, "search", query="green tent"),
        event("only-words", None, soon, "search", query="red tent"),
        event("u03", "i13", soon, "search-less"),
        event("stranger", "i05", soon + 0.002, "cart"),
    ]
    post(live, *news)
    asked_s = at(soon) + 90
    before = {user: live.recommend(Asked(user, k=12, now=asked_s)) for user in ("u01", "newcomer", "u02", "only-words", "u03", "stranger")}
    live.segments.close()
    ingest(
        shop.lake,
        "events",
        [str(path) for path in sorted((shop.home / "landing" / "events" / "api").glob("*.jsonl"))],
        ColumnMapping(),
        IngestConfig(),
    )
    published_s = shop.minute(learns=False)
    again = {user: live.recommend(Asked(user, k=12, now=published_s)) for user in before}
    for user, found in again.items():
        rows = shop.rows(
            f"select item_id, score, probability, reason, source from recs.recommendations where user_id = '{user}' order by rank"
        )
        demand_alike(found, rows)  # type: ignore[arg-type]
    assert any(row["reason"].startswith("because you searched for") for row in again["only-words"])
    assert live.refresh()
    assert not live.pending
    demand_the_lists_of_the_table(shop, live, published_s)
