"""The sequence model: items from text and a bounded delta, users from a causal, time-aware transformer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from models.config import RecommenderConfig

GAP_SCALES_S = (60.0, 3600.0, 86400.0, 30 * 86400.0)


def gap_features(gap: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape scales"]:
    """Gaps in seconds on log scales of a minute, an hour, a day and a month; about 0 to 10 each, then divided by 10."""
    gap = gap.clamp_min(0).float()
    return torch.stack([torch.log1p(gap / scale) for scale in GAP_SCALES_S], dim=-1) / 10


class ItemTower(nn.Module):
    """C = g(A): whitened text, a small head on it, and a learnt delta of bounded length.

    An item without text starts from its delta alone; an item without events from its text alone.
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
        last = nn.Linear(dim, dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.head = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), last)

    def forward(self) -> Float[Tensor, "items dim"]:
        """Unit vectors; the zero vector for an item about which nothing is known."""
        length = self.delta.norm(dim=1, keepdim=True)
        delta = self.delta * (self.bound / length.clamp_min(max(self.bound, 1e-12)))
        has_text = self.text.abs().sum(1, keepdim=True) > 0
        return F.normalize(self.text + self.head(self.text) * has_text + delta, dim=1, eps=1e-6)


class Block(nn.Module):
    """Pre-norm attention and feed-forward; the logits of attention carry a bias by distance and by gap of time."""

    def __init__(self, config: RecommenderConfig) -> None:
        super().__init__()
        dim, self.heads = config.dim, config.n_heads
        self.dropout = config.dropout
        self.norm_attention, self.norm_forward = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.distance_bias = nn.Parameter(torch.zeros(self.heads, config.max_events + 1))
        self.gap_bias = nn.Parameter(torch.zeros(len(GAP_SCALES_S), self.heads))
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(
        self, x: Float[Tensor, "batch time dim"], gaps: Float[Tensor, "batch time time scales"], blocked: Float[Tensor, "time time"]
    ) -> Float[Tensor, "batch time dim"]:
        """Causal attention with a learnt bias by distance and by log gap (after HSTU, eq. 2), then a feed-forward."""
        batch, time, dim = x.shape
        q, k, v = self.qkv(self.norm_attention(x)).view(batch, time, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        steps = torch.arange(time, device=x.device)
        distance = (steps[:, None] - steps[None, :]).clamp_min(0)
        bias = (gaps @ self.gap_bias.to(gaps.dtype)).permute(0, 3, 1, 2) + (self.distance_bias[:, distance] + blocked).to(gaps.dtype)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        x = x + F.dropout(self.out(attended.transpose(1, 2).reshape(batch, time, dim)), self.dropout, self.training)
        hidden = F.gelu(self.up(self.norm_forward(x)))
        return x + F.dropout(self.down(hidden), self.dropout, self.training)


class Recommender(nn.Module):
    """U = f(L) and C = g(A); the score of item i for user u is U . C_i.

    A stream of tokens is a start token followed by events; the state after a token predicts the event after it, given
    the time at which that event happens.
    """

    def __init__(self, config: RecommenderConfig, text: Float[Tensor, "items dim"], n_kinds: int, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.items = ItemTower(text, config, generator)
        self.start = nn.Parameter(torch.randn(config.dim, generator=generator) * 0.02)
        self.kind = nn.Embedding(n_kinds, config.dim)
        self.since_last = nn.Linear(len(GAP_SCALES_S), config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.norm = nn.LayerNorm(config.dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        nn.init.normal_(self.kind.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.since_last.weight)

    def encode(
        self,
        items: Float[Tensor, "n_items dim"],
        item: Int[Tensor, "batch time"],
        kind: Int[Tensor, "batch time"],
        event_time: Int[Tensor, "batch time"],
        query_time: Int[Tensor, "batch time"],
        is_start: Bool[Tensor, "batch time"],
    ) -> Float[Tensor, "batch time dim"]:
        """The user vector after each token, already scaled for a dot product with `items`.

        item, kind, event_time describe the token; query_time is when the next event happens (or is asked for).
        Padding goes at the end: no token before it can see it.
        """
        config = self.config
        event = F.embedding(item, items) * math.sqrt(config.dim) + self.kind(kind)
        x = torch.where(is_start[..., None], self.start, event)
        gaps = gap_features(query_time[:, :, None] - event_time[:, None, :])
        x = x + self.since_last(torch.diagonal(gaps, dim1=1, dim2=2).transpose(1, 2)) * (~is_start)[..., None]
        x = F.dropout(x, config.dropout, self.training)
        time = item.shape[1]
        blocked = torch.full((time, time), -torch.inf, device=x.device).triu(1)
        gaps = gaps.to(torch.get_autocast_dtype(x.device.type)) if torch.is_autocast_enabled(x.device.type) else gaps
        for block in self.blocks:
            x = block(x, gaps, blocked)
        return F.normalize(self.norm(x).float(), dim=-1) * self.log_scale.exp()
