"""What a place allows: nothing forbidden is shown, caps hold, no list is empty where an item qualifies, variety moves only the top."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events import Floats, Ints
from models.ranking.choice import Choice, choose, forbid
from models.ranking.scorer import Scorer, fallback_list
from models.ranking.variety import N_POOL, N_VARIED, PRICE, pick_dispersed
from tests.models.planted import random_events, random_text
from tests.models.ranking.test_scorer import N_ITEMS, scorer_of

NAMES = ("item", "score", "probability", "because", "kind", "by_search", "source")


@dataclass(frozen=True)
class Case:
    """Users with scores, pairs that are hidden, the rules of a place, and how many items are asked for."""

    scores: Floats
    hidden: tuple[Ints, Ints]
    choice: Choice
    k: int
    vectors: Floats


@st.composite
def cases(draw: st.DrawFn) -> Case:
    n_users, n_items = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    scores: Floats = rng.permutation(n_users * n_items).reshape(n_users, n_items).astype(np.float32)
    scores[rng.random(scores.shape) < draw(st.sampled_from([0.0, 0.3, 0.9]))] = -np.inf
    user, item = np.nonzero(rng.random(scores.shape) < draw(st.sampled_from([0.0, 0.2, 0.95])))
    choice = Choice(
        allowed=draw(st.sampled_from([None, rng.random(n_items) < 0.5, rng.random(n_items) < 0.1])),
        category=draw(st.sampled_from([None, rng.integers(-1, 3, n_items), np.zeros(n_items, np.int64)])),
        max_per_category=draw(st.sampled_from([None, 1, 2, 5])),
        variety=draw(st.sampled_from([0.0, 0.0, 0.3, 1.0])),
    )
    return Case(scores, (user, item), choice, draw(st.integers(1, 50)), random_text(n_items, 6, seed=int(rng.integers(100))))


def naive(case: Case, user: int) -> list[int]:
    """The list of one user by score: allowed items that are not hidden, without those beyond a cap."""
    hidden = set(case.hidden[1][case.hidden[0] == user].tolist())
    shown, counts = list[int](), dict[int, int]()
    for item in np.argsort(-case.scores[user], kind="stable").tolist():
        category = -1 if case.choice.category is None else int(case.choice.category[item])
        is_full = case.choice.max_per_category is not None and category >= 0 and counts.get(category, 0) == case.choice.max_per_category
        is_allowed = case.choice.allowed is None or bool(case.choice.allowed[item])
        if item in hidden or not is_allowed or is_full or not np.isfinite(case.scores[user, item]):
            continue
        counts[category] = counts.get(category, 0) + 1
        shown.append(item)
    return shown


def chosen(case: Case, k: int | None = None) -> list[list[int]]:
    scores = torch.from_numpy(case.scores.copy())
    forbid(scores, case.choice, case.hidden)
    rows = choose(scores, case.choice, case.k if k is None else k, torch.from_numpy(case.vectors))
    for row in rows.tolist():
        assert row == sorted(row, key=lambda item: item < 0), "-1 only at the end"
    return [[item for item in row if item >= 0] for row in rows.tolist()]


@given(case=cases())
@settings(max_examples=300, deadline=None)
def test_nothing_forbidden_is_shown_caps_hold_and_every_list_is_as_long_as_it_can_be(case: Case) -> None:
    for user, shown in enumerate(chosen(case)):
        expected = naive(case, user)
        if case.choice.variety == 0:
            assert shown == expected[: case.k]
        assert set(shown) <= set(expected)
        assert len(set(shown)) == len(shown) == min(case.k, len(expected))


@given(case=cases(), k=st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_a_longer_list_begins_with_the_shorter_one(case: Case, k: int) -> None:
    for one, other in zip(chosen(case), chosen(case, k), strict=True):
        n = min(len(one), len(other))
        assert one[:n] == other[:n]


def test_a_cap_reaches_beyond_the_best_items_of_a_large_catalogue() -> None:
    category = np.zeros(5000, np.int64)
    category[4990:] = np.arange(1, 11)
    scores = -torch.arange(5000.0).repeat(3, 1)
    rows = choose(scores, Choice(category=category, max_per_category=2), 8, torch.zeros(5000, 4))
    assert rows.tolist() == [[0, 1, *range(4990, 4996)]] * 3


@pytest.mark.parametrize(
    ("rules", "rule"), [({"variety": 1.1}, "from 0"), ({"variety": -0.1}, "from 0"), ({"max_per_category": 0}, "at least 1")]
)
def test_a_rule_out_of_range_is_refused(rules: dict[str, float], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        replace(Choice(), **rules)  # type: ignore[arg-type]


def spread(vectors: Floats) -> float:
    """Mean cosine distance of the pairs."""
    return float((1 - (vectors @ vectors.T))[np.triu_indices(len(vectors), 1)].mean())


def naive_dispersion(scores: Floats, vectors: Floats, variety: float, n: int) -> list[int]:
    """One item after the other: probability, plus a price for each distance from the items above."""
    probability, shown = np.exp(scores) / np.exp(scores).sum(), [0]
    while len(shown) < n:
        left = [item for item in range(len(scores)) if item not in shown]
        far = [sum(1 - vectors[other] @ vectors[item] for other in shown) for item in left]
        gains = [(1 - variety) * probability[item] + variety * PRICE * each for item, each in zip(left, far, strict=True)]
        shown.append(left[int(np.argmax(gains))])
    return shown


@pytest.mark.parametrize("variety", [0.1, 0.5, 0.9])
def test_variety_picks_as_the_plain_greedy_does(variety: float) -> None:
    scores = np.sort(np.random.default_rng(0).normal(size=(5, 30)))[:, ::-1].copy()
    vectors = np.stack([random_text(30, 12, seed) for seed in range(5)]).astype(np.float64)
    order = pick_dispersed(torch.from_numpy(scores).log_softmax(1), torch.from_numpy(vectors), variety, 8)
    for user in range(5):
        assert order[user, :8].tolist() == naive_dispersion(scores[user], vectors[user], variety, 8)
        assert order[user, 8:].tolist() == sorted(order[user, 8:].tolist()), "the rest by score"


def test_without_variety_the_order_is_that_of_the_scores_and_with_all_the_best_item_still_comes_first() -> None:
    scores, vectors = torch.linspace(0, -3, 30).repeat(2, 1), torch.from_numpy(random_text(30, 12)).repeat(2, 1, 1)
    assert pick_dispersed(scores.log_softmax(1), vectors, 0.0, 10).tolist() == [list(range(30))] * 2
    assert pick_dispersed(scores.log_softmax(1), vectors, 1.0, 10)[:, 0].tolist() == [0, 0]


def test_a_user_who_certainly_wants_one_thing_still_gets_it_and_who_may_want_anything_gets_a_varied_list() -> None:
    vectors = torch.from_numpy(random_text(30, 12))
    vectors[:5] = vectors[0]  # five things that are alike
    certain = torch.tensor([0.0, -0.1, -0.2, -0.3, -0.4] + [-9.0] * 25)
    anything = torch.linspace(0, -0.5, 30)
    one, other = pick_dispersed(torch.stack([certain, anything]).log_softmax(1), vectors.repeat(2, 1, 1), 0.5, 5)[:, :5].tolist()
    assert one == [0, 1, 2, 3, 4]
    assert len(set(other) & set(range(5))) <= 2


def test_twenty_copies_of_the_best_item_do_not_fill_the_top_and_items_without_a_vector_count_as_different() -> None:
    vectors = np.zeros((60, 8), np.float32)
    vectors[:40, 0] = 1
    vectors[40:46, 1:7] = np.eye(6, dtype=np.float32)
    scores = torch.linspace(0, -2, 60)[None]
    plain, varied = (choose(scores, Choice(variety=variety), 10, torch.from_numpy(vectors))[0] for variety in (0.0, 0.9))
    assert (plain < 40).all()
    assert varied[0] == 0
    assert (varied[1:] >= 40).all()


def test_a_varied_list_keeps_the_items_of_the_pool_and_the_rest_of_the_order() -> None:
    n_items = 3 * N_POOL
    scores = torch.randn(4, n_items, generator=torch.Generator().manual_seed(0))
    vectors = torch.from_numpy(random_text(n_items, 12))
    plain, varied = (choose(scores, Choice(variety=variety), 2 * N_POOL, vectors) for variety in (0.0, 0.9))
    for one, other in zip(plain.tolist(), varied.tolist(), strict=True):
        assert set(one[:N_POOL]) == set(other[:N_POOL])
        assert other[N_VARIED:] == [item for item in one if item not in other[:N_VARIED]]
        assert spread(vectors[other[:10]].numpy()) > spread(vectors[one[:10]].numpy())


def plain_scorer(*, hide_seen: bool = False) -> tuple[Scorer, int]:
    events = random_events(n_users=25)
    return scorer_of(events, hide_seen=hide_seen), 25


def test_a_choice_that_rules_nothing_out_gives_the_list_without_one_to_the_bit() -> None:
    events, (scorer, n_users) = random_events(n_users=25), plain_scorer()
    nothing = np.empty(0, np.int64)
    without = scorer.rank(events, n_users, 10)
    for choice in (Choice(), Choice(np.ones(N_ITEMS, bool), np.arange(N_ITEMS), 1)):
        lists = scorer.rank(events, n_users, 10, choice=choice, hidden=(nothing, nothing))
        for name in NAMES:
            assert np.array_equal(getattr(lists, name), getattr(without, name)), name


def test_a_scorer_shows_what_is_allowed_and_not_hidden_and_gives_it_its_share_of_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.ranking.scorer.BLOCK_CELLS", 4 * N_ITEMS)  # several blocks
    events, (scorer, n_users) = random_events(n_users=25), plain_scorer()
    allowed = np.arange(N_ITEMS) % 2 == 0
    of, what = np.nonzero(np.random.default_rng(0).random((n_users, N_ITEMS)) < 0.3)
    hidden: tuple[Ints, Ints] = (of, what)
    choice = Choice(allowed, np.arange(N_ITEMS) % 3, variety=0.4)
    whole = scorer.rank(events, n_users, N_ITEMS)
    lists = scorer.rank(events, n_users, N_ITEMS, choice=choice, hidden=hidden)
    for user in range(n_users):
        shown = [item for item in lists.item[user].tolist() if item >= 0]
        assert set(shown) == set(np.flatnonzero(allowed).tolist()) - set(hidden[1][hidden[0] == user].tolist())
        score = dict(zip(whole.item[user].tolist(), whole.score[user].tolist(), strict=True))
        assert lists.score[user, : len(shown)].tolist() == [score[item] for item in shown], "scores stay those of the items"
    assert np.allclose(lists.probability.sum(1), 1, atol=1e-4)
    capped = scorer.rank(events, n_users, N_ITEMS, choice=replace(choice, max_per_category=2), hidden=hidden)
    assert ((capped.item >= 0).sum(1) <= 6).all()
    assert np.array_equal(capped.probability[:, 0], lists.probability[:, 0]), "a cap changes no probability"


def test_the_fallback_list_obeys_the_place() -> None:
    popularity = np.array([[0.5, 0.2, 0.1, 0.06, 0.04, 0]], np.float32).T
    choice = Choice(np.array([True, True, True, True, True, False]), np.array([0, 0, 0, 0, -1, -1]), 2)
    is_available = np.array([False, True, True, True, True, True])
    assert fallback_list(popularity, is_available, 0, 10, choice).item.tolist() == [[1, 2, 4]]
    assert fallback_list(popularity, is_available, 0, 2, choice).item.tolist() == [[1, 2]]
    assert fallback_list(popularity, is_available, 0, 10).item.tolist() == [[1, 2, 3, 4, 5]]


def test_where_everything_is_hidden_the_list_is_empty_and_every_number_is_finite() -> None:
    events, (scorer, _) = random_events(n_users=2), plain_scorer()
    hidden = (np.repeat([0, 1], [N_ITEMS, N_ITEMS - 1]), np.concatenate([np.arange(N_ITEMS), np.arange(1, N_ITEMS)]))
    lists = scorer.rank(events, 2, 5, choice=Choice(category=np.zeros(N_ITEMS, np.int64), max_per_category=1, variety=0.5), hidden=hidden)
    assert lists.item.tolist() == [[-1] * 5, [0, -1, -1, -1, -1]]
    assert np.isfinite(lists.score).all()
    assert lists.probability[1, 0] == pytest.approx(1)
