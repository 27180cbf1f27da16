"""Reasons as sentences: in the language of the catalogue, short, and never with an empty name."""

from __future__ import annotations

import unicodedata

import pytest

from models.text.sentences import CHINESE, ENGLISH, MOST_COLUMNS, Sentences, clipped, sentences_for


@pytest.mark.parametrize(
    ("titles", "sentences"),
    [
        (["Toy Story (1995)", "Alien"], ENGLISH),
        (["双立人 煎锅 28厘米", "苏泊尔电饭煲 4L"], CHINESE),
        (["Apple iPhone 15 手机壳", "小米充电器 67W"], CHINESE),
        (["Toy Story", "Alien", "卧虎藏龙", "The Matrix", "Heat"], ENGLISH),
        (["キッチンタオル 白", "お皿セット"], ENGLISH),
        (["Bücher", "Кастрюля"], ENGLISH),
        ([], ENGLISH),
        (["123", "🍎"], ENGLISH),
    ],
)
def test_the_language_is_that_of_the_titles(titles: list[str], sentences: Sentences) -> None:
    assert sentences_for(titles) is sentences


@pytest.mark.parametrize("sentences", [ENGLISH, CHINESE])
def test_every_event_type_has_a_sentence_with_the_title_and_one_for_the_item_itself(sentences: Sentences) -> None:
    types = ["view", "click", "cart", "purchase", "rating", "listen", None]
    texts = [sentences.because(each, "Alien") for each in types]
    assert all("Alien" in text for text in texts)
    assert len(set(texts)) == 6, "unknown types share one"
    assert len({sentences.once_more(each) for each in types}) == 6
    assert "Alien" in sentences.searched("Alien")
    assert "Alien" in sentences.interest("Alien")


def test_the_words_of_a_title_are_no_template() -> None:
    assert ENGLISH.because("view", "{0} {title} %s") == "because you viewed {0} {title} %s"


@pytest.mark.parametrize("text", ["word " * 40, "x" * 500, "煎锅" * 100, "a\n b\t\tc " * 30, "⛺️" * 90])
def test_a_long_title_is_clipped_to_one_line(text: str) -> None:
    short = clipped(text)
    columns = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in short)
    assert columns <= MOST_COLUMNS
    assert short.endswith("…")
    assert " ".join(text.split()).startswith(short.rstrip("…"))
    assert len(short.splitlines()) == 1


def test_a_short_title_stays_and_a_word_is_not_cut() -> None:
    assert clipped(" Toy  Story\n(1995)") == "Toy Story (1995)"
    assert clipped("one two three four five six seven eight nine ten eleven twelve thirteen") == (
        "one two three four five six seven eight nine ten eleven…"
    )


def test_a_search_is_cited_without_control_characters() -> None:
    assert ENGLISH.searched("hor\x00ror\x1b[31m films\n") == "because you searched for “hor ror films”"
