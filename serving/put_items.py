"""The items that were put since the publication."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from serving.item_rules import Item


class PutItems:
    """What the PUTs since the publication say about each item, the last value of each field.

    `now` is replaced as a whole by every change, so that readers need no lock.
    """

    def __init__(self) -> None:
        self._given: list[tuple[str, Item]] = []
        self.now: Mapping[str, Item] = {}

    def add(self, items: Sequence[Item], segment: str) -> None:
        """Apply items that are on disk in a segment of the log."""
        self._given += [(segment, item) for item in items]
        self.now = _merged(self.now, items)

    def forget(self, segments: Collection[str]) -> None:
        """Drop the items of segments that a publication contains."""
        if segments and self._given:
            self._given = [each for each in self._given if each[0] not in segments]
            self.now = _merged({}, [item for _, item in self._given])

    def withdrawn(self) -> list[str]:
        """The items that are no longer available."""
        return [item_id for item_id, item in self.now.items() if item.is_available is False]


def _merged(known: Mapping[str, Item], items: Sequence[Item]) -> dict[str, Item]:
    found = dict(known)
    for item in items:
        found[item.item_id] = found[item.item_id].then(item) if item.item_id in found else item
    return found
