"""Cleaned texts: nothing in them that a terminal, a file or an encoder stumbles over, and ordinary texts as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text.clean import MAX_CHARS, clean_text
from models.visible import visible_line


@pytest.mark.parametrize(
    "text",
    ["a quiet keyboard", "给我一个安静的键盘 please", "Crème brûlée torch 🔥", "Tent. camping, tents. For two.", "می‌خواهم", "👩‍👧", ""],
)
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean_text(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("  a\tquiet\n\r\n keyboard\u00a0\u3000 ", "a quiet keyboard"),
        ("nul\x00 and \x1b[31;1mred\x1b[0m and \x9b2Jwhite", "nul and red and white"),
        ("\x1b]0;another title\x07words\x1b\\", "words \\"),
        ("\x1b]0;a title without an end", "]0;a title without an end"),
        ("a lone \ud800 surrogate", "a lone surrogate"),
        ("\u202ereversed\u202c and \ufeffmarked", "reversed and marked"),
        ("\x00\x01 \x7f\u2028", ""),
    ],
)
def test_control_characters_escape_sequences_and_spare_spaces_leave_a_text(text: str, left: str) -> None:
    assert clean_text(text) == left


def test_a_long_text_is_cut_however_it_begins() -> None:
    assert clean_text("word " * 100_000) == ("word " * (MAX_CHARS // 5)).strip()
    assert clean_text(" " * 100_000 + "word") == "word"
    assert len(clean_text("字" * 100_000)) == MAX_CHARS


@given(st.text(st.characters(codec=None), max_size=200))
def test_a_cleaned_text_has_no_controls_encodes_and_stays_as_it_is(text: str) -> None:
    once = clean_text(text)
    once.encode("utf-8")
    assert once == clean_text(once) == visible_line(once)
