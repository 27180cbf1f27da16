"""A night on data that nobody would choose: whatever is in the lake, every user gets a sane list."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from models.config import EncoderConfig, EvaluationConfig, IncrementConfig, RecommenderConfig, TrainConfig
from models.errors import UserError
from models.evaluation.evaluator import make_evaluator
from models.metrics.summary import METRICS
from models.online.gate import UpdateDecision
from tasks.config import PublishConfig
from tasks.encoding import encode_changed_items
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot
from tasks.minute import steps
from tasks.minute.feed import read_histories, read_news
from tasks.night.dataset import Dataset, load_dataset
from tasks.night.learning import Lists, complete, completed, example, judge, learn, make_lists, user_trends
from tasks.night.report import night_report
from tasks.publish.night import publish_night
from tasks.publish.publication import Content, Provenance
from tasks.registry.gate import decide
from tasks.watermarks import Watermarks
from tests.lakes import Event, habits, put
from tests.models.text.test_encoder import save_tiny_bert

MODEL = RecommenderConfig(dim=8, n_blocks=1, n_heads=2, max_events=8)
TRAIN = TrainConfig(max_epochs=2, batch_events=256, device="cpu")
EVALUATION = EvaluationConfig(n_bootstrap=20)
PUBLISH = PublishConfig(n_recommendations=5, n_similar=3)
YEAR_H = 24 * 365
Titles = dict[str, str | None]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> EncoderConfig:
    return EncoderConfig(name=str(save_tiny_bert(tmp_path_factory.mktemp("encoder") / "tiny")))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One for all tests: each begins by putting its rows in anew."""
    lake = locate(LakeConfig(), tmp_path_factory.mktemp("home"))
    migrate(lake)
    return lake


@pytest.fixture
def pinned(lake: Lake, encoder: EncoderConfig) -> Callable[[], Dataset]:
    """The lake as a night sees it: texts encoded, snapshot pinned."""

    def load() -> Dataset:
        encoded = encode_changed_items(lake, encoder, progress=False)
        return load_dataset(lake, newest_snapshot(lake), EVENT_WEIGHTS, encoded.encoder)

    return load


def spend(data: Dataset, folder: Path, champion: Path | None = None, model: RecommenderConfig = MODEL) -> Lists:
    """A whole night but for registry and tables, all of whose results are sane."""
    learnt = learn(data, model, TRAIN, EVALUATION, seed=1)
    judged = judge(data, learnt, champion, EVALUATION, seed=1)
    complete(data, learnt, model, TRAIN, IncrementConfig(), seed=1, folder=folder)
    lists = make_lists(data, learnt.evaluator.trend, folder, PUBLISH)
    assert judged.ndcg is not None
    assert judged.best_baseline_ndcg is not None
    assert np.isfinite([judged.ndcg, judged.best_baseline_ndcg]).all()
    assert all(row.value is None or np.isfinite(row.value) for row in judged.rows)
    assert night_report("1", "fine", judged, lists.users, data.titles)
    assert all(history["item_ids"] for history in example(data))
    check(lists, data)
    return lists


def check(lists: Lists, data: Dataset) -> None:
    """A list per user and one for anyone: known and available items, none twice, finite, the best first, no gap before the end."""
    assert lists.users.user_ids == data.user_ids
    for ranked in (lists.users, lists.fallback):
        is_there = ranked.item >= 0
        assert ranked.item.max(initial=-1) < len(data.catalog)
        assert data.catalog.is_available[ranked.item[is_there]].all()
        assert np.isfinite(ranked.score).all()
        assert np.isfinite(ranked.probability).all()
        assert (ranked.probability >= 0).all()
        assert (ranked.probability.sum(1) <= 1.001).all()
        for item, score, there in zip(ranked.item, ranked.score, is_there, strict=True):
            assert len(set(item[there])) == there.sum()
            assert (np.diff(score[there]) <= 0).all()
            assert not there[there.sum() :].any()
    near = lists.neighbours.item
    assert near.shape[0] == len(data.catalog)
    assert data.catalog.is_available[near[near >= 0]].all()
    assert not (near == np.arange(len(near))[:, None]).any()
    assert np.isfinite(lists.neighbours.similarity).all()


