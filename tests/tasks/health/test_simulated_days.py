"""Health checks on the events of the simulated shop: quiet days raise no alarm, and a planted break is found within an hour."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.simulation.shop import Shop, ShopConfig, simulate
from tasks.config import HealthConfig
from tasks.health import ALARM, examine
from tasks.lake import Lake, writing

DAYS, LEARNT = 90, 28
"""Days of the simulation, and those before the first check. The rate of events is that of the default shop."""
CONFIG = ShopConfig(n_days=DAYS, events_per_user=63.0)
HALF_PAST = timedelta(minutes=30)
EVENING = CONFIG.end - timedelta(hours=4)
"""20:00 of the last day, when the shop is busy."""


def predicted(events: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """What a model would report that predicts the item after the last one of its leaf, minute by minute."""
    after = dict(zip(truth["item_id"], truth["next_item_id"], strict=True))
    visits = events.filter(pl.col("event_type").is_in(["view", "click"])).sort("user_id", "occurred_at", maintain_order=True)
    expected = pl.col("item_id").replace_strict(after, default=None).shift().over("user_id")
    return (
        visits.with_columns(hit=(pl.col("item_id") == expected).fill_null(value=False).cast(pl.Float64))
        .group_by(minute=pl.col("occurred_at").dt.truncate("1m"))
        .agg(value=pl.col("hit").mean(), n_events=pl.len())
        .with_columns(evaluated_at=pl.col("minute") + timedelta(minutes=1))
        .sort("minute")
    )


def waited(events: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """Users with new events, and lists for them 5 to 65 seconds later."""
    rng = np.random.default_rng(seed)
    last = events.group_by("user_id", pl.col("occurred_at").dt.truncate("1m").alias("minute")).agg(pl.col("occurred_at").max())
    wait = pl.Series(rng.uniform(5e6, 65e6, last.height).astype(np.int64))
    return (
        last.sort("minute", "user_id").with_columns(wait=wait).with_columns(made=pl.col("occurred_at") + pl.duration(microseconds="wait"))
    )


def fill(lake: Lake, events: pl.DataFrame, items: pl.DataFrame, figures: pl.DataFrame, lists: pl.DataFrame) -> None:
    """Put what a shop with an API and minutes would have into the lake: events arrive at once, and each night publishes at 03:10."""
    with writing(lake) as con:
        for name, table in (("events", events), ("items", items), ("figures", figures), ("lists", lists)):
            con.register(name, table.to_arrow())
        con.execute(
            "insert into raw.events by name select event_id, user_id, item_id, event_type, value, query, occurred_at, "
            "occurred_at as received_at from events"
        )
        con.execute(
            "insert into raw.items by name select item_id, title, categories, is_available, '2020-01-01'::timestamp as first_seen_at, "
            "'2020-01-01'::timestamp as updated_at from items"
        )
        con.execute(
            "insert into eval.prequential by name select 'f' as flow_run_id, 'm' as mlflow_run_id, 1 as data_snapshot, 'live' as model, "
            "'all' as segment, 'ndcg_at_10' as metric, value, n_events, minute, evaluated_at from figures"
        )
        con.execute(
            "insert into ops.freshness by name select 'p' as publication_id, user_id, occurred_at as received_at, occurred_at, "
            "made as generated_at from lists"
        )
        nights = pl.DataFrame({"published_at": [CONFIG.start + timedelta(days=day, hours=3, minutes=10) for day in range(DAYS)]}).to_arrow()
        con.register("nights", nights)
        con.execute(
            "insert into recs.publications by name select published_at::varchar as publication_id, 'nightly' as cadence, '1' as "
            "model_version, 'm' as mlflow_run_id, 'f' as flow_run_id, 1 as data_snapshot, 1 as n_users, 1 as n_users_changed, "
            "1 as n_items, published_at from nights"
        )


def alarms(lake: Lake, since: datetime, until: datetime) -> Iterator[tuple[datetime, str, str]]:
    """Every alarm of hourly checks in [since, until)."""
    at = since
    while at < until:
        yield from ((at, check.check, check.found) for check in examine(lake, HealthConfig(), ["search"], at) if check.state == ALARM)
        at += timedelta(hours=1)


def starts(found: list[tuple[datetime, str, str]]) -> list[tuple[datetime, str, str]]:
    """The alarms that were not there an hour before."""
    there = {(at, name) for at, name, _ in found}
    return [(at, name, text) for at, name, text in found if (at - timedelta(hours=1), name) not in there]


@pytest.fixture(scope="module")
def shop() -> Shop:
    return simulate(CONFIG, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12])
def test_sixty_quiet_days_checked_every_hour_raise_at_most_one_false_alarm(lake: Lake, seed: int) -> None:
    quiet = simulate(CONFIG, seed=seed)
    fill(lake, quiet.events, quiet.items, predicted(quiet.events, quiet.truth.items), waited(quiet.events))
    since = CONFIG.end - timedelta(days=60) + HALF_PAST
    found = list(alarms(lake, since, CONFIG.end))
    assert len(starts(found)) <= 1, found


@pytest.mark.slow
def test_a_shop_that_is_closed_on_sundays_and_slow_on_mondays_raises_at_most_one_false_alarm_in_sixty_days(lake: Lake, shop: Shop) -> None:
    weekday, number = pl.col("occurred_at").dt.weekday(), pl.col("user_id").hash(1) % 10
    events = shop.events.filter((weekday != 7) & ((weekday != 1) | (number < 5)))
    fill(lake, events, shop.items, predicted(events, shop.truth.items), waited(events))
    since = CONFIG.end - timedelta(days=60) + HALF_PAST
    found = list(alarms(lake, since, CONFIG.end))
    assert len(starts(found)) <= 1, found


@contextmanager
def broken(shop: Shop, kind: str, since: datetime) -> Iterator[tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]]:
    """Events, figures and lists of the shop with a break from a time on."""
    events, is_late = shop.events, pl.col("occurred_at") >= since
    figures, lists = predicted(events, shop.truth.items), waited(events)
    department = dict(zip(shop.items["item_id"], shop.items["categories"].list.get(0), strict=True))
    only = [item for item, name in department.items() if name == "Books"]
    if kind == "silence":
        events = events.filter(~is_late)
    elif kind == "other ids":
        events = events.with_columns(item_id=pl.when(is_late).then("new-" + pl.col("item_id")).otherwise("item_id"))
    elif kind == "one kind":
        other = pl.col("item_id").hash(3).mod(len(only)).replace_strict(dict(enumerate(only)), default=None)
        events = events.with_columns(item_id=pl.when(is_late & pl.col("item_id").is_not_null()).then(other).otherwise("item_id"))
    elif kind == "robot":
        copies = events.filter(is_late & pl.col("item_id").is_not_null()).head(1)
        many = pl.concat([copies.with_columns(event_id=pl.lit(f"robot{n}")) for n in range(2000)])
        events = pl.concat([events, many])
    elif kind == "slow lists":
        lists = lists.with_columns(made=pl.when(is_late).then(pl.col("occurred_at") + timedelta(minutes=20)).otherwise("made"))
    elif kind == "bad model":
        figures = figures.with_columns(value=pl.when(pl.col("minute") >= since).then(0.0).otherwise("value"))
    yield events, figures, lists


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("silence", "people"),
        ("other ids", "unknown items"),
        ("one kind", "interests"),
        ("robot", "events"),
        ("slow lists", "lag"),
        ("bad model", "quality"),
    ],
)
def test_a_planted_break_is_found_within_an_hour(lake: Lake, shop: Shop, kind: str, check: str) -> None:
    with broken(shop, kind, EVENING) as (events, figures, lists):
        fill(lake, events, shop.items, figures, lists)
    before = [name for _, name, _ in alarms(lake, EVENING - timedelta(hours=2), EVENING)]
    after = [name for _, name, _ in alarms(lake, EVENING + timedelta(hours=1), EVENING + timedelta(hours=2))]
    assert (check in before, check in after) == (False, True)
