"""A simulated shop with known truth: drifting interests, directed browsing, launches, trends, searches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from models.simulation.shop_catalog import COLOURS, FIRST_NAMES, Leaf, leaves

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
DAY = 86_400.0
SERIES = 4  # number of items of one make and size, one per noun of the leaf
LONG_SLOTS = 4
SLOT_SHARES = np.array([0.28, 0.16, 0.08, 0.04, 0.30, 0.14])  # four long interests, then two short ones
DEVICES = ("phone", "laptop", "tablet")


class ShopConfig(BaseModel):
    """Size of the shop, and how fast the interests of its users change."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    n_users: PositiveInt = Field(1000, description="Users who ever come")
    n_items: PositiveInt = Field(1200, description="Items ever launched")
    n_days: PositiveInt = Field(60, description="Days simulated, the last one up to the end")
    end: datetime = Field(datetime(2026, 11, 1), description="End of time, UTC; nothing happens from then on")
    events_per_user: PositiveFloat = Field(42.0, description="Mean number of events of a user; a few have many more")
    drift_days: PositiveFloat = Field(12.0, description="How long a short interest lasts")
    long_change: float = Field(0.2, ge=0, le=1, description="Chance that a long interest is replaced when the short ones change")
    follow: float = Field(0.5, ge=0, le=1, description="Chance that the next item is the one after this in its leaf")

    @property
    def start(self) -> datetime:
        """The midnight at which the first day begins."""
        midnight = self.end.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=self.n_days - (midnight < self.end))

    @property
    def n_seconds(self) -> float:
        """Seconds from the start to the end."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True)
class Truth:
    """The ground truth, which models do not see.

    interests: user_id, since, until, horizon (long or short), leaf, probability: the chance that a session starts in
    the leaf during [since, until); the probabilities of one user and window add up to 1.
    items: item_id, leaf, next_item_id: the most frequent next item in browsing; appeal: how much more often it is chosen than an average
    item of its leaf, as a factor.
    """

    interests: pl.DataFrame
    items: pl.DataFrame


@dataclass(frozen=True)
class Shop:
    """Tables in the format of `minutehand ingest`, and the truth behind them."""

    items: pl.DataFrame
    events: pl.DataFrame
    truth: Truth


@dataclass(frozen=True)
class _Stock:
    """Items, grouped by leaf in the order of browsing; times in seconds since the start."""

    leaves: list[Leaf]
    leaf: Ints
    first: Ints  # [leaves] row of the first item
    size: Ints  # [leaves]
    appeal: Floats  # log weight
    launched: Floats
    gone: Floats


@dataclass(frozen=True)
class _People:
    """Users and their interests: slot_leaf [users, periods, slots], periods shifted by each user's phase."""

    name: list[str]
    arrival_day: Ints
    rate: Floats  # sessions a day
    phase: Floats
    slot_leaf: Ints


@dataclass(frozen=True)
class _Trends:
    """Trends of a few days: a popular leaf, and one popular item in it."""

    leaf: Ints
    item: Ints
    since: Floats
    until: Floats


def simulate(config: ShopConfig, seed: int) -> Shop:
    """Simulate a shop. The same config and seed give the same shop, row by row."""
    stock_rng, words_rng, people_rng, trend_rng, walk_rng = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(5))
    stock = _stock(config, stock_rng)
    items = _items(config, stock, words_rng)
    people = _people(config, len(stock.leaves), people_rng)
    trends = _trends(config, stock, trend_rng)
    events = _events(config, stock, people, trends, items, seed, walk_rng)
    return Shop(items, events, Truth(_interests(config, stock, people), _successors(stock, items)))


