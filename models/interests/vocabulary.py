"""The interests of a catalogue: what they are called, how they are nested, and which items belong to each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from models.events import Floats, Ints

TOPIC = "topic"


@dataclass(frozen=True)
class Interests:
    """The interests of a catalogue, and the share of each in each item.

    One interest per row: interest_ids stay the same across nights; kinds: label, facet or cluster; groups: topic (labels and clusters),
    or the name of a facet such as decade or price; parents: row of the broader interest, or -1; terms: the words that distinguish it;
    vectors: [interests, text_dim], unit vectors of the encoder, not whitened (labels and facets: of their name; clusters: the centroid).

    One membership per entry of item, interest and weight, sorted by item, then interest. An item belongs to the narrowest interests only,
    so shares of a group never overlap. The weights of an item sum to 1 within each group in which it has an interest, so a distribution
    over interests is normalised within each group. price_bounds: upper bounds of all price bands but the last. next_cluster: the number of
    the next new cluster; numbers are never used twice.
    """

    interest_ids: tuple[str, ...]
    kinds: tuple[str, ...]
    groups: tuple[str, ...]
    parents: Ints
    names: tuple[str, ...]
    terms: tuple[tuple[str, ...], ...]
    vectors: Floats
    item: Ints
    interest: Ints
    weight: Floats
    n_items: int
    price_bounds: Floats
    next_cluster: int = 0

    def __len__(self) -> int:
        return len(self.interest_ids)

    @cached_property
    def shares(self) -> csr_matrix:
        """Share of each interest in each item, sparse [items, interests]."""
        return csr_matrix((self.weight, (self.item, self.interest)), shape=(self.n_items, len(self)), dtype=np.float32)

    @cached_property
    def group_rows(self) -> dict[str, Ints]:
        """The rows of the interests of each group."""
        return {group: np.array([row for row, name in enumerate(self.groups) if name == group]) for group in sorted(set(self.groups))}
