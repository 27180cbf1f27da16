"""A night that publishes in shards of users writes the rows that it writes without shards, and all of them or none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from models.config import EncoderConfig, EvaluationConfig, IncrementConfig, RecommenderConfig, TrainConfig
from models.results import NO_LISTS, RankedLists
from models.text.towers import Head, Words
from tasks.config import GeneratorConfig, PublishConfig
from tasks.encoding import encode_changed_items
from tasks.event_types import EVENT_WEIGHTS
from tasks.experiments import changes, current
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot, reading, writing
from tasks.locks import publishing_turn
from tasks.night.dataset import Dataset, load_dataset
from tasks.night.interests import interests_of_all, learn_interests
from tasks.night.learning import complete, learn, make_lists, user_trends
from tasks.night.shards import People, write_histories
from tasks.publish import transaction
from tasks.publish.night import publish_night
from tasks.publish.publication import Arm, Content, Provenance, Searched
from tasks.scenarios import Places, Scenario, ScenarioLists
from tasks.searches import SearchLog, encoded
from tests.lakes import habits, put
from tests.models.text.test_encoder import save_tiny_bert

MODEL = RecommenderConfig(dim=8, n_blocks=1, n_heads=2, max_events=8)
TRAIN = TrainConfig(max_epochs=2, batch_events=256, device="cpu")
TITLES: dict[str, str | None] = {f"i{n:02}": f"{'red' if n % 2 else 'green'} tent {n}" for n in range(30)}
SCENARIOS = {
    "default": Scenario(name="default", new_item_slots=1),
    "cart": Scenario(name="cart", in_tables=True, hide={"view": 3}, variety=0.5),
}
TABLES = {
    "recs.recommendations": ("user_id", "rank"),
    "recs.scenario_recommendations": ("scenario", "user_id", "rank"),
    "recs.list_history": ("scenario", "user_id", "model_version"),
    "recs.similar_items": ("item_id", "rank"),
    "recs.user_interests": ("user_id", "horizon", "interest_id"),
    "features.user_histories": ("user_id",),
    "features.user_searches": ("user_id",),
    "graph.edges": ("source", "relation", "target"),
}
"""Tables of a publish, and what orders their rows."""
WHOLE, SHARDED = PublishConfig(n_recommendations=6, n_similar=3), PublishConfig(n_recommendations=6, n_similar=3, shard_users=7)


@dataclass(frozen=True)
class Shop:
    """A home with a trained version and short lists by version 1. asked: the searches of u03, and of a user without events."""

    home: Path
    data: Dataset
    trend: Any
    asked: SearchLog

    @property
    def version(self) -> Path:
        return self.home / "version"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    home = tmp_path_factory.mktemp("shards") / "home"
    lake = locate(LakeConfig(), home)
    migrate(lake)
    put(lake, habits(), TITLES)
    with writing(lake) as con:
        con.execute("update raw.items set categories = [split_part(title, ' ', 1)]")
    encoder = EncoderConfig(name=str(save_tiny_bert(home / "tiny")))
    data = load_dataset(lake, newest_snapshot(lake), EVENT_WEIGHTS, encode_changed_items(lake, encoder, progress=False).encoder)
    learnt = learn(data, MODEL, TRAIN, EvaluationConfig(n_bootstrap=5), seed=1)
    interests = learn_interests(lake, data, learnt, None, encoder, GeneratorConfig(), seed=1)
    words = Words.of(Head(data.text.shape[1]), Head(data.text.shape[1]), data.text, weight=1000.0)
    complete(data, learnt, MODEL, TRAIN, IncrementConfig(), 1, home / "version", words, interests)
    searches = [
        {"user_id": user, "query": "green tent", "occurred_at": datetime(2026, 1, 12), "time_s": 1_768_176_000} for user in ("a-new", "u03")
    ]
    shop = Shop(home, data, learnt.evaluator.trend, encoded(pl.DataFrame(searches), encoder, data.encoder))
    publish(shop, home, WHOLE.model_copy(update={"n_recommendations": 4}), "1")
    return shop


def publish(shop: Shop, home: Path, config: PublishConfig, name: str = "2", arm: Arm | None = None) -> Lake:
    """Rank and publish with the version of the shop in a copy of its home. arm: the challenger's part, still without lists."""
    lake, data = locate(LakeConfig(), home), shop.data
    places, folder = Places(lake, data.snapshot, SCENARIOS), home / "shards" / name
    lists = make_lists(data, shop.trend, shop.version, config, shop.asked, places, folder)
    shards, trends = lists.shards, None
    if shards is None:
        trends = user_trends(data, shop.trend, MODEL.max_events)
    else:
        write_histories(lake, shards, People(data.user_ids, data.events, shop.trend), data.snapshot, EVENT_WEIGHTS, MODEL.max_events)
    content = Content(
        data.catalog.item_ids,
        lists.users,
        lists.fallback,
        lists.neighbours,
        MODEL.max_events,
        Provenance(name, "run", f"flow-{name}", data.snapshot, datetime(2026, 3, 1)),
        searches=None if lists.searches is None else Searched(lists.searches, data.encoder),
        interests=interests_of_all(lake, data, shop.version, MODEL.max_events, shop.asked, shards),
        in_places=lists.in_places,
        shards=shards,
    )
    if arm is not None:
        mine = arm.experiment.is_challenger
        if shards is None:
            own = [replace(each, users=some(each.users, mine, True), fallback=NO_LISTS) for each in lists.in_places]
            rest = [replace(each, users=some(each.users, mine, False)) for each in lists.in_places]
            arm = replace(arm, lists=some(lists.users, mine, True), in_places=own)
            content = replace(content, lists=some(lists.users, mine, False), in_places=rest, arm=arm)
        else:
            arm = replace(arm, shards=replace(shards, is_kept=mine), in_places=[ScenarioLists("cart", NO_LISTS, NO_LISTS)])
            content = replace(content, arm=arm, shards=replace(shards, is_kept=lambda user: not mine(user)))
    publish_night(lake, content, EVENT_WEIGHTS, trends)
    return lake