def shown(lists: Lists, data: Dataset, user: str) -> list[str]:
    row = lists.users.item[data.user_ids.index(user)]
    return [data.catalog.item_ids[item] for item in row if item >= 0]


DESCRIBED: Titles = {f"i{n:02}": "red tent" if n % 2 else "green tent" for n in range(30)}
FEW: list[Event] = [("ann", "a", 0), ("ann", "b", 1), ("ben", "a", 2), ("ben", "c", 3), ("cat", "b", 5)]
ODD: dict[str, tuple[list[Event], Titles]] = {
    "one event": ([("ann", "a", 0)], {"a": "red tent"}),
    "two events of one user": ([("ann", "a", 0), ("ann", "b", 1)], {"a": "red", "b": "green"}),
    "one user": ([("ann", f"i{n % 9:02}", n) for n in range(40)], DESCRIBED),
    "one item": ([(f"u{n % 3}", "a", n) for n in range(30)], {}),
    "all events at one instant": ([(user, item, 0) for user, item, _ in habits()], DESCRIBED),
    "no text at all": (habits(), {}),
    "the same text everywhere": (habits(), dict.fromkeys(DESCRIBED, "red tent")),
    "text of one item only": (habits(), {**dict.fromkeys(DESCRIBED), "i03": "red tent"}),
    "titles of 10,000 characters": (FEW, {"a": "tent " * 2000, "b": "x" * 10_000, "c": "帐篷" * 5000}),
    "emoji, odd letters and control characters": (
        FEW,
        {"a": "⛺️🏕️ tent", "b": "t\u0301ent\u200b \u202e", "c": "\x01\x07\x1b[31m", "d": "\ufffd"},
    ),
    "events on items that nobody described": (FEW, {"x": "red tent", "y": "green tent"}),
    "more items without events than with": (FEW, {**dict.fromkeys((f"n{n:03}" for n in range(200)), "red tent"), "a": "green"}),
    "a user with 5,000 events": ([("ann", f"i{n * n % 30:02}", n / 60) for n in range(5000)] + FEW, DESCRIBED),
    "events decades apart": ([("ann", "a", -40 * YEAR_H), ("ann", "b", 0), ("ben", "a", 1), ("ben", "b", 20 * YEAR_H)], {"a": "red"}),
    "events before 1970": ([(user, item, hours - 80 * YEAR_H) for user, item, hours in FEW], {"a": "red"}),
    "a user named * and one without a name": ([("*", "a", 0), ("", "b", 1), ("ann", "a", 2), ("ann", "c", 3)], {"a": "red"}),
    "newest period of one event": ([(user, item, hours / 100) for user, item, hours in habits()] + [("new", "new", 9999)], DESCRIBED),
}


@pytest.mark.parametrize("name", ODD)
def test_a_night_survives(name: str, lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path) -> None:
    events, titles = ODD[name]
    put(lake, events, titles, is_new=True)
    spend(pinned(), tmp_path / "model")


def test_where_one_item_is_available_nobody_is_shown_another(lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path) -> None:
    put(lake, habits(), DESCRIBED, unavailable=[item for item in DESCRIBED if item != "i04"], is_new=True)
    data = pinned()
    lists = spend(data, tmp_path / "model")
    assert {item for user in data.user_ids for item in shown(lists, data, user)} <= {"i04"}
    assert lists.fallback.item[lists.fallback.item >= 0].tolist() == [data.catalog.item_ids.index("i04")]


