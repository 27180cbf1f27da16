"""Trains the towers for requests in words, over the text vectors of the items."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from models.config import EncoderConfig
from models.evaluation.search_choice import choose_search_gate
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


def learn_words(lake: Lake, dataset: Dataset, learnt: FittedNight, encoder: EncoderConfig, seed: int) -> Words | None:
    """The towers and the words of the catalogue; None if no item has a text.

    If few items share a category or tag, topics of similar items stand in for them. A catalogue that is too small for topics gets towers
    that leave the vectors of the encoder as they are.
    """
    if dataset.catalog.text is None:
        return None
    items, reader = _item_words(lake, dataset), load_encoder(encoder, torch.device("cpu"))
    words = fit_words(dataset.text, items, reader, seed)
    rows, asked = judged_requests(learnt, items, seed)
    evaluator, weights, blend = learnt.evaluator, learnt.fit.weights, learnt.fit.blend
    words = choose_weights(evaluator, weights, blend, words, rows, encoded(reader, asked), asked)
    return replace(words, search=choose_search_gate(evaluator, weights, blend, words, learnt.task.validation, seed))


def fit_words(text: Floats, items: Sequence[ItemWords], reader: Encoder, seed: int) -> Words:
    """Towers without a weight, fitted on requests for the items, and the words of the items. text: [items, dim], not whitened."""
    titles, labels, lexicon = [title for title, _ in items], [names for _, names in items], Lexicon.of(items)
    requests, has_labels = make_requests(titles, labels, seed), _n_labelled(labels) >= LEAST_LABELLED * len(items)
    if not has_labels or requests.n_labels < LEAST_REQUESTS:
        requests, has_labels = make_requests(titles, labels, seed, find_topics(titles, text, seed)), False
    if requests.n_labels < LEAST_REQUESTS:
        log.info("requests in words use the encoder as it is: there are too few items to learn from")
        return Words.of(Head(text.shape[1]).eval(), Head(text.shape[1]).eval(), text, 1.0, lexicon)
    words = Words.of(*fit_towers(requests, reader.encode(list(requests.texts)), text, seed), text, 1.0, lexicon)
    if has_labels:
        return words
    asked, meant = _known_items(requests, titles, text, seed)
    return choose_correction(words, text, reader.encode(asked), asked, meant)


def _n_labelled(labels: Sequence[Sequence[str]]) -> int:
    """Number of items with a label that LEAST_ITEMS items share."""
    cleaned = [cleaned_labels(each) for each in labels]
    counts = Counter(name for each in cleaned for name in each)
    return sum(any(counts[name] >= LEAST_ITEMS for name in each) for each in cleaned)


def _item_words(lake: Lake, dataset: Dataset) -> list[ItemWords]:
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
