"""The lists that were answered, for the pages that go on from them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from serving.errors import NotFoundError

N_LISTS = 10_000
"""Maximum number of lists remembered for paging (`after`)."""
N_ITEMS = 1_000_000
"""Maximum number of item ids of all these lists together."""


@dataclass
class Shown:
    """The newest lists, each with the items of those that it goes on from."""

    items: OrderedDict[str, tuple[str, ...]] = field(default_factory=OrderedDict)
    n_items: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def remember(self, recommendation_id: str, before: Sequence[str], item_ids: Sequence[str]) -> None:
        """Remember a list, and forget the oldest ones beyond the limits."""
        with self.lock:
            self.items[recommendation_id] = (*before, *item_ids)
            self.n_items += len(self.items[recommendation_id])
            while len(self.items) > N_LISTS or self.n_items > N_ITEMS:
                self.n_items -= len(self.items.popitem(last=False)[1])

    def before(self, after: str | None) -> tuple[str, ...]:
        """The items of the list that a request goes on from, and of those before it. Raises NotFoundError for a list not remembered."""
        if after is None:
            return ()
        with self.lock:
            found = self.items.get(after)
        if found is None:
            raise NotFoundError(f"after is {after[:40]!r}: no list of this id is remembered; leave it out to begin with the first page")
        return found
