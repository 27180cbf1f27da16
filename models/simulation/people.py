"""People who react: they come to the simulated shop, look at a list, click by their true interests, buy, and leave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from models.simulation.shop import Floats, Ints, Mask, Truth


class PeopleConfig(BaseModel):
    """How people look at a list."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    n_shown: PositiveInt = Field(10, description="Positions that a page shows; each is an impression")
    goes_on: float = Field(0.85, ge=0, le=1, description="Chance to examine the next position, for those who have bought nothing")
    buys: float = Field(0.15, ge=0, le=1, description="Chance that a click becomes a purchase, which ends the look")
    clicks: float = Field(0.35, ge=0, le=1, description="Chance to click an item that a person wants most, once it is examined")
    curiosity: float = Field(0.01, ge=0, le=1, description="Chance to click an item of no interest, once it is examined")
    same_leaf: float = Field(0.6, ge=0, le=1, description="How much an item of the leaf that a visit is in is wanted; the item after it: 1")
    elsewhere: float = Field(0.5, ge=0, le=1, description="How much an item of the strongest interest is wanted, outside of a visit's leaf")


@dataclass(frozen=True)
class Crowd:
    """The truth at one time, as arrays. interest: [users, leaves], 1 for the strongest one of each user.

    leaf, next_item, appeal, price, is_on_sale: [items]; next_item: the row of the most frequent next item in browsing; appeal: a factor.
    """

    user_ids: list[str]
    item_ids: list[str]
    interest: Floats
    leaf: Ints
    next_item: Ints
    appeal: Floats
    price: Floats
    is_on_sale: Mask

    def users(self, names: pl.Series) -> Ints:
        """Rows of users; -1 for names that nobody in the shop has."""
        return _rows(names, self.user_ids)

    def items(self, names: pl.Series) -> Ints:
        """Rows of items; -1 for items that the shop does not have."""
        return _rows(names, self.item_ids)


@dataclass(frozen=True)
class Looks:
    """What people did with each position of their lists, [looks, positions]. Only clicks and purchases can be observed by a shop."""

    examined: Mask
    clicked: Mask
    bought: Mask


def crowd_at(items: pl.DataFrame, truth: Truth, at: datetime) -> Crowd:
    """The people and items of a shop at a time, UTC; the interests at the end of the truth hold from then on. items: `Shop.items`."""
    moment = pl.min_horizontal(pl.lit(at), pl.col("until").max() - timedelta(microseconds=1))
    now = truth.interests.filter((pl.col("since") <= moment) & (moment < pl.col("until")))
    users, leaves = truth.interests["user_id"].unique().sort().to_list(), truth.items["leaf"].unique().sort().to_list()
    interest = np.zeros((len(users), len(leaves)))
    np.add.at(interest, (_rows(now["user_id"], users), _rows(now["leaf"], leaves)), now["probability"].to_numpy())
    names = items["item_id"].to_list()
    known = items.select("item_id", "price", "is_available", "first_seen_at").join(truth.items, on="item_id", maintain_order="left")
    return Crowd(
        users,
        names,
        interest / np.maximum(interest.max(1, keepdims=True), 1e-9),
        _rows(known["leaf"], leaves),
        _rows(known["next_item_id"], names),
        known["appeal"].to_numpy(),
        known["price"].to_numpy(),
        (known["is_available"] & (known["first_seen_at"] <= at)).to_numpy(),
    )


def published(crowd: Crowd, lists: pl.DataFrame, user: Ints, n_shown: int, everyone: bool = False) -> Ints:
    """The first items of the lists of users, as rows [users, positions]; -1 where a list is shorter, or has items that are not the shop's.

    lists: user_id, rank from 1, item_id. everyone: all users are shown the list of user `*`, the one for people nobody knows.
    """
    shown = np.full((len(crowd.user_ids), n_shown), -1)
    top = lists.filter(pl.col("rank") <= n_shown)
    if everyone:
        top = top.filter(user_id="*")
        shown[:, top["rank"].to_numpy() - 1] = crowd.items(top["item_id"])
    else:
        owner = crowd.users(top["user_id"])
        known = owner >= 0
        shown[owner[known], top["rank"].to_numpy()[known] - 1] = crowd.items(top["item_id"])[known]
    rows: Ints = shown[user]
    return rows


