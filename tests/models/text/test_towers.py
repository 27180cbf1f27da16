"""Requests in words: what is generated, what the towers learn from it, and how a catalogue that grows keeps up."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.text.requests import MAX_LABELS, clean_label, decade_of, make_requests, request_for
from models.text.towers import Head, Words
from models.training import towers_fit
from models.training.towers_fit import fit_towers

TITLES = [f"Film {n} ({1975 + 10 * (n % 2)})" for n in range(12)]
LABELS = [["Genre > Horror"] if n < 6 else ["Comedy", "(none)"] for n in range(12)]


def test_a_request_needs_the_facts_that_its_words_name() -> None:
    requests = make_requests(TITLES, LABELS, seed=1)
    needs = dict(zip(requests.texts, requests.needs, strict=True))
    facts = requests.facts.toarray()
    assert facts[needs["horror"]].all(0).nonzero()[0].tolist() == list(range(6))
    of_decade = [text for text in requests.texts[: requests.n_labels] if "horror" in text and ("70s" in text or "seventies" in text)]
    assert of_decade
    assert [facts[needs[text]].all(0).nonzero()[0].tolist() for text in of_decade] == [[0, 2, 4]] * len(of_decade)
    assert all(facts[row].all(0).sum() >= 3 for row in requests.needs)
    assert make_requests(TITLES, LABELS, seed=1).texts == requests.texts


def test_facts_of_a_large_catalogue_take_memory_by_what_is_true_of_items() -> None:
    n = 20_000
    requests = make_requests([f"Thing {item}" for item in range(n)], [[f"label {item % 600}"] for item in range(n)], seed=1)
    assert requests.facts.shape[0] == 1 + MAX_LABELS
    assert requests.facts.nnz <= 2 * n


def test_without_shared_labels_there_are_no_requests_of_labels() -> None:
    requests = make_requests(["a", "b"], [["x"], []], seed=1)
    assert (requests.n_labels, requests.texts) == (0, ())


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("Kitchen > Pans ", "pans"),
        ("\x00Red\n shoes", "red shoes"),
        ("—", ""),
        ("x" * 81, ""),
        ("(no genres listed)", ""),
        ("Sci-Fi", "sci-fi"),
    ],
)
def test_a_label_is_the_last_part_of_a_path(raw: str, label: str) -> None:
    assert clean_label(raw) == label


def test_a_decade_is_read_from_a_year_in_brackets_at_the_end() -> None:
    assert [decade_of(title) for title in ("Alien (1979)", "1984", "Year (3000)", "(1999) x")] == [1970, None, None, None]


def test_a_request_for_an_item_names_its_labels() -> None:
    assert request_for(["Horror"], random.Random(1)) == "horror"
    assert request_for(["(none)"], random.Random(1)) is None


def test_the_towers_learn_that_other_words_mean_the_same_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder places the requests of each label next to the items of the other one; the heads must turn that round."""
    monkeypatch.setattr(towers_fit, "STEPS", 60)
    rng = np.random.default_rng(1)
    centres = np.linalg.qr(rng.normal(size=(16, 16)))[0][:2]

    def near(which: int, n: int) -> np.ndarray:
        return _unit(centres[which] + 0.1 * rng.normal(size=(n, 16)))

    text = np.concatenate([near(0, 6), near(1, 6)])
    requests = make_requests([f"t{n}" for n in range(12)], LABELS, seed=1)
    wanted = np.array([0 if requests.facts.toarray()[needs].all(0)[0] else 1 for needs in requests.needs])
    vectors = _unit(centres[1 - wanted] + 0.1 * rng.normal(size=(len(wanted), 16)))
    query, item = fit_towers(requests, vectors, text, seed=1)
    words = Words.of(query, item, text, weight=2.0)
    first = words.scores(near(1, 20)).argmax(1)
    assert (first < 6).float().mean() > 0.9
    assert torch.equal(words.scores(np.zeros((1, 16), np.float32)), torch.zeros(1, 12))


def test_new_items_and_new_texts_get_the_vectors_that_a_new_catalogue_would_have() -> None:
    text = _unit(np.random.default_rng(2).normal(size=(5, 8)))
    query, item = Head(8).eval(), Head(8).eval()
    whole = Words.of(query, item, text, 1.0)
    grown = Words.of(query, item, text[:3], 1.0).with_new_items(text[3:])
    assert torch.allclose(grown.items, whole.items)
    changed = Words.of(query, item, text[[0, 1, 2, 4, 4]], 1.0).with_new_texts(torch.tensor([3]), text[[3]])
    assert torch.allclose(changed.items, whole.items)
    assert torch.equal(whole.with_new_items(np.zeros((1, 8), np.float32)).items[-1], torch.zeros(8))


def test_loaded_words_are_saved_words() -> None:
    text = _unit(np.random.default_rng(3).normal(size=(4, 8)))
    words = Words.of(Head(8).eval(), Head(8).eval(), text, 3.5)
    again = Words.from_tensors(words.tensors())
    assert torch.equal(again.scores(text), words.scores(text))
    assert again.past is None
    moved = words.with_heads((moved_head(1), moved_head(2)), text)
    taught = Words.from_tensors(replace(moved, past=(words.query, words.item)).tensors())
    assert torch.equal(taught.scores(text), moved.scores(text))
    assert torch.equal(taught.before_hold_out(text).scores(text), words.scores(text)), "a fair evaluation uses the heads of before"


def moved_head(seed: int) -> Head:
    head = Head(8).eval()
    torch.nn.init.normal_(head.last.weight, generator=torch.manual_seed(seed))
    return head


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_a_fit_ends_within_its_limit_with_fewer_steps(caplog: pytest.LogCaptureFixture) -> None:
    requests = make_requests(TITLES, LABELS, seed=1)
    rng = np.random.default_rng(0)
    vectors, text = (rng.normal(size=(n, 8)).astype(np.float32) for n in (len(requests.texts), len(TITLES)))
    with caplog.at_level("WARNING", "minutehand.words"):
        query, _ = fit_towers(requests, vectors, text, seed=1, limit_s=0.01)
    assert "the longest time for them" in caplog.text
    assert all(torch.isfinite(value).all() for value in query.parameters())


def test_some_requests_keep_their_needs_and_their_kind() -> None:
    requests = make_requests(TITLES, LABELS, seed=1).with_searches(["x", "y"], np.array([3, 4]), 0.5)
    rows = np.array([0, 2, len(requests.texts) - 1])
    some = requests.some(rows)
    assert some.texts == (requests.texts[0], requests.texts[2], "y")
    assert (some.n_labels, some.n_searches, some.item.tolist()) == (2, 1, [-1, -1, 4])
    assert (some.needs == requests.needs[rows]).all()
