"""Trains the towers for requests in words, over the text vectors of the items."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from models.config import EncoderConfig
from models.evaluation.search_choice import choose_search_gate
from models.evaluation.share_choice import Asked, choose_share
from models.evaluation.words_choice import choose_correction, choose_weights
from models.events import Floats, Ints, sample
from models.text.encoder import Encoder, load_encoder
from models.text.lexical import Lexicon
from models.text.requests import LEAST_ITEMS, ItemWords, Requests, cleaned_labels, make_requests, part_of, request_for, without_year
from models.text.topics import find_topics
from models.text.towers import Head, Words
from models.training.towers_fit import fit_towers
from tasks.lake import Lake, reading, statement
from tasks.night.dataset import Dataset
from tasks.night.learning import FittedNight

log = logging.getLogger("minutehand.words")
N_JUDGED = 1000
N_KNOWN_ITEMS = 500
LEAST_REQUESTS = 20
LEAST_LABELLED = 0.1
"""Share of the items with a label from which requests are made from labels."""
MAX_CHOSEN = 20_000
"""Searches, the newest ones, from which the towers learn."""
MAX_HELD_OUT = 2_000
"""Held-out searches that judge what the towers learn from searches."""
ENCODE_S = 28.0
"""Longest time to encode generated requests. The fits of the towers have limits of their own; together they take less than a minute."""
BLOCK = 1024


@dataclass(frozen=True)
class Lessons:
    """The generated requests of a catalogue with their vectors [requests, dim]. has_labels: whether labels, not topics, made them."""

    requests: Requests
    vectors: Floats
    has_labels: bool


def learn_words(lake: Lake, dataset: Dataset, learnt: FittedNight, encoder: EncoderConfig, seed: int) -> Words | None:
    """The towers and the words of the catalogue; None if no item has a text.

    If few items share a category or tag, topics of similar items stand in for them. A catalogue that is too small for topics gets towers
    that leave the vectors of the encoder as they are.
    """
    if dataset.catalog.text is None:
        return None
    items, reader = item_words(lake, dataset), load_encoder(encoder, torch.device("cpu"))
    evaluator, text = learnt.evaluator, dataset.text
    lessons = make_lessons(text, items, reader, seed)
    words = fit_words(text, items, reader, seed, lessons)
    rows, asked = judged_requests(learnt, items, seed)
    queries = encoded(reader, asked)
    judged, live = words, None
    if lessons is not None and evaluator.searches is not None:
        generated = Asked(queries, asked, evaluator.events.item[rows], evaluator.events.user[rows])
        judged, live = learn_from_searches(words, lessons, learnt, text, generated, seed)
    judged = weighed(judged, learnt, rows, queries, asked, seed)
    return judged if live is None else replace(judged.with_heads(live, text), past=(judged.query, judged.item))


def weighed(words: Words, learnt: FittedNight, rows: Ints, queries: Floats, asked: Sequence[str], seed: int) -> Words:
    """The words with the weights of requests and of searches that suit the validation events. rows, asked: judged_requests."""
    evaluator, weights, blend = learnt.evaluator, learnt.fit.weights, learnt.fit.blend
    words = choose_weights(evaluator, weights, blend, words, rows, queries, asked)
    return replace(words, search=choose_search_gate(evaluator, weights, blend, words, learnt.task.validation, seed))


def learn_from_searches(
    words: Words, lessons: Lessons, learnt: FittedNight, text: Floats, generated: Asked, seed: int
) -> tuple[Words, tuple[Head, Head] | None]:
    """Words that know the searches before the hold-out, and heads that know all; the given words and None if searches do not help."""
    searches, events, split = learnt.evaluator.searches, learnt.evaluator.events, learnt.task.split
    assert searches is not None, "the evaluator has searches"
    assert split is not None, "a night splits by time"
    texts = searches.texts or [None] * len(searches.vectors)
    search, event = searches.chosen_next(events)
    at, asked, item, user = events.time[event], searches.text[search], events.item[event], events.user[event]

    def heads(share: float, until: float) -> tuple[Head, Head]:
        """Learnt at a share from the searches that led to an item before a time; what one user repeats counts once."""
        newest = np.flatnonzero(at < until)
        newest = newest[np.argsort(-at[newest], kind="stable")]
        _, first = np.unique(np.stack([user, asked, item], 1)[newest], axis=0, return_index=True)
        taught = newest[np.sort(first)[:MAX_CHOSEN]]
        requests = lessons.requests.with_searches([""] * len(taught), item[taught], share)
        vectors = np.concatenate([lessons.vectors, searches.vectors[asked[taught]]])
        return fit_towers(requests, vectors, text, seed, (words.query, words.item))

    def teach(share: float) -> Words:
        return words.with_heads(heads(share, split.validation_from), text)

    held_out = sample(np.flatnonzero((at >= split.validation_from) & (at < split.test_from)), MAX_HELD_OUT, seed)
    if not (at < split.validation_from).any():
        return words, None
    searched = Asked(
        vectors=searches.vectors[asked[held_out]],
        texts=[texts[row] for row in asked[held_out]],
        item=item[held_out],
        user=user[held_out],
    )
    share, judged = choose_share(words, teach, searched, generated, seed)
    return judged, heads(share, np.inf) if share else None


def make_lessons(text: Floats, items: Sequence[ItemWords], reader: Encoder, seed: int, limit_s: float = ENCODE_S) -> Lessons | None:
    """Generated requests for a catalogue; None if it is too small. text: [items, dim], not whitened.

    A slow encoder encodes a random part of them, within limit_s.
    """
    titles, labels = [title for title, _ in items], [names for _, names in items]
    requests, has_labels = make_requests(titles, labels, seed), _n_labelled(labels) >= LEAST_LABELLED * len(items)
    if not has_labels or requests.n_labels < LEAST_REQUESTS:
        requests, has_labels = make_requests(titles, labels, seed, find_topics(titles, text, seed)), False
    if requests.n_labels < LEAST_REQUESTS:
        log.info("requests in words use the encoder as it is: there are too few items to learn from")
        return None
    rows, vectors = _encoded_in_time(requests.texts, reader, limit_s, seed)
    return Lessons(requests if len(rows) == len(requests.texts) else requests.some(rows), vectors, has_labels)


def _encoded_in_time(texts: Sequence[str], reader: Encoder, limit_s: float, seed: int) -> tuple[Ints, Floats]:
    """Rows of the texts that can be encoded within the limit, ascending, and their vectors: all, or a random part, at least one block."""
    order, started, found = np.random.default_rng(seed).permutation(len(texts)), time.monotonic(), []
    for first in range(0, len(texts), BLOCK):
        found.append(reader.encode([texts[row] for row in order[first : first + BLOCK]]))
        took, n_done = time.monotonic() - started, min(first + BLOCK, len(texts))
        if n_done < len(texts) and took * (n_done + BLOCK) / n_done > limit_s:
            log.warning("%d of %d generated requests were encoded in %.1f s; the towers learn from these", n_done, len(texts), took)
            break
    rows, vectors = order[: sum(map(len, found))], np.concatenate(found)
    ascending = np.argsort(rows)
    return rows[ascending], vectors[ascending]


def fit_words(text: Floats, items: Sequence[ItemWords], reader: Encoder, seed: int, lessons: Lessons | None) -> Words:
    """Towers without a weight, fitted on generated requests, and the words of the items. lessons: make_lessons of the same catalogue."""
    lexicon = Lexicon.of(items)
    if lessons is None:
        return Words.of(Head(text.shape[1]).eval(), Head(text.shape[1]).eval(), text, 1.0, lexicon)
    words = Words.of(*fit_towers(lessons.requests, lessons.vectors, text, seed), text, 1.0, lexicon)
    if lessons.has_labels:
        return words
    asked, meant = _known_items(lessons.requests, [title for title, _ in items], text, seed)
    return choose_correction(words, text, reader.encode(asked), asked, meant)


def _n_labelled(labels: Sequence[Sequence[str]]) -> int:
    """Number of items with a label that LEAST_ITEMS items share."""
    cleaned = [cleaned_labels(each) for each in labels]
    counts = Counter(name for each in cleaned for name in each)
    return sum(any(counts[name] >= LEAST_ITEMS for name in each) for each in cleaned)


def item_words(lake: Lake, dataset: Dataset) -> list[ItemWords]:
    """Title, categories and tags of every item of the catalogue; empty for an item without a description."""
    with reading(lake, dataset.snapshot) as con:
        rows = con.execute(statement("training/item_words")).fetchall()
    found: dict[str, ItemWords] = {item_id: (title, labels) for item_id, title, labels in rows}
    return [found.get(item_id, ("", [])) for item_id in dataset.catalog.item_ids]


def _known_items(requests: Requests, titles: Sequence[str], text: Floats, seed: int) -> tuple[list[str], Ints]:
    """Parts of titles that the towers have not learnt from, and the item of each."""
    rng = random.Random(seed)
    known = np.setdiff1d(np.flatnonzero(np.abs(text).sum(1) > 0), requests.item)
    left = [int(item) for item in known if without_year(titles[item])] or [int(item) for item in requests.item[requests.item >= 0]]
    meant = rng.sample(left, min(len(left), N_KNOWN_ITEMS))
    return [part_of(titles[item], rng) for item in meant], np.array(meant, np.int64)


def judged_requests(learnt: FittedNight, items: Sequence[ItemWords], seed: int) -> tuple[Ints, list[str]]:
    """Validation events whose items have words, sorted, and a request for each: its labels, or a part of its title."""
    rng = random.Random(seed)
    rows = np.sort(sample(learnt.task.validation, N_JUDGED, seed))
    pairs = [(row, _request(items[learnt.evaluator.events.item[row]], rng)) for row in rows]
    kept = [(row, text) for row, text in pairs if text is not None]
    return np.array([row for row, _ in kept], np.int64), [text for _, text in kept]


def _request(item: ItemWords, rng: random.Random) -> str | None:
    """A request for an item; None for one without words. Every fourth names its title: most people look for a kind of thing."""
    title, labels = item
    by_labels = request_for(labels, rng)
    if without_year(title) and (by_labels is None or rng.random() < 0.25):
        return part_of(title, rng)
    return by_labels


def encoded(reader: Encoder, texts: Sequence[str]) -> Floats:
    """Vectors of the texts, [texts, dim]."""
    return reader.encode(texts) if texts else np.zeros((0, reader.dim), np.float32)
