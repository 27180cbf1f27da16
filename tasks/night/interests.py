"""The interests of a night: finds the vocabulary of the catalogue, and the interests of all users."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from models.config import EncoderConfig
from models.interests.discovery import discover
from models.interests.vocabulary import Interests
from models.text.encoder import load_encoder
from models.version.checkpoint import load_interests
from tasks.interests.descriptions import descriptions
from tasks.interests.found import find
from tasks.interests.rows import FoundInterests
from tasks.lake import Lake
from tasks.night.dataset import Dataset
from tasks.night.learning import as_of, popularity_now

log = logging.getLogger("minutehand.interests")


def learn_interests(lake: Lake, dataset: Dataset, champion: Path | None, encoder: EncoderConfig, seed: int) -> Interests | None:
    """The interests of the catalogue; their ids are those of the champion where they stayed. None without labels, facets and texts."""
    described = descriptions(lake, dataset.catalog.item_ids, dataset.snapshot)
    before = None if champion is None else load_interests(champion)
    reader = load_encoder(encoder, torch.device("cpu"))
    found = discover(described, dataset.catalog.text, reader.encode, seed, dataset.catalog.item_ids, *(before or ()))
    if found is None:
        log.info("no interests: the items have no labels, no years or prices, and too few texts")
    else:
        kinds = ", ".join(f"{found.kinds.count(kind)} {kind}s" for kind in ("label", "facet", "cluster") if kind in found.kinds)
        log.info("interests: %s", kinds)
    return found


def interests_of_all(lake: Lake, dataset: Dataset, folder: Path, max_events: int) -> FoundInterests | None:
    """The interests of all users and items of today, by the vocabulary of the version in a folder; None if it has none."""
    version = load_interests(folder)
    if version is None:
        return None
    described = descriptions(lake, dataset.catalog.item_ids, dataset.snapshot)
    interests = version[0].of(described, dataset.catalog.text)
    return find(interests, dataset.user_ids, dataset.events, popularity_now(dataset).features(), as_of(dataset), max_events)
