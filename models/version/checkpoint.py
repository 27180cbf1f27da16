"""A model version as one folder: weights, config, item catalog, encoder fingerprint and blend; safetensors and JSON only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.config import RecommenderConfig
from models.errors import UserError
from models.events import Catalog, Events, Floats
from models.interests.capture import Capture
from models.interests.vocabulary import Interests
from models.ranking.blend import GATES, Blend
from models.ranking.choice import Choice
from models.ranking.exploration import NewItemLayer, NewItems
from models.ranking.scorer import Scorer
from models.results import SeenItems
from models.sequence.recommender import Recommender
from models.sequence.weights import Weights
from models.sequence.whitening import Whitening
from models.text.requests import ItemWords
from models.text.towers import Words
from models.version.finite import demand_finite
from models.version.online_state import OnlineState

FORMAT = 5
LAYER = "new_items."


class UnreadableFormatError(UserError):
    """The checkpoint has the format of another version of minutehand."""


@dataclass(frozen=True)
class Checkpoint:
    """A model version. live serves; past was trained in the same way before the hold-out, so that a later night can judge it fairly.

    popularity: [items, features] at as_of, just after the newest event (unix seconds). An increment has no `past`;
    online is None if the version cannot continue learning. seen_items: the reason for hide_seen; None in older versions. words: None if
    hardly any item has a text, and in older versions. interests, capture: None if nothing is known about the items,
    and in older versions. variety: the dial of models.ranking.choice for lists of the default place; 0 in older versions. layer: by which
    new items are drawn; None in older versions.
    """

    catalog: Catalog
    kinds: tuple[str, ...]
    encoder: str
    hide_seen: bool
    as_of: int
    popularity: Floats
    blend: Blend
    prior: Floats
    whitening: Whitening
    live: Weights
    past: Weights | None
    online: OnlineState | None = None
    seen_items: SeenItems | None = None
    words: Words | None = None
    interests: Interests | None = None
    capture: Capture | None = None
    variety: float = 0.0
    layer: NewItemLayer | None = None

    @cached_property
    def new_items(self) -> NewItems:
        """The items that slots for new items draw from."""
        vectors, text = self.live.item_vectors(), self.live.model.items.text.detach().cpu()
        return NewItems.find(self.popularity, text, vectors @ self.live.mean_vector, self.catalog.is_available, self.layer)

    @property
    def choice(self) -> Choice | None:
        """The rules of the default place; None if it has none."""
        return Choice(variety=self.variety) if self.variety else None

    def scorer(self) -> Scorer:
        """The scorer of this version; every call returns the same one, so that the item state is computed once."""
        return self._scorer

    @cached_property
    def _scorer(self) -> Scorer:
        popularity = torch.from_numpy(self.popularity)
        return Scorer(self.live, self.blend, popularity, self.catalog.is_available, self.hide_seen, self.as_of, self.words)

    def recommend(self, histories: Sequence[dict[str, Any]], now: datetime | None = None, k: int = 10) -> list[list[tuple[str, float]]]:
        """(item_id, probability) pairs in the order of the list, for histories given oldest event first.

        A history has item_ids and, if known, event_types and occurred_at (UTC) of the same length; without times the
        events count as just happened. Unknown items are skipped.
        """
        if k < 1:
            raise UserError(f"k is {k}: how many items a list has, at least 1; leave it out for 10")
        asked = int(now.replace(tzinfo=now.tzinfo or UTC).timestamp()) if now else self.as_of
        events = self._events(histories, asked)
        lists = self.scorer().rank(events, len(histories), k, now=asked, choice=self.choice, explain=False)
        return [
            [(self.catalog.item_ids[i], float(p)) for i, p in zip(items, probabilities, strict=True) if i >= 0]
            for items, probabilities in zip(lists.item, lists.probability, strict=True)
        ]

    def answer(
        self,
        histories: Sequence[dict[str, Any]],
        queries: Floats,
        k: int,
        now: datetime,
        hidden: Sequence[Sequence[str]],
        texts: Sequence[str | None] | None = None,
    ) -> list[list[tuple[str, float, float]]]:
        """(item_id, score, probability), best first, for requests in words by people with a history each; an empty one is a cold start.

        queries: vectors of the encoder [histories, dim]; a zero vector asks for nothing. hidden: item ids that each list must not contain,
        if the version hides seen items. texts: the requests, for their words. Raises UserError if the version has no towers.
        """
        if self.words is None:
            raise UserError(
                "the live model cannot read requests: it was trained before this was possible, or too few items have a title; "
                "run minutehand nightly, or give items titles: minutehand ingest items FILE --map title=COLUMN"
            )
        asked = int(now.replace(tzinfo=now.tzinfo or UTC).timestamp())
        events, row = self._events(histories, asked), {item_id: n for n, item_id in enumerate(self.catalog.item_ids)}
        out: list[list[tuple[str, float, float]]] = []
        for scored in self.scorer().score_blocks(events, len(histories), now=asked, trend=None, earlier=None):
            scores = scored.scores + self.words.scores(queries[scored.users], None if texts is None else texts[scored.users])
            for number, ids in enumerate(hidden[scored.users] if self.hide_seen else ()):
                scores[number, [row[item_id] for item_id in ids if item_id in row]] = -torch.inf
            best = scores.topk(min(k, scores.shape[1]), 1)
            probability = (best.values - scores.logsumexp(1, keepdim=True)).exp()
            rows = zip(best.indices.tolist(), best.values.tolist(), probability.tolist(), strict=True)
            out += [[(self.catalog.item_ids[i], s, p) for i, s, p in zip(*each, strict=True) if s > -np.inf] for each in rows]
        return out

    def _events(self, histories: Sequence[dict[str, Any]], asked: int) -> Events:
        """Histories as flat arrays, one user each."""
        row = {item_id: n for n, item_id in enumerate(self.catalog.item_ids)}
        kind = {name: n for n, name in enumerate(self.kinds)}
        columns: list[tuple[int, int, int, int]] = []
        for user, history in enumerate(histories):
            if history.get("item_ids") is None:
                raise UserError(f"history {user} has no item_ids (found: {', '.join(history) or 'nothing'}); give its items, oldest first")
            items = list(history["item_ids"])
            types = list(history.get("event_types") or [None] * len(items))
            times = list(history.get("occurred_at") or [asked] * len(items))
            if not len(items) == len(types) == len(times):
                found = f"{len(items)} items, {len(types)} event types and {len(times)} times"
                raise UserError(f"history {user} has {found}; give one of each per event")
            events = zip(items, types, times, strict=True)
            columns += [(user, row[item], kind.get(type_ or "", 0), _seconds(time)) for item, type_, time in events if item in row]
        table = np.array(columns, np.int64).reshape(-1, 4)
        weight = np.ones(len(table), np.float32)
        return Events.build(table[:, 0], table[:, 1], table[:, 2], table[:, 3], weight, n_items=len(row), n_kinds=len(self.kinds))


def _seconds(time: Any) -> int:
    """Unix seconds of a datetime, an ISO text or unix seconds; a time without a zone is UTC."""
    if isinstance(time, datetime):
        return int(time.replace(tzinfo=time.tzinfo or UTC).timestamp())
    if isinstance(time, np.datetime64):
        return int(time.astype("datetime64[s]").astype(np.int64))
    try:
        return _seconds(datetime.fromisoformat(time)) if isinstance(time, str) else int(time)
    except (TypeError, ValueError) as error:
        raise UserError(f"{time!r} is not a time; give a datetime, an ISO text such as 2026-11-01T12:00:00 or unix seconds") from error


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the folder, checkpoint.json last, so its presence means complete. Raises NotFiniteError before writing anything."""
    demand_finite(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("live", "past"):
        weights: Weights | None = getattr(checkpoint, name)
        if weights is None:
            continue
        tensors = {key: value.detach().cpu().contiguous() for key, value in weights.model.state_dict().items()}
        save_file(tensors | {"mean_vector": weights.mean_vector, "is_cold": weights.is_cold}, folder / f"{name}.safetensors")
    arrays = {
        "popularity": checkpoint.popularity,
        "prior": checkpoint.prior,
        "whitening.centre": checkpoint.whitening.centre,
        "whitening.projection": checkpoint.whitening.projection,
        **{f"blend.{field.name}": getattr(checkpoint.blend, field.name) for field in fields(Blend)},
        **({} if checkpoint.layer is None else {f"{LAYER}{name}": value for name, value in checkpoint.layer.arrays().items()}),
    }
    save_file({name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}, folder / "state.safetensors")
    if checkpoint.online is not None:
        save_file({name: value.contiguous() for name, value in checkpoint.online.tensors().items()}, folder / "online.safetensors")
    if checkpoint.words is not None:
        save_file({name: value.contiguous() for name, value in checkpoint.words.tensors().items()}, folder / "words.safetensors")
    if checkpoint.interests is not None:
        save_file(checkpoint.interests.tensors(), folder / "interests.safetensors")
        (folder / "interests.json").write_text(json.dumps(checkpoint.interests.described()), encoding="utf-8")
    if checkpoint.capture is not None:
        save_file({name: value.contiguous() for name, value in checkpoint.capture.tensors().items()}, folder / "capture.safetensors")
    described = {
        "format": FORMAT,
        "parts": [name for name in ("past", "online", "words", "interests", "capture") if getattr(checkpoint, name) is not None],
        "model": checkpoint.live.model.config.model_dump(),
        "item_ids": checkpoint.catalog.item_ids,
        "is_available": checkpoint.catalog.is_available.tolist(),
        "kinds": checkpoint.kinds,
        "encoder": checkpoint.encoder,
        "hide_seen": checkpoint.hide_seen,
        "as_of": checkpoint.as_of,
        "variety": checkpoint.variety,
        "tried": {} if checkpoint.layer is None else dict(checkpoint.layer.tried),
        "seen_items": None if checkpoint.seen_items is None else asdict(checkpoint.seen_items),
    }
    (folder / "checkpoint.json").write_text(json.dumps(described), encoding="utf-8")


def load(folder: Path, *, with_past: bool = True) -> Checkpoint:
    """Load the checkpoint of a folder. Raises UserError if it is not a checkpoint or has the format of another version.

    with_past: False leaves out `past`, which only a night needs; it takes as much memory as `live`.
    """
    described = _described(folder)
    config, parts = RecommenderConfig(**described["model"]), described["parts"]
    state = {name: value.numpy() for name, value in load_file(folder / "state.safetensors").items()}
    return Checkpoint(
        catalog=Catalog(tuple(described["item_ids"]), np.array(described["is_available"], dtype=bool)),
        kinds=tuple(described["kinds"]),
        encoder=described["encoder"],
        hide_seen=described["hide_seen"],
        as_of=described["as_of"],
        popularity=state["popularity"],
        prior=state["prior"],
        blend=_with_every_gate(Blend(**{field.name: state[f"blend.{field.name}"] for field in fields(Blend)})),
        whitening=Whitening(state["whitening.centre"], state["whitening.projection"]),
        live=_load_weights(folder / "live.safetensors", config, len(described["kinds"])),
        past=_load_weights(folder / "past.safetensors", config, len(described["kinds"])) if with_past and "past" in parts else None,
        online=OnlineState.from_tensors(load_file(folder / "online.safetensors"), len(described["kinds"])) if "online" in parts else None,
        words=Words.from_tensors(load_file(folder / "words.safetensors")) if "words" in parts else None,
        interests=_read_interests(folder) if "interests" in parts else None,
        capture=Capture.from_tensors(load_file(folder / "capture.safetensors")) if "capture" in parts else None,
        seen_items=SeenItems(**described["seen_items"]) if described.get("seen_items") else None,
        variety=described.get("variety", 0.0),
        layer=_layer_of(state, described.get("tried", {})),
    )


def _layer_of(state: Mapping[str, np.ndarray], tried: Mapping[str, Sequence[float]]) -> NewItemLayer | None:
    found = {name.removeprefix(LAYER): value for name, value in state.items() if name.startswith(LAYER)}
    if not found:
        return None
    counts = {item_id: (expected, chosen) for item_id, (expected, chosen) in tried.items()}
    return NewItemLayer.from_arrays({name: value.astype(np.float64) for name, value in found.items()}, counts)


@dataclass(frozen=True)
class KnownInterests:
    """The interests of a version, the heads that tell who has which, and the items in the order of their rows."""

    interests: Interests
    capture: Capture
    item_ids: tuple[str, ...]


def load_interests(folder: Path) -> KnownInterests | None:
    """Only the interests of the checkpoint of a folder; None if it has no interests, or another format."""
    try:
        described = _described(folder)
    except UnreadableFormatError:
        return None
    if not {"interests", "capture"} <= set(described["parts"]):
        return None
    capture = Capture.from_tensors(load_file(folder / "capture.safetensors"))
    return KnownInterests(_read_interests(folder), capture, tuple(described["item_ids"]))


def _read_interests(folder: Path) -> Interests:
    described = json.loads((folder / "interests.json").read_text(encoding="utf-8"))
    return Interests.from_parts(load_file(folder / "interests.safetensors"), described)


def _described(folder: Path) -> dict[str, Any]:
    """The checkpoint.json of a folder. Raises UserError as `load` does."""
    try:
        described: dict[str, Any] = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            f"{folder} holds no checkpoint.json: not a checkpoint, or its writing was cut off; run `minutehand nightly` again"
        ) from error
    if described["format"] != FORMAT:
        raise UnreadableFormatError(
            f"{folder} has checkpoint format {described['format']}, this version reads {FORMAT}; run `minutehand nightly`"
        )
    return described


