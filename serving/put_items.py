"""The items that were put since the publication."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from serving.items import Item


class PutItems:
    """What the PUTs since the publication say about each item, the last value of each field. The caller holds a lock."""

    def __init__(self) -> None:
        self._given: list[tuple[str, Item]] = []
        self._ids: set[str] = set()

    def add(self, items: Sequence[Item], segment: str) -> None:
        """Keep items that are on disk in a segment of the log."""
        self._given += [(segment, item) for item in items]
        self._ids.update(item.item_id for item in items)

    def forget(self, segments: Collection[str]) -> None:
        """Drop the items of segments that a publication contains."""
        self._given = [each for each in self._given if each[0] not in segments]
        self._ids = {item.item_id for _, item in self._given}

    def has(self, item_id: str) -> bool:
        """Whether the item was put."""
        return item_id in self._ids

    def now(self, without: Collection[str] = ()) -> list[Item]:
        """Each item once, with the last value of each field. without: segments that do not count."""
        found: dict[str, Item] = {}
        for _, item in (each for each in self._given if each[0] not in without):
            found[item.item_id] = found[item.item_id].then(item) if item.item_id in found else item
        return list(found.values())
