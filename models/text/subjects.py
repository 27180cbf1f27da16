"""Tells words for a subject that somebody may be interested in, such as chess, from other words, such as suspense.

A logistic head on vectors of the bundled encoder, whatever encoder the items have; `python -m bench.subjects` fits it. It generalises to
words that it has never seen, in English.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file

from models.config import EncoderConfig

if TYPE_CHECKING:
    from models.events import Floats
    from models.text.encoder import Encoder

WEIGHTS = Path(__file__).with_suffix(".safetensors")
CONTEXT = "interested in {}"
MOST_WORDS = 100_000
_judged: dict[str, float] = {}


def subject_probability(words: Sequence[str]) -> list[float]:
    """For each word, the probability that it names a subject."""
    if len(_judged) > MOST_WORDS:
        _judged.clear()
    if new := sorted(set(words) - _judged.keys()):
        head = _head()
        _judged.update(zip(new, 1 / (1 + np.exp(-(features_of(new) @ head["weight"] + head["bias"]))), strict=True))
    return [float(_judged[word]) for word in words]


def features_of(words: Sequence[str]) -> Floats:
    """Vectors of each word alone and as the object of an interest, [words, 2 * dim]."""
    encoder = _encoder()
    return np.hstack([encoder.encode(words), encoder.encode([CONTEXT.format(word) for word in words])])


@cache
def _encoder() -> Encoder:
    import torch  # most commands check no text

    from models.text.encoder import BUNDLED, load_encoder

    return load_encoder(EncoderConfig(name=BUNDLED), torch.device("cpu"))


@cache
def _head() -> dict[str, np.ndarray]:
    return load_file(WEIGHTS)
