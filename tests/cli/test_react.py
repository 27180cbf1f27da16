"""`minutehand simulate --react`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from cli import app
from models.results import Neighbours, RankedLists
from settings import load
from tasks.lake import locate, newest_snapshot, reading
from tasks.online.outcomes import count_outcomes
from tasks.publish.night import publish_night
from tasks.publish.publication import Content, Provenance

SHOP = ["simulate", "--users", "12", "--items", "40", "--days", "6"]
REACT = ["simulate", "--react"]


def minutehand(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, f"{result.output}{result.exception}"
    return result.output


def refusal(*words: str) -> str:
    return str(CliRunner().invoke(app, list(words)).exception)


def test_before_there_are_lists_it_says_what_to_do_next(home: Path) -> None:
    assert f"no simulated shop in {home / 'shop'}" in refusal(*REACT)
    minutehand(*SHOP)
    assert "leave out --users" in refusal(*REACT, "--users", "5")
    minutehand("ingest", "events", str(home / "shop" / "events.parquet"))
    assert "nothing has been published yet" in refusal(*REACT)


@pytest.mark.slow
def test_people_react_to_their_published_lists_and_the_file_is_taken_in_with_positions(home: Path) -> None:
    minutehand(*SHOP)
    shop = home / "shop"
    minutehand("ingest", "events", str(shop / "events.parquet"))
    lake, items = locate(load().lake, home), pl.read_parquet(shop / "items.parquet")["item_id"].to_list()
    users = tuple(pl.read_parquet(shop / "events.parquet")["user_id"].unique().sort())[:5]
    item = np.array([np.random.default_rng(row).permutation(len(items))[:10] for row in range(6)])
    figures = np.ones(item.shape, np.float32)
    lists, anyone = (
        RankedLists(names, item[part], figures[part], figures[part], np.full_like(item[part], -1))
        for names, part in ((users, slice(5)), (("*",), slice(5, 6)))
    )
    made = Provenance("1", "m", "f", newest_snapshot(lake), datetime.now(UTC).replace(tzinfo=None))
    near = Neighbours(np.full((40, 1), -1), np.zeros((40, 1), np.float32))
    publish_night(lake, Content(tuple(items), lists, anyone, near, 10, made), load().ingest.event_weights)

    (written,) = json.loads(minutehand(*REACT, "--seed", "3", "--json"))
    assert written["file"] == str(shop / "reactions.parquet")
    assert written["about"].startswith("5 people: 50 impression, ")
    minutehand("ingest", "events", written["file"])
    impressions = "from raw.events where event_type = 'impression'"
    lists_of_users = "from recs.recommendations where user_id <> '*'"
    too_early = "and occurred_at < (select max(published_at) from recs.publications)"
    with reading(lake) as con:
        seen = con.execute(f"select user_id, position, item_id {impressions} order by user_id, position").fetchall()
        assert seen == con.execute(f"select user_id, rank, item_id {lists_of_users} order by user_id, rank").fetchall()
        early = con.execute(f"select count(*) {impressions} {too_early}").fetchall()
    assert early == [(0,)], "nobody sees a list before it is published"
    counted = count_outcomes(lake, load().ingest.event_weights)
    assert (counted.n_shown, counted.n_unlisted) == (50, 0), "every impression is one of a published list"
