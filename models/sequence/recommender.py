"""The sequence model: items from text and a bounded delta, users from a causal, time-aware transformer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from models.config import RecommenderConfig
from models.events import Floats
from models.sequence.whitening import Whitening

GAP_SCALES_S = (60.0, 3600.0, 86400.0, 30 * 86400.0)
LONGEST_DISTANCE = 500.0
SHORTEST_PERIOD_S, LONGEST_PERIOD_S = 60.0, 3e7


def gap_features(gap: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape scales"]:
    """Gaps in seconds on log scales of a minute, an hour, a day and a month, divided by 10: each feature is about 0 to 1."""
    return torch.log1p(gap.clamp_min(0).float()[..., None] / torch.tensor(GAP_SCALES_S, device=gap.device)) / 10


def dropout(x: Tensor, rate: float, *, training: bool) -> Tensor:
    """Dropout; on a CPU the rate is rounded to 1/256.

    The CPU path uses one random byte per element and draws eight at a time, which is faster than torch.
    """
    if not training or rate == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, rate, training)
    least = min(max(round(rate * 256), 1), 255)
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    keep = words.view(torch.uint8)[: x.numel()].view(x.shape) >= least
    return x * keep.to(x.dtype).mul_(256 / (256 - least))


LEAST_LENGTH = 1e-6
"""A shorter vector carries no information."""


def residual_head(dim: int) -> nn.Sequential:
    """A small head for a correction of vectors; it starts at zero."""
    last = nn.Linear(dim, dim)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(dim, dim), nn.GELU(), last)


class ItemTower(nn.Module):
    """C = g(A): whitened text, a small head on it, and a learnt delta of bounded length.

    An item without text starts from its delta only; an item without events uses its text only.
    """

    def __init__(self, text: Float[Tensor, "items dim"], config: RecommenderConfig, generator: torch.Generator) -> None:
        super().__init__()
        n_items, dim = text.shape
        self.bound = config.delta_bound
        self.text: Tensor
        self.register_buffer("text", text)
        has_text = text.abs().sum(1, keepdim=True) > 0
        start = torch.randn(n_items, dim, generator=generator) / math.sqrt(dim)
        self.delta = nn.Parameter(torch.where(has_text, 0.1 * start, start))
        self.head = residual_head(dim)

    def forward(self, rows: Int[Tensor, " rows"] | None = None) -> Float[Tensor, "items dim"]:
        """Unit vectors of all items or of the given rows; the zero vector for an item without text and delta.

        With `rows`, the gradient of the deltas is sparse.
        """
        text, delta = (self.text, self.delta) if rows is None else (self.text[rows], F.embedding(rows, self.delta, sparse=True))
        return F.normalize(self.whole(text, delta), dim=1, eps=LEAST_LENGTH)

    def whole(self, text: Float[Tensor, "items dim"], delta: Float[Tensor, "items dim"]) -> Float[Tensor, "items dim"]:
        """Sum of text, head and bounded delta, before normalisation to unit length."""
        length = delta.norm(dim=1, keepdim=True)
        delta = delta * (self.bound / length.clamp_min(max(self.bound, 1e-12)))
        has_text = text.abs().sum(1, keepdim=True) > 0
        return text + self.head(text) * has_text + delta


class SearchTower(nn.Module):
    """A search as a token of the stream: its text, whitened as the texts of items are, with a small head, and an embedding of its kind.

    centre, projection: the whitening of the items.
    """

    def __init__(self, whitening: Whitening, generator: torch.Generator) -> None:
        super().__init__()
        dim = whitening.projection.shape[1]
        self.centre: Tensor
        self.projection: Tensor
        self.register_buffer("centre", torch.from_numpy(whitening.centre))
        self.register_buffer("projection", torch.from_numpy(whitening.projection))
        self.kind = nn.Parameter(torch.randn(dim, generator=generator) * 0.02)
        self.head = residual_head(dim)

    def whitened(self, vectors: Floats) -> Float[Tensor, "searches dim"]:
        """The input of `forward` for vectors of the encoder [searches, text_dim]."""
        whitening = Whitening(self.centre.cpu().numpy(), self.projection.cpu().numpy())
        return torch.from_numpy(whitening.apply(vectors)).to(self.centre.device)

    def forward(self, text: Float[Tensor, "searches dim"]) -> Float[Tensor, "searches dim"]:
        """Unit vectors of searches with whitened texts."""
        return F.normalize(text + self.head(text), dim=1, eps=LEAST_LENGTH)


class Rotation(nn.Module):
    """Rotary phases: half of a head's planes turn with the order of the tokens, half with their time.

    Su et al. 2021, "RoFormer", eq. 34, with time as a second position. A query turns with the time at which the next event
    is predicted, a key with the time of its event, so attention sees the distance in events and the gap in time of every
    pair, without a matrix of pairs.
    """

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        planes = head_dim // 2
        n_order = planes // 2
        periods = torch.logspace(math.log10(SHORTEST_PERIOD_S), math.log10(LONGEST_PERIOD_S), planes - n_order, dtype=torch.float64)
        self.by_order: Tensor
        self.by_time: Tensor
        self.register_buffer("by_order", torch.logspace(0, -math.log10(LONGEST_DISTANCE), n_order, dtype=torch.float64), persistent=False)
        self.register_buffer("by_time", 2 * math.pi / periods, persistent=False)

    def forward(
        self,
        time: Int[Tensor, "batch time"],
        origin: Int[Tensor, "batch 1"],
        dtype: torch.dtype,
        order: Int[Tensor, "batch time"] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Cosines and sines [batch, 1, time, planes] of tokens at the given times, in seconds. order: of the tokens; None for 0, 1, ..."""
        place = torch.arange(time.shape[1], device=time.device) if order is None else order
        turned_by_order = place.double()[..., None] * self.by_order
        turned = (time - origin).double()[..., None] * self.by_time
        angle = torch.remainder(torch.cat([turned_by_order.expand(len(time), -1, -1), turned], -1), 2 * math.pi).float()[:, None]
        return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x: Float[Tensor, "batch heads time dim"], cos: Tensor, sin: Tensor) -> Float[Tensor, "batch heads time dim"]:
    """Rotate each plane (coordinates i and i + dim/2) by its phase."""
    one, other = x.chunk(2, -1)
    return torch.cat([one * cos - other * sin, other * cos + one * sin], -1)


