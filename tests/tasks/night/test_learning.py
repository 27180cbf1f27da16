"""A nightly run on unusual data: for any content of the lake, every user gets a valid list."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.config import EncoderConfig, EvaluationConfig, IncrementConfig, RecommenderConfig, TrainConfig
from models.errors import UserError
from models.evaluation.evaluator import make_evaluator
from models.evaluation.protocols import temporal
from models.metrics.summary import METRICS
from models.online.gate import UpdateDecision
from models.ranking.searches import Searches
from models.text.towers import Head, Words
from models.version import checkpoint as checkpoints
from tasks.config import PublishConfig, RegistryConfig
from tasks.encoding import encode_changed_items
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot
from tasks.minute import steps
from tasks.minute.feed import read_histories, read_news
from tasks.minute.pacing import ALL_SETTLED
from tasks.night.dataset import Dataset, load_dataset
from tasks.night.learning import Lists, as_of, complete, completed, contend, example, judge, learn, make_lists, rank_champion, user_trends
from tasks.night.report import night_report
from tasks.publish.night import publish_night
from tasks.publish.publication import Content, Provenance
from tasks.registry.gate import NOT_MEASURED, decide
from tasks.searches import encoded
from tasks.watermarks import Watermarks
from tests.lakes import Event, habits, put
from tests.models.planted import with_searches
from tests.models.text.test_encoder import save_tiny_bert

MODEL = RecommenderConfig(dim=8, n_blocks=1, n_heads=2, max_events=8)
TRAIN = TrainConfig(max_epochs=2, batch_events=256, device="cpu")
EVALUATION = EvaluationConfig(n_bootstrap=20)
PUBLISH = PublishConfig(n_recommendations=5, n_similar=3)
YEAR_H = 24 * 365
Titles = dict[str, str | None]
SEARCH = {"user_id": "only-words", "query": "green tent", "occurred_at": datetime(2026, 1, 20), "time_s": 1_768_867_200}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> EncoderConfig:
    return EncoderConfig(name=str(save_tiny_bert(tmp_path_factory.mktemp("encoder") / "tiny")))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One lake for all tests: each test first replaces its rows."""
    lake = locate(LakeConfig(), tmp_path_factory.mktemp("home"))
    migrate(lake)
    return lake


@pytest.fixture
def pinned(lake: Lake, encoder: EncoderConfig) -> Callable[[], Dataset]:
    """Loads the dataset like a night: texts encoded, snapshot pinned."""

    def load() -> Dataset:
        encoded = encode_changed_items(lake, encoder, progress=False)
        return load_dataset(lake, newest_snapshot(lake), EVENT_WEIGHTS, encoded.encoder)

    return load


def audience(others: pl.DataFrame, searched: pl.DataFrame | None = None) -> steps.Audience:
    return steps.Audience(ALL_SETTLED, others, () if searched is None else tuple(searched["user_id"]), searched)


def spend(data: Dataset, folder: Path, champion: Path | None = None, model: RecommenderConfig = MODEL) -> Lists:
    """A whole night without registry and tables; checks all its results."""
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
    """Checks one list per user and the fallback list: available items, none twice, finite scores, best first, no gap before the end."""
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
    "events on items without a description": (FEW, {"x": "red tent", "y": "green tent"}),
    "more items without events than with": (FEW, {**dict.fromkeys((f"n{n:03}" for n in range(200)), "red tent"), "a": "green"}),
    "a user with 5,000 events": ([("ann", f"i{n * n % 30:02}", n / 60) for n in range(5000)] + FEW, DESCRIBED),
    "events decades apart": ([("ann", "a", -40 * YEAR_H), ("ann", "b", 0), ("ben", "a", 1), ("ben", "b", 20 * YEAR_H)], {"a": "red"}),
    "events before 1970": ([(user, item, hours - 80 * YEAR_H) for user, item, hours in FEW], {"a": "red"}),
    "a user named * and one without a name": ([("*", "a", 0), ("", "b", 1), ("ann", "a", 2), ("ann", "c", 3)], {"a": "red"}),
    "newest period of one event": ([(user, item, hours / 100) for user, item, hours in habits()] + [("new", "new", 9999)], DESCRIBED),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_a_night_handles_unusual_data(name: str, lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path) -> None:
    events, titles = ODD[name]
    put(lake, events, titles, clear=True)
    spend(pinned(), tmp_path / "model")


