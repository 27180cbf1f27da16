"""Searches as behaviour: what a list knows of them, and how they move it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.evaluation.comparison import rank_recommender
from models.evaluation.evaluator import Evaluator
from models.evaluation.protocols import held_out
from models.evaluation.search_choice import LEAST_EVENTS, choose_search_gate
from models.events import Events, Floats, TemporalSplit
from models.night import Fit, fit_past, refit
from models.ranking.blend import starting_blend
from models.ranking.prior import Slots
from models.ranking.reasons import LEAST_EFFECT
from models.ranking.scorer import Scorer
from models.ranking.searches import MAX_AGE_S, N_SEARCH_FEATURES, USUAL_GATE, Searches, gate, n_since
from models.ranking.sources import SOURCES
from models.sequence.weights import Weights
from models.text.towers import Head, Words
from tests.models.planted import HOUR, QUICK, TINY, make_events, random_events, random_text, reader, shaken
from tests.models.ranking.test_scorer import history_of, scorer_of

FEW_EPOCHS = QUICK.model_copy(update={"max_epochs": 3})
TREND = np.array([0.0, 1.0], np.float32)


def random_searches(n_users: int = 20, n_searches: int = 80, n_texts: int = 12, seed: int = 3) -> Searches:
    rng = np.random.default_rng(seed)
    user, time = rng.integers(0, n_users, n_searches), rng.integers(0, 30 * 24 * HOUR, n_searches)
    return Searches.build(user, time, rng.integers(0, n_texts, n_searches), random_text(n_texts, 16, seed))


def random_words(n_items: int, search: Floats | None = None) -> Words:
    """Towers that change nothing, over random texts."""
    return replace(Words.of(Head(16), Head(16), random_text(n_items, 16), weight=6.0), search=search)


def test_the_last_search_is_strictly_before_the_request_and_not_too_old() -> None:
    searches = Searches.build(np.array([1, 0, 1]), np.array([100, 50, 200]), np.array([0, 1, 2]), random_text(3))
    user = np.array([1, 1, 1, 1, 0, 0, 2])
    time = np.array([100, 101, 200, 201 + MAX_AGE_S, 51, 40, 300])
    row = searches.last_before(user, time)
    assert [None if r < 0 else int(searches.text[r]) for r in row] == [None, 0, 0, None, 1, None, None]


def test_a_search_led_to_the_next_event_if_it_follows_soon_and_no_other_search_comes_between() -> None:
    events = make_events([(0, 0, 100), (0, 1, 200), (0, 2, 5000), (1, 3, 250)], n_items=4)
    moments = [(0, 100), (0, 150), (0, 199), (0, 4000), (0, 4950), (0, 6000), (1, 200), (2, 200)]
    user, time = (np.array(column) for column in zip(*moments, strict=True))
    searches = Searches.build(
        user, time, np.array([0, 0, 0, 0, 1, 0, 2, 0]), np.concatenate([random_text(2, 16), np.zeros((1, 16), np.float32)])
    )
    search, event = searches.chosen_next(events)
    assert list(zip(searches.time[search].tolist(), events.item[event].tolist(), strict=True)) == [(199, 1), (4950, 2)]


def test_simultaneous_searches_count_in_their_order() -> None:
    searches = Searches.build(np.array([0, 0]), np.array([5, 5]), np.array([1, 0]), random_text(2))
    assert searches.text[searches.last_before(np.array([0]), np.array([6]))].tolist() == [0]


def test_the_number_of_events_since_a_search_is_that_of_counting() -> None:
    events, rng = random_events(), np.random.default_rng(5)
    start = events.offsets[:-1]
    stop = np.array([rng.integers(a, b + 1) for a, b in zip(start, events.offsets[1:], strict=True)])
    time = rng.integers(0, 30 * 24 * HOUR, len(start))
    counted = [int((events.time[a:b] >= moment).sum()) for a, b, moment in zip(start, stop, time, strict=True)]
    assert n_since(events, start, stop, time).tolist() == counted


def test_without_real_searches_a_search_counts_less_with_its_age_and_with_each_event_and_never_below_zero() -> None:
    def weight(age_s: float, n: int) -> float:
        features = torch.tensor([[1.0, 0.0, np.log1p(age_s / 60) / 3, np.log1p(n)]], dtype=torch.float32)
        return float(gate(features, torch.from_numpy(USUAL_GATE)))

    assert weight(0, 0) == 1
    assert weight(0, 0) > weight(600, 0) > weight(3600, 0) > weight(MAX_AGE_S, 0) >= 0
    assert weight(60, 0) > weight(60, 2) > weight(60, 5) >= 0
    assert weight(1e9, 1000) == 0


def test_a_search_lifts_the_items_that_it_names_for_its_user_only_also_without_a_history() -> None:
    events, n_items = random_events(n_items=30), 30
    scorer = replace(scorer_of(events), words=replace(random_words(n_items), weight=60.0))
    asked = Searches.build(np.array([0, 20]), np.array([scorer.as_of - 5] * 2), np.array([7, 7]), random_text(n_items, 16))
    plain, moved = (scorer.rank(events, 21, 5, searches=searches) for searches in (None, asked))
    assert moved.item[0, 0] == 7
    assert moved.item[20, 0] == 7
    assert np.array_equal(plain.item[1:20], moved.item[1:20])
    assert np.array_equal(plain.score[1:20], moved.score[1:20])


@pytest.mark.usefixtures("fp32")
def test_later_searches_change_no_rank_and_a_served_list_knows_none_of_the_last_minute() -> None:
    events, searches = random_events(), random_searches()
    weights, words = Weights(shaken(30), torch.ones(TINY.dim), torch.zeros(30)), random_words(30)
    evaluator = Evaluator(events, Slots.over(events.time, 50), hide_seen=False, searches=searches)
    middle = int(np.median(events.time))
    rows = np.flatnonzero(events.time <= middle)

    def ranks(found: Searches, delay_s: int = 0) -> np.ndarray:
        return rank_recommender(replace(evaluator, searches=found, delay_s=delay_s), weights, starting_blend(TREND), rows, words).rank

    past = searches.time < middle
    only_past = Searches(searches.user[past], searches.time[past], searches.text[past], searches.vectors)
    assert np.array_equal(ranks(searches), ranks(only_past))
    assert not np.array_equal(ranks(searches), rank_recommender(evaluator, weights, starting_blend(TREND), rows).rank)
    just_before = Searches.build(events.user[rows], events.time[rows] - 30, np.zeros(len(rows), np.int64), random_text(1))
    nothing = Searches.build(*(np.empty(0, np.int64),) * 3, random_text(1))
    first = events.position[rows] == 0  # other rows may know the search before an earlier event
    assert np.array_equal(ranks(just_before, 60)[first], ranks(nothing, 60)[first])


def named(n_users: int, *, by_search: bool) -> tuple[Evaluator, Weights, Words]:
    """Users who pick items at random half a minute after a search, which names the item or another one."""
    rng = np.random.default_rng(1)
    n_items, n_each = 30, 8
    user, item = np.repeat(np.arange(n_users), n_each), rng.integers(0, n_items, n_users * n_each)
    time = np.tile(np.arange(n_each) * HOUR, n_users) + rng.integers(0, 60, len(user)) + 100
    events = make_events(zip(user, item, time, strict=True), n_items=n_items)
    text = item if by_search else rng.permutation(item)
    searches = Searches.build(user, time - 30, text, random_text(n_items))
    evaluator = Evaluator(events, Slots.over(events.time, 20), hide_seen=False, searches=searches)
    return evaluator, Weights(shaken(n_items), torch.zeros(TINY.dim), torch.zeros(n_items)), random_words(n_items)


def test_a_gate_is_fitted_where_searches_help_and_is_zero_where_they_do_not() -> None:
    for by_search in (True, False):
        evaluator, weights, words = named(80, by_search=by_search)
        rows = np.arange(len(evaluator.events))
        found = choose_search_gate(evaluator, weights, starting_blend(TREND), words, rows, seed=1)
        assert found is not None
        assert (found[0] > 3) == by_search
        assert by_search or not found.any()


def test_few_searches_leave_the_usual_gate() -> None:
    evaluator, weights, words = named(10, by_search=True)
    rows = np.arange(len(evaluator.events))
    assert len(rows) * 2 < LEAST_EVENTS
    assert choose_search_gate(evaluator, weights, starting_blend(TREND), words, rows, seed=1) is None
    without = replace(evaluator, searches=None)
    assert choose_search_gate(without, weights, starting_blend(TREND), words, rows, seed=1) is None


def test_the_gate_of_searches_is_saved_with_the_towers() -> None:
    chosen = np.arange(N_SEARCH_FEATURES, dtype=np.float32)
    saved = Words.from_tensors(random_words(4, chosen).tensors()).search
    assert saved is not None
    assert np.array_equal(saved, chosen)
    assert Words.from_tensors(random_words(4).tensors()).search is None


def reading_scorer(events: Events, *, weight: float | None = None) -> Scorer:
    """A scorer whose model reads searches. weight: of the term of searches; None without words."""
    model = reader(events.n_items)
    scorer = scorer_of(events)
    words = None if weight is None else replace(random_words(events.n_items), weight=weight)
    return replace(scorer, weights=Weights(model, scorer.weights.mean_vector, scorer.weights.is_cold), words=words)


def asked_before(scorer: Scorer, users: list[int]) -> Searches:
    """A search of each user just before the lists are made, for different items."""
    number = np.array(users)
    return Searches.build(number, np.full(len(users), scorer.as_of - 5), np.arange(len(users)), random_text(len(users), 16, 9))


@pytest.mark.usefixtures("fp32")
def test_a_search_that_the_model_reads_changes_the_list_of_its_user_only_and_only_until_an_event_follows() -> None:
    events = random_events()
    scorer = reading_scorer(events)
    asked = asked_before(scorer, [0, 20])
    plain, moved = (scorer.rank(events, 21, 10, searches=searches) for searches in (None, asked))
    same = [user for user in range(21) if np.allclose(plain.score[user], moved.score[user], atol=1e-3)]
    assert same == list(range(1, 20))
    late = replace(asked, time=np.array([int(events.time[events.user == 0].max()), 0]))
    answered = scorer.rank(events, 21, 10, searches=late)
    assert np.array_equal(plain.score, answered.score), "the user did something in that second, and the other search is too old"
    by_request = scorer.rank(events, 21, 10, searches=asked, request=torch.zeros(21, 30))
    assert np.array_equal(plain.score, by_request.score), "a request takes the place of searches"


@pytest.mark.usefixtures("fp32")
@pytest.mark.parametrize("weight", [None, 20.0])
def test_rows_rest_on_a_search_only_if_their_scores_fall_without_it(weight: float | None) -> None:
    events = random_events()
    scorer = reading_scorer(events, weight=weight)
    asked = asked_before(scorer, list(range(20)))
    (found,) = scorer.score_blocks(events, 20, now=None, trend=None, earlier=None, searches=asked)
    (without,) = scorer.score_blocks(events, 20, now=None, trend=None, earlier=None)
    lists, fall = scorer.rank(events, 20, 10, searches=asked), (found.scores - without.scores).numpy()
    fall_of_rows = np.take_along_axis(fall, lists.item, 1)
    assert lists.is_by_search.sum() > 20
    assert (fall_of_rows[lists.is_by_search] >= LEAST_EFFECT - 1e-4).all()
    assert (lists.because[lists.is_by_search] == -1).all()
    assert (lists.because >= 0).any()
    assert (lists.source_or_unknown == SOURCES.index("search")).any()


def test_a_gate_of_zeros_costs_nothing_and_counts_nothing() -> None:
    events = random_events()
    scorer = replace(scorer_of(events), words=random_words(30, search=np.zeros(N_SEARCH_FEATURES, np.float32)))
    (found,) = scorer.score_blocks(events, 20, now=None, trend=None, earlier=None, searches=asked_before(scorer, [0, 3]))
    assert found.searched is None


@pytest.mark.usefixtures("fp32")
def test_the_terms_tell_the_search_apart_and_add_up_to_the_score() -> None:
    events = random_events()
    scorer = reading_scorer(events, weight=20.0)
    asked = asked_before(scorer, [0, 3])
    (found,) = scorer.score_blocks(events, 20, now=None, trend=None, earlier=None, searches=asked, explain=True)
    (without,) = scorer.score_blocks(events, 20, now=None, trend=None, earlier=None)
    terms = scorer.terms(found)
    torch.testing.assert_close(sum(terms.values()), found.scores, atol=1e-4, rtol=0)
    torch.testing.assert_close(terms["search"], found.scores - without.scores, atol=1e-4, rtol=0)
    torch.testing.assert_close(terms["sequence"], scorer.terms(without)["sequence"], atol=1e-4, rtol=0)


@pytest.mark.usefixtures("fp32")
def test_lists_and_reasons_with_searches_are_the_same_alone_and_among_others() -> None:
    events = random_events()
    scorer = reading_scorer(events, weight=20.0)
    asked = asked_before(scorer, list(range(0, 20, 2)))
    together = scorer.rank(events, 20, 10, searches=asked)
    for user in range(20):
        mine = asked.user == user
        own = Searches(asked.user[mine] * 0, asked.time[mine], asked.text[mine], asked.vectors)
        alone = scorer.rank(history_of(events, user), 1, 10, searches=own)
        for name in ("item", "because", "is_by_search", "source_or_unknown"):
            assert getattr(alone, name)[0].tolist() == getattr(together, name)[user].tolist()


@pytest.fixture
def quick_blend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The blend is fitted once, not in folds."""
    monkeypatch.setattr("models.evaluation.blend_choice.ENOUGH_ROWS", 0)