@dataclass(frozen=True)
class Packed:
    """Rows of tokens that hold several histories with the same first tokens, [batch, time]: the trunk, and then the own tokens of each.

    order: place of a token in its history. part: 0 for the trunk, from 1 for the histories, -1 for padding. n_seen: how many tokens of the
    trunk, which come first in their row, a token sees; besides those, it sees the tokens of its part up to itself.
    """

    order: Int[Tensor, "batch time"]
    part: Int[Tensor, "batch time"]
    n_seen: Int[Tensor, "batch time"]

    def seen(self) -> Bool[Tensor, "batch time time"]:
        """Whether each token sees each other one."""
        row = torch.arange(self.part.shape[1], device=self.part.device)
        is_own = (self.part[:, :, None] == self.part[:, None, :]) & (row <= row[:, None])
        return is_own | (row < self.n_seen[:, :, None])


def attend(q: Tensor, k: Tensor, v: Tensor, seen: Bool[Tensor, "batch asked time"] | None = None) -> Float[Tensor, "batch heads asked dim"]:
    """Attention to the tokens that each query sees; None for causal attention of all tokens.

    The CPU path uses plain matrix products: the backward pass of torch's fused kernel takes several times as long there.
    """
    heads, dim, order = q.shape[1], q.shape[3], torch.arange(k.shape[2], device=q.device)
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=None if seen is None else seen[:, None], is_causal=seen is None)
    hidden = order > order[:, None] if seen is None else ~seen.repeat_interleave(heads, 0)
    blocked = torch.zeros(hidden.shape, dtype=q.dtype).masked_fill_(hidden, -torch.inf)
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    weights = torch.baddbmm(blocked, q, k.transpose(1, 2), alpha=dim**-0.5).softmax(-1)
    return torch.bmm(weights, v).unflatten(0, (-1, heads))


