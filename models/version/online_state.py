"""State that a model needs to continue learning after its night; saved together with the weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from models.events import Events
from models.ranking.candidates import Candidates
from models.ranking.prior import Popularity
from models.version.memory import Memory


@dataclass(frozen=True)
class OnlineState:
    """The state of an online learner.

    popularity: at the time just after the newest learnt event. recent: candidates of the newest events, predicted before they were
    learnt, for the fit of the blend; None if there are none yet. delta_square: mean squared length of the gradient of a touched
    item's delta. squares, means: Adam's moments of the other parameters; a night starts without means. n_steps: number of steps
    since the night.
    """

    popularity: Popularity
    memory: Memory
    recent: Candidates | None
    delta_square: Tensor
    squares: Mapping[str, Tensor]
    means: Mapping[str, Tensor]
    n_steps: int

    def with_n_items(self, n_items: int) -> OnlineState:
        """The state with additional items without events."""
        return replace(
            self,
            popularity=self.popularity.with_n_items(n_items),
            memory=self.memory.with_n_items(n_items),
        )

    def without(self, owners: Collection[int]) -> OnlineState:
        """The state without what some people did: their windows, and the predictions of the newest events, which name no owner."""
        memory = self.memory.without(owners)
        return self if memory.n_windows == self.memory.n_windows else replace(self, memory=memory, recent=None)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, as saved."""
        memory, events = self.memory, self.memory.events
        kept = {name: torch.from_numpy(getattr(events, name)) for name in ("user", "item", "kind", "time", "weight")}
        kept |= {
            "is_held_out": torch.from_numpy(memory.is_held_out),
            "slot_time": torch.from_numpy(memory.slot_time),
            "prior": memory.prior,
            "owner": torch.from_numpy(memory.owners),
        }
        recent = {} if self.recent is None else {field.name: getattr(self.recent, field.name) for field in fields(Candidates)}
        return {
            "popularity.counts": torch.from_numpy(self.popularity.counts),
            "popularity.first_seen": torch.from_numpy(self.popularity.first_seen),
            "popularity.now": torch.tensor(self.popularity.now or 0),
            "delta_square": self.delta_square,
            "n_steps": torch.tensor(self.n_steps),
            **{f"memory.{name}": value for name, value in kept.items()},
            **{f"recent.{name}": value for name, value in recent.items()},
            **{f"squares.{name}": value for name, value in self.squares.items()},
            **{f"means.{name}": value for name, value in self.means.items()},
        }

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor], n_kinds: int) -> OnlineState:
        """Inverse of `tensors`."""

        def group(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

        popularity = Popularity(len(tensors["popularity.first_seen"]))
        popularity.counts = tensors["popularity.counts"].numpy()
        popularity.first_seen = tensors["popularity.first_seen"].numpy()
        popularity.now = int(tensors["popularity.now"])
        kept, recent = group("memory."), group("recent.")
        columns = {name: kept[name].numpy() for name in ("user", "item", "kind", "time", "weight")}
        n_windows = len(kept["is_held_out"])
        events = Events(**columns, n_users=n_windows, n_items=len(popularity.first_seen), n_kinds=n_kinds)
        return OnlineState(
            popularity=popularity,
            memory=Memory(
                events,
                kept["is_held_out"].numpy(),
                kept["prior"],
                kept["slot_time"].numpy(),
                kept["owner"].numpy() if "owner" in kept else None,
            ),
            recent=Candidates(**recent) if recent else None,
            delta_square=tensors["delta_square"],
            squares=group("squares."),
            means=group("means."),
            n_steps=int(tensors["n_steps"]),
        )


def keep_newest(candidates: Candidates | None, more: Candidates, n_rows: int) -> Candidates:
    """The newest rows of both; the old rows are dropped if the number of candidates per row has changed."""
    fits = candidates is not None and candidates.is_out.shape[1] == more.is_out.shape[1]
    joined = Candidates.join([candidates, more]) if candidates is not None and fits else more
    return Candidates(**{name: value[-n_rows:] for name, value in vars(joined).items()})


DELTA = "items.delta"
