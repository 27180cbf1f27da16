"""The gate of an increment: it checks the NDCG on the replayed hold-out, finite weights, and the distance from last night's weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from models.config import IncrementConfig
from models.device import BLOCK_CELLS
from models.evaluation.evaluator import Evaluator, served_vectors
from models.events import Ints
from models.metrics.ranking import Ranking, rank_events
from models.online.offsets import memory_offsets
from models.ranking.prior import Slots
from models.sequence.recommender import LEAST_LENGTH
from models.sequence.weights import LIST_DELAY_S, Weights
from models.training.training import Offsets
from models.version.checkpoint import Checkpoint
from models.version.memory import Memory
from models.version.online_state import DELTA


@dataclass(frozen=True)
class UpdateDecision:
    """Decision of the gate on an increment."""

    passed: bool
    reason: str
    figures: dict[str, float]


def judge_increment(
    live: Weights, night: Weights, learnt: Checkpoint, memory: Memory, first_seen: Ints, config: IncrementConfig
) -> UpdateDecision:
    """Pass if NDCG@10 on the replayed hold-out is kept, all weights are finite, and the drift from the night is small."""
    tuned, blend = learnt.live, learnt.blend
    if not all(bool(parameter.isfinite().all()) for parameter in tuned.model.parameters()):
        return UpdateDecision(False, "a weight is not finite", {})
    if not all(np.isfinite(part).all() for part in (blend.mixture, blend.gate, blend.repeat, learnt.popularity)):
        return UpdateDecision(False, "a weight of the blend is not finite", {})
    drift = max(_distance(tuned, night).values())
    offsets = memory_offsets(memory, first_seen, memory.events.time)
    before, after = (_held_out_ndcg(weights, memory, offsets) for weights in (live, tuned))
    figures = {"held_out_ndcg_before": before, "held_out_ndcg_after": after, "drift": drift}
    floor = before * (1 - config.gate_tolerance)
    if after < floor:
        return UpdateDecision(False, f"NDCG@10 on the held-out replay fell from {before:.4f} to {after:.4f}, below {floor:.4f}", figures)
    if drift > config.max_drift:
        return UpdateDecision(
            False, f"the weights drifted by {drift:.2f} of their length from last night's, more than {config.max_drift:g}", figures
        )
    return UpdateDecision(True, f"NDCG@10 on the held-out replay {before:.4f} before, {after:.4f} after", figures)


def _distance(tuned: Weights, night: Weights) -> dict[str, float]:
    """Distance of item vectors and of all other weights from the night's, relative to the length of the night's.

    Both sides use the current texts, because a new description of an item is not drift. Items that were unknown to the night are
    left out.
    """
    anchor = dict(night.model.named_parameters())
    dense = [(p.detach(), anchor[name].detach()) for name, p in tuned.model.named_parameters() if name != DELTA]
    with torch.inference_mode():
        then = night.model.items.whole(tuned.model.items.text, night.model.items.delta)
    known = then.norm(dim=1) >= LEAST_LENGTH
    pairs = {"items": [(tuned.item_vectors()[known], F.normalize(then[known], dim=1))], "dense": dense}
    length = {name: sum(float(old.square().sum()) for _, old in part) for name, part in pairs.items()}
    moved = {name: sum(float((new - old).square().sum()) for new, old in part) for name, part in pairs.items()}
    return {name: float((moved[name] / max(length[name], 1e-12)) ** 0.5) for name in pairs}


@torch.inference_mode()
def _held_out_ndcg(weights: Weights, memory: Memory, offsets: Offsets) -> float:
    """NDCG@10 of the sequence model and the prior on the last event of each held-out window, from lists made LIST_DELAY_S before."""
    rows = memory.last_events(np.flatnonzero(memory.is_held_out)).target
    if not len(rows):
        return 0.0
    served = Evaluator(memory.events, Slots.over(memory.slot_time), hide_seen=False, delay_s=LIST_DELAY_S)
    vectors = served_vectors(weights.model, served, rows)
    items, parts = weights.item_vectors(), []
    size = max(BLOCK_CELLS // len(items), 1)
    for first in range(0, len(rows), size):
        part = rows[first : first + size]
        scores = (vectors[first : first + size] @ items.T).float()
        scores += offsets.prior[torch.from_numpy(offsets.slot[part])].float()
        parts.append(rank_events(scores, memory.events.item[part], None))
    return float(Ranking.join(parts).ndcg_at_10.mean())
