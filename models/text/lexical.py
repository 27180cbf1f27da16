"""Lexical scores: how many of the words of a request an item has, each word weighted by how rare it is.

Towers compare meanings, and may miss a title that somebody types. The lexical score of that item is 1.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from models.text.requests import ItemWords, decade_of, names_of_decade, without_year

ACCENTS = re.compile("[\u0300-\u036f]")
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+")
"""Runs of scripts that put no spaces between words, and Korean, which puts endings on them: they are cut into pairs of characters."""
LONGEST_WORD = 40
"""Longer words are cut; they are ids or noise."""
MOST_WORDS = 200
"""A text counts with at most this many words."""
UNMATCHED = 0.2
"""How much a word of the title that the request lacks counts, relative to a word of the request that the item lacks."""
POWER = 6
"""Exponent of the share of words that fit: a title that fits as a whole counts much more than a word that occurs by chance."""


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without accents and without the s of a plural; pairs of characters where words have no spaces."""
    plain = ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    found: list[str] = []
    for word in WORD.findall(unicodedata.normalize("NFC", plain).casefold()):
        place = 0
        for run in UNSPACED.finditer(word):
            found += [_stem(word[place : run.start()]), *_pairs(run[0])]
            place = run.end()
        found.append(_stem(word[place:]))
        if len(found) > MOST_WORDS:
            break
    return [word for word in found if word][:MOST_WORDS]


def _stem(word: str) -> str:
    """The word without 's or a plural s; a word with digits, such as 1970s, stays."""
    word = re.sub("['’]", "", re.sub("['’]s$", "", word))[:LONGEST_WORD]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") and word.isalpha() else word


def _pairs(run: str) -> list[str]:
    return [run[n : n + 2] for n in range(len(run) - 1)] or [run]


