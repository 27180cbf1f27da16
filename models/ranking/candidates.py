"""Candidate items of events, to which the blend is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.events import Floats, Ints
from models.metrics.accuracy import ndcg_of_rank
from models.ranking.blend import COLD_GATES, N_REPEAT_FEATURES, ItemState, Repeats, gates, item_terms
from models.ranking.prior import N_SHARES

N_CANDIDATES = 80


@dataclass
class Candidates:
    """For each event, the few items that could be in its top ten; tensors [rows, candidates, ..]."""

    popularity: Tensor
    sequence: Tensor
    mean_score: Tensor
    is_cold: Tensor
    repeats: Tensor
    is_out: Tensor
    is_target: Tensor
    users: Tensor

    @staticmethod
    def join(parts: list[Candidates]) -> Candidates:
        return Candidates(**{name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])})

    def at(self, rows: Tensor) -> Candidates:
        """The candidates of the given rows, by number or mask."""
        return Candidates(**{name: value[rows] for name, value in vars(self).items()})

    def ndcg_at_10(self, scores: Tensor) -> Floats:
        """[rows] NDCG@10 of the targets by scores [rows, candidates].

        It equals the NDCG@10 over the full catalogue if the ten best items are candidates. A tie counts against the model; a target
        that is no candidate is a miss.
        """
        target = scores.masked_fill(~self.is_target, -torch.inf).amax(1, keepdim=True)
        rank = 1 + ((scores >= target) & ~self.is_out & ~self.is_target).sum(1)
        return ndcg_of_rank(rank.numpy()) * self.is_target.any(1).numpy()


def candidate_scorer(candidates: Candidates) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Log P of the candidates up to a constant, [rows, candidates], as a function of a blend's mixture, gate and repeat: see `combine`."""
    users, is_cold, shares = candidates.users, candidates.is_cold > 0, candidates.popularity[..., :N_SHARES]
    alone = item_terms(candidates.popularity, candidates.mean_score, candidates.is_cold)
    pairs = {"sequence": candidates.sequence}

    def weigh(mixture: Tensor, gate: Tensor, repeat: Tensor) -> Tensor:
        weight = gates(users, gate)
        total = torch.einsum("nck,nk->nc", shares, (users @ mixture).softmax(1)).clamp_min(1e-12).log() * weight["popularity"]
        for name, value in alone.items():
            total = total + value * weight[name]
        for name, value in pairs.items():
            total = total + value * (torch.where(is_cold, weight[COLD_GATES[name]], weight[name]) if name in COLD_GATES else weight[name])
        return total + torch.einsum("ncr,nr->nc", candidates.repeats, users @ repeat)

    return weigh


def pick_candidates(
    users: Tensor,
    sequence: Tensor,
    items: ItemState,
    repeats: Repeats | None,
    seen: tuple[Ints, Ints] | None,
    target: Tensor,
    n_each: int = N_CANDIDATES,
) -> Candidates:
    """The best items by sequence model, by each of several popularities and by both, and the items of the history.

    seen: (row, item) pairs that are excluded, unless they are the target.
    """
    rows, n_items = sequence.shape
    n_each = min(n_each, n_items)
    pulls = torch.zeros(rows, n_items, N_REPEAT_FEATURES)
    is_seen = torch.zeros(rows, n_items, dtype=torch.bool)
    both = sequence + items.popularity[:, :N_SHARES].mean(1).clamp_min(1e-9).log()
    sequence_first = sequence.clone()
    if seen is not None:
        is_seen[torch.from_numpy(seen[0]), torch.from_numpy(seen[1])] = True
        both.masked_fill_(is_seen, -torch.inf)
        sequence_first.masked_fill_(is_seen, -torch.inf)
        is_seen[torch.arange(rows), target] = False
    picks = [score.topk(n_each, 1).indices for score in (both, sequence_first)]
    picks += [items.popularity[:, k].topk(n_each).indices.expand(rows, -1) for k in range(1, N_SHARES - 1)]
    if repeats is not None:
        pulls[repeats.row, repeats.item] = repeats.features
        picks.append((pulls[:, :, 0] * 1e6 - pulls[:, :, 2]).topk(min(n_each, n_items), 1).indices)
    item = torch.cat(picks, 1).sort(1).values
    is_copy = torch.zeros_like(item, dtype=torch.bool)
    is_copy[:, 1:] = item[:, 1:] == item[:, :-1]
    is_out = is_copy | is_seen.gather(1, item)
    return Candidates(
        popularity=items.popularity[item],
        sequence=sequence.gather(1, item),
        mean_score=items.mean_score[item],
        is_cold=items.is_cold[item],
        repeats=pulls.gather(1, item[..., None].expand(-1, -1, N_REPEAT_FEATURES)),
        is_out=is_out,
        is_target=(item == target[:, None]) & ~is_out,
        users=users,
    )
