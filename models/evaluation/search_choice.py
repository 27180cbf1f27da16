"""Fits how much a search counts in a score, and whether the sequence model reads searches, on held-out events after a search."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.evaluation.comparison import rank_recommender
from models.evaluation.evaluator import Evaluator, list_vectors
from models.events import Floats, Ints, sample
from models.metrics.intervals import mean_difference
from models.ranking.blend import Blend, ItemState, combine
from models.ranking.searches import N_SEARCH_FEATURES, USUAL_GATE, gate
from models.sequence.weights import LIST_DELAY_S, Weights
from models.text.towers import Words
from models.training.optimise import minimise

log = logging.getLogger("minutehand.words")
LEAST_EVENTS = 200
"""With fewer held-out events after a search, nothing is fitted and the usual gate stays."""
MAX_EVENTS = 3000
N_EACH = 100
PULL = 1e-3
N_BOOTSTRAP = 500


@dataclass(frozen=True)
class _Cases:
    """Events that followed a search, with the items that could be in their top ten: scores, cosines and targets [events, candidates]."""

    known: Tensor
    cosine: Tensor
    is_target: Tensor
    features: Tensor
    user: Ints

    def at(self, rows: Ints) -> _Cases:
        picked = torch.from_numpy(rows)
        return _Cases(self.known[picked], self.cosine[picked], self.is_target[picked], self.features[picked], self.user[rows])

    def scores(self, weight: Tensor) -> Tensor:
        return self.known + gate(self.features, weight) * self.cosine

    def ndcg_at_10(self, weight: Tensor) -> Floats:
        """[events]; a tie counts against the model."""
        scores = self.scores(weight)
        target = scores.masked_fill(~self.is_target, -torch.inf).amax(1, keepdim=True)
        rank = 1 + ((scores >= target) & ~self.is_target & scores.isfinite()).sum(1)
        return torch.where(rank <= 10, 1 / torch.log2(rank + 1.0), torch.zeros(())).numpy()


def choose_search_gate(evaluator: Evaluator, weights: Weights, blend: Blend, words: Words, validation: Ints, seed: int) -> Floats | None:
    """The weights of the features of a search [N_SEARCH_FEATURES].

    None if too few held-out events followed a search; zeros if searches improve NDCG@10 by less than the interval of the difference,
    with weights that were fitted on other users.
    """
    views = [evaluator, evaluator.by_lists_of_before(LIST_DELAY_S)]
    parts = [part for view in views if (part := _cases(view, weights, blend, words, validation, seed)) is not None]
    cases = _join(parts) if parts else None
    if cases is None or len(cases.user) < LEAST_EVENTS:
        return None
    start = torch.from_numpy(words.weight * USUAL_GATE)
    users = np.random.default_rng(seed).permutation(np.unique(cases.user))
    with_searches, without = np.empty(len(cases.user), np.float32), cases.ndcg_at_10(torch.zeros(N_SEARCH_FEATURES))
    for judged in np.array_split(users, 2):
        is_judged = np.isin(cases.user, judged)
        found = _fit(cases.at(np.flatnonzero(~is_judged)), start)
        with_searches[is_judged] = cases.at(np.flatnonzero(is_judged)).ndcg_at_10(found)
    gain = mean_difference(with_searches, without, cases.user, N_BOOTSTRAP, seed)
    text = f"{gain.difference:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
    log.info("NDCG@10 of %d events after a search: %.4f, with the search %s", len(without), without.mean(), text)
    return _fit(cases, start).numpy() if gain.low > 0 else np.zeros(N_SEARCH_FEATURES, np.float32)


def has_searches_to_judge_by(evaluator: Evaluator, validation: Ints) -> bool:
    """Whether enough held-out events directly followed a search to decide whether the sequence model reads searches."""
    last = evaluator.last_searches(validation)
    return last is not None and int(last.is_there.sum()) >= LEAST_EVENTS


def reads_searches(evaluator: Evaluator, weights: Weights, blend: Blend, validation: Ints, seed: int) -> bool:
    """Whether lists of a model that has learnt to read searches are better with them than without, beyond the interval of the difference.

    Judged on held-out events that directly followed a search, with the previous event known and by lists made LIST_DELAY_S before.
    """
    ndcg, users = [], []
    for view in (evaluator, evaluator.by_lists_of_before(LIST_DELAY_S)):
        last = view.last_searches(validation)
        rows = validation[:0] if last is None else sample(validation[last.is_there], MAX_EVENTS // 2, seed)
        if len(rows):
            views = (view, view.without_searches())
            ndcg.append([rank_recommender(each, weights, blend, rows).ndcg_at_10 for each in views])
            users.append(view.events.user[rows])
    if not users:
        return False
    (read, unread), user = np.concatenate(ndcg, 1), np.concatenate(users)
    gain = mean_difference(read, unread, user, N_BOOTSTRAP, seed)
    text = f"{gain.difference:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
    log.info("NDCG@10 of %d events directly after a search: %.4f, with the search as a token %s", len(user), unread.mean(), text)
    return gain.low > 0


def _fit(cases: _Cases, start: Tensor) -> Tensor:
    """The weights under which the targets are most likely among their candidates."""

    def loss(weight: Tensor) -> Tensor:
        log_p = cases.scores(weight).log_softmax(1)
        return -log_p.masked_fill(~cases.is_target, 0).sum(1).mean() + PULL * ((weight - start) ** 2).sum()

    return minimise(loss, start)


def _cases(view: Evaluator, weights: Weights, blend: Blend, words: Words, validation: Ints, seed: int) -> _Cases | None:
    """The held-out events after a search, as the lists of a view know it; None if there are none."""
    asked = view.asked(validation)
    if asked is None:
        return None
    rows = sample(validation[np.flatnonzero(asked.vectors.any(1))], MAX_EVENTS // 2, seed)
    if not len(rows):
        return None
    items = weights.item_vectors()
    vectors = list_vectors(weights.model, view, rows)
    mean_score, parts = items @ weights.mean_vector, []
    for members, features in view.blocks(rows):
        sequence = vectors[torch.from_numpy(np.searchsorted(rows, members))] @ items.T
        state = ItemState(features, mean_score, weights.is_cold)
        known = combine(blend, view.users(members, blend), {"sequence": sequence}, state, view.repeats(members))
        target, seen, here = torch.from_numpy(view.events.item[members]), view.seen(members), view.asked(members)
        assert here is not None, "the view has searches"
        of_target = known.gather(1, target[:, None])
        if seen is not None:
            known[torch.from_numpy(seen[0]), torch.from_numpy(seen[1])] = -torch.inf
        known.scatter_(1, target[:, None], of_target)
        cosine = words.matches(here.vectors, here.texts)
        n_each = min(N_EACH, known.shape[1])
        picks = [score.topk(n_each, 1).indices for score in (known, known + words.weight * cosine, cosine)]
        item = torch.cat([*picks, target[:, None]], 1).sort(1).values
        is_copy = torch.zeros_like(item, dtype=torch.bool)
        is_copy[:, 1:] = item[:, 1:] == item[:, :-1]
        start, stop = view.histories(members)
        parts.append(
            _Cases(
                known=known.gather(1, item).masked_fill(is_copy, -torch.inf),
                cosine=cosine.gather(1, item),
                is_target=(item == target[:, None]) & ~is_copy,
                features=here.features(is_new=stop == start),
                user=view.events.user[members],
            )
        )
    return _join(parts)


def _join(parts: list[_Cases]) -> _Cases:
    return _Cases(
        known=torch.cat([part.known for part in parts]),
        cosine=torch.cat([part.cosine for part in parts]),
        is_target=torch.cat([part.is_target for part in parts]),
        features=torch.cat([part.features for part in parts]),
        user=np.concatenate([part.user for part in parts]),
    )