def walk(crowd: Crowd, user: Ints, n_steps: int, follow: float, rng: np.random.Generator) -> Ints:
    """Rows of the items that each visit views, [visits, steps]: it starts in an interest of its user, and goes on as the shop's walks.

    A step goes on to the next item of the leaf (chance: follow), stays in the leaf (a fifth of the rest) or turns to another interest.
    """
    seen = np.empty((len(user), n_steps), np.int64)
    chance = crowd.interest[user] / crowd.interest[user].sum(1, keepdims=True)
    for step in range(n_steps):
        wanted = _draw(chance, rng)
        if step == 0:
            seen[:, step] = _pick(crowd, wanted, rng)
            continue
        before = seen[:, step - 1]
        draw = rng.random(len(user))
        stays = draw < follow + (1 - follow) * 0.4
        following = crowd.next_item[before]
        goes_on = (draw < follow) & crowd.is_on_sale[following]
        seen[:, step] = np.where(goes_on, following, _pick(crowd, np.where(stays, crowd.leaf[before], wanted), rng))
    return seen


def wish(crowd: Crowd, config: PeopleConfig, user: Ints, shown: Ints, viewed: Ints | None = None) -> Floats:
    """Chance that each item is clicked once it is examined, [looks, positions].

    user: [looks]. shown: rows of items, [looks, positions]; -1 where a list is shorter, which nobody clicks.
    viewed: rows of the items that the visit has viewed, [looks, steps], newest last; nobody clicks them again. None: people who just came.
    """
    leaf = crowd.leaf[shown]
    wanted = config.elsewhere * np.take_along_axis(crowd.interest[user], leaf, 1)
    is_known = np.zeros(shown.shape, bool)
    if viewed is not None:
        newest = viewed[:, -1:]
        wanted = np.maximum(wanted, config.same_leaf * (leaf == crowd.leaf[newest]))
        wanted = np.where(shown == crowd.next_item[newest], 1.0, wanted)
        is_known = (shown[:, :, None] == viewed[:, None, :]).any(2)
    chance = np.minimum(config.curiosity + config.clicks * wanted * crowd.appeal[shown], 1.0)
    return np.where((shown < 0) | is_known | ~crowd.is_on_sale[shown], 0.0, chance)


def look(chance: Floats, config: PeopleConfig, rng: np.random.Generator) -> Looks:
    """People go through their lists from the top, click and buy. chance: what `wish` returns.

    The model is the dynamic Bayesian network of Chapelle and Zhang ("A dynamic Bayesian network click model for web search ranking",
    WWW 2009), with a purchase in the place of satisfaction. An item is clicked if it is examined and attracts. The next position is
    examined if this one was, nothing was bought here, and the person goes on (their gamma: P(E_r+1 = 1 | E_r = 1, S_r = 0)).
    """
    clicks, buys, goes_on = (rng.random(chance.shape) < limit for limit in (chance, config.buys, config.goes_on))
    ends = (clicks & buys) | ~goes_on
    examined = np.ones(chance.shape, bool)
    examined[:, 1:] = ~np.logical_or.accumulate(ends, 1)[:, :-1]
    clicked = examined & clicks
    return Looks(examined, clicked, clicked & buys)


def click_probability(chance: Floats, config: PeopleConfig) -> Floats:
    """Probability of a click on each position, [looks, positions]: the mean of `look` over all draws."""
    goes_on = config.goes_on * (1 - config.buys * chance)
    examined = np.ones_like(chance)
    examined[:, 1:] = np.cumprod(goes_on, 1)[:, :-1]
    clicks: Floats = examined * chance
    return clicks


def views(crowd: Crowd, user: Ints, seen: Ints, first: datetime, step_s: float, name: str) -> pl.DataFrame:
    """The views of walks as events in the format of an ingest. first: time of the first step; name: begins the event ids."""
    visit, step = (index.ravel() for index in np.indices(seen.shape))
    return _events(
        {
            "user": user[visit],
            "item": seen.ravel(),
            "event_type": np.full(seen.size, "view"),
            "seconds": step * step_s,
            "position": np.full(seen.size, -1),
            "look": np.full(seen.size, -1),
        },
        crowd,
        first,
        name,
        None,
    )


