"""Lexical scores: what counts as a word, which item a request names, and how a catalogue that grows keeps up."""

from __future__ import annotations

import time

import pytest
import torch

from models.text.lexical import MOST_WORDS, Lexicon, words_of

ITEMS = [
    ("Scary Movie (2000)", ["Comedy"]),
    ("Red shoes, size 41", ["Clothes > Shoes"]),
    ("The Red Shoes (1948)", ["Drama", "Music"]),
    ("Something's Gotta Give (2003)", ["Comedy"]),
    ("红色保温杯 500ml", ["厨房"]),
    ("蓝色保温杯 500ml", ["厨房"]),
    ("", []),
    ("Alien (1979)", ["Horror"]),
    ("Alien Resurrection (1997)", ["Horror"]),
    *((f"Filler {n} (1985)", ["Drama"]) for n in range(20)),
]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Schindler's List (1993)", ["schindler", "list", "1993"]),
        ("L'Oréal CRÈME 50ml", ["loreal", "creme", "50ml"]),
        ("films of the 1970s, glass", ["film", "of", "the", "1970s", "glass"]),
        ("保温杯 500ml", ["保温", "温杯", "500ml"]),
        ("A茶b", ["a", "茶", "b"]),
        ("\x00 \U0001f600 -- _", []),
    ],
)
def test_words_are_folded_and_scripts_without_spaces_give_pairs(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize("item", [n for n, (title, _) in enumerate(ITEMS) if title])
def test_an_exact_title_finds_its_item_first_with_and_without_the_year(item: int) -> None:
    lexicon, title = Lexicon.of(ITEMS), ITEMS[item][0]
    for text in (title, title.split(" (")[0]):
        scores = lexicon.scores([text])[0]
        assert scores.argmax() == item
        assert float(scores[item]) == pytest.approx(1)


def test_labels_and_decades_are_words_of_an_item_and_a_missing_title_has_none() -> None:
    seventies, horror, drink = Lexicon.of(ITEMS).scores(["horror seventies", "horror 1970s", "厨房"])
    assert seventies.argmax() == horror.argmax() == 7
    assert drink.topk(2).indices.sort().values.tolist() == [4, 5]
    assert torch.stack([seventies, horror, drink])[:, 6].eq(0).all()


def test_items_with_a_label_score_alike_however_long_their_titles_are() -> None:
    scores = Lexicon.of([("Up", ["Drama"]), ("A very long title about nothing", ["Drama"]), ("Drama queen", []), ("Jaws", [])]).scores(
        ["drama"]
    )
    assert scores[0, 0] == scores[0, 1] == 1
    assert 0 < scores[0, 2] < 1
    assert scores[0, 3] == 0


def test_one_word_of_a_request_that_a_title_happens_to_have_counts_little() -> None:
    scores = Lexicon.of(ITEMS).scores(["something scary from the nineties", "scary movie"])
    assert scores[0].max() < 0.1 * scores[1].max()


def test_no_request_and_a_request_without_words_score_nothing() -> None:
    assert torch.equal(Lexicon.of(ITEMS).scores([None, "", "!?\x00"]), torch.zeros(3, len(ITEMS)))
    assert torch.equal(Lexicon.of([]).scores(["red"]), torch.zeros(1, 0))


def test_new_items_and_new_titles_are_found_by_their_words() -> None:
    lexicon = Lexicon.of(ITEMS[:5]).with_new_items(ITEMS[5:])
    assert lexicon.scores(["Alien Resurrection"])[0].argmax() == 8
    assert lexicon.scores(["red shoes"])[0].argmax() in (1, 2)
    changed = lexicon.with_new_texts(torch.tensor([8]), [("Garden chair", [])])
    assert changed.scores(["garden chair"])[0].argmax() == 8
    assert changed.scores(["alien resurrection"])[0, 8] == 0
    assert changed.n_items == len(ITEMS)


def test_a_loaded_lexicon_is_the_saved_one() -> None:
    lexicon = Lexicon.of(ITEMS)
    assert torch.equal(Lexicon.from_tensors(lexicon.tensors()).scores(["red shoes"]), lexicon.scores(["red shoes"]))


def test_a_request_of_100000_characters_is_answered_in_bounded_time() -> None:
    lexicon = Lexicon.of(ITEMS)
    started = time.process_time()
    for text in ("red shoes " * 10_000, "x" * 100_000, "红" * 100_000, "a\x00" * 50_000):
        assert len(words_of(text)) <= MOST_WORDS
        assert lexicon.scores([text]).isfinite().all()
    assert time.process_time() - started < 2
