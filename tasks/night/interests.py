"""The interests of a night: finds the vocabulary of the catalogue, and the interests of all users."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from models.config import EncoderConfig
from models.events import Events
from models.interests.capture import Capture
from models.interests.discovery import discover
from models.interests.vocabulary import Interests
from models.text.encoder import load_encoder
from models.training.capture_fit import fit_capture
from models.version import checkpoint as checkpoints
from models.version.checkpoint import load_interests
from tasks.config import GeneratorConfig
from tasks.interests.descriptions import descriptions
from tasks.interests.found import find, on_catalog, spoken_of
from tasks.interests.rows import FoundInterests
from tasks.lake import Lake
from tasks.night.dataset import Dataset
from tasks.night.learning import FittedNight, as_of, with_searchers, words_for
from tasks.night.names import name_clusters
from tasks.night.shards import People, Shards, write_interests
from tasks.searches import SearchLog

log = logging.getLogger("minutehand.interests")


def learn_interests(
    lake: Lake,
    dataset: Dataset,
    learnt: FittedNight,
    champion: Path | None,
    encoder: EncoderConfig,
    generator: GeneratorConfig,
    seed: int,
) -> tuple[Interests | None, Capture | None]:
    """The interests of the catalogue, and the heads that tell who has which; None of both without labels, facets and texts.

    Interests that the champion has too keep their ids.
    """
    described = descriptions(lake, dataset.catalog.item_ids, dataset.snapshot)
    before = None if champion is None else load_interests(champion)
    reader = load_encoder(encoder, torch.device("cpu"))
    known = () if before is None else (before.interests, before.item_ids)
    found = discover(described, dataset.catalog.text, reader.encode, seed, dataset.catalog.item_ids, *known)
    if found is None:
        log.info("no interests: the items have no labels, no years or prices, and too few texts")
        return None, None
    found = name_clusters(found, described, None if before is None else before.interests, generator)
    log.info("interests: %s", ", ".join(f"{found.kinds.count(kind)} of kind {kind}" for kind in sorted(set(found.kinds))))
    text = dataset.catalog.text
    return found, fit_capture(dataset.events, found.shares, found.group_numbers, learnt.held_out_from, seed, text, found.vectors)


def interests_of_all(
    lake: Lake, dataset: Dataset, folder: Path, max_events: int, searches: SearchLog | None = None, shards: Shards | None = None
) -> FoundInterests | None:
    """The interests of all users and items of today, by the version in a folder; None if it has none.

    shards: of the lists of all users; the interests of users go into its folder then, and the result has only those of everybody.
    """
    version = load_interests(folder)
    if version is None:
        return None
    now, described = as_of(dataset), descriptions(lake, dataset.catalog.item_ids, dataset.snapshot)
    interests = version.interests.of(described, dataset.catalog.text)
    capture = on_catalog(version.capture, version.item_ids, dataset.catalog.item_ids)
    capture = capture.with_events(dataset.events, interests.shares, now)
    user_ids, words = dataset.user_ids, None
    if searches is not None:
        now = max(now, searches.newest_s + 1)
        user_ids = with_searchers(user_ids, searches.last_of_each(now))
        words = words_for(checkpoints.load(folder), dataset)

    def found(users: Sequence[str], events: Events) -> FoundInterests:
        asked = None if searches is None or words is None else searches.of_users(users)
        spoken = spoken_of(interests, words, asked, events, len(users), now)
        return find(interests, capture, users, events, now, max_events, spoken=spoken)

    if shards is None:
        return found(user_ids, dataset.events)
    people = People(user_ids, dataset.events, np.zeros(len(dataset.events), np.float32))
    for number, part in enumerate(people.shards(shards.size)):
        write_interests(found(part.user_ids, part.events).found, len(part), shards.folder, number)
    return found((), dataset.events.where(np.zeros(len(dataset.events), bool)))
