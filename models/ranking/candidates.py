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
    both, sequence_first = sequence + items.log_share, sequence
    if seen is not None:
        hidden = torch.from_numpy(seen[0]), torch.from_numpy(seen[1])
        sequence_first = sequence.clone()
        both[hidden] = -torch.inf
        sequence_first[hidden] = -torch.inf
    picks = [score.topk(n_each, 1).indices for score in (both, sequence_first)]
    picks += [most.expand(rows, -1) for most in items.most_popular(n_each)]
    if repeats is not None:
        pull = both.zero_()
        pull[repeats.row, repeats.item] = repeats.features[:, 0] * 1e6 - repeats.features[:, 2]
        picks.append(pull.topk(n_each, 1).indices)
    item = torch.cat(picks, 1).sort(1).values
    cell = torch.arange(rows)[:, None] * n_items + item
    is_copy = torch.zeros_like(item, dtype=torch.bool)
    is_copy[:, 1:] = item[:, 1:] == item[:, :-1]
    is_target = item == target[:, None]
    is_out = is_copy
    if seen is not None:
        is_out = is_copy | (torch.isin(cell, hidden[0] * n_items + hidden[1]) & ~is_target)
    return Candidates(
        popularity=items.popularity[item],
        sequence=sequence.gather(1, item),
        mean_score=items.mean_score[item],
        is_cold=items.is_cold[item],
        repeats=_features_at(cell, n_items, repeats),
        is_out=is_out,
        is_target=is_target & ~is_out,
        users=users,
    )


def _features_at(cell: Tensor, n_items: int, repeats: Repeats | None) -> Tensor:
    """[.., N_REPEAT_FEATURES] of the given cells (row * n_items + item), zero for items that are not in the history of the row."""
    out = torch.zeros(*cell.shape, N_REPEAT_FEATURES)
    if repeats is None or not len(repeats.row):
        return out
    known, order = (repeats.row * n_items + repeats.item).sort()
    place = torch.searchsorted(known, cell).clamp_max(len(known) - 1)
    is_known = known[place] == cell
    out[is_known] = repeats.features[order[place[is_known]]]
    return out