def test_where_nothing_is_available_lists_are_empty(lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path) -> None:
    put(lake, FEW, {"a": "red", "b": "green", "c": "tent"}, unavailable=["a", "b", "c"], is_new=True)
    lists = spend(pinned(), tmp_path / "model")
    assert (lists.users.item < 0).all()
    assert (lists.fallback.item < 0).all()


def test_no_event_on_an_item_is_an_error_that_says_what_to_do(lake: Lake, pinned: Callable[[], Dataset]) -> None:
    put(lake, [("ann", None, 0)], {"a": "red tent"}, event_type="search", is_new=True)
    with pytest.raises(UserError, match="minutehand ingest events"):
        pinned()


def test_the_gate_is_given_the_figures_of_lists_as_they_are_served_and_the_known_event_before_counts_beside_them(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path
) -> None:
    """Four lines of one moment, each the one after the line before it: easy with that line known, and hard for a list made before."""
    rng = np.random.default_rng(0)
    rows: list[Event] = [
        (f"u{user:02}", f"i{(int(first) + line) % 30:02}", 24 * week + user / 60)
        for user in range(30)
        for week, first in enumerate(rng.integers(0, 30, 8))
        for line in range(4)
    ]
    put(lake, rows, DESCRIBED, is_new=True)
    data = pinned()
    spend(data, tmp_path / "champion")
    learnt = learn(data, MODEL, TRAIN.model_copy(update={"max_epochs": 8, "learning_rate": 1e-2}), EVALUATION, 1)
    judged = judge(data, learnt, tmp_path / "champion", EVALUATION, seed=1)
    value = {(row.model, row.metric): row for row in judged.rows if row.segment == "all"}
    for ndcg, model in ((judged.ndcg, "minutehand"), (judged.champion_ndcg, "champion"), (judged.best_baseline_ndcg, judged.best_baseline)):
        assert ndcg == value[model or "", "ndcg_at_10_served"].value, model
    known, served = (value["minutehand", metric].value or 0.0 for metric in ("ndcg_at_10", "ndcg_at_10_served"))
    assert known > 1.5 * served > 0
    gain = value["minutehand", "ndcg_at_10_served_lift"]
    assert gain.value == pytest.approx(served - (judged.best_baseline_ndcg or 0.0), abs=1e-6)
    assert None not in (gain.low, gain.high)


def test_the_champion_is_judged_on_a_catalog_that_has_grown(lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path) -> None:
    put(lake, habits(), DESCRIBED, is_new=True)
    spend(pinned(), tmp_path / "first")
    later: list[Event] = [("u00", "z-new", 500), ("stranger", "a-new", 501), ("u01", "never-described", 502)]
    put(lake, later, {"a-new": "red tent", "z-new": None}, event_type="gift")
    lists = spend(pinned(), tmp_path / "second", champion=tmp_path / "first")
    assert "stranger" in lists.users.user_ids


def test_a_champion_of_another_version_is_passed_over(lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path) -> None:
    put(lake, habits(), DESCRIBED, is_new=True)
    data = pinned()
    spend(data, tmp_path / "first")
    described = json.loads((tmp_path / "first" / "checkpoint.json").read_text())
    (tmp_path / "first" / "checkpoint.json").write_text(json.dumps(described | {"format": 1}))
    learnt = learn(data, MODEL, TRAIN, EVALUATION, 1)
    assert judge(data, learnt, tmp_path / "first", EVALUATION, seed=1).champion_ndcg is None


