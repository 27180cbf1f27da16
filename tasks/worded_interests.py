"""Which interests a text speaks of, by the live model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from models.config import EncoderConfig
from models.errors import UserError
from models.events import Floats
from models.interests.words import SHARPNESS_TEXT, SHARPNESS_TOWERS, in_words, nearest_items
from models.text.encoder import find_encoder, load_encoder
from models.version.checkpoint import Checkpoint
from tasks.encoding import text_vectors
from tasks.lake import Lake, reading
from tasks.live import load_live
from tasks.reading import NO_INTERESTS
from tasks.requests import cleaned, language_notes, titles_of

if TYPE_CHECKING:
    from tasks.registry.versions import Registry

N_EVIDENCE = 3
LEAST_PROBABILITY = 0.001


@dataclass(frozen=True)
class WordedInterests:
    """The interests of a text, topics first, most probable first: interest_id, kind, dimension, name, probability, evidence,
    evidence_titles and model_version. notes: warnings for people.
    """

    rows: list[dict[str, Any]]
    notes: list[str]


def interests_in(lake: Lake, open_registry: Callable[[], Registry], encoder: EncoderConfig, text: str) -> WordedInterests:
    """The interests that a text speaks of, each with the items that fit best. Probabilities sum to 1 within each dimension.

    Raises UserError for a text without words, if no model is live, or if the live model knows no interests or has another encoder.
    """
    asked = cleaned(text)
    version, checkpoint = load_live(lake, open_registry)
    interests, key = checkpoint.interests, find_encoder(encoder).key
    if interests is None:
        raise UserError(NO_INTERESTS)
    if checkpoint.encoder != key:
        raise UserError(f"the live model was trained with the encoder {checkpoint.encoder}, and {key} is set; run minutehand nightly")
    vector = load_encoder(encoder, torch.device("cpu")).encode([asked]).astype(np.float32)
    cosine = _cosine(lake, checkpoint, vector)
    (probability,) = in_words(interests, cosine, SHARPNESS_TEXT if checkpoint.words is None else SHARPNESS_TOWERS)
    order = sorted(
        (row for row in range(len(interests)) if probability[row] >= LEAST_PROBABILITY),
        key=lambda row: (interests.groups[row] != "topic", interests.groups[row], -probability[row], interests.interest_ids[row]),
    )
    rows: list[dict[str, Any]] = [
        {
            "interest_id": interests.interest_ids[row],
            "kind": interests.kinds[row],
            "dimension": interests.groups[row],
            "name": interests.names[row],
            "probability": float(probability[row]),
            "evidence": [checkpoint.catalog.item_ids[item] for item in nearest_items(interests, cosine[0], row, N_EVIDENCE)],
        }
        for row in order
    ]
    titles = titles_of(lake, sorted({item_id for each in rows for item_id in each["evidence"]}))
    for each in rows:
        each |= {"evidence_titles": [titles.get(item_id) or item_id for item_id in each["evidence"]], "model_version": version}
    return WordedInterests(rows, language_notes(encoder, [asked]))


def _cosine(lake: Lake, checkpoint: Checkpoint, vector: Floats) -> Floats:
    """Cosine of a text and each item, by the towers if the version has them, else by the text vectors in the lake."""
    if checkpoint.words is not None:
        return checkpoint.words.cosine(vector).numpy()
    with reading(lake) as con:
        ids, vectors = text_vectors(con, checkpoint.encoder)
    if not len(ids):
        raise UserError("no item of the catalogue has a text, so no text can be compared with them; give items titles")
    item = (
        pl.DataFrame({"item_id": checkpoint.catalog.item_ids})
        .with_row_index("row")
        .join(pl.DataFrame({"item_id": ids, "cosine": (vectors @ vector[0]).astype(np.float32)}), on="item_id")
    )
    out = np.full((1, len(checkpoint.catalog)), -1, np.float32)
    out[0, item["row"].to_numpy()] = item["cosine"].to_numpy()
    return out