def some(lists: RankedLists, is_challenger: Callable[[str], bool], is_wanted: bool) -> RankedLists:
    return lists.of_rows(np.flatnonzero([is_challenger(user) == is_wanted for user in lists.user_ids]))


def copy_of(shop: Shop, home: Path) -> Path:
    return Path(shutil.copytree(shop.home, home))


def tables(lake: Lake) -> Mapping[str, pl.DataFrame]:
    """The rows of the tables, without the time of the publication and the ids of edges' origin."""
    with reading(lake) as con:
        found = {name: con.execute(f"select * from {name} order by {', '.join(order)}").pl() for name, order in TABLES.items()}
    return {name: rows.drop(*(column for column in ("published_at",) if column in rows.columns)) for name, rows in found.items()}


def demand_equal(one: Mapping[str, pl.DataFrame], other: Mapping[str, pl.DataFrame]) -> None:
    """Ranking in other blocks of users may change the last digits of a score."""
    for name, rows in one.items():
        assert rows.height > 0, name
        assert_frame_equal(rows, other[name], rel_tol=1e-4, abs_tol=2e-3)  # past lists round their scores to three decimals


def test_sharded_and_whole_publishes_write_the_same_rows_by_user(shop: Shop, tmp_path: Path) -> None:
    lakes = [publish(shop, copy_of(shop, tmp_path / str(number)), config) for number, config in enumerate((WHOLE, SHARDED))]
    whole, sharded = map(tables, lakes)
    demand_equal(whole, sharded)
    assert set(sharded["recs.recommendations"]["user_id"]) >= {"*", "a-new", "u03"}
    assert set(sharded["recs.list_history"]["scenario"]) == {"default", "cart"}
    with reading(lakes[1]) as con:
        for name in ("recs.recommendations", "features.user_histories", "recs.user_interests"):
            users = [user for (user,) in con.execute(f"select user_id from {name} where user_id <> '*' order by rowid").fetchall()]
            assert users == sorted(users), f"{name}: readers skip files by the statistics of their users"


@pytest.mark.slow
def test_both_arms_of_an_experiment_are_published_in_shards(shop: Shop, tmp_path: Path) -> None:
    found = []
    lake = locate(LakeConfig(), shop.home)
    experiment = changes.new_experiment("wider", "ctr", 0.5, {}, ("1", "{}"), ("9", "{}"), "run-9", 3)
    for number, config in enumerate((WHOLE, SHARDED)):
        home = copy_of(shop, tmp_path / str(number))
        lake = locate(LakeConfig(), home)
        changes.start(lake, experiment)
        begun = current(lake)
        assert begun is not None
        made = Provenance("9", "run-9", "flow-9", shop.data.snapshot, datetime(2026, 3, 1))
        arm = Arm(replace(begun, key=b"the same"), "running", 5, None, made, None, shop.data.catalog.item_ids, NO_LISTS, NO_LISTS)
        found.append(tables(publish(shop, home, config, "2", arm)))
    demand_equal(*found)
    assert set(found[1]["recs.recommendations"]["model_version"]) == {"2", "9"}


@pytest.mark.slow
def test_a_publish_that_fails_between_shards_and_commit_leaves_the_old_lists(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copy_of(shop, tmp_path / "home")
    before = tables(locate(LakeConfig(), home))

    def fail(*_: object) -> None:
        raise OSError("the machine stops")

    monkeypatch.setattr(transaction, "note_publication", fail)
    with pytest.raises(OSError, match="the machine stops"):
        publish(shop, home, SHARDED)
    demand_equal(before, tables(locate(LakeConfig(), home)))


def test_the_next_publisher_removes_the_shards_of_a_killed_one(tmp_path: Path) -> None:
    orphan = tmp_path / "minute" / "tmp" / "shards" / "000000-lists-0.parquet"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"PAR1")
    with publishing_turn(locate(LakeConfig(), tmp_path)):
        assert not orphan.exists()


@pytest.mark.slow
def test_two_workers_make_the_lists_of_one(shop: Shop, tmp_path: Path) -> None:
    two = SHARDED.model_copy(update={"workers": 2, "shard_users": 21})
    one = tables(publish(shop, copy_of(shop, tmp_path / "one"), two.model_copy(update={"workers": 1})))
    demand_equal(one, tables(publish(shop, copy_of(shop, tmp_path / "two"), two)))