def test_where_nothing_was_held_out_no_model_has_a_figure_and_the_champion_stays(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path
) -> None:
    put(lake, habits(), DESCRIBED, is_new=True)
    data = pinned()
    lists = spend(data, tmp_path / "champion")
    learnt = learn(data, MODEL, TRAIN, EVALUATION, 1)
    nothing = replace(learnt, task=replace(learnt.task, test=learnt.task.test[:0]))
    judged = judge(data, nothing, tmp_path / "champion", EVALUATION, seed=1)
    assert (judged.ndcg, judged.champion_ndcg, judged.best_baseline_ndcg) == (None, None, None)
    assert {row.model for row in judged.rows} == {"minutehand", "champion", "most_popular", "recent_popular", "item_knn"}
    assert {row.value for row in judged.rows} == {None}
    decision = decide(judged.ndcg, judged.champion_ndcg, judged.best_baseline_ndcg, 0.02, has_champion=True)
    assert not decision.promoted
    assert "no event was held out" in decision.reason
    assert "No event was held out." in night_report("1", "fine", judged, lists.users, data.titles)


def test_a_champion_of_another_shape_and_encoder_is_judged_all_the_same(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path, encoder: EncoderConfig
) -> None:
    put(lake, habits(), DESCRIBED, is_new=True)
    spend(pinned(), tmp_path / "first", model=MODEL.model_copy(update={"dim": 4, "n_heads": 1, "max_events": 4}))
    other = encode_changed_items(lake, encoder.model_copy(update={"max_tokens": 3}), progress=False)
    data = load_dataset(lake, newest_snapshot(lake), EVENT_WEIGHTS, other.encoder)
    spend(data, tmp_path / "second", champion=tmp_path / "first")


