"""The items that were put since the publication."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from serving.items import Item


class PutItems:
    """What the PUTs since the publication say about each item, the last value of each field. The caller holds a lock."""

    def __init__(self) -> None:
        self._given: list[tuple[str, Item]] = []

    def add(self, items: Sequence[Item], segment: str) -> None:
        """Keep items that are on disk in a segment of the log."""
        self._given += [(segment, item) for item in items]

    def forget(self, segments: Collection[str]) -> None:
        """Drop the items of segments that a publication contains."""
        self._given = [each for each in self._given if each[0] not in segments]

    def has(self, item_id: str) -> bool:
        """Whether the item was put."""
        return any(item.item_id == item_id for _, item in reversed(self._given))

    def now(self) -> list[Item]:
        """Each item once, with the last value of each field."""
        found: dict[str, Item] = {}
        for _, item in self._given:
            found[item.item_id] = found[item.item_id].then(item) if item.item_id in found else item
        return list(found.values())
