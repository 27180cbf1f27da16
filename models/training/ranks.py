"""Training by several processes: each has the windows of its users, and all take every step together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from models.config import TrainConfig
from models.device import free_memory
from models.errors import UserError
from models.events import Events, Ints, Windows
from models.sequence.recommender import Recommender
from models.sequence.streams import bucket_by_length, make_batch
from models.training.files import curve_as_json, curve_of, read, write
from models.training.training import Kept, Offsets, Pace, Sampling, descend, events_per_step, step_loss

LEAST_EVENTS = 256
"""Minimum number of events of a rank in a step: with very many ranks, a step is larger than that of one process."""
KEPT = "epoch.safetensors"
"""The file of the newest finished epoch."""


class RanksError(UserError):
    """The processes of a training do not agree."""


@dataclass(frozen=True)
class SharedSampling(Sampling):
    """The sample of one process with the batches of all ranks: the items of any rank's batch, and the same drawn items everywhere."""

    ranks: Ranks

    def draw(self, item: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        rows, chance = super().draw(self.ranks.union(item), self.ranks.generator)
        self.ranks.rows = rows
        return rows, chance


class Ranks:
    """One of the processes of a training. The default process group of torch.distributed has to exist.

    folder: where the newest epoch is kept; None to keep none. generator: gives all ranks the same numbers. rows: the items of this step
    if steps sample items.
    """

    def __init__(self, device: torch.device, folder: Path | None = None) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.device, self.folder = device, folder
        self.generator = torch.Generator(device)
        self.rows = torch.empty(0, dtype=torch.int64, device=device)

    def agree(self, value: float) -> float:
        """The value of the first rank."""
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def sampling(self, sampling: Sampling | None) -> Sampling | None:
        """The same sampling for the steps of all ranks."""
        return None if sampling is None else SharedSampling(sampling.n_items, sampling.n_drawn, self)

    def union(self, item: Tensor) -> Tensor:
        """The items of all ranks [any number], in the same order everywhere; an item may occur more than once."""
        own = torch.unique(item)
        size = torch.tensor([len(own)], device=self.device)
        sizes = [torch.empty_like(size) for _ in range(self.size)]
        dist.all_gather(sizes, size)
        longest = int(max(sizes))
        padded = torch.nn.functional.pad(own, (0, longest - len(own)))
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.cat([part[: int(n)] for part, n in zip(parts, sizes, strict=True)])

    def pace(self, model: Recommender, events: Events, windows: Windows, config: TrainConfig, seed: int) -> Pace:
        """The steps of one process, divided among the ranks; in a step, the windows of all ranks have about the same length."""
        n_seen = int(self.agree(float(events_per_step(config, model.config, len(events), free_memory(self.device)))))
        n_each = max(n_seen // self.size, min(n_seen, LEAST_EVENTS))
        owner = owners(events, self.size)[events.user[windows.start]]
        own = Windows(*(part[owner == self.rank] for part in (windows.start, windows.target, windows.stop)))
        per_epoch = max(sum(1 for _ in bucket_by_length(windows.length[owner == rank], n_each)) for rank in range(self.size))

        def groups(epoch: int) -> Iterator[Ints]:
            own_seed, shared_seed = (np.random.SeedSequence([seed, epoch, *which]) for which in ([self.rank], []))
            torch.manual_seed(_number(own_seed))
            self.generator.manual_seed(_number(shared_seed))
            found = list(bucket_by_length(own.length, n_each, np.random.default_rng(own_seed), shuffles=False))
            found += [np.empty(0, np.int64)] * (per_epoch - len(found))
            return (found[place] for place in np.random.default_rng(shared_seed).permutation(per_epoch))

        return Pace(own, n_each * self.size, per_epoch, groups)

    def step(
        self,
        model: Recommender,
        events: Events,
        windows: Windows,
        which: Ints,
        offsets: Offsets,
        optimizers: list[torch.optim.Optimizer],
        rate: float = 1.0,
        searches: Tensor | None = None,
    ) -> float:
        """One step on the windows of all ranks; the loss of all."""
        loss, weight = None, 0.0
        if len(which):
            batch = make_batch(events, windows, which)
            loss = step_loss(model, batch, events, offsets, searches=searches)
            weight = float(events.weight[batch.rows.numpy()[batch.is_target.numpy()]].sum(dtype=np.float64))
        elif offsets.sampling is not None:
            offsets.sampling.draw(torch.empty(0, dtype=torch.int64, device=self.device))
        delta = model.items.delta if offsets.sampling is not None else None
        return descend(loss, optimizers, rate, lambda parameters, loss: self._average(parameters, loss, weight, delta))

    def _average(self, parameters: Sequence[Tensor], loss: Tensor | None, weight: float, delta: Tensor | None) -> float:
        """Replaces the gradients by those of the loss of all ranks, in one exchange, and returns this loss.

        The loss of a batch is a mean weighted by events, so that of all batches is the mean weighted by their weights. delta: of which
        only the rows of the sampled items have a gradient, and only they travel.
        """
        has_gradient = [p.grad is not None for p in parameters]
        own = [0.0 if loss is None else float(loss.detach()) * weight, weight]
        parts = [torch.tensor([*has_gradient, *own], dtype=torch.float32, device=self.device)]
        for p in parameters:
            values = None if p.grad is None else p.grad.coalesce().values() if p.grad.is_sparse else p.grad
            shape = (len(self.rows), *p.shape[1:]) if p is delta else p.shape
            parts.append(torch.zeros(shape, device=self.device).flatten() if values is None else values.flatten() * weight)
        flat = torch.cat(parts)
        dist.all_reduce(flat)
        n_head = len(parameters) + 2
        total, everywhere = flat[:n_head].tolist(), max(float(flat[n_head - 1]), 1e-12)
        start = n_head
        for number, (p, part) in enumerate(zip(parameters, parts[1:], strict=True)):
            mean = flat[start : start + len(part)] / everywhere
            start += len(part)
            if not total[number]:
                p.grad = None  # no batch of this step has a search, for example
            elif p is delta:
                values = mean.view(-1, *p.shape[1:])
                p.grad = torch.sparse_coo_tensor(self.rows[None], values, p.shape, is_coalesced=True, check_invariants=False)
            else:
                p.grad = mean.view(p.shape)
        return total[-2] / everywhere

    def demand_equal(self, model: Recommender, epoch: int) -> None:
        """Raises RanksError unless the weights of all ranks have the same bits."""
        digest = hashlib.sha256()
        for value in model.state_dict().values():
            digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
        own = torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8).to(self.device)
        found = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(found, own)
        others = [str(rank) for rank, value in enumerate(found) if not torch.equal(value, found[0])]
        if others:
            raise RanksError(
                f"after epoch {epoch} the weights of rank {', '.join(others)} of {self.size} are not those of rank 0, though all ranks "
                "take the same steps; run all workers on machines with the same processor, the same torch and the same code"
            )

    def judged(self, judge: Callable[[Recommender], float]) -> Callable[[Recommender], float]:
        """The judgement of the first rank, for all ranks."""
        return lambda model: self.agree(judge(model) if self.rank == 0 else 0.0)

    def keep(self, kept: Kept, model: Recommender, optimizers: list[torch.optim.Optimizer]) -> None:
        """The first rank writes a finished epoch to the folder, in the place of the one before it."""
        if self.folder is None or self.rank:
            return
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in (kept.best or {}).items()}
        for number, optimizer in enumerate(optimizers):
            for place, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{number}.{place}.{name}": torch.as_tensor(value) for name, value in state.items()}
        about = {"curve": curve_as_json(kept.curve), "planned": kept.planned}
        write(self.folder / KEPT, tensors, about)

    def kept(self, model: Recommender, optimizers: list[torch.optim.Optimizer]) -> Kept | None:
        """The newest finished epoch in the folder, with its weights and moments put into place; None without one."""
        if self.folder is None or not self.agree(float((self.folder / KEPT).exists())):
            return None
        tensors, about = read(self.folder / KEPT)
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}}
        states: list[dict[int, dict[str, object]]] = [{} for _ in optimizers]
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind in parts:
                parts[kind][rest] = value
            else:
                number, place, field = rest.split(".")
                # only SparseAdam counts its steps in a plain number
                found = value.item() if field == "step" and not value.is_floating_point() else value
                states[int(number)].setdefault(int(place), {})[field] = found
        model.load_state_dict(parts["model"])
        for optimizer, state in zip(optimizers, states, strict=True):
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return Kept(curve_of(about["curve"]), float(about["planned"]), parts["best"] or None)


def owners(events: Events, n_ranks: int) -> Ints:
    """The rank of each user: users are dealt in order of their number of events, back and forth, so that all ranks get the same mix."""
    place = np.arange(events.n_users)
    turn, seat = np.divmod(place, n_ranks)
    owner = np.empty(events.n_users, np.int64)
    owner[np.argsort(-np.diff(events.offsets), kind="stable")] = np.where(turn % 2, n_ranks - 1 - seat, seat)
    return owner


def _number(seed: np.random.SeedSequence) -> int:
    return int(seed.generate_state(1, np.uint64)[0] >> np.uint64(1))
