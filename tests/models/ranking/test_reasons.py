"""Reasons by leave-one-out: an event is cited only if it is the user's and the score falls without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.events import Earlier, Events, Windows
from models.ranking import reasons
from models.ranking.reasons import LEAST_EFFECT, RECENT_EVENTS, Histories, Variants, leave_out, recent_items
from models.ranking.scorer import Scorer
from models.sequence.users import LastSearches, followed, last_vectors, vectors_at
from tests.models.planted import HOUR, TINY, make_events, random_events, random_text, reader
from tests.models.ranking.test_scorer import N_ITEMS, TREND, history_of, scorer_of


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.device.has_fast_bf16", lambda device: False)


def without(events: Events, user: int, item: int) -> Events:
    """One user's events, as user 0, without those on an item."""
    mine = history_of(events, user)
    return replace(mine.where(mine.item != item), n_users=1)


def histories(events: Events, now: int = 10**6) -> Histories:
    return Histories(events, events.offsets[:-1], events.offsets[1:], now, np.zeros(len(events), np.float32))


def leave_out_each(users: Histories, max_events: int) -> Variants:
    return leave_out(users, *recent_items(users, RECENT_EVENTS), max_events)


def scores_of(scorer: Scorer, events: Events) -> tuple[np.ndarray, np.ndarray]:
    """The scores of all items for user 0, and their sequence part."""
    (block,) = scorer.score_blocks(events, 1, now=None, trend=None, earlier=None)
    return block.scores[0].numpy(), block.sequence[0].numpy()


@pytest.mark.parametrize("hide_seen", [False, True])
def test_a_cited_item_is_theirs_with_the_type_of_the_last_event_on_it_and_the_score_falls_clearly_without_it(
    hide_seen: bool,
) -> None:
    events = random_events(n_users=40, n_events=200)
    scorer = scorer_of(events, hide_seen=hide_seen)
    scorer.blend.gate[2, :2] = 0.4, -0.3  # popularity and sequence depend on the length of the history
    lists = scorer.rank(events, 40, 10)
    n_cited = 0
    for user in range(40):
        mine = history_of(events, user)
        scores, sequence = scores_of(scorer, mine)
        for item, because, kind in zip(lists.item[user], lists.because[user], lists.kind_or_unknown[user], strict=True):
            if because < 0:
                assert kind == -1
                continue
            n_cited += 1
            assert because in mine.item[-RECENT_EVENTS:]
            assert kind == mine.kind[mine.item == because][-1]
            if len(mine) >= TINY.max_events:
                continue  # the model would read an older event instead
            less, less_sequence = scores_of(scorer, without(events, user, because))
            assert less[item] < scores[item] - LEAST_EFFECT + 1e-3
            assert less_sequence[item] < sequence[item]
    assert n_cited > 50


def test_the_variants_of_a_history_lack_all_events_on_one_item_the_newest_first() -> None:
    events = make_events([(0, 1, 0), (0, 2, 1), (0, 1, 2), (2, 5, 3)], n_items=9, kinds=[0, 0, 1, 0])
    found = leave_out_each(histories(events), max_events=8)
    assert found.user.tolist() == [0, 0, 2]
    assert found.item.tolist() == [1, 2, 5]
    assert found.kind.tolist() == [1, 0, 0], "the type of the newest event on the item"
    left = found.left.events
    assert [left.item[left.user == variant].tolist() for variant in range(3)] == [[2], [1, 1], []]
    assert left.time[left.user == 1].tolist() == [0, 2]


def test_only_the_last_events_are_left_out_and_only_what_the_model_reads_is_left() -> None:
    events = make_events([(0, step, step) for step in range(30)], n_items=30)
    found = leave_out_each(histories(events), max_events=8)
    assert found.item.tolist() == list(range(29, 9, -1))
    assert not found.has_start.any()
    left = found.left.events
    assert left.item[left.user == 0].tolist() == list(range(22, 29))
    assert found.left.n_earlier is not None
    assert found.left.n_earlier.tolist() == [22] * 20


