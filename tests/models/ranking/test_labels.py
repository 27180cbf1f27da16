"""The label that a listed item shares with a history."""

from __future__ import annotations

import numpy as np

from models.ranking.labels import Labels

NAMES = ("bags", "hats", "new", "tents")


def labels(*of_items: str, rarity: tuple[float, ...] = (1.0, 1.0, 0.1, 1.0)) -> Labels:
    """The labels of items 0, 1, ...: their names, with blanks between them."""
    pairs = [(item, NAMES.index(name)) for item, names in enumerate(of_items) for name in names.split()]
    item, label = np.array(pairs[::-1], np.int64).reshape(-1, 2).T
    return Labels.build(NAMES, np.array(rarity), item, label, len(of_items))


def test_the_label_on_most_items_of_the_history_counts_weighted_by_its_rarity() -> None:
    shop = labels("tents new", "tents new", "hats new", "tents hats new", "new", "bags", "")
    listed = np.array([3, 4, 5, 6])
    assert shop.shared(np.array([0, 1, 2]), listed) == ["tents", "new", None, None]
    assert shop.shared(np.array([2]), listed) == ["hats", "new", None, None]


def test_a_label_counts_if_a_quarter_of_the_distinct_items_have_it_and_ties_go_to_the_first_in_order() -> None:
    shop = labels("hats", "tents", "tents", "bags", "tents hats", "hats bags")
    assert shop.shared(np.array([0, 1, 2, 2, 2, 3]), np.array([4, 5])) == ["tents", "bags"]
    assert shop.shared(np.array([0, 1, 2, 4]), np.array([3])) == [None]
    assert labels("hats", "tents", "tents", "tents", "tents", "hats").shared(np.arange(5), np.array([5])) == [None]


def test_without_a_history_or_labels_nothing_is_shared() -> None:
    assert labels("hats").shared(np.empty(0, np.int64), np.array([0])) == [None]
    nothing = Labels.build((), np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64), 2)
    assert nothing.shared(np.array([0]), np.array([1])) == [None]
