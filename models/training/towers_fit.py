"""The fit of the towers: each request should find the items that fulfil it."""

from __future__ import annotations

import copy
import logging
import math
import time as clock

import torch
import torch.nn.functional as F
from torch import nn

from models.events import Floats
from models.text.requests import Requests
from models.text.towers import Head

log = logging.getLogger("minutehand.words")
STEPS = 400
BATCH = 256
SAMPLED_ITEMS = 4000
LEARNING_RATE = 2e-3
WARM_UP = 20
STEPS_ON_SEARCHES = 150
SAMPLED_FOR_SEARCHES = 1000
"""What real searches add to towers that know the generated requests: they take fewer steps, on fewer items."""
LIMIT_S, LIMIT_ON_SEARCHES_S = 20.0, 4.0
"""Longest times of a fit. On a slow machine it takes fewer steps, as many as the first ones show to be possible."""
N_TIMED = 5
NOISE = 0.5
"""Length of the random vector that is added to a request: the heads must not learn the templates by heart."""


def fit_towers(
    requests: Requests,
    vectors: Floats,
    text: Floats,
    seed: int,
    start: tuple[Head, Head] | None = None,
    limit_s: float | None = None,
) -> tuple[Head, Head]:
    """The query head and the item head. vectors: of the requests [requests, dim]; text: of the items [items, dim].

    Multi-positive softmax over sampled items: the mean log-probability of the items that fulfil a request. start: heads that know the
    generated requests and learn from searches in addition; they stay as they are. limit_s: longest time of the fit; None for the usual one.
    """
    generator = torch.manual_seed(seed)
    started, dim = clock.monotonic(), text.shape[1]
    asked, described = torch.from_numpy(vectors), torch.from_numpy(text)
    has_text = torch.nonzero(described.abs().sum(1) > 0).flatten()
    query, item = (Head(dim), Head(dim)) if start is None else (copy.deepcopy(head).train().requires_grad_() for head in start)
    n_steps, n_sampled, usual_s = (
        (STEPS, SAMPLED_ITEMS, LIMIT_S) if start is None else (STEPS_ON_SEARCHES, SAMPLED_FOR_SEARCHES, LIMIT_ON_SEARCHES_S)
    )
    limit_s = usual_s if limit_s is None else limit_s
    log_scale = nn.Parameter(torch.tensor(math.log(20.0)))
    optimizer = torch.optim.AdamW([*query.parameters(), *item.parameters(), log_scale], lr=LEARNING_RATE, weight_decay=0.01)
    loss = torch.zeros(())
    for step in range(n_steps):
        if step == N_TIMED:  # the rate of learning falls to zero by the last step, so their number has to be known early
            n_steps = min(n_steps, max(step, int(step * limit_s / max(clock.monotonic() - started, 1e-6))))
        if step >= n_steps or clock.monotonic() - started > limit_s:
            log.warning("the towers took %d steps in %.1f s, the longest time for them", step, clock.monotonic() - started)
            break
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (step + 1) / WARM_UP) * (1 - step / n_steps)
        batch = _draw(requests, generator)
        sampled = has_text[torch.randperm(len(has_text), generator=generator)[:n_sampled]]
        meant = torch.from_numpy(requests.item[batch.numpy()])
        if (meant >= 0).any():
            sampled = torch.unique(torch.cat([sampled, meant[meant >= 0]]))
        fulfils = torch.from_numpy(requests.fulfilling(batch.numpy(), sampled.numpy()))
        can_be_met = fulfils.any(1)
        noisy = F.normalize(asked[batch] + NOISE / math.sqrt(dim) * torch.randn(len(batch), dim, generator=generator), dim=1)
        logits = query(noisy) @ item(described[sampled]).T * log_scale.exp()
        mean = (logits.log_softmax(1) * fulfils).sum(1) / fulfils.sum(1).clamp_min(1)
        loss = -mean[can_be_met].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    log.info("%d requests, %d steps, loss %.3f in %.1f s", len(asked), n_steps, loss.item(), clock.monotonic() - started)
    return tuple(head.eval().requires_grad_(requires_grad=False) for head in (query, item))  # type: ignore[return-value]


def _draw(requests: Requests, generator: torch.Generator) -> torch.Tensor:
    """The rows of the requests of one step."""
    n_generated = len(requests.texts) - requests.n_searches
    n_other = n_generated - requests.n_labels
    n_searches = round(BATCH * requests.search_share) if requests.n_searches else 0
    n_labels = round((BATCH - n_searches) * (requests.share if n_other else 1))
    sizes = ((0, requests.n_labels, n_labels), (requests.n_labels, n_generated, BATCH - n_searches - n_labels))
    parts = (*sizes, (n_generated, len(requests.texts), n_searches))
    return torch.cat([torch.randint(first, stop, (n,), generator=generator) for first, stop, n in parts if n])
