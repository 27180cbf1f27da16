"""How far two lists agree: hand-worked cases and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events import Ints
from models.metrics.agreement import is_changed, rank_biased_overlap, replaced


def lists(*rows: list[int]) -> Ints:
    width = max(map(len, rows), default=0)
    return np.array([row + [-1] * (width - len(row)) for row in rows], np.int64).reshape(len(rows), width)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([1, 2, 3], [1, 2, 3], 1.0),
        ([1, 2], [3, 4], 0.0),
        # X = 1, 1, 2: 2/3 x .729 + 1/9 x (1 x .9 + 1/2 x .81 + 2/3 x .729)
        ([1, 2, 3], [1, 3, 4], 0.685),
        # s = 1, l = 2, X = 0, 1: 1/9 x 1/2 x .81 + (1 - 0) / 2 x .81
        ([1], [2, 1], 0.45),
        # s = 1, l = 2, X = 1, 1: the short list would go on to agree
        ([1], [1, 2], 1.0),
        ([], [1], 0.0),
        ([], [], 1.0),
    ],
)
def test_rank_biased_overlap_is_equation_32_worked_by_hand(before: list[int], after: list[int], expected: float) -> None:
    assert rank_biased_overlap(lists(before), lists(after), p=0.9) == pytest.approx([expected])
    assert rank_biased_overlap(lists(after), lists(before), p=0.9) == pytest.approx([expected]), "it is symmetric"


some_lists = st.lists(st.integers(0, 8), max_size=6, unique=True)


@given(st.lists(st.tuples(some_lists, some_lists), min_size=1, max_size=5), st.floats(0.1, 0.99))
def test_rank_biased_overlap_is_between_0_and_1_and_no_user_matters_for_another(pairs: list[tuple[list[int], list[int]]], p: float) -> None:
    before, after = lists(*(pair[0] for pair in pairs)), lists(*(pair[1] for pair in pairs))
    together = rank_biased_overlap(before, after, p)
    assert ((together >= -1e-9) & (together <= 1 + 1e-9)).all()
    alone = [rank_biased_overlap(lists(first), lists(second), p)[0] for first, second in pairs]
    assert together == pytest.approx(alone)


def test_a_swap_at_the_top_counts_more_than_one_at_the_end() -> None:
    top, end = lists([1, 0, 2, 3, 4]), lists([0, 1, 2, 4, 3])
    (swapped_first,), (swapped_last,) = (rank_biased_overlap(lists([0, 1, 2, 3, 4]), other) for other in (top, end))
    assert swapped_first < swapped_last < 1


def test_places_change_hands_only_for_items_from_outside_and_an_order_is_a_change_of_its_own() -> None:
    before, after = lists([1, 2, 3], [1, 2, 3], [1, 2, 3], []), lists([1, 2, 3], [3, 2, 1], [4, 2], [7])
    assert replaced(before, after).tolist() == [0, 0, 0.5, 1]
    assert is_changed(before, after).tolist() == [False, True, True, True]
    assert is_changed(before, after, k=0).tolist() == [False] * 4
    assert replaced(lists([1, 2]), lists([1, 9]), k=1).tolist() == [0], "only the first k places count"