@pytest.mark.slow
def test_lists_show_only_available_items(lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path) -> None:
    put(lake, habits(), DESCRIBED, unavailable=[item for item in DESCRIBED if item != "i04"], clear=True)
    data = pinned()
    lists = spend(data, tmp_path / "model")
    assert {item for user in data.user_ids for item in shown(lists, data, user)} <= {"i04"}
    assert lists.fallback.item[lists.fallback.item >= 0].tolist() == [data.catalog.item_ids.index("i04")]


def test_lists_are_empty_if_no_item_is_available(lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path) -> None:
    put(lake, FEW, {"a": "red", "b": "green", "c": "tent"}, unavailable=["a", "b", "c"], clear=True)
    lists = spend(pinned(), tmp_path / "model")
    assert (lists.users.item < 0).all()
    assert (lists.fallback.item < 0).all()


def test_a_lake_without_an_event_on_an_item_raises_an_error_with_a_remedy(lake: Lake, pinned: Callable[[], Dataset]) -> None:
    put(lake, [("ann", None, 0)], {"a": "red tent"}, event_type="search", clear=True)
    with pytest.raises(UserError, match="minutehand ingest events"):
        pinned()


@pytest.mark.slow
def test_the_gate_gets_the_metrics_of_served_lists_and_the_metrics_with_the_previous_event_known_are_reported_too(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path
) -> None:
    """Four events at the same time, each item following the previous one: easy if the previous event is known, hard for an older list."""
    rng = np.random.default_rng(0)
    rows: list[Event] = [
        (f"u{user:02}", f"i{(int(first) + line) % 30:02}", 24 * week + user / 60)
        for user in range(30)
        for week, first in enumerate(rng.integers(0, 30, 8))
        for line in range(4)
    ]
    put(lake, rows, DESCRIBED, clear=True)
    data = pinned()
    spend(data, tmp_path / "champion")
    learnt = learn(data, MODEL, TRAIN.model_copy(update={"max_epochs": 8, "learning_rate": 1e-2}), EVALUATION, 1)
    judged = judge(data, learnt, tmp_path / "champion", EVALUATION, seed=1)
    value = {(row.model, row.metric): row for row in judged.rows if row.segment == "all"}
    for ndcg, model in ((judged.ndcg, "minutehand"), (judged.champion_ndcg, "champion"), (judged.best_baseline_ndcg, judged.best_baseline)):
        assert ndcg == value[model or "", "ndcg_at_10_served"].value, model
    everyone = np.ones(len(learnt.task.test), bool)
    against = contend(learnt, judged, {"activity=low": everyone, "few": everyone & (np.arange(len(everyone)) < 5)}, EVALUATION, 1)
    assert against is not None
    assert "few" not in against.segments, "it has less than 250 events"
    assert (against.metric, against.all.challenger, against.all.champion) == ("ndcg_at_10_served", judged.ndcg, judged.champion_ndcg)
    assert against.coverage == value["minutehand", "coverage_at_10"].value
    known, served = (value["minutehand", metric].value or 0.0 for metric in ("ndcg_at_10", "ndcg_at_10_served"))
    assert known > 1.5 * served > 0
    gain = value["minutehand", "ndcg_at_10_served_lift"]
    assert gain.value == pytest.approx(served - (judged.best_baseline_ndcg or 0.0), abs=1e-6)
    assert None not in (gain.low, gain.high)


@pytest.mark.slow
def test_the_champion_is_evaluated_on_a_grown_catalog(lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path) -> None:
    put(lake, habits(), DESCRIBED, clear=True)
    spend(pinned(), tmp_path / "first")
    later: list[Event] = [("u00", "z-new", 500), ("stranger", "a-new", 501), ("u01", "never-described", 502)]
    put(lake, later, {"a-new": "red tent", "z-new": None}, event_type="gift")
    lists = spend(pinned(), tmp_path / "second", champion=tmp_path / "first")
    assert "stranger" in lists.users.user_ids


