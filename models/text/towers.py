"""Two towers that bring requests in words and items together: small heads on the frozen vectors of the encoder.

The heads see the vectors as the encoder gives them. Whitened vectors suit the sequence model, but made every kind of request worse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from models.events import Floats

WIDTH = 256
BLOCK_ITEMS = 8192


class Head(nn.Module):
    """A residual head: the vector plus a small correction, brought to unit length. It starts as the identity."""

    def __init__(self, dim: int, width: int = WIDTH) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(dim, width), nn.Linear(width, dim)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, vectors: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        """Unit vectors; the zero vector stays zero, because nothing is known about it."""
        known = vectors.abs().sum(1, keepdim=True) > 0
        return F.normalize(vectors + self.last(F.gelu(self.first(vectors))), dim=1) * known


@dataclass(frozen=True)
class Words:
    """Both heads, the vectors of all items [items, dim], and how much a request counts in the score of a list.

    weight: factor of the cosine of request and item; it is added to log P(item | user, time).
    search: weights of the features of a search (models.ranking.searches), which give its factor; None if it was never chosen.
    """

    query: Head
    item: Head
    items: Tensor
    weight: float
    search: Floats | None = None

    @staticmethod
    def of(query: Head, item: Head, text: Floats, weight: float) -> Words:
        """The words of a catalogue. text: vectors of the encoder [items, dim], zero for items without text."""
        return Words(query, item, _embed(item, text), weight)

    def on(self, text: Floats) -> Words:
        """The same heads over the items of another catalogue. text: vectors of the encoder [items, dim]."""
        return replace(self, items=_embed(self.item, text))

    @torch.inference_mode()
    def scores(self, queries: Floats) -> Float[Tensor, "queries items"]:
        """The term of the request in the score. queries: vectors of the encoder [queries, dim]; a zero vector stands for no request."""
        return self.weight * self.cosine(queries)

    @torch.inference_mode()
    def cosine(self, queries: Floats) -> Float[Tensor, "queries items"]:
        """Cosine of each request and item; zero for a request or an item about which nothing is known."""
        return self.query(torch.from_numpy(queries)) @ self.items.T

    def with_new_items(self, text: Floats) -> Words:
        """The same with more items at the end. text: [new items, dim]."""
        return replace(self, items=torch.cat([self.items, _embed(self.item, text)]))

    def with_new_texts(self, rows: Int[Tensor, " rows"], text: Floats) -> Words:
        """The same after some items have got another text. text: [rows, dim]."""
        items = self.items.clone()
        items[rows] = _embed(self.item, text)
        return replace(self, items=items)

    def tensors(self) -> dict[str, Tensor]:
        """Everything as named tensors, for a checkpoint."""
        heads = {"query": self.query, "item": self.item}
        named = {f"{name}.{key}": value for name, head in heads.items() for key, value in head.state_dict().items()}
        search = {} if self.search is None else {"search": torch.from_numpy(self.search)}
        return {**named, **search, "items": self.items, "weight": torch.tensor(self.weight)}

    @staticmethod
    def from_tensors(tensors: dict[str, Tensor]) -> Words:
        """The inverse of `tensors`."""
        heads = []
        for name in ("query", "item"):
            width, dim = tensors[f"{name}.first.weight"].shape
            head = Head(dim, width)
            head.load_state_dict({key: tensors[f"{name}.{key}"] for key in head.state_dict()})
            heads.append(head.eval().requires_grad_(requires_grad=False))
        search = tensors["search"].numpy() if "search" in tensors else None
        return Words(heads[0], heads[1], tensors["items"], float(tensors["weight"]), search)


@torch.inference_mode()
def _embed(head: Head, text: Floats) -> Tensor:
    """Vectors of items, in blocks, so that memory stays small."""
    vectors = torch.from_numpy(np.ascontiguousarray(text))
    blocks = [head(vectors[first : first + BLOCK_ITEMS]) for first in range(0, len(vectors), BLOCK_ITEMS)]
    return torch.cat(blocks) if blocks else vectors
