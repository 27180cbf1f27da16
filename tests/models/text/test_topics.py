"""Topics of a catalogue without labels, and the requests that are made from them."""

from __future__ import annotations

import random

import numpy as np

from models.text.requests import make_requests, part_of
from models.text.topics import USUAL_ITEMS, find_topics

N = 2 * USUAL_ITEMS
TITLES = [f"{('Copper frying pan', 'Wool winter coat')[n % 2]} model{chr(97 + n % 20)}" for n in range(N)]
CHINESE = [f"{('红色保温杯', '冬季羊毛外套')[n % 2]}{'甲乙丙丁'[n % 4]}" for n in range(N)]


def near_two_centres() -> np.ndarray:
    rng = np.random.default_rng(1)
    vectors = np.eye(16)[np.arange(N) % 2] + 0.1 * rng.normal(size=(N, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_items_with_similar_texts_are_a_topic_that_is_named_by_its_own_words() -> None:
    for titles, terms in ((TITLES, {"pan", "coat"}), (CHINESE, {"温杯", "外套"})):
        topics = find_topics(titles, near_two_centres(), seed=1)
        assert (topics.of_item[::2] == topics.of_item[0]).all()
        assert (topics.of_item[1::2] == topics.of_item[1]).all()
        assert topics.of_item[0] != topics.of_item[1]
        for item in (0, 1):
            assert terms & set(topics.terms[topics.of_item[item]])


def test_items_without_a_text_have_no_topic_and_few_items_make_none() -> None:
    text = np.concatenate([near_two_centres(), np.zeros((1, 16), np.float32)])
    assert find_topics([*TITLES, ""], text, seed=1).of_item[-1] == -1
    assert find_topics(TITLES[:5], text[:5], seed=1).terms == ()


def test_titles_alone_make_requests_for_topics_and_for_single_items() -> None:
    topics = find_topics(TITLES, near_two_centres(), seed=1)
    requests = make_requests(TITLES, [[]] * N, 1, topics)
    assert requests.n_labels >= 20
    met = requests.fulfilling(np.arange(len(requests.texts)), np.arange(N))
    for text, item, fulfils in zip(requests.texts, requests.item, met, strict=True):
        if item >= 0:
            assert fulfils.nonzero()[0].tolist() == [item]
        elif "pan" in text:
            assert fulfils.nonzero()[0].tolist() == list(range(0, N, 2))
    assert (requests.item >= 0).any()


def test_a_part_of_a_title_has_some_of_its_words_or_characters() -> None:
    rng = random.Random(1)
    for _ in range(20):
        assert set(part_of("Copper frying pan, large (1999)", rng).split()) < {"Copper", "frying", "pan,", "large"}
        assert part_of("红色保温杯甲", rng) in "红色保温杯甲"
    assert part_of("Pan", rng) == "Pan"
