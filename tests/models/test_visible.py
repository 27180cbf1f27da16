"""Untrusted text is displayed and cannot affect a terminal, a log or a page."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.visible import in_markdown, visible, visible_json, visible_line

KEPT = "\t\n\u00ad\u200c\u200d"
HOSTILE = "a\x1b[2J\x1b]52;c;cHduZWQ=\x07\x9b31m\x7f\r\u202eb\u200b\ud800\U000e0041"
AUTOLINK = re.compile(r"(?:https?|ftp)://|www\.|mailto:|[\w.+-]+@[\w-]+", re.IGNORECASE)


def test_control_characters_are_escaped() -> None:
    assert visible(HOSTILE) == r"a\x1b[2J\x1b]52;c;cHduZWQ=\x07\x9b31m\x7f\r\u202eb\u200b\ud800\U000e0041"
    assert visible("two\nlines\tand a tab") == "two\nlines\tand a tab"
    assert visible_line("two\nlines\tand a tab") == r"two\nlines\tand a tab"


def test_letters_joiners_and_emoji_stay() -> None:
    for text in ("Zelt für zwei", "שלום", "نمی\u200cخواهم", "👩\u200d👧", "e\u0301", "日本語", "soft\u00adhyphen"):
        assert visible(text) == text


@given(st.text(st.characters()))
def test_no_character_that_moves_hides_or_reorders_text_is_left(text: str) -> None:
    shown = visible(text)
    for sign in shown:
        assert unicodedata.category(sign) not in {"Cc", "Cs", "Zl", "Zp"} or sign in KEPT
        assert unicodedata.bidirectional(sign) not in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    shown.encode()
    assert visible(shown) == shown


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaped_json_is_equivalent_and_has_no_control_characters(text: str) -> None:
    shown = visible_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert json.loads(shown) == {text: [text]}
    assert visible_line(shown) == shown


@pytest.mark.parametrize(
    "title",
    [
        "https://evil.example/x",
        "see HTTP://evil.example",
        "www.evil.example",
        "_www.evil.example_",
        "anna@example.com",
        "mailto:anna@example.com",
        "&#104;ttps&colon;//evil.example",
        "`https://evil.example`",
        "`` ` www.evil.example",
        "[x](https://evil.example)",
        "<https://evil.example>",
    ],
)
def test_an_address_in_a_title_is_code_in_markdown_and_no_link(title: str) -> None:
    shown = in_markdown(title)
    fence = re.match("`+", shown)
    assert fence is not None
    inside = shown[fence.end() : -fence.end()]
    assert shown == f"{fence[0]}{inside}{fence[0]}"
    assert inside.strip(" ") == title
    assert fence[0] not in re.findall("`+", inside)


@given(st.text(st.sampled_from("ab_*`~[]()<>|#\\!.:/@w&;\n\x1b")))
def test_a_title_in_markdown_is_one_line_without_markup(text: str) -> None:
    shown = in_markdown(text)
    assert "\n" not in shown
    assert "\x1b" not in shown
    if not shown.startswith("`"):
        assert not AUTOLINK.search(shown)
        assert not re.search(r"(?<!\\)(?:\\\\)*[*`\[\]<>|#~]", shown)


def test_plain_titles_and_file_names_stay_as_they_are() -> None:
    for title in ("Red tent", "Black & Decker", "events_2026_11.csv", "Who? Me!", "50 % off: today"):
        assert in_markdown(title) == title
    assert in_markdown("_a_ *b* ~c~") == r"\_a\_ \*b\* \~c\~"
    assert len(in_markdown("x" * 10_000)) == 120
