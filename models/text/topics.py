"""Topics of a catalogue without labels: groups of items with similar texts, and the words that tell each group from the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import faiss
import numpy as np

from models.events import Floats, Ints
from models.text.lexical import words_of
from models.text.requests import Topics

MOST_TOPICS = 100
USUAL_ITEMS = 30
"""Aim for the number of items of a topic in a small catalogue."""
N_TERMS = 8
SHORTEST_TERM = 3
ITERATIONS = 15


def find_topics(titles: Sequence[str], text: Floats, seed: int) -> Topics:
    """Topics by spherical k-means. text: vectors of the encoder [items, dim], zero without a text; each topic has at most N_TERMS terms."""
    known = np.flatnonzero(np.abs(text).sum(1) > 0)
    of_item = np.full(len(titles), -1)
    n_topics = min(MOST_TOPICS, len(known) // USUAL_ITEMS)
    if n_topics < 2:
        return Topics(of_item, ())
    vectors = np.ascontiguousarray(text[known])
    fit = faiss.Kmeans(text.shape[1], n_topics, niter=ITERATIONS, seed=seed, spherical=True, min_points_per_centroid=1)
    fit.train(vectors)
    of_item[known] = fit.index.search(vectors, 1)[1][:, 0]
    return Topics(of_item, distinguishing_terms(titles, of_item, n_topics))


def distinguishing_terms(titles: Sequence[str], of_item: Ints, n_topics: int) -> tuple[tuple[str, ...], ...]:
    """The words of the titles of each topic that distinguish it, best first.

    A word counts once per title. Its score is its frequency in the topic times log(1 + A / f), where f is its frequency in all topics, and
    A the mean number of words of a topic (Grootendorst 2022, BERTopic, eq. 3).
    """
    counts: list[Counter[str]] = [Counter() for _ in range(n_topics)]
    for title, topic in zip(titles, of_item, strict=True):
        if topic >= 0:
            counts[topic].update({word for word in words_of(title) if _is_term(word)})
    total = sum(counts, Counter[str]())
    mean = total.total() / n_topics

    def best(found: Counter[str]) -> tuple[str, ...]:
        score = {word: n * np.log1p(mean / total[word]) for word, n in found.items() if n >= 2}
        return tuple(sorted(score, key=lambda word: (-score[word], word))[:N_TERMS])

    return tuple(best(found) for found in counts)


def _is_term(word: str) -> bool:
    """A word with letters, long enough to mean something; a pair of characters of a script without spaces does."""
    return word.isalpha() and (len(word) >= SHORTEST_TERM or not word.isascii())