def test_after_a_night_without_texts_minutes_and_nights_take_the_first_described_items(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path, encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.night.dataset.TEXT_DIM_WITHOUT_TEXT", 5)  # the encoder of the tests gives 8
    put(lake, habits(), is_new=True)
    data = pinned()
    spend(data, tmp_path / "night")
    put(lake, [("u00", "new", 500)], {"new": "red tent", "i03": "green tent"})
    encoded = encode_changed_items(lake, encoder, progress=False)
    marks = Watermarks(data.snapshot, data.snapshot)
    news = read_news(lake, marks, newest_snapshot(lake), EVENT_WEIGHTS, MODEL.max_events)
    state = steps.prepare(lake, tmp_path / "night", tmp_path / "night", news, encoded.encoder)
    learnt = steps.update_model(state, steps.predict_events(state, IncrementConfig()), IncrementConfig(), seed=1)
    others = read_histories(lake, [], EVENT_WEIGHTS, MODEL.max_events)
    assert np.isfinite(steps.rank(state, learnt, others, PUBLISH).users.score).all()
    steps.save(learnt, tmp_path / "minute")
    again = pinned()
    assert again.text.shape[1] == 8
    spend(again, tmp_path / "next", champion=tmp_path / "night")
    check(make_lists(again, np.zeros(len(again.events), np.float32), tmp_path / "minute", PUBLISH), again)


def test_what_is_no_longer_available_is_a_miss_of_every_model_and_of_recent_popularity(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path
) -> None:
    put(lake, habits(), DESCRIBED, is_new=True)
    data = pinned()
    spend(data, tmp_path / "night")
    put(lake, [("u00", "gone", 500)], {"gone": "red tent"}, unavailable=["gone"])
    news = read_news(lake, Watermarks(data.snapshot, data.snapshot), newest_snapshot(lake), EVENT_WEIGHTS, MODEL.max_events)
    state = steps.prepare(lake, tmp_path / "night", tmp_path / "night", news, data.encoder)
    state.shown.popularity[-1] = 1.0
    scored = steps.predict_events(state, IncrementConfig())
    assert [row.value for row in scored.rows if (row.segment, row.metric) == ("all", "hr_at_10")] == [0.0] * 3
    assert {row.metric for row in scored.rows} == set(METRICS), "a minute has too few lists for a coverage"
    assert all(row.n_events and row.value is not None for row in scored.rows), "no row for a segment without events"


def test_what_waits_because_its_update_was_discarded_is_popular_in_the_lists_of_the_minutes_after_it(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path
) -> None:
    put(lake, habits(), DESCRIBED, is_new=True)
    data = pinned()
    spend(data, tmp_path / "night")
    put(lake, [(f"u{n:02}", "i05", 500 + n) for n in range(30)])
    published = newest_snapshot(lake)
    put(lake, [("new", "i07", 531)])
    news = read_news(lake, Watermarks(published, data.snapshot), newest_snapshot(lake), EVENT_WEIGHTS, MODEL.max_events)
    state = steps.prepare(lake, tmp_path / "night", tmp_path / "night", news, data.encoder)
    row, other = data.catalog.item_ids.index("i05"), data.catalog.item_ids.index("i07")
    assert state.shown.popularity[row, 0] > 0.9
    assert state.shown.popularity[other, 0] < 0.1  # what is new is not known before it is predicted
    assert state.live.popularity[row, 0] < 0.5
    scored = steps.predict_events(state, IncrementConfig())
    assert {row.n_events for row in scored.rows if row.segment == "all"} == {1}


def test_a_night_leaves_the_blend_only_what_its_model_of_the_past_has_not_seen(lake: Lake, pinned: Callable[[], Dataset]) -> None:
    put(lake, habits(), DESCRIBED, is_new=True)
    data = pinned()
    learnt = learn(data, MODEL, TRAIN, EVALUATION, 1)
    version = completed(data, learnt, MODEL, TRAIN, IncrementConfig(), 1)
    n_held_out = int((data.events.time >= learnt.held_out_from).sum())
    assert version.online is not None
    assert version.online.recent is not None
    assert 0 < len(version.online.recent.is_out) <= n_held_out < len(data.events)


def test_a_minute_knows_of_heavy_users_what_the_night_knew(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who did more than a history keeps gets the list of the night from a minute without news, and never anything that he had."""
    monkeypatch.setattr("models.device.has_fast_bf16", lambda device: False)  # bf16 may turn two items that are all but equal
    model, every = MODEL.model_copy(update={"max_events": 10}), PublishConfig(n_recommendations=30, n_similar=3)
    put(lake, habits(n_events=15), DESCRIBED, is_new=True)
    data = pinned()
    spend(data, tmp_path / "night", model=model)
    trend = make_evaluator(data.events, EVALUATION).trend
    nightly = make_lists(data, trend, tmp_path / "night", every)
    made = Provenance("1", "run", "flow", data.snapshot, datetime(2026, 3, 1))
    about = Content(data.catalog.item_ids, nightly.users, nightly.fallback, nightly.neighbours, 10, made)
    publish_night(lake, about, EVENT_WEIGHTS, user_trends(data, trend, 10))

    def prepared() -> steps.State:
        news = read_news(lake, Watermarks(data.snapshot, data.snapshot), newest_snapshot(lake), EVENT_WEIGHTS, 10)
        return steps.prepare(lake, tmp_path / "night", tmp_path / "night", news, data.encoder)

    quiet = prepared()
    everybody = read_histories(lake, data.user_ids, EVENT_WEIGHTS, 10)
    again = steps.rank(quiet, steps.UpdatedModel(quiet.live, UpdateDecision(True, "nothing", {})), everybody, every).users
    assert again.user_ids == nightly.users.user_ids
    assert np.array_equal(again.item, nightly.users.item)
    assert np.allclose(again.score, nightly.users.score, atol=1e-5)

    put(lake, [("u00", "i00", 500)], event_type="click")  # his first item, which his history no longer keeps
    busy = prepared()
    scored = steps.predict_events(busy, IncrementConfig())
    assert [row.value for row in scored.rows if (row.segment, row.metric) == ("all", "mrr")] == pytest.approx([1 / 30] * 3)
    mine = steps.rank(busy, steps.update_model(busy, scored, IncrementConfig(), seed=1), everybody.clear(), every).users
    assert mine.user_ids == ("u00",)
    assert {data.catalog.item_ids[item] for item in mine.item[0] if item >= 0} == {f"i{n:02}" for n in range(1, 30, 2)}
