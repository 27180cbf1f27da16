"""Which items a PUT accepts: the rules of an ingest, so that an accepted item is never refused later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from serving.items import Item
from serving.rules import RefusedError, demand_short, id_of, text_of
from serving.segments import line_of
from tasks.config import IngestConfig

FIELDS = ("item_id", "title", "description", "categories", "tags", "price", "is_available")


def line_of_item(item: Item) -> bytes:
    """An item as a line of the log."""
    given = {name: getattr(item, name) for name in FIELDS}
    return line_of("item", {name: value for name, value in given.items() if value is not None})


def item_of(row: Mapping[str, Any]) -> Item:
    """The item of a line of the log."""
    given: dict[str, Any] = {name: row[name] for name in FIELDS if name in row}
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return Item(**(given | lists))


def accept_item(given: Any, config: IngestConfig) -> Item:
    """The item of one JSON object. Raises RefusedError with the first rule that it breaks."""
    if not isinstance(given, dict):
        raise RefusedError("not a JSON object")
    unknown = [name for name in given if name not in FIELDS]
    if unknown:
        raise RefusedError(f"unknown field {unknown[0][:40]!r}; an item has {', '.join(FIELDS)}")
    item_id = id_of(given, "item_id", null_words_as_ids=config.null_words_as_ids)
    if item_id is None:
        raise RefusedError("item_id is empty")
    is_available = given.get("is_available")
    if is_available is not None and not isinstance(is_available, bool):
        raise RefusedError("is_available is neither true nor false")
    item = Item(
        item_id=item_id,
        title=text_of(given, "title", config.max_text_chars),
        description=text_of(given, "description", config.max_text_chars),
        categories=_texts(given, "categories"),
        tags=_texts(given, "tags"),
        price=_price(given),
        is_available=is_available,
    )
    demand_short(line_of_item(item), "item")
    return item


def _texts(given: dict[str, Any], name: str) -> tuple[str, ...] | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise RefusedError(f"{name} is not an array of texts")
    parts = [text_of({name: each}, name, len(each) + 1) for each in value]
    return tuple(part for part in parts if part is not None) or None


def _price(given: dict[str, Any]) -> float | None:
    value = given.get("price")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedError("price is not a number")
    try:
        price = float(value)
    except OverflowError:
        raise RefusedError("price is not finite") from None
    if not math.isfinite(price):
        raise RefusedError("price is not finite")
    if price < 0:
        raise RefusedError("price is negative")
    return price