def _with_every_gate(blend: Blend) -> Blend:
    """In versions saved before a term was added at the end of GATES, that term gets weight 0."""
    return replace(blend, gate=np.pad(blend.gate, ((0, 0), (0, len(GATES) - blend.gate.shape[1]))))


def _load_weights(file: Path, config: RecommenderConfig, n_kinds: int) -> Weights:
    tensors = load_file(file)
    mean_vector, is_cold = tensors.pop("mean_vector"), tensors.pop("is_cold")
    return Weights(_model(config, n_kinds, tensors), mean_vector.clone(), is_cold.clone())


def _model(config: RecommenderConfig, n_kinds: int, state: Mapping[str, Tensor]) -> Recommender:
    """The model with the given tensors; it reads searches if there are some for it.

    The tensors of items are those given, as a copy would take as much memory again.
    """
    whitening = None
    if "searches.projection" in state:
        whitening = Whitening(*(np.zeros(tuple(state[f"searches.{name}"].shape), np.float32) for name in ("centre", "projection")))
    of_items = {name: state[name].cpu() for name in ("items.text", "items.delta")}
    model = Recommender(config, of_items["items.text"][:0], n_kinds, torch.Generator(), whitening)
    left = model.load_state_dict({name: state[name] for name in state if name not in of_items}, strict=False)
    if {*left.missing_keys} != {*of_items} or left.unexpected_keys:
        raise RuntimeError(f"these weights are not of this model: missing {left.missing_keys}, unexpected {left.unexpected_keys}")
    model.items.text, model.items.delta = of_items["items.text"], torch.nn.Parameter(of_items["items.delta"])
    return model.eval()