class Block(nn.Module):
    """Pre-norm attention, rotary in order and time, and feed-forward."""

    def __init__(self, config: RecommenderConfig) -> None:
        super().__init__()
        dim, self.heads = config.dim, config.n_heads
        self.dropout = config.dropout
        self.norm_attention, self.norm_forward = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(
        self,
        x: Float[Tensor, "batch time dim"],
        asked: tuple[Tensor, Tensor],
        happened: tuple[Tensor, Tensor],
        place: Int[Tensor, "batch asked"] | None = None,
        seen: Bool[Tensor, "batch asked time"] | None = None,
    ) -> Float[Tensor, "batch asked dim"]:
        """asked and happened are the phases of queries and keys. place: positions of the tokens to return; None for all.

        seen: the tokens that each returned token attends to; None for those up to itself, if all are returned.
        """
        dim, normed = x.shape[2], self.norm_attention(x)
        if place is None:
            q, k, v = (self._heads(part) for part in self.qkv(normed).chunk(3, -1))
        else:
            k, v = (self._heads(part) for part in F.linear(normed, self.qkv.weight[dim:], self.qkv.bias[dim:]).chunk(2, -1))
            x, normed = (part.gather(1, place[..., None].expand(-1, -1, dim)) for part in (x, normed))
            q = self._heads(F.linear(normed, self.qkv.weight[:dim], self.qkv.bias[:dim]))
            cos, sin = (part.gather(2, place[:, None, :, None].expand(-1, -1, -1, part.shape[3])) for part in asked)
            asked = cos, sin
        attended = attend(rotate(q, *asked), rotate(k, *happened), v, seen)
        x = x + dropout(self.out(attended.transpose(1, 2).flatten(2)), self.dropout, training=self.training)
        # So et al. 2021, "Primer": as good as GELU in a fifth of the time
        hidden = F.relu(self.up(self.norm_forward(x)), inplace=True).square()
        return x + dropout(self.down(hidden), self.dropout, training=self.training)

    def _heads(self, x: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch heads time head_dim"]:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Recommender(nn.Module):
    """U = f(L) and C = g(A); the score of item i for user u is U . C_i.

    A stream of tokens is a start token followed by events; the state after a token predicts the event after it, given
    the time at which that event happens. A model with a `whitening` reads searches as tokens between the events, too; no state predicts
    them.
    """

    def __init__(
        self,
        config: RecommenderConfig,
        text: Float[Tensor, "items dim"],
        n_kinds: int,
        generator: torch.Generator,
        whitening: Whitening | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.items = ItemTower(text, config, generator)
        self.start = nn.Parameter(torch.randn(config.dim, generator=generator) * 0.02)
        self.kind = nn.Embedding(n_kinds, config.dim)
        self.since_last = nn.Linear(len(GAP_SCALES_S), config.dim)
        self.rotation = Rotation(config.dim // config.n_heads)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.norm = nn.LayerNorm(config.dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        nn.init.normal_(self.kind.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.since_last.weight)
        self.searches = None if whitening is None else SearchTower(whitening, generator)  # last, so that the rest starts as without it

    def encode(
        self,
        items: Float[Tensor, "n_items dim"],
        item: Int[Tensor, "batch time"],
        kind: Int[Tensor, "batch time"],
        event_time: Int[Tensor, "batch time"],
        query_time: Int[Tensor, "batch time"],
        is_start: Bool[Tensor, "batch time"],
        place: Int[Tensor, "batch asked"] | None = None,
        searched: Float[Tensor, "searches dim"] | None = None,
        packed: Packed | None = None,
    ) -> Float[Tensor, "batch asked dim"]:
        """The user vector after each token, already scaled for a dot product with `items`.

        item, kind, event_time describe the token; query_time is the time of the next event (or of the request). searched: vectors of
        `searches`; the token of row n has the item n_items + n, and any kind. None if no token is a search.
        Padding goes at the end, where causal attention hides it. place: positions of the tokens whose vectors are returned, so that
        the last block computes no others; None for all. packed: where each row holds several histories.
        """
        config = self.config
        event = self._tokens(items, item, kind, searched)
        x = torch.where(is_start[..., None], self.start, event)
        x = x + self.since_last(gap_features(query_time - event_time)) * (~is_start)[..., None]
        x = dropout(x, config.dropout, training=self.training)
        dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
        order = None if packed is None else packed.order.repeat(2, 1)
        times, origin = torch.cat([query_time, event_time]), event_time[:, :1].repeat(2, 1)  # at once: half of the overhead
        phases = self.rotation(times, origin, dtype, order)
        asked, happened = zip(*(part.chunk(2) for part in phases), strict=True)
        x = x.to(dtype)
        seen = None if packed is None else packed.seen()
        *first, last = self.blocks
        for block in first:
            x = block(x, asked, happened, None, seen)
        if place is not None:
            asked_rows, row = place[..., None], torch.arange(x.shape[1], device=x.device)
            seen = row <= asked_rows if seen is None else seen.gather(1, asked_rows.expand(-1, -1, len(row)))
        x = last(x, asked, happened, place, seen)
        return F.normalize(self.norm(x.float()), dim=-1) * self.log_scale.exp()

    def _tokens(self, items: Tensor, item: Tensor, kind: Tensor, searched: Tensor | None) -> Float[Tensor, "batch time dim"]:
        scale, n_items = math.sqrt(self.config.dim), len(items)
        if searched is None or self.searches is None:
            return F.embedding(item, items) * scale + self.kind(kind)
        event = F.embedding(item.clamp_max(n_items - 1), items) * scale + self.kind(kind)
        search = F.embedding((item - n_items).clamp_min(0), searched) * scale + self.searches.kind
        return torch.where((item >= n_items)[..., None], search, event)