@pytest.mark.slow
def test_a_champion_in_another_checkpoint_format_is_skipped(lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path) -> None:
    put(lake, habits(), DESCRIBED, clear=True)
    data = pinned()
    spend(data, tmp_path / "first")
    described = json.loads((tmp_path / "first" / "checkpoint.json").read_text())
    (tmp_path / "first" / "checkpoint.json").write_text(json.dumps(described | {"format": 1}))
    learnt = learn(data, MODEL, TRAIN, EVALUATION, 1)
    assert judge(data, learnt, tmp_path / "first", EVALUATION, seed=1).champion_ndcg is None


@pytest.mark.slow
def test_without_held_out_events_no_model_has_a_metric_and_the_champion_stays(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path
) -> None:
    put(lake, habits(), DESCRIBED, clear=True)
    data = pinned()
    lists = spend(data, tmp_path / "champion")
    learnt = learn(data, MODEL, TRAIN, EVALUATION, 1)
    nothing = replace(learnt, task=replace(learnt.task, test=learnt.task.test[:0]))
    judged = judge(data, nothing, tmp_path / "champion", EVALUATION, seed=1)
    assert (judged.ndcg, judged.champion_ndcg, judged.best_baseline_ndcg) == (None, None, None)
    assert {row.model for row in judged.rows} == {"minutehand", "champion", "most_popular", "recent_popular", "item_knn"}
    assert {row.value for row in judged.rows} == {None}
    against = contend(nothing, judged, {}, EVALUATION, 1)
    assert against is None
    decision = decide(judged.ndcg, judged.best_baseline_ndcg, against, NOT_MEASURED, RegistryConfig(), has_champion=True)
    assert not decision.promoted
    assert "no event was held out" in decision.reason
    assert "No event was held out." in night_report("1", "fine", judged, lists.users, data.titles)


@pytest.mark.slow
def test_a_champion_with_another_shape_and_encoder_is_evaluated(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path, encoder: EncoderConfig
) -> None:
    put(lake, habits(), DESCRIBED, clear=True)
    spend(pinned(), tmp_path / "first", model=MODEL.model_copy(update={"dim": 4, "n_heads": 1, "max_events": 4}))
    other = encode_changed_items(lake, encoder.model_copy(update={"max_tokens": 3}), progress=False)
    data = load_dataset(lake, newest_snapshot(lake), EVENT_WEIGHTS, other.encoder)
    spend(data, tmp_path / "second", champion=tmp_path / "first")


