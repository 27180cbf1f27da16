"""Labels of items, and the label that a listed item shares with a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.events import Ints, ragged_rows


@dataclass(frozen=True)
class Labels:
    """The labels of items that may stand in a reason.

    names: sorted; rarity: log of the catalogue's size over the number of items with the label. start: [items + 1] half-open ranges of
    label, which holds the numbers of the names of each item.
    """

    names: Sequence[str]
    rarity: NDArray[np.float64]
    start: Ints
    label: Ints

    @staticmethod
    def build(names: Sequence[str], rarity: NDArray[np.float64], item: Ints, label: Ints, n_items: int) -> Labels:
        """The labels of a catalogue. item, label: each pair once, in any order."""
        order = np.argsort(item, kind="stable")
        return Labels(names, rarity, np.searchsorted(item[order], np.arange(n_items + 1)), label[order])

    def shared(self, recent: Ints, listed: Ints) -> list[str | None]:
        """For each listed item, the label that it shares with the last items of a history and that says most about the user.

        A label counts if at least a quarter of the distinct items in `recent` have it. Of several, the one on most of these items counts,
        weighted by its rarity; ties go to the first in order. sql/publish/shared_labels.sql is the same rule for many users.
        """
        items = np.unique(recent)
        label, count = np.unique(self.label[ragged_rows(self.start[items], self.start[items + 1])[1]], return_counts=True)
        is_liked = count >= len(items) / 4
        label, strength = label[is_liked], (count * self.rarity[label])[is_liked]
        place = {int(code): n for n, code in enumerate(label[np.lexsort((label, -strength))])}
        out: list[str | None] = []
        for row in listed.tolist():
            mine = [code for code in self.label[self.start[row] : self.start[row + 1]].tolist() if code in place]
            out.append(self.names[min(mine, key=place.__getitem__)] if mine else None)
        return out