def test_the_vector_of_a_variant_is_that_of_a_user_with_this_history() -> None:
    events = random_events(n_users=12, n_events=40)
    scorer = scorer_of(events)
    model, users = scorer.weights.model, histories(events)
    found = leave_out_each(users, TINY.max_events)
    vectors = found.vectors(model, scorer.vectors)
    for variant in np.flatnonzero(found.has_start[found.user]):
        alone = without(events, int(found.user[variant]), int(found.item[variant]))
        expected = vectors_at(model, alone, np.zeros(1, np.int64), np.array([len(alone)]), 10**6)
        torch.testing.assert_close(vectors[variant], expected[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("searches", [False, True])
def test_variants_that_share_their_first_tokens_have_the_vectors_that_each_has_alone(searches: bool) -> None:
    events = random_events(n_users=9, n_events=90)  # of up to twice as many events as the model reads, with repeats
    model, items = reader(N_ITEMS), reader(N_ITEMS).items().detach()
    now = 40 * 24 * HOUR + np.arange(9) * HOUR
    vectors = np.zeros((9, 16), np.float32)
    vectors[[1, 4]] = random_text(2, 16, seed=3)
    users = replace(histories(events), now=now, last=LastSearches(vectors, now - 60) if searches else None)
    found = leave_out_each(users, TINY.max_events)
    left, texts = found.left, None
    events, start, stop = left.events, left.start, left.stop
    if left.last is not None:
        events, start, stop, texts = followed(events, start, stop, left.last)
    is_there = stop > start
    skips_start = ~found.has_start[found.user] & (stop - start > 1)
    assert len(found) > 50
    assert 0 < skips_start.sum() < len(found)
    windows = Windows((start + skips_start)[is_there], stop[is_there], stop[is_there] + 1)
    in_whole = last_vectors(model, events, windows, np.asarray(left.now)[is_there], items, texts)
    torch.testing.assert_close(found.vectors(model, items)[torch.from_numpy(is_there)], in_whole, atol=1e-5, rtol=0)


def test_without_their_only_event_a_user_is_a_cold_start() -> None:
    events = make_events([(0, 4, 7)], n_items=N_ITEMS)
    scorer = scorer_of(events)
    found = leave_out_each(histories(events), TINY.max_events)
    zero = np.zeros(1, np.int64)
    assert torch.equal(found.vectors(scorer.weights.model, scorer.vectors), vectors_at(scorer.weights.model, events, zero, zero, 0))


def test_heavy_users_get_the_same_reasons_from_their_last_events_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reasons, "BLOCK_USERS", 2)
    events = random_events(n_users=5, n_events=150)
    scorer = scorer_of(events)
    scorer.blend.gate[2, :2] = 0.5, 0.3
    scorer.blend.repeat[0] = 0
    first, end = events.offsets[:-1], events.offsets[1:]
    cut = np.maximum(first, end - RECENT_EVENTS)
    last = events.where(np.arange(len(events)) >= cut[events.user])
    whole = scorer.rank(events, 5, N_ITEMS)
    known = scorer.rank(last, 5, N_ITEMS, earlier=Earlier(cut - first, first, cut, events.item))
    assert (whole.because >= 0).any()
    assert np.array_equal(known.because, whole.because)
    assert np.array_equal(known.kind_or_unknown, whole.kind_or_unknown)


def test_a_history_of_one_item_that_fills_the_window_is_a_cold_start_without_it() -> None:
    events = make_events([*((0, 3, step) for step in range(12)), *((1, 3, step) for step in range(11)), (1, 4, 11)], n_items=N_ITEMS)
    lists = scorer_of(events).rank(events, 2, N_ITEMS)
    assert set(lists.because[0].tolist()) <= {-1, 3}
    assert set(lists.because[1].tolist()) <= {-1, 3, 4}


def test_an_item_that_comes_again_may_be_its_own_reason() -> None:
    events = make_events([(0, 3, step * HOUR) for step in range(4)], n_items=N_ITEMS)
    scorer = scorer_of(events)
    scorer.blend.repeat[0] = 5.0, 0.0, 0.0, 0.0
    lists = scorer.rank(events, 1, 1)
    if lists.because[0, 0] >= 0:
        assert (lists.item[0, 0], lists.because[0, 0]) == (3, 3)


def test_where_the_sequence_model_has_no_weight_no_event_is_cited() -> None:
    events = random_events()
    scorer = scorer_of(events)
    silent = replace(scorer, blend=scorer.blend.scaled(sequence=0.0, popularity=1.0))
    assert (silent.rank(events, 20, 10).because == -1).all()
    assert (scorer.rank(events, 20, 10).because >= 0).any()


def test_an_item_of_which_the_model_knows_nothing_is_not_cited() -> None:
    events = random_events()
    scorer = scorer_of(events)
    users = Histories(events, events.offsets[:-1], events.offsets[1:], scorer.as_of, np.full(len(events), TREND[0], np.float32))
    listed = torch.arange(N_ITEMS).expand(20, -1)
    (block,) = scorer.score_blocks(events, 20, now=scorer.as_of, trend=users.trend, earlier=None)
    cited = scorer.explainer.cite(users, listed, block.sequence)
    blank = int(np.bincount(cited.item[cited.item >= 0]).argmax())
    vectors = scorer.vectors.clone()
    vectors[blank] = 0
    again = replace(scorer.explainer, vectors=vectors).cite(users, listed, block.sequence)
    assert blank not in again.item
    assert (again.item >= 0).any()


def test_effects_below_the_least_are_not_worth_a_reason() -> None:
    events = random_events()
    starting = scorer_of(events)
    faint = replace(starting, blend=starting.blend.scaled(sequence=1e-6, popularity=1.0))
    users = Histories(events, events.offsets[:-1], events.offsets[1:], faint.as_of, np.full(len(events), TREND[0], np.float32))
    (block,) = faint.score_blocks(events, 20, now=faint.as_of, trend=users.trend, earlier=None)
    listed = block.scores.topk(5, 1).indices
    cited = faint.explainer.cite(users, listed, block.sequence.gather(1, listed))
    assert (cited.item == -1).all()
    strong = starting.explainer.cite(users, listed, block.sequence.gather(1, listed))
    assert ((strong.effect == 0) | (strong.effect >= LEAST_EFFECT)).all()
    assert ((strong.effect > 0) == (strong.item >= 0)).all()


def test_reasons_can_be_left_out() -> None:
    events = random_events()
    plain, explained = (scorer_of(events).rank(events, 20, 10, explain=explain) for explain in (False, True))
    assert np.array_equal(plain.item, explained.item)
    assert (plain.because == -1).all()


def test_of_a_long_history_the_items_that_resemble_the_list_and_the_newest_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reasons, "QUICK_TOKENS", 8)
    monkeypatch.setattr(reasons, "QUICK_ITEMS", 2)
    events = make_events([*((0, step, step) for step in range(10)), *((1, step, step) for step in range(3))], n_items=N_ITEMS)
    explainer, listed = scorer_of(events).explainer, torch.tensor([[4, 4], [20, 21]])
    users = histories(events)
    user, newest = explainer._likely(users, listed, *recent_items(users, RECENT_EVENTS))
    assert events.item[newest[user == 0]].tolist() == [9, 4]
    assert events.item[newest[user == 1]][0] == 2
    assert np.bincount(user).tolist() == [2, 2]
    mine = histories(history_of(events, 0))
    alone = explainer._likely(mine, listed[:1], *recent_items(mine, RECENT_EVENTS))
    assert alone[1].tolist() == newest[user == 0].tolist()


def test_a_quick_search_cites_mostly_the_same_events() -> None:
    events = random_events(n_users=20, n_events=300, n_items=N_ITEMS)
    scorer = scorer_of(events)
    exact, quick = (scorer.rank(events, 20, 10, is_quick=is_quick) for is_quick in (False, True))
    assert np.array_equal(exact.item, quick.item)
    assert (exact.because == quick.because)[exact.because >= 0].mean() > 0.5


def test_the_first_rows_of_a_list_have_the_same_reasons_without_the_rest() -> None:
    events = random_events(n_users=20, n_events=600, n_items=N_ITEMS)
    scorer = scorer_of(events)
    whole, short = (scorer.rank(events, 20, k, depth=12, is_quick=True) for k in (12, 4))
    assert short.item.shape[1] == short.because.shape[1] == short.source_or_unknown.shape[1] == 4
    for name in ("item", "because", "kind_or_unknown", "source_or_unknown"):
        assert np.array_equal(getattr(whole, name)[:, :4], getattr(short, name))
    shallow = scorer.rank(events, 20, 4, is_quick=True)
    assert not np.array_equal(shallow.because, short.because)  # which items are left out depends on the whole list
