"""What changes between the lists of two versions: shares, exposure and examples of a shop whose answer one can see."""

from __future__ import annotations

import json

import polars as pl
import pytest

from tasks.compare.difference import LISTS, RANKED, Difference, difference_of

ITEMS = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "title": ["Alpha", "Beta", None, "Delta"],
        "categories": [["tents"], ["tents", "sale"], ["stoves"], []],
        "popularity": ["popular", "popular", "middle", "rare"],
    },
    schema_overrides={"categories": pl.List(pl.String)},
)


def of(**lists: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"user_id": list(lists), "item_ids": list(lists.values())}, schema=LISTS)


@pytest.fixture(scope="module")
def found() -> Difference:
    before = of(ann=["a", "b"], ben=["a", "b"], cat=["a", "b"], gone=["d"])
    after = of(ann=["a", "b"], ben=["b", "a"], cat=["a", "d"], come=["c"], also=["c"])
    difference = difference_of("1", "2", (before, after), ITEMS, RANKED)
    assert difference is not None
    return difference


def test_only_users_with_both_lists_count_and_the_others_are_counted(found: Difference) -> None:
    assert (found.n_users, found.n_only_before, found.n_only_after) == (3, 1, 2)
    assert [found.changed, found.changed_items, found.replaced] == pytest.approx([2 / 3, 1 / 3, 1 / 6])
    assert 0 < found.overlap_low < found.overlap < 1


def test_the_place_of_an_item_counts_in_equal_parts_for_its_categories(found: Difference) -> None:
    share = {each.group: (each.before, each.after) for each in found.categories}
    # before: 3 places of Alpha and 3 of Beta among six; after: 3 of Alpha, 2 of Beta, 1 of Delta
    assert share["tents"] == pytest.approx((4.5 / 6, 4 / 6))
    assert share["sale"] == pytest.approx((1.5 / 6, 1 / 6))
    assert share["(none)"] == pytest.approx((0, 1 / 6))
    assert found.moved_between_categories == pytest.approx(1 / 6)
    assert found.categories[0].group == "(none)", "the category that moves most comes first"


def test_categories_are_read_as_interests_read_them_several_in_one_text_and_in_any_case() -> None:
    written = ITEMS.with_columns(categories=pl.Series([["Tents"], ["tents|sale"], ["stoves > gas"], ["(no genres listed)"]]))
    before, after = of(ann=["a", "b"]), of(ann=["b", "c", "d"])
    difference = difference_of("1", "2", (before, after), written, RANKED)
    assert difference is not None
    share = {each.group: (each.before, each.after) for each in difference.categories}
    assert share == {
        "Tents": pytest.approx((0.75, 1 / 6)),
        "sale": pytest.approx((0.25, 1 / 6)),
        "stoves > gas": pytest.approx((0, 1 / 3)),
        "(none)": pytest.approx((0, 1 / 3)),
    }


def test_exposure_moves_from_popular_to_rare_items(found: Difference) -> None:
    assert [(each.group, each.moved) for each in found.popularity] == [
        ("popular", pytest.approx(-1 / 6)),
        ("middle", 0),
        ("rare", pytest.approx(1 / 6)),
    ]
    assert found.moved_by_popularity == pytest.approx(1 / 6)


def test_examples_are_users_whose_list_changes_with_titles(found: Difference) -> None:
    by_user = {each.user_id: (each.gone, each.new) for each in found.examples}
    assert by_user == {"cat": (["Beta"], ["Delta"]), "ben": ([], [])}
    overlaps = [each.overlap for each in found.examples]
    assert overlaps == sorted(overlaps)


def test_an_artifact_names_no_user(found: Difference) -> None:
    written = json.loads(found.text())
    assert [set(each) for each in written["examples"]] == [{"overlap", "gone", "new"}] * 2
    assert "ben" not in found.text()
    assert {each["user_id"] for each in found.as_json(with_users=True)["examples"]} == {"ben", "cat"}
    assert written["popularity"][2]["moved"] == pytest.approx(1 / 6)


def test_ten_examples_spread_from_the_greatest_to_the_least_change_and_unknown_items_have_their_id() -> None:
    names = [f"u{n:02}" for n in range(30)]
    items = ITEMS.head(0)
    before = of(**{name: [f"i{n}" for n in range(10)] for name in names})
    after = of(**{name: [f"i{n}" if n != place else "new" for n in range(10)] for place, name in zip([0, 4, 9] * 10, names, strict=True)})
    found = difference_of("1", "2", (before, after), items, RANKED)
    assert found is not None
    assert len(found.examples) == 10
    assert (found.examples[0].gone, found.examples[0].new) == (["i0"], ["new"])
    assert found.examples[0].overlap < found.examples[5].overlap < found.examples[-1].overlap


def test_without_a_common_user_there_is_no_difference() -> None:
    assert difference_of("1", "2", (of(ann=["a"]), of(ben=["a"])), ITEMS, RANKED) is None