def keep_vectors_only(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint without the texts and deltas from which the item vectors are computed, for a process that only ranks.

    It changes the model in place: it cannot be saved, and no items can be added. This halves its memory.
    """
    checkpoint.live.item_vectors()
    _ = checkpoint.new_items  # of their texts
    tower = checkpoint.live.model.items
    tower.text = torch.zeros(0, tower.text.shape[1])
    tower.delta = torch.nn.Parameter(torch.zeros(0, tower.text.shape[1]), requires_grad=False)
    return checkpoint


def align(weights: Weights, old: Sequence[str], new: Sequence[str], text: Floats) -> Weights:
    """The weights with the item rows of another catalog: known items keep their weights, new items start at their text.

    text: [new items, dim], whitened with the whitening of the checkpoint.
    """
    row = {item_id: n for n, item_id in enumerate(old)}
    place = torch.tensor([row.get(item_id, -1) for item_id in new])
    known = place >= 0
    state = dict(weights.model.state_dict())
    for name, start in (("items.text", torch.from_numpy(text)), ("items.delta", torch.zeros(len(new), text.shape[1]))):
        grown: Tensor = start.clone()
        grown[known] = state[name].cpu()[place[known]]
        state[name] = grown
    model = _model(weights.model.config, weights.model.kind.num_embeddings, state)
    is_cold = torch.ones(len(new))
    is_cold[known] = weights.is_cold[place[known]]
    return Weights(model, weights.mean_vector, is_cold)


def with_new_items(
    checkpoint: Checkpoint, item_ids: Sequence[str], text: Floats | None, said: Sequence[ItemWords] | None = None
) -> Checkpoint:
    """The checkpoint with new items appended; they start at their text, and existing items keep their rows.

    text: text vectors from the encoder, [new items, text_dim]; None without texts. said: titles and labels.
    """
    if not item_ids:
        return checkpoint
    old = checkpoint.catalog
    ids = (*old.item_ids, *item_ids)
    dim = checkpoint.live.model.config.dim
    whitened = np.zeros((len(item_ids), dim), np.float32) if text is None else checkpoint.whitening.apply(text)
    placed = np.concatenate([np.zeros((len(old), dim), np.float32), whitened])
    unseen = np.zeros((len(item_ids), checkpoint.popularity.shape[1]), np.float32)
    catalog = Catalog(ids, np.concatenate([old.is_available, np.ones(len(item_ids), bool)]))
    online = None if checkpoint.online is None else checkpoint.online.with_n_items(len(ids))
    return replace(
        checkpoint,
        catalog=catalog,
        popularity=np.concatenate([checkpoint.popularity, unseen]) if online is None else online.popularity.features(),
        live=align(checkpoint.live, old.item_ids, ids, placed),
        past=None if checkpoint.past is None else align(checkpoint.past, old.item_ids, ids, placed),
        online=online,
        words=None if checkpoint.words is None else checkpoint.words.with_new_items(_texts(checkpoint.words, len(item_ids), text), said),
        interests=None if checkpoint.interests is None else checkpoint.interests.with_n_items(len(ids)),
    )


def _texts(words: Words, n_items: int, text: Floats | None) -> Floats:
    """Text vectors of new items; zeros if there are none."""
    return np.zeros((n_items, words.items.shape[1]), np.float32) if text is None else text


def on_catalog_of(checkpoint: Checkpoint, like: Checkpoint) -> Checkpoint:
    """An older version on the larger catalog of a later one; items that are new to it start at their text."""
    n_items = len(like.catalog)
    popularity = np.zeros((n_items, checkpoint.popularity.shape[1]), np.float32)
    popularity[: len(checkpoint.popularity)] = checkpoint.popularity
    popularity[len(checkpoint.popularity) :, -1] = 1.0  # no events yet
    text = like.live.model.items.text.numpy()
    weights = align(checkpoint.live, checkpoint.catalog.item_ids, like.catalog.item_ids, text)
    online = None if checkpoint.online is None else checkpoint.online.with_n_items(n_items)
    bare = replace(checkpoint, past=None, words=None, interests=None, capture=None)
    return replace(bare, catalog=like.catalog, popularity=popularity, live=weights, online=online)


def with_new_descriptions(
    checkpoint: Checkpoint, text: Mapping[int, Floats], is_available: Mapping[int, bool], said: Mapping[int, ItemWords] | None = None
) -> Checkpoint:
    """The checkpoint with changed item descriptions: text vectors, availability, and titles with labels, by catalog row."""
    if not text and not is_available:
        return checkpoint
    available = checkpoint.catalog.is_available.copy()
    available[list(is_available)] = list(is_available.values())
    state = {name: value.clone() for name, value in checkpoint.live.model.state_dict().items()}
    if text:
        state["items.text"][list(text)] = torch.from_numpy(checkpoint.whitening.apply(np.stack(list(text.values()))))
    model = _model(checkpoint.live.model.config, checkpoint.live.model.kind.num_embeddings, state)
    live = Weights(model, checkpoint.live.mean_vector, checkpoint.live.is_cold)
    words = checkpoint.words
    if text and words is not None:
        named = None if said is None else [said.get(row, ("", ())) for row in text]
        words = words.with_new_texts(torch.tensor(list(text)), np.stack(list(text.values())), named)
    return replace(checkpoint, catalog=replace(checkpoint.catalog, is_available=available), live=live, words=words)
