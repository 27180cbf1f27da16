"""Two towers that bring requests in words and items together: small heads on the frozen vectors of the encoder.

The heads see the vectors as the encoder gives them. Whitened vectors suit the sequence model, but made every kind of request worse.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from models.events import Floats
from models.text.lexical import Lexicon
from models.text.requests import ItemWords

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

    @torch.no_grad()
    def scaled(self, share: float) -> Head:
        """A copy with only a share of the correction; with 0, the identity."""
        out = copy.deepcopy(self)
        out.last.weight.mul_(share)
        out.last.bias.mul_(share)
        return out


@dataclass(frozen=True)
class Words:
    """Both heads, the vectors of all items [items, dim], and how much a request counts in the score of a list.

    weight: factor of the cosine of request and item; it is added to log P(item | user, time). lexicon: the words of the items; None in
    older versions. search: weights of the features of a search (models.ranking.searches), which give its factor; None if it was never
    chosen. past: both heads as they were before the searches of the hold-out taught them; None if no search did.
    """

    query: Head
    item: Head
    items: Tensor
    weight: float
    lexicon: Lexicon | None = None
    search: Floats | None = None
    past: tuple[Head, Head] | None = None

    @staticmethod
    def of(query: Head, item: Head, text: Floats, weight: float, lexicon: Lexicon | None = None) -> Words:
        """The words of a catalogue. text: vectors of the encoder [items, dim], zero for items without text."""
        return Words(query, item, _embed(item, text), weight, lexicon)

    def on_catalog(self, place: Int[Tensor, " items"], text: Floats) -> Words:
        """The same over the items of another catalogue.

        place: row of each item in the old catalogue; -1 for a new item, whose words are not known. text: vectors of the encoder,
        [items, dim].
        """
        return replace(self, items=_embed(self.item, text), lexicon=self.lexicon and self.lexicon.on_catalog(place))

    def with_heads(self, heads: tuple[Head, Head], text: Floats) -> Words:
        """The same with other heads. text: vectors of the encoder of all items [items, dim]."""
        return replace(self, query=heads[0], item=heads[1], items=_embed(heads[1], text))

    def before_hold_out(self, text: Floats) -> Words:
        """The words that know no search of the hold-out, for a fair evaluation. text: vectors of the encoder of all items [items, dim]."""
        return self if self.past is None else replace(self.with_heads(self.past, text), past=None)

    @property
    def counts_searches(self) -> bool:
        """Whether the term of searches can be other than zero."""
        return self.search is None or bool(self.search.any())

    @torch.inference_mode()
    def scores(self, queries: Floats, texts: Sequence[str | None] | None = None) -> Float[Tensor, "queries items"]:
        """The term of the request in the score; see `matches`."""
        return self.weight * self.matches(queries, texts)

    @torch.inference_mode()
    def matches(self, queries: Floats, texts: Sequence[str | None] | None = None) -> Float[Tensor, "queries items"]:
        """How well each item fits each request: the cosine plus the weighted lexical score.

        queries: vectors of the encoder [queries, dim]; a zero vector stands for no request. texts: the words of the same requests; without
        them, only the meaning counts.
        """
        cosine = self.cosine(queries)
        if texts is None or self.lexicon is None or not self.lexicon.weight:
            return cosine
        return cosine + self.lexicon.weight * self.lexicon.scores(texts)

    @torch.inference_mode()
    def cosine(self, queries: Floats) -> Float[Tensor, "queries items"]:
        """Cosine of each request and item; zero for a request or an item about which nothing is known."""
        return self.query(torch.from_numpy(queries)) @ self.items.T

    def with_new_items(self, text: Floats, said: Sequence[ItemWords] | None = None) -> Words:
        """The same with more items at the end. text: [new items, dim]; said: their words, if any."""
        lexicon = self.lexicon and self.lexicon.with_new_items(said or [("", ())] * len(text))
        return replace(self, items=torch.cat([self.items, _embed(self.item, text)]), lexicon=lexicon)

    def with_new_texts(self, rows: Int[Tensor, " rows"], text: Floats, said: Sequence[ItemWords] | None = None) -> Words:
        """The same after some items have got another text. text: [rows, dim]; said: their words; without them, the old ones stay."""
        items = self.items.clone()
        items[rows] = _embed(self.item, text)
        lexicon = self.lexicon if self.lexicon is None or said is None else self.lexicon.with_new_texts(rows, said)
        return replace(self, items=items, lexicon=lexicon)

    def tensors(self) -> dict[str, Tensor]:
        """Everything as named tensors, for a checkpoint."""
        heads = {"query": self.query, "item": self.item}
        if self.past is not None:
            heads |= {"past_query": self.past[0], "past_item": self.past[1]}
        named = {f"{name}.{key}": value for name, head in heads.items() for key, value in head.state_dict().items()}
        lexicon = {} if self.lexicon is None else {f"lexicon.{key}": value for key, value in self.lexicon.tensors().items()}
        search = {} if self.search is None else {"search": torch.from_numpy(self.search)}
        return {**named, **lexicon, **search, "items": self.items, "weight": torch.tensor(self.weight)}

    @staticmethod
    def from_tensors(tensors: dict[str, Tensor]) -> Words:
        """The inverse of `tensors`."""
        heads = []
        for name in ("query", "item", "past_query", "past_item"):
            if f"{name}.first.weight" not in tensors:
                continue
            width, dim = tensors[f"{name}.first.weight"].shape
            head = Head(dim, width)
            head.load_state_dict({key: tensors[f"{name}.{key}"] for key in head.state_dict()})
            heads.append(head.eval().requires_grad_(requires_grad=False))
        found = {name.removeprefix("lexicon."): value for name, value in tensors.items() if name.startswith("lexicon.")}
        lexicon = Lexicon.from_tensors(found) if found else None
        search = tensors["search"].numpy() if "search" in tensors else None
        past = (heads[2], heads[3]) if len(heads) > 2 else None
        return Words(heads[0], heads[1], tensors["items"], float(tensors["weight"]), lexicon, search, past)


@torch.inference_mode()
def _embed(head: Head, text: Floats) -> Tensor:
    """Vectors of items, in blocks, so that memory stays small."""
    vectors = torch.from_numpy(np.ascontiguousarray(text))
    blocks = [head(vectors[first : first + BLOCK_ITEMS]) for first in range(0, len(vectors), BLOCK_ITEMS)]
    return torch.cat(blocks) if blocks else vectors
