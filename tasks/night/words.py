"""Trains the towers for requests in words, over the text vectors of the items."""

from __future__ import annotations

import logging
import random
from dataclasses import replace

import numpy as np
import torch

from models.config import EncoderConfig
from models.evaluation.search_choice import choose_search_gate
from models.evaluation.words_choice import choose_weight
from models.events import Ints, sample
from models.text.encoder import Encoder, load_encoder
from models.text.requests import make_requests, request_for
from models.text.towers import Words
from models.training.towers_fit import fit_towers
from tasks.lake import Lake, reading, statement
from tasks.night.dataset import Dataset
from tasks.night.learning import FittedNight

log = logging.getLogger("minutehand.words")
N_JUDGED = 1000
LEAST_REQUESTS = 20


def learn_words(lake: Lake, dataset: Dataset, learnt: FittedNight, encoder: EncoderConfig, seed: int) -> Words | None:
    """The towers of the catalogue; None without text, or if hardly any items share a category or tag."""
    labels = _labels(lake, dataset)
    if dataset.catalog.text is None:
        return None
    requests = make_requests(dataset.titles, labels, seed)
    if requests.n_labels < LEAST_REQUESTS:
        log.info("no requests in words: hardly any items share a category or tag")
        return None
    reader = load_encoder(encoder, torch.device("cpu"))
    query, item = fit_towers(requests, reader.encode(list(requests.texts)), dataset.text, seed)
    words = Words.of(query, item, dataset.text, weight=1.0)
    rows, asked = _judged(learnt, labels, seed)
    evaluator, weights, blend = learnt.evaluator, learnt.fit.weights, learnt.fit.blend
    words = replace(words, weight=choose_weight(evaluator, weights, blend, words, rows, _encoded(reader, asked)))
    return replace(words, search=choose_search_gate(evaluator, weights, blend, words, learnt.task.validation, seed))


def _labels(lake: Lake, dataset: Dataset) -> list[list[str]]:
    """Categories and tags of every item of the catalogue."""
    with reading(lake, dataset.snapshot) as con:
        found = dict(con.execute(statement("training/item_words")).pl().select("item_id", "labels").iter_rows())
    return [found.get(item_id) or [] for item_id in dataset.catalog.item_ids]


def _judged(learnt: FittedNight, labels: list[list[str]], seed: int) -> tuple[Ints, list[str]]:
    """Validation events whose items have labels, sorted, and a request for each."""
    rng = random.Random(seed)
    rows = np.sort(sample(learnt.task.validation, N_JUDGED, seed))
    pairs = [(row, request_for(labels[learnt.evaluator.events.item[row]], rng)) for row in rows]
    kept = [(row, text) for row, text in pairs if text is not None]
    return np.array([row for row, _ in kept], np.int64), [text for _, text in kept]


def _encoded(reader: Encoder, texts: list[str]) -> np.ndarray:
    return reader.encode(texts) if texts else np.zeros((0, reader.dim), np.float32)