@pytest.mark.slow
def test_after_a_night_without_texts_later_runs_accept_the_first_items_with_text(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path, encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.night.dataset.TEXT_DIM_WITHOUT_TEXT", 5)  # the encoder of the tests has 8
    put(lake, habits(), clear=True)
    data = pinned()
    spend(data, tmp_path / "night")
    put(lake, [("u00", "new", 500)], {"new": "red tent", "i03": "green tent"})
    encoded = encode_changed_items(lake, encoder, progress=False)
    marks = Watermarks(data.snapshot, data.snapshot)
    news = read_news(lake, marks, newest_snapshot(lake), EVENT_WEIGHTS, MODEL.max_events)
    state = steps.prepare(lake, tmp_path / "night", tmp_path / "night", news, encoded.encoder)
    learnt = steps.update_model(state, steps.predict_events(state, IncrementConfig()), IncrementConfig(), seed=1)
    others = read_histories(lake, [], EVENT_WEIGHTS, MODEL.max_events)
    assert np.isfinite(steps.rank(state, learnt, audience(others), PUBLISH).users.score).all()
    steps.save(learnt, tmp_path / "minute")
    again = pinned()
    assert again.text.shape[1] == 8
    spend(again, tmp_path / "next", champion=tmp_path / "night")
    check(make_lists(again, np.zeros(len(again.events), np.float32), tmp_path / "minute", PUBLISH), again)


@pytest.mark.slow
def test_an_unavailable_item_is_a_miss_for_every_model_and_for_recent_popularity(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path
) -> None:
    put(lake, habits(), DESCRIBED, clear=True)
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


@pytest.mark.slow
def test_events_of_a_discarded_update_count_for_popularity_in_the_lists_of_the_next_runs(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path
) -> None:
    put(lake, habits(), DESCRIBED, clear=True)
    data = pinned()
    spend(data, tmp_path / "night")
    put(lake, [(f"u{n:02}", "i05", 500 + n) for n in range(30)])
    published = newest_snapshot(lake)
    put(lake, [("new", "i07", 531)])
    news = read_news(lake, Watermarks(published, data.snapshot), newest_snapshot(lake), EVENT_WEIGHTS, MODEL.max_events)
    state = steps.prepare(lake, tmp_path / "night", tmp_path / "night", news, data.encoder)
    row, other = data.catalog.item_ids.index("i05"), data.catalog.item_ids.index("i07")
    assert state.shown.popularity[row, 0] > 0.9
    assert state.shown.popularity[other, 0] < 0.1  # new events do not count before they are predicted
    assert state.live.popularity[row, 0] < 0.5
    scored = steps.predict_events(state, IncrementConfig())
    assert {row.n_events for row in scored.rows if row.segment == "all"} == {1}


@pytest.mark.slow
def test_the_blend_memory_of_a_night_has_only_events_that_its_past_model_has_not_seen(lake: Lake, pinned: Callable[[], Dataset]) -> None:
    put(lake, habits(), DESCRIBED, clear=True)
    data = pinned()
    learnt = learn(data, MODEL, TRAIN, EVALUATION, 1)
    version = completed(data, learnt, MODEL, TRAIN, IncrementConfig(), 1)
    n_held_out = int((data.events.time >= learnt.held_out_from).sum())
    assert version.online is not None
    assert version.online.recent is not None
    assert 0 < len(version.online.recent.is_out) <= n_held_out < len(data.events)


@pytest.mark.slow
def test_who_has_only_searched_gets_a_list_from_the_night_and_from_a_minute(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path, encoder: EncoderConfig
) -> None:
    put(lake, habits(), DESCRIBED, clear=True)
    data = pinned()
    learnt = learn(data, MODEL, TRAIN, EVALUATION, seed=1)
    heads = (Head(data.text.shape[1]), Head(data.text.shape[1]))
    complete(data, learnt, MODEL, TRAIN, IncrementConfig(), 1, tmp_path / "night", Words.of(*heads, data.text, weight=1000.0))
    found = encoded(pl.DataFrame([SEARCH]), encoder, data.encoder)
    lists = make_lists(data, learnt.evaluator.trend, tmp_path / "night", PUBLISH, found)
    assert lists.users.user_ids == (*data.user_ids, "only-words")
    assert lists.searches is not None
    assert lists.searches["user_id"].to_list() == ["only-words"]
    green = {row for row, title in enumerate(data.titles) if title == "green tent"}
    assert set(lists.users.item[-1]) <= green
    news = read_news(lake, Watermarks(data.snapshot, data.snapshot), data.snapshot, EVENT_WEIGHTS, 8)
    state = steps.prepare(lake, tmp_path / "night", tmp_path / "night", replace(news, searches=pl.DataFrame([SEARCH])), data.encoder)
    nothing = steps.UpdatedModel(state.live, UpdateDecision(True, "nothing", {}))
    others = read_histories(lake, ["only-words"], EVENT_WEIGHTS, 8)
    minute = steps.rank(state, nothing, audience(others, found.last_of_each()), PUBLISH).users
    assert minute.user_ids == ("only-words",)
    assert np.array_equal(minute.item[0], lists.users.item[-1])


@pytest.mark.slow
def test_a_version_reads_searches_in_the_vectors_of_its_own_encoder_only(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path, encoder: EncoderConfig
) -> None:
    put(lake, habits(), DESCRIBED, clear=True)
    data = pinned()
    spend(data, tmp_path / "plain")
    version = checkpoints.load(tmp_path / "plain")
    model = with_searches(version.live.model, version.whitening)
    checkpoints.save(replace(version, live=replace(version.live, model=model), past=None), tmp_path / "reading")
    asked = SEARCH | {"user_id": "u00", "time_s": as_of(data)}
    logs = [encoded(pl.DataFrame([asked | {"query": query}]), encoder, data.encoder) for query in ("green tent", "lamp")]
    trend, task = make_evaluator(data.events, EVALUATION).trend, temporal(data.events, EVALUATION, 1)
    users, moments = data.events.user[task.test], data.events.time[task.test] - 1
    for encoder_key, is_read in ((data.encoder, True), ("another encoder", False)):
        today, scores, ranks = replace(data, encoder=encoder_key), [], []
        for log in logs:
            lists = make_lists(today, trend, tmp_path / "reading", PUBLISH, log).users
            scores.append(lists.score[lists.user_ids.index("u00")])
            searches = Searches.build(users, moments, np.zeros(len(users), np.int64), log.vectors)
            known = replace(task, evaluator=replace(task.evaluator, searches=searches))
            ranks.append(rank_champion(today, known, tmp_path / "reading").rank)
        assert np.allclose(scores[0], scores[1], atol=1e-4) != is_read
        assert np.array_equal(ranks[0], ranks[1]) != is_read


@pytest.mark.slow
def test_a_minute_run_makes_the_same_lists_for_heavy_users_as_the_night(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users with more events than a history keeps get the same list without news, and never an item that they already had."""
    monkeypatch.setattr("models.device.has_fast_bf16", lambda device: False)  # bf16 may swap two items with nearly equal scores
    model, every = MODEL.model_copy(update={"max_events": 10}), PublishConfig(n_recommendations=30, n_similar=3)
    put(lake, habits(n_events=15), DESCRIBED, clear=True)
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
    again = steps.rank(quiet, steps.UpdatedModel(quiet.live, UpdateDecision(True, "nothing", {})), audience(everybody), every).users
    assert again.user_ids == nightly.users.user_ids
    assert np.array_equal(again.item, nightly.users.item)
    assert np.allclose(again.score, nightly.users.score, atol=1e-5)

    put(lake, [("u00", "i00", 500)], event_type="click")  # the user's first item, which the history no longer keeps
    busy = prepared()
    scored = steps.predict_events(busy, IncrementConfig())
    assert [row.value for row in scored.rows if (row.segment, row.metric) == ("all", "mrr")] == pytest.approx([1 / 30] * 3)
    mine = steps.rank(busy, steps.update_model(busy, scored, IncrementConfig(), seed=1), audience(everybody.clear()), every).users
    assert mine.user_ids == ("u00",)
    assert {data.catalog.item_ids[item] for item in mine.item[0] if item >= 0} == {f"i{n:02}" for n in range(1, 30, 2)}


@pytest.mark.slow
def test_lists_of_the_night_and_of_minutes_are_varied_by_the_dial_that_the_night_chose(
    lake: Lake, pinned: Callable[[], Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.device.has_fast_bf16", lambda device: False)
    put(lake, habits(), DESCRIBED, clear=True)
    data = pinned()
    plain = spend(data, tmp_path / "plain").users
    monkeypatch.setattr("tasks.night.learning.choose_variety", lambda *given: 0.95)  # a night this small chooses 0
    learnt = learn(data, MODEL, TRAIN, EVALUATION, seed=1)
    complete(data, learnt, MODEL, TRAIN, IncrementConfig(), seed=1, folder=tmp_path / "night")
    varied = make_lists(data, learnt.evaluator.trend, tmp_path / "night", PUBLISH).users
    put(lake, [("u00", "i05", 500)])
    news = read_news(lake, Watermarks(data.snapshot, data.snapshot), newest_snapshot(lake), EVENT_WEIGHTS, 8)
    state = steps.prepare(lake, tmp_path / "night", tmp_path / "night", news, data.encoder)
    updated = steps.update_model(state, steps.predict_events(state, IncrementConfig()), IncrementConfig(), seed=1)
    assert updated.checkpoint.variety == 0.95
    others = audience(read_histories(lake, data.user_ids[1:], EVENT_WEIGHTS, 8))
    minute = steps.rank(state, updated, others, PUBLISH).users
    by_score = steps.rank(state, replace(updated, checkpoint=replace(updated.checkpoint, variety=0.0)), others, PUBLISH).users
    for one, other in ((varied, plain), (minute, by_score)):
        assert np.array_equal(one.item[:, 0], other.item[:, 0]), "the best item stays where it is"
        assert (one.item != other.item).any(1).mean() > 0.5
