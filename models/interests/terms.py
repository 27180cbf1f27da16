"""The words that distinguish groups of texts, by c-TF-IDF."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

WORD = re.compile(r"[^\W\d_][\w'’-]*[^\W_]", re.UNICODE)
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
SHORTEST_WORD = 3
LEAST_ITEMS = 2
"""A word of fewer items of a class says nothing about the class."""
LEAST_LIFT = 1.5
"""A word distinguishes a class if it is this many times as frequent there as in all classes; no list of stop words is needed."""


def distinguishing_terms(titles: Sequence[str], shares: csr_matrix, n_terms: int) -> list[tuple[str, ...]]:
    """The words of each class that distinguish it, best first.

    shares: [titles, classes]. A word counts once per title. Its score is its frequency in the class times log(1 + A / f), where f is its
    frequency in all classes, and A the mean number of words of a class (Grootendorst 2022, BERTopic, eq. 3).
    """
    words = [sorted(set(words_of(title))) for title in titles]
    number: dict[str, int] = {}
    column = np.array([number.setdefault(word, len(number)) for each in words for word in each], np.int64)
    if not len(column):
        return [() for _ in range(shares.shape[1])]
    line = np.repeat(np.arange(len(words)), [len(each) for each in words])
    counts = csr_matrix((np.ones(len(column), np.float32), (line, column)), shape=(len(words), len(number)))
    by_class = csr_matrix(shares.T @ counts)
    n_titles = csr_matrix((shares > 0).astype(np.float32).T @ counts)
    total = np.asarray(by_class.sum(0)).ravel()
    mean = by_class.sum() / max(by_class.shape[0], 1)
    rarity = np.log1p(mean / np.maximum(total, 1e-9))
    usual = total / max(total.sum(), 1e-9)
    names = list(number)
    out = []
    for row in range(by_class.shape[0]):
        found = by_class.getrow(row)
        often = np.asarray(n_titles[row, found.indices].todense()).ravel() >= LEAST_ITEMS
        share = found.data / max(found.data.sum(), 1e-9)
        score = np.where(often & (share >= LEAST_LIFT * usual[found.indices]), share * rarity[found.indices], 0)
        best = sorted(range(len(score)), key=lambda place: (-score[place], names[found.indices[place]]))[:n_terms]
        out.append(tuple(names[found.indices[place]] for place in best if score[place] > 0))
    return out


def words_of(title: str) -> list[str]:
    """The words of a title in lower case; pairs of characters in scripts without spaces."""
    unspaced = [run[start : start + 2] for run in UNSPACED.findall(title) for start in range(max(len(run) - 1, 1))]
    return [word for word in WORD.findall(UNSPACED.sub(" ", title).lower()) if len(word) >= SHORTEST_WORD] + unspaced
