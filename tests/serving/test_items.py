"""Filters over the items in memory."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serving.items import Filter, Item, ItemTable, Price

ROWS = [
    ("kettle", "Kettle", ["Home > Kitchen"], ["sale"], 20.0, True),
    ("tent", " ", ["Outdoor", "Tents"], None, 19.99, True),
    ("unknown to the model", "x", ["Home"], ["sale"], 1.0, True),
    ("rope", None, None, ["sale", "new"], None, False),
]
IDS = ("rope", "nothing known", "tent", "kettle")


def table() -> ItemTable:
    frame = pl.DataFrame(ROWS, schema=["item_id", "title", "categories", "tags", "price", "is_available"], orient="row")
    return ItemTable.build(frame, IDS, np.array([True, True, False, True]))


def passing(items: ItemTable, **wanted: object) -> set[str]:
    return {IDS[row] for row in np.flatnonzero(items.allowed(Filter.model_validate(wanted)))}


def test_a_filter_lets_through_the_items_that_meet_all_its_conditions() -> None:
    items = table()
    assert passing(items) == set(IDS)
    assert passing(items, categories_any=["Home"]) == {"kettle"}
    assert passing(items, categories_any=["Kitchen", "Tents"]) == {"kettle", "tent"}
    assert passing(items, categories_any=["Home>Kitchen"]) == {"kettle"}, "blanks around > do not matter"
    assert passing(items, categories_all=["Outdoor", "Tents"]) == {"tent"}
    assert passing(items, categories_all=["Outdoor", "Kitchen"]) == set()
    assert passing(items, tags_any=["sale"]) == {"kettle", "rope"}
    assert passing(items, price={"lt": 20}) == {"tent"}, "an item without a price is within no bounds"
    assert passing(items, price={"gte": 19.99, "lte": 20}) == {"tent", "kettle"}
    assert passing(items, price={"gt": 19.99}) == {"kettle"}
    assert passing(items, item_ids=["rope", "unheard of"]) == {"rope"}
    assert passing(items, item_ids=["rope", "kettle"], tags_any=["new"]) == {"rope"}


def test_the_table_knows_titles_names_and_availability_by_row() -> None:
    items = table()
    assert [items.title(row) for row in range(4)] == [None, None, " ", "Kettle"]
    assert [items.name(row) for row in range(4)] == ["rope", "nothing known", "tent", "Kettle"]
    assert items.is_available.tolist() == [False, True, True, True], "the lake knows better than the model"


LABELS = st.lists(st.sampled_from(["Home", "Home > Kitchen", "Outdoor", "a>b", "b"]), max_size=3)
PRICES = st.one_of(st.none(), st.sampled_from([0.0, 19.99, 20.0, 1e9]))


@given(LABELS, PRICES, st.booleans(), LABELS, st.sampled_from([None, 19.99, 20.0]))
def test_an_item_that_was_put_passes_the_same_filters_as_after_the_next_publication(
    categories: list[str], price: float | None, is_available: bool, wanted: list[str], bound: float | None
) -> None:
    put = Item("kettle", "New name", None, tuple(categories), None, price, is_available)
    row = ("kettle", "New name", categories, ["sale"], ROWS[0][4] if price is None else price, is_available)
    frame = pl.DataFrame([row, *ROWS[1:]], schema=["item_id", "title", "categories", "tags", "price", "is_available"], orient="row")
    later, now = ItemTable.build(frame, IDS, np.array([True, True, False, True])), table().with_items([put, Item("not in the catalogue")])
    assert now.is_available.tolist() == later.is_available.tolist()
    assert [now.name(n) for n in range(4)] == [later.name(n) for n in range(4)]
    for each in (
        Filter(categories_any=tuple(wanted)) if wanted else Filter(),
        Filter(categories_all=tuple(wanted)),
        Filter(tags_any=("sale",)),
        Filter(price=Price(lte=bound)),
        Filter(price=Price(lt=bound, gt=1)),
    ):
        assert now.allowed(each).tolist() == later.allowed(each).tolist()


@pytest.mark.parametrize("wanted", [{"colour": "red"}, {"price": {"below": 3}}, {"price": {"lt": float("nan")}}, {"tags_any": [""]}])
def test_unknown_conditions_are_refused(wanted: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Filter.model_validate(wanted)
