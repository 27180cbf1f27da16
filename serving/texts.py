"""Vectors of texts: of requests in words, and of searches."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import torch

from models.config import EncoderConfig
from models.text.clean import clean_text
from models.text.encoder import Encoder, load_encoder
from models.version.checkpoint import Checkpoint

N_TEXTS = 1_000
"""Number of texts whose vectors are kept."""


@dataclass
class Texts:
    """The encoder, loaded when the first text comes, and the vectors of the newest texts."""

    encoder: EncoderConfig
    vectors: OrderedDict[str, np.ndarray] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _reader: Encoder | None = None

    def vector(self, text: str | None, version: Checkpoint) -> np.ndarray | None:
        """The vector of a text; None if it has no words, or if the version cannot read it."""
        cleaned = clean_text(text or "")
        if not cleaned or version.words is None:
            return None
        if self._reader is None:
            self._reader = load_encoder(self.encoder, torch.device("cpu"))
        if self._reader.key != version.encoder:
            return None
        with self.lock:
            vector = self.vectors.get(cleaned)
        if vector is None:
            vector = self._reader.encode([cleaned])[0]
            with self.lock:
                self.vectors[cleaned] = vector
                while len(self.vectors) > N_TEXTS:
                    self.vectors.popitem(last=False)
        return vector