def _stock(config: ShopConfig, rng: np.random.Generator) -> _Stock:
    """Items distributed over the leaves; no leaf is empty, and sizes vary."""
    known = leaves()
    n_leaves = max(min(len(known), config.n_items // SERIES), 1)
    chosen = [known[row * len(known) // n_leaves] for row in range(n_leaves)]
    base = min(config.n_items // n_leaves, SERIES)
    share = rng.lognormal(0, 0.4, n_leaves)
    size = base + rng.multinomial(config.n_items - base * n_leaves, share / share.sum())
    first = np.cumsum(size) - size
    span = config.n_days * DAY
    draw = rng.random(config.n_items)
    launched = np.where(draw < 0.72, -rng.uniform(DAY, 400 * DAY, config.n_items), rng.uniform(0, span, config.n_items))
    launched = np.where(draw > 0.95, span - rng.uniform(0.02, min(3, config.n_days), config.n_items) * DAY, launched)
    gone = np.where((rng.random(config.n_items) < 0.025) & (launched < 0), rng.uniform(0.7, 1, config.n_items) * span, np.inf)
    launched[first], gone[first] = -400 * DAY, np.inf  # no leaf is ever empty
    return _Stock(chosen, np.repeat(np.arange(n_leaves), size), first, size, rng.normal(0, 0.4, config.n_items), launched, gone)


def _items(config: ShopConfig, stock: _Stock, rng: np.random.Generator) -> pl.DataFrame:
    """The catalogue: each leaf has series of items, one item per noun for a make and a size."""
    rows = []
    for row, leaf_number in enumerate(stock.leaf):
        leaf, position = stock.leaves[leaf_number], int(row - stock.first[leaf_number])
        rows.append(
            _describe(leaf, position, rng)
            | {
                "price": round(float(leaf.price * rng.lognormal(0, 0.35)), 2),
                "is_available": bool(np.isinf(stock.gone[row])),
                "first_seen_at": min(config.start + timedelta(seconds=round(stock.launched[row])), config.end),
            }
        )
    return pl.DataFrame(rows, schema_overrides={"first_seen_at": pl.Datetime("us")})


def _describe(leaf: Leaf, position: int, rng: np.random.Generator) -> dict[str, object]:
    """The texts of one item. Makes and sizes advance together; as their counts are coprime, every pair occurs once."""
    series, noun = position // SERIES, leaf.nouns[position % SERIES]
    make, size = leaf.makes[series % len(leaf.makes)], leaf.sizes[(series + len(leaf.name)) % len(leaf.sizes)]
    variant = series // (len(leaf.makes) * len(leaf.sizes))
    is_book = leaf.department == "Books"
    title = f"{make} {noun}, {size}"
    if variant:
        title += f", edition {variant + 1}" if is_book or variant > len(COLOURS) else f", {COLOURS[variant - 1]}"
    uses = [leaf.uses[pick] for pick in rng.permutation(len(leaf.uses))[:3]]
    colour = COLOURS[int(rng.integers(len(COLOURS)))]
    if is_book:
        description = f"For readers of {leaf.name.lower()}: {uses[0]}, {uses[1]} and {uses[2]}. A {colour} cover, {size}."
    else:
        description = f"Made for {uses[0]} and {uses[1]}, from our {leaf.name.lower()} range. In {colour}; good for {uses[2]} too."
    return {
        "item_id": f"{leaf.slug}-{position + 1:03d}",
        "title": title[0].upper() + title[1:],
        "description": description,
        "categories": [leaf.department, leaf.category, leaf.name],
        "tags": [size, colour] if is_book else [make, colour],
    }


def _people(config: ShopConfig, n_leaves: int, rng: np.random.Generator) -> _People:
    """Users with heavy-tailed activity, whose interests change by period; new users arrive until the end."""
    n, n_periods = config.n_users, int(np.ceil(config.n_days / config.drift_days)) + 1
    arrival = np.where(rng.random(n) < 0.6, 0, rng.integers(0, config.n_days, n))
    activity = rng.lognormal(0, 0.9, n)
    arrival[:3], activity[:3] = 0, np.maximum(activity[:3], 1.5)  # three regulars for demonstrations
    events_per_session = 6.1
    wanted = n * config.events_per_user / events_per_session
    rate = np.minimum(activity * wanted / (activity * (config.n_days - arrival)).sum(), 4.0)
    slots = np.empty((n, n_periods, len(SLOT_SHARES)), dtype=np.int64)
    home = rng.integers(0, n_leaves, n)
    for period in range(n_periods):
        near = (home[:, None] + rng.integers(-8, 9, slots[:, 0].shape)) % n_leaves
        fresh = np.where(rng.random(near.shape) < 0.6, near, rng.integers(0, n_leaves, near.shape))
        if period:
            before = slots[:, period - 1]
            keeps_long = rng.random((n, LONG_SLOTS)) >= config.long_change
            fresh[:, :LONG_SLOTS] = np.where(keeps_long, before[:, :LONG_SLOTS], fresh[:, :LONG_SLOTS])
            goes_on = rng.random(n) < 0.5  # a short interest may lead to the neighbouring leaf
            fresh[:, LONG_SLOTS] = np.where(goes_on, (before[:, LONG_SLOTS] + 1) % n_leaves, fresh[:, LONG_SLOTS])
        slots[:, period] = fresh
    names = [f"{FIRST_NAMES[user % len(FIRST_NAMES)]}-{user + 1:04d}" for user in range(n)]
    return _People(names, arrival, rate, rng.uniform(0, config.drift_days * DAY, n), slots)


def _trends(config: ShopConfig, stock: _Stock, rng: np.random.Generator) -> _Trends:
    n = max(config.n_days // 4, 1)
    leaf = rng.integers(0, len(stock.leaves), n)
    since = rng.uniform(0, config.n_days * DAY, n)
    return _Trends(leaf, stock.first[leaf] + rng.integers(0, stock.size[leaf]), since, since + rng.uniform(2, 4, n) * DAY)


def _events(
    config: ShopConfig, stock: _Stock, people: _People, trends: _Trends, items: pl.DataFrame, seed: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Events of all sessions, simulated together step by step; each session is a walk that keeps its leaf and last item."""
    user, now = _session_starts(config, people, rng)
    n_steps = np.minimum(rng.geometric(0.21, len(user)), 25)
    device = rng.choice(len(DEVICES), size=config.n_users, p=[0.55, 0.35, 0.10])
    leaf, item, bought = np.zeros(len(user), np.int64), np.zeros(len(user), np.int64), np.zeros(len(user), bool)
    parts: list[pl.DataFrame] = []

    def emit(kind: str, session: Ints, time: Floats, thing: Ints | None = None, words: Ints | None = None) -> None:
        columns = {"session": session, "seconds": time, "item": thing, "words": words}
        parts.append(pl.DataFrame(columns, schema=_RAW_EVENT).with_columns(event_type=pl.lit(kind)))

    for step in range(int(n_steps.max(initial=0))):
        at = np.flatnonzero(n_steps > step)
        time = now[at]
        follows, leaf[at] = _next_leaf(config, stock, people, trends, user[at], time, leaf[at], bought[at], step, rng)
        successor = _successor(stock, item[at])
        follows &= _on_sale(stock, successor, time)
        item[at] = np.where(follows, successor, _pick(stock, trends, leaf[at], time, rng))
        searches = ~follows & (rng.random(len(at)) < 0.3)
        emit("search", at[searches], time[searches] - rng.uniform(4, 20, int(searches.sum())), words=leaf[at][searches])
        emit("view", at[~searches], time[~searches], item[at][~searches])
        emit("click", at[searches], time[searches], item[at][searches])
        carts = rng.random(len(at)) < 0.10
        emit("cart", at[carts], time[carts] + rng.uniform(5, 20, int(carts.sum())), item[at][carts])
        bought[at] = carts & (rng.random(len(at)) < 0.45)
        emit("purchase", at[bought[at]], time[bought[at]] + rng.uniform(21, 40, int(bought[at].sum())), item[at][bought[at]])
        now[at] += 45 + rng.lognormal(3.6, 0.8, len(at))
    walked = pl.concat(parts).filter(pl.col("seconds").is_between(0, config.n_seconds, closed="left"))
    return _as_events(config, stock, people, walked, items, user, device, seed, rng)


_RAW_EVENT = {"session": pl.Int64, "seconds": pl.Float64, "item": pl.Int64, "words": pl.Int64}


def _session_starts(config: ShopConfig, people: _People, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """(user, seconds since the start) of every session; most start in the evening, some at noon."""
    days_here = config.n_days - people.arrival_day
    user = np.repeat(np.arange(config.n_users), np.maximum(rng.poisson(people.rate * days_here), 1))
    day = people.arrival_day[user] + np.floor(rng.random(len(user)) * days_here[user])
    rhythm = rng.choice(3, size=len(user), p=[0.25, 0.5, 0.25])
    evening, noon, any_time = rng.normal(20.2, 1.5, len(user)), rng.normal(12.6, 0.9, len(user)), rng.uniform(7, 23, len(user))
    hour = np.choose(rhythm, [noon, evening, any_time])
    return user, day * DAY + np.clip(hour, 0.1, 23.4) * 3600


def _next_leaf(
    config: ShopConfig,
    stock: _Stock,
    people: _People,
    trends: _Trends,
    user: Ints,
    time: Floats,
    leaf: Ints,
    bought: Mask,
    step: int,
    rng: np.random.Generator,
) -> tuple[Mask, Ints]:
    """(whether the walk continues to the next item, its new leaf).

    A session starts in a leaf of the user's interests or of a trend; after a purchase it often moves to the neighbouring leaf.
    """
    period = np.floor((time + people.phase[user]) / (config.drift_days * DAY)).astype(np.int64)
    period = np.minimum(period, people.slot_leaf.shape[1] - 1)  # a session may outlast the last day
    slot = rng.choice(len(SLOT_SHARES), size=len(user), p=SLOT_SHARES)
    wanted = people.slot_leaf[user, period, slot]
    draw = rng.random(len(user))
    if step == 0:
        running = (trends.since <= time[:, None]) & (time[:, None] < trends.until)
        trendy = np.argmax(running * rng.random(running.shape), axis=1)
        return np.zeros(len(user), bool), np.where(running.any(1) & (draw < 0.08), trends.leaf[trendy], wanted)
    follows = (draw < config.follow) & ~bought
    stays = draw < config.follow + (1 - config.follow) * 0.4
    moves_on = np.where(bought, draw < 0.7, rng.random(len(user)) < 0.2)
    elsewhere = np.where(moves_on, (leaf + 1) % len(stock.leaves), wanted)
    return follows, np.where(follows | (stays & ~bought), leaf, elsewhere)


def _successor(stock: _Stock, item: Ints) -> Ints:
    """The next item in the leaf of each item; the first follows the last."""
    leaf = stock.leaf[item]
    return stock.first[leaf] + (item - stock.first[leaf] + 1) % stock.size[leaf]


def _on_sale(stock: _Stock, item: Ints, time: Floats) -> Mask:
    return (stock.launched[item] <= time) & (time < stock.gone[item])


def _pick(stock: _Stock, trends: _Trends, leaf: Ints, time: Floats, rng: np.random.Generator) -> Ints:
    """A random item on sale in each leaf, weighted by appeal; recent launches and trending items weigh more."""
    column = np.arange(int(stock.size.max()))
    item = np.minimum(stock.first[leaf][:, None] + column, len(stock.leaf) - 1)
    age_days = np.maximum(time[:, None] - stock.launched[item], 0) / DAY
    weight = stock.appeal[item] + 1.0 * np.exp(-age_days / 4)
    for number in range(len(trends.leaf)):
        during = (trends.since[number] <= time) & (time < trends.until[number])
        weight += np.where(during[:, None] & (item == trends.item[number]), 1.8, 0)
    weight[(column >= stock.size[leaf][:, None]) | ~_on_sale(stock, item, time[:, None])] = -np.inf
    return item[np.arange(len(leaf)), np.argmax(weight + rng.gumbel(size=weight.shape), axis=1)]


def _as_events(
    config: ShopConfig,
    stock: _Stock,
    people: _People,
    walked: pl.DataFrame,
    items: pl.DataFrame,
    user: Ints,
    device: Ints,
    seed: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """The walks as a table of events in order of time."""
    words = [word for leaf in stock.leaves for word in (leaf.name.lower(), *leaf.nouns, *leaf.uses)]
    per_leaf = len(words) // len(stock.leaves)
    owner = user[walked["session"].to_numpy()]
    query = walked["words"] * per_leaf + pl.Series(rng.integers(0, per_leaf, walked.height))
    when = pl.lit(config.start).cast(pl.Datetime("us")) + pl.duration(microseconds=(pl.col("seconds") * 1e6).round().cast(pl.Int64))
    number = pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(7)
    return (
        walked.with_columns(
            user_id=pl.Series(people.name).gather(owner),
            item_id=items["item_id"].gather(walked["item"]),
            price=items["price"].gather(walked["item"]),
            query=pl.Series(words).gather(query),
            device=pl.Series(DEVICES).gather(device[owner]),
            occurred_at=when.dt.truncate("1s"),
        )
        .sort("seconds", "session", "event_type")
        .select(
            pl.format("shop{}-{}-{}", pl.lit(seed), pl.lit(f"{config.end:%Y%m%dT%H%M%S}"), number).alias("event_id"),
            "user_id",
            "item_id",
            "event_type",
            pl.when(pl.col("event_type") == "purchase").then("price").alias("value"),
            "query",
            "occurred_at",
            pl.struct("session", "device").struct.json_encode().alias("context"),
        )
    )


def _interests(config: ShopConfig, stock: _Stock, people: _People) -> pl.DataFrame:
    """Truth.interests: the probabilities of slots with the same leaf are added."""
    user, period, slot = (index.ravel() for index in np.indices(people.slot_leaf.shape))
    since = np.maximum(period * config.drift_days * DAY - people.phase[user], 0)
    until = np.minimum((period + 1) * config.drift_days * DAY - people.phase[user], config.n_days * DAY)
    names = pl.Series([leaf.name for leaf in stock.leaves])
    return (
        pl.DataFrame(
            {
                "user_id": pl.Series(people.name).gather(user),
                "since": since,
                "until": until,
                "horizon": np.where(slot < LONG_SLOTS, "long", "short"),
                "leaf": names.gather(people.slot_leaf.ravel()),
                "probability": SLOT_SHARES[slot],
            }
        )
        .filter(pl.col("until") > pl.col("since"))
        .group_by("user_id", "since", "until", "horizon", "leaf", maintain_order=True)
        .agg(pl.col("probability").sum())
        .with_columns(
            (pl.lit(config.start).cast(pl.Datetime("us")) + pl.duration(seconds=pl.col(name).round().cast(pl.Int64))).alias(name)
            for name in ("since", "until")
        )
        .sort("user_id", "since", "horizon", "probability", "leaf", descending=[False, False, False, True, False])
    )


def _successors(stock: _Stock, items: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": items["item_id"],
            "leaf": items["categories"].list.get(-1),
            "next_item_id": items["item_id"].gather(_successor(stock, np.arange(items.height))),
            "appeal": np.exp(stock.appeal),
        }
    )