@dataclass(frozen=True)
class Lexicon:
    """The words of all items: titles, labels, and the names of the decade of a year such as "(1975)".

    word, item, in_title: one entry per word of an item, sorted by word; a word is a number (`_number`). known, idf: the words of the night,
    sorted, and their inverse document frequency. rarest: that of any other word. n_items: number of items, some perhaps without words.
    weight: factor of the score relative to the cosine of the towers.
    """

    word: Int[Tensor, " entries"]
    item: Int[Tensor, " entries"]
    in_title: Tensor
    known: Int[Tensor, " words"]
    idf: Float[Tensor, " words"]
    rarest: float
    n_items: int
    weight: float = 0.0

    @staticmethod
    def of(items: Sequence[ItemWords]) -> Lexicon:
        """The lexicon of a catalogue."""
        word, item, in_title = _entries(items)
        known, counts = torch.unique(word, return_counts=True)
        n = len(items)
        idf = torch.log1p((n - counts + 0.5) / (counts + 0.5)).float()
        return Lexicon(word, item, in_title, known, idf, math.log1p((n + 0.5) / 0.5), n)

    @cached_property
    def mass(self) -> Float[Tensor, " items"]:
        """Sum of the idf of the words of each title."""
        values = self._idf(self.word) * self.in_title
        return torch.zeros(self.n_items).index_add_(0, self.item, values)

    def scores(self, texts: Sequence[str | None]) -> Float[Tensor, "texts items"]:
        """The part of the words of each request and of each title that they share, to the power POWER, from 0 to 1; 0 without a request.

        Words of the request that no item has count as the rarest, so "something scary" is not the title "Scary Movie".
        Words of a title that the request lacks count only as far as the request names a title: "drama" is a label of long and short titles
        alike.
        """
        out = torch.zeros(len(texts), self.n_items)
        for row, text in enumerate(texts):
            asked = torch.tensor(sorted({_number(word) for word in words_of(text or "")}), dtype=torch.int64)
            if not len(asked):
                continue
            matched, of_title = torch.zeros(self.n_items), torch.zeros(self.n_items)
            bounds = zip(torch.searchsorted(self.word, asked), torch.searchsorted(self.word, asked, right=True), strict=True)
            idf = self._idf(asked)
            for value, (first, last) in zip(idf, bounds, strict=True):
                matched[self.item[first:last]] += value
                of_title[self.item[first:last]] += value * self.in_title[first:last]
            share_of_title = of_title / matched.clamp_min(1e-9)
            left = share_of_title * (self.mass - of_title).clamp_min(0)
            out[row] = (matched / (idf.sum() + UNMATCHED * left)) ** POWER
        return out

    def with_new_items(self, items: Sequence[ItemWords]) -> Lexicon:
        """The same with more items at the end. Words that the night did not know count as the rarest."""
        word, item, in_title = _entries(items)
        return self._with(torch.ones(len(self.word), dtype=torch.bool), word, item + self.n_items, in_title, self.n_items + len(items))

    def with_new_texts(self, rows: Int[Tensor, " rows"], items: Sequence[ItemWords]) -> Lexicon:
        """The same after some items have got other words."""
        word, item, in_title = _entries(items)
        return self._with(~torch.isin(self.item, rows), word, rows[item], in_title, self.n_items)

    def on_catalog(self, place: Int[Tensor, " items"]) -> Lexicon:
        """The same over the items of another catalogue. place: row of each item in the old one, -1 for an item without words."""
        row = torch.full((self.n_items,), -1)
        row[place[place >= 0]] = torch.nonzero(place >= 0).flatten()
        item = row[self.item]
        kept = item >= 0
        return replace(self, word=self.word[kept], item=item[kept], in_title=self.in_title[kept], n_items=len(place))

    def _with(self, kept: Tensor, word: Tensor, item: Tensor, in_title: Tensor, n_items: int) -> Lexicon:
        joined = [torch.cat([old[kept], new]) for old, new in ((self.word, word), (self.item, item), (self.in_title, in_title))]
        order = joined[0].argsort(stable=True)
        return replace(self, word=joined[0][order], item=joined[1][order], in_title=joined[2][order], n_items=n_items)

    def _idf(self, word: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        if not len(self.known):
            return torch.full(word.shape, self.rarest)
        place = torch.searchsorted(self.known, word).clamp_max(len(self.known) - 1)
        return torch.where(self.known[place] == word, self.idf[place], self.rarest)

    def tensors(self) -> dict[str, Tensor]:
        """Everything as named tensors, for a checkpoint."""
        numbers = {name: torch.tensor(getattr(self, name)) for name in ("rarest", "n_items", "weight")}
        return {name: getattr(self, name) for name in ("word", "item", "in_title", "known", "idf")} | numbers

    @staticmethod
    def from_tensors(tensors: dict[str, Tensor]) -> Lexicon:
        """The inverse of `tensors`."""
        arrays = {name: tensors[name] for name in ("word", "item", "in_title", "known", "idf")}
        return Lexicon(**arrays, rarest=float(tensors["rarest"]), n_items=int(tensors["n_items"]), weight=float(tensors["weight"]))


def _entries(items: Sequence[ItemWords]) -> tuple[Tensor, Tensor, Tensor]:
    """Word, item and whether the word is in the title, sorted by word, then item. A year in brackets does not count as part of a title."""
    number: dict[str, int] = {}
    columns: tuple[list[int], list[int], list[bool]] = ([], [], [])
    for row, (title, labels) in enumerate(items):
        in_title = set(words_of(without_year(title)))
        others = {word for text in (title, *labels) for word in words_of(text)} | {*names_of_decade(decade_of(title))}
        for word in in_title | others:
            columns[0].append(number.get(word) or number.setdefault(word, _number(word)))
            columns[1].append(row)
            columns[2].append(word in in_title)
    numbers, rows = np.array(columns[0], np.int64), np.array(columns[1], np.int64)
    order = np.lexsort((rows, numbers))
    return torch.from_numpy(numbers[order]), torch.from_numpy(rows[order]), torch.from_numpy(np.array(columns[2], bool)[order])


def _number(word: str) -> int:
    """A number of 48 bits for a word; it is the same in every process."""
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=6).digest())
