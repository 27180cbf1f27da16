"""Labels, facets and clusters become interests, and items find theirs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.events import Floats
from models.interests.discovery import discover
from models.interests.terms import distinguishing_terms
from models.interests.vocabulary import Descriptions, Interests, split_label

DIM = 8


def described(*labels: Sequence[str], titles: Sequence[str] | None = None, prices: Sequence[float] | None = None) -> Descriptions:
    """Items whose categories are given, without tags."""
    n = len(labels)
    price = np.array([np.nan] * n if prices is None else prices, np.float32)
    return Descriptions(titles or [f"thing {number}" for number in range(n)], labels, [()] * n, price)


def encode(texts: Sequence[str]) -> Floats:
    """A unit vector per text."""
    return np.eye(DIM, dtype=np.float32)[[len(text) % DIM for text in texts]]


def found(items: Descriptions, text: Floats | None = None) -> Interests:
    out = discover(items, text, encode, 7, [str(number) for number in range(len(items))])
    assert out is not None
    return out


def of_item(interests: Interests, item: int) -> dict[str, float]:
    kept = interests.item == item
    return {interests.interest_ids[row]: float(w) for row, w in zip(interests.interest[kept], interests.weight[kept], strict=True)}


GENRES = described(*[("Drama", "War"), ("drama ", "Comedy"), ("Comedy|Short",), ("Short", "War"), ("(none)",), ("Opera", "Drama")])


def test_labels_are_interests_whatever_their_case_and_spaces_and_lists_in_one_text_are_split() -> None:
    interests = found(GENRES)
    assert interests.interest_ids == ("label:comedy", "label:drama", "label:short", "label:war")
    assert interests.names == ("Comedy", "Drama", "Short", "War")
    assert of_item(interests, 2) == {"label:comedy": 0.5, "label:short": 0.5}


def test_a_label_of_one_item_a_label_in_brackets_and_a_label_of_all_items_are_no_interests() -> None:
    interests = found(GENRES)
    assert of_item(interests, 4) == {}
    assert of_item(interests, 5) == {"label:drama": 1.0}
    everywhere = found(described(*[("All", name) for name in "aabbccdd"]))
    assert "label:all" not in everywhere.interest_ids


def test_a_path_gives_parents_and_an_item_belongs_to_the_narrowest_interest_only() -> None:
    paths = ["Home > Kitchen > Pans", "Home > Kitchen > Pans", "Home > Kitchen > Knives", "Home > Garden", "Home>Garden", "Toys", "Toys"]
    interests = found(described(*[(path,) for path in paths]))
    row = {interest_id: n for n, interest_id in enumerate(interests.interest_ids)}
    pans, kitchen = row["label:home > kitchen > pans"], row["label:home > kitchen"]
    assert interests.names[pans] == "Pans"
    assert interests.line(pans) == [pans, kitchen, row["label:home"]]
    assert of_item(interests, 0) == {"label:home > kitchen > pans": 1.0}
    assert of_item(interests, 2) == {"label:home > kitchen": 1.0}
    assert interests.items_of[[pans, kitchen, row["label:home"]]].tolist() == [2, 3, 5]


def test_a_list_from_broad_to_narrow_is_a_path_and_a_list_in_any_order_is_not() -> None:
    nested = found(described(*[("Home", "Kitchen", "Pans")] * 2, *[("Home", "Garden", "Hoses")] * 2, ("Toys", "Dolls"), ("Toys", "Dolls")))
    assert "label:home > kitchen > pans" in nested.interest_ids
    assert all(" > " not in interest_id for interest_id in found(GENRES).interest_ids)


def test_decades_and_price_bands_are_facets_with_shares_of_their_own() -> None:
    titles = [f"Film {n} ({1950 + n})" for n in range(40)]
    interests = found(described(*[(name,) for name in "abcd" * 10], titles=titles, prices=[float(n) for n in range(40)]))
    assert of_item(interests, 0) == {"label:a": 1.0, "decade:1950": 1.0, "price:1": 1.0}
    assert [name for name, group in zip(interests.names, interests.groups, strict=True) if group == "price"] == [
        *("under 9.8", "9.8 to 20", "20 to 29", "29 and more")
    ]
    normalised = interests.normalised(np.ones((1, len(interests)), np.float32))[0]
    assert {group: round(float(normalised[rows].sum()), 5) for group, rows in interests.group_rows.items()} == {
        "decade": 1,
        "price": 1,
        "topic": 1,
    }


def planted(n_groups: int, n_each: int, seed: int = 0) -> tuple[Descriptions, Floats]:
    """Items in groups of one direction and one word each."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), n_each)
    text = np.eye(DIM, dtype=np.float32)[group] + 0.05 * rng.normal(size=(len(group), DIM)).astype(np.float32)
    words = ["soap", "comb", "brush", "cream", "towel", "razor", "scarf", "lamp"]
    titles = [f"the {words[each]} number {n}" for n, each in enumerate(group)]
    return described(*[()] * len(group), titles=titles), text / np.linalg.norm(text, axis=1, keepdims=True)


def test_a_catalogue_of_titles_gets_clusters_named_by_the_words_that_distinguish_them() -> None:
    items, text = planted(8, 30)
    interests = found(items, text)
    assert set(interests.kinds) == {"cluster"}
    assert sorted(interests.names) == sorted(["soap", "comb", "brush", "cream", "towel", "razor", "scarf", "lamp"])
    assert all(len(of_item(interests, item)) == 1 for item in range(240))


def test_clusters_are_the_same_for_the_same_seed() -> None:
    items, text = planted(6, 40)
    assert np.array_equal(found(items, text).vectors, found(items, text).vectors)


def test_new_items_and_changed_ones_find_their_interests_at_once() -> None:
    items, text = planted(4, 30)
    interests = found(items, text)
    grown = interests.with_n_items(121).with_items(np.array([120]), described(()), text[:1])
    assert of_item(grown, 120) == of_item(interests, 0)
    moved = grown.with_items(np.array([0]), described(()), text[-1:])
    assert of_item(moved, 0) == of_item(interests, 119)
    assert np.all(np.diff(moved.item) >= 0)


def test_a_catalogue_of_which_nothing_is_known_has_no_interests() -> None:
    items = described((), (), ())
    assert discover(items, None, encode, 7, ["a", "b", "c"]) is None
    assert discover(items, np.zeros((3, DIM), np.float32), encode, 7, ["a", "b", "c"]) is None


@pytest.mark.parametrize("raw", ["", " > ", "|", "(no genres listed)", "[none]", "x" * 5000])
def test_texts_that_are_no_labels_are_left_out(raw: str) -> None:
    assert split_label(raw) == []


def test_terms_distinguish_titles_in_scripts_without_spaces_too() -> None:
    shares = found(described(*[(name,) for name in "aabbccdd"])).shares
    titles = ["红色连衣裙", "蓝色连衣裙", "咖啡杯子", "大咖啡杯", "tea pot", "a tea pot", "wool hat", "wool hats"]
    terms = distinguishing_terms(titles, shares, 3)
    assert "连衣" in terms[0]
    assert "咖啡" in terms[1]
    assert terms[2] == ("pot", "tea")
    assert terms[3] == ("wool",)