def reactions(
    crowd: Crowd, user: Ints, shown: Ints, looks: Looks, at: datetime, name: str, recommendation_ids: list[str] | None = None
) -> pl.DataFrame:
    """Impressions, clicks and purchases as events in the format of an ingest, in order of time.

    Each position is an impression: a shop sees what was shown, not what was examined. A click comes two seconds after the one before it at
    the earliest, a purchase ten seconds after its click. recommendation_ids: of each look; none for lists that were not asked from the API.
    """
    parts = []
    kinds = (("impression", shown >= 0, 0.0, 0.0), ("click", looks.clicked, 1.0, 2.0), ("purchase", looks.bought, 11.0, 2.0))
    for kind, happened, first_s, step_s in kinds:
        look_row, place = np.nonzero(happened)
        parts.append((look_row, place, np.full(len(place), kind), first_s + step_s * place))
    look_row, place, kind_name, seconds = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    columns = {
        "user": user[look_row],
        "item": shown[look_row, place],
        "event_type": kind_name,
        "seconds": seconds,
        "position": place + 1,
        "look": look_row,
    }
    return _events(columns, crowd, at, name, recommendation_ids)


def _events(
    columns: dict[str, NDArray[np.generic]], crowd: Crowd, first: datetime, name: str, recommendation_ids: list[str] | None
) -> pl.DataFrame:
    """Rows of arrays as events. columns: user, item, event_type, seconds since first, position (-1: none) and look."""
    rows = pl.DataFrame(columns).sort("seconds", "look", "user", "position", maintain_order=True)
    lists = pl.Series(recommendation_ids or [], dtype=pl.String)
    answered = lists.gather(rows["look"]) if recommendation_ids else pl.repeat(None, rows.height, dtype=pl.String, eager=True)
    return rows.select(
        pl.format("{}-{}", pl.lit(name), pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(7)).alias("event_id"),
        pl.Series("user_id", crowd.user_ids, dtype=pl.String).gather(rows["user"]),
        pl.Series("item_id", crowd.item_ids, dtype=pl.String).gather(rows["item"]),
        "event_type",
        pl.when(pl.col("event_type") == "purchase").then(pl.Series(crowd.price).gather(rows["item"])).alias("value"),
        (pl.lit(first).cast(pl.Datetime("us")) + pl.duration(milliseconds=(pl.col("seconds") * 1000).cast(pl.Int64))).alias("occurred_at"),
        answered.alias("recommendation_id"),
        pl.when(pl.col("position") > 0).then("position").cast(pl.Int32).alias("position"),
    )


def _rows(names: pl.Series, known: list[str]) -> Ints:
    rows: Ints = names.replace_strict(known, range(len(known)), default=-1, return_dtype=pl.Int64).to_numpy()
    return rows


def _draw(chance: Floats, rng: np.random.Generator) -> Ints:
    """A column for each row, by its chances."""
    edges = np.cumsum(chance, 1)
    columns: Ints = np.minimum((edges < rng.random((len(chance), 1)) * edges[:, -1:]).sum(1), chance.shape[1] - 1)
    return columns


def _pick(crowd: Crowd, leaf: Ints, rng: np.random.Generator) -> Ints:
    """A random item on sale in each leaf, weighted by appeal."""
    weight = np.where(crowd.is_on_sale, crowd.appeal, 0.0)
    order = np.argsort(crowd.leaf, kind="stable")
    edges = np.concatenate([[0.0], np.cumsum(weight[order])])
    n_leaves = crowd.interest.shape[1]
    begins, ends = (edges[np.searchsorted(crowd.leaf[order], np.arange(n_leaves), side)] for side in ("left", "right"))
    drawn = begins[leaf] + rng.random(len(leaf)) * (ends - begins)[leaf]
    picked: Ints = order[np.minimum(np.searchsorted(edges, drawn, side="right") - 1, len(order) - 1)]
    return picked