@pytest.mark.slow
@pytest.mark.usefixtures("fp32", "quick_blend")
def test_the_night_lets_the_model_read_searches_where_that_helps_and_forgets_how_where_it_does_not() -> None:
    for by_search in (True, False):
        evaluator, _, _ = named(80, by_search=by_search)
        fit = night_of(evaluator)
        assert (fit.weights.model.searches is not None) == by_search
        if by_search:
            assert refit(evaluator, fit, random_text(30), TINY, FEW_EPOCHS, 0)[0].model.searches is not None
            rows = np.flatnonzero(evaluator.events.time >= np.quantile(evaluator.events.time, 0.9))
            with_searches, without = (
                rank_recommender(each, fit.weights, fit.blend, rows).ndcg_at_10.mean() for each in (evaluator, evaluator.without_searches())
            )
            assert with_searches > 0.8 > 3 * without


def night_of(evaluator: Evaluator) -> Fit:
    split = TemporalSplit.by_quantile(evaluator.events.time, 0.5, 0.4)
    validation, _ = held_out(evaluator.events, split, 1000, 0)
    return fit_past(evaluator, split, validation, random_text(30), TINY, FEW_EPOCHS, 0)


@pytest.mark.usefixtures("fp32", "quick_blend")
def test_a_night_with_few_searches_trains_as_one_without_searches_bit_for_bit() -> None:
    evaluator, _, _ = named(20, by_search=True)
    one, other = night_of(evaluator), night_of(evaluator.without_searches())
    state = other.weights.model.state_dict()
    assert state.keys() == one.weights.model.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in one.weights.model.state_dict().items())
    assert one.curve.validation == other.curve.validation
