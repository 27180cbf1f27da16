"""The capture heads: P(interest | behaviour) of a user at a time, for the next item (short) and for the next 28 days (long)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from models.events import Events, Floats, Ints
from models.interests.profiles import CONTEXT, POPULAR_H, SOURCES, Evidence, Moments, Popular, Tables, Transitions, popular_at

HORIZONS = ("short", "long")
LONG_S = 28 * 24 * 3600
"""The long horizon: items of this many seconds from now on."""
WIDTH = 16
START_SOURCE, START_N_USUAL = "last_10", 10.0
"""Before training: the counts of one source, smoothed by so many usual events."""
BLOCK_CELLS = 10_000_000
MAX_BLOCK = 4096


class Head(nn.Module):
    """Evidence of all sources, pooled in logs with weights that all interests share, and a bias for each interest.

    Evidence of a source is the log of how much more often an interest occurs in it than usual, smoothed by a learnt number of usual
    events. Usual is a mixture of what is popular now. Before training, the head returns the smoothed counts of one source.
    """

    def __init__(self, n_interests: int, width: int = WIDTH) -> None:
        super().__init__()
        n_evidence = len(SOURCES) + len(POPULAR_H)
        self.popular = nn.Parameter(torch.zeros(len(POPULAR_H)))
        self.log_n_usual = nn.Parameter(torch.full((len(SOURCES),), math.log(START_N_USUAL)))
        self.gate = nn.Linear(len(CONTEXT), n_evidence * len(HORIZONS))
        self.first, self.last = nn.Linear(n_evidence + len(CONTEXT) + 1, width), nn.Linear(width, len(HORIZONS))
        self.bias = nn.Parameter(torch.zeros(n_interests, len(HORIZONS)))
        for layer in (self.gate, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.gate.bias.view(n_evidence, -1)[SOURCES.index(START_SOURCE)] = 1

    def forward(
        self,
        counts: Float[Tensor, "moments interests sources"],
        mass: Float[Tensor, "moments interests sources"],
        context: Float[Tensor, "moments context"],
        popular: Float[Tensor, "moments interests popular"],
    ) -> Float[Tensor, "moments interests horizons"]:
        """Logits, to be normalised within each group of interests."""
        usual = (popular @ self.popular.softmax(0))[..., None]
        n_usual = self.log_n_usual.exp()
        evidence = torch.cat([(counts / (n_usual * usual)).log1p() - (mass / n_usual).log1p(), (popular / usual).log()], -1)
        around = context[:, None].expand(-1, counts.shape[1], -1)
        hidden = F.gelu(self.first(torch.cat([evidence, around, usual.log()], -1)))
        gate = self.gate(context).view(len(context), -1, len(HORIZONS))
        return usual.log() + evidence @ gate + self.last(hidden) + self.bias


@dataclass(frozen=True)
class Capture:
    """The heads of both horizons, and what they know of everybody: what comes with what, and what is popular.

    group: [interests] number of the group of each interest, without gaps; probabilities sum to 1 within each. sharpness: [horizons] factor
    of the logits, chosen on held-out events.
    """

    head: Head
    group: Ints
    sharpness: Floats
    tables: Tables
    popular: Popular

    def posterior(self, events: Events, shares: csr_matrix, n_users: int, now: int) -> Floats:
        """P(interest | behaviour) [HORIZONS, users, interests] of every user at a time, unix seconds.

        Events after the time do not count. Users without events get what is popular at the time, or at `popular.now` if this is later.
        shares: [items, interests]; items that are newer than the capture may follow its own.
        """
        moments = Moments.at(events, n_users, np.full(n_users, now))
        popular = self.popular.after(max(now, self.popular.now)).shares(self.group)[None]
        return self.at(events, shares, moments, popular, np.zeros(n_users, np.int64)).exp().numpy()

    @torch.inference_mode()
    def at(
        self, events: Events, shares: csr_matrix, moments: Moments, popular: Floats, place: Ints
    ) -> Float[Tensor, "horizons moments interests"]:
        """Log probabilities at any moments. popular: shares [times, interests, POPULAR_H]; place: [moments] the time of each moment."""
        out = torch.empty(len(HORIZONS), len(moments), len(self.group))
        known = torch.from_numpy(popular)
        for rows in blocks(len(moments), len(self.group)):
            evidence = Evidence.of(events, moments[rows], shares, self.tables, self.group)
            parts = (torch.from_numpy(part) for part in (evidence.counts, evidence.mass[:, self.group], evidence.context))
            logits = self.head(*parts, known[place[rows]]) * torch.from_numpy(self.sharpness)
            out[:, rows] = log_softmax_by_group(logits, self.group).permute(2, 0, 1)
        return out

    def with_events(self, events: Events, shares: csr_matrix, now: int) -> Capture:
        """The same with popularity advanced to `now` by the events in [popular.now, now); all other tables stay as trained."""
        (popular,) = popular_at(events, shares, np.array([now]), self.popular)
        return replace(self, popular=popular)

    def on_items(self, place: Ints) -> Capture:
        """The same for a catalogue in another order: [items] row of each item in this one; items with a row beyond the last are new."""
        return replace(self, tables=self.tables.on_items(place))

    def tensors(self) -> dict[str, Tensor]:
        """Everything as named tensors, for a checkpoint."""
        arrays: dict[str, np.ndarray] = {"group": self.group, "sharpness": self.sharpness}
        arrays |= {"popular.counts": self.popular.counts, "popular.now": np.array(self.popular.now)}
        for name, table in (("after", self.tables.after), ("around", self.tables.around)):
            arrays |= {f"{name}.n": table.n, **_parts(f"{name}.item", table.item), **_parts(f"{name}.interest", table.interest)}
        arrays |= _parts("near", self.tables.near)
        named = {f"head.{key}": value for key, value in self.head.state_dict().items()}
        return named | {name: torch.from_numpy(np.array(array, order="C")) for name, array in arrays.items()}

    @staticmethod
    def from_tensors(tensors: dict[str, Tensor]) -> Capture:
        """The inverse of `tensors`."""
        arrays = {name: tensor.numpy() for name, tensor in tensors.items() if not name.startswith("head.")}
        group = arrays["group"]
        head = Head(len(group), tensors["head.first.weight"].shape[0])
        head.load_state_dict({key: tensors[f"head.{key}"] for key in head.state_dict()})
        n = len(group)
        tables = [
            Transitions(_sparse(f"{name}.item", arrays, n), arrays[f"{name}.n"], _sparse(f"{name}.interest", arrays, n))
            for name in ("after", "around")
        ]
        popular = Popular(arrays["popular.counts"], int(arrays["popular.now"]))
        known = Tables(tables[0], tables[1], _sparse("near", arrays, len(group)))
        return Capture(head.eval().requires_grad_(requires_grad=False), group, arrays["sharpness"], known, popular)


def _parts(name: str, table: csr_matrix) -> dict[str, np.ndarray]:
    """A sparse matrix as three arrays."""
    return {f"{name}.{part}": getattr(table, part) for part in ("data", "indices", "indptr")}


def _sparse(name: str, arrays: dict[str, np.ndarray], n_columns: int) -> csr_matrix:
    """The inverse of `_parts`."""
    data, indices, indptr = (arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
    return csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, n_columns))


def blocks(n_moments: int, n_interests: int) -> list[slice]:
    """Consecutive moments whose evidence fits into memory together; for no moments, one empty slice."""
    size = min(max(BLOCK_CELLS // (max(n_interests, 1) * len(SOURCES)), 1), MAX_BLOCK)
    return [slice(first, min(first + size, n_moments)) for first in range(0, max(n_moments, 1), size)]


def log_softmax_by_group(logits: Float[Tensor, "moments interests horizons"], group: Ints) -> Float[Tensor, "moments interests horizons"]:
    """Log probabilities that sum to 1 within each group of interests."""
    numbers = np.unique(group)
    if len(numbers) <= 1:
        return logits.log_softmax(1)
    out = torch.empty_like(logits)
    for number in numbers:
        rows = torch.from_numpy(np.flatnonzero(group == number))
        out = out.index_copy(1, rows, logits[:, rows].log_softmax(1))
    return out
