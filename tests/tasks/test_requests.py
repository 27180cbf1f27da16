"""Requests as people give them: what is cleaned, and what is refused with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import UserError
from models.text.clean import MAX_CHARS
from tasks.requests import Request, cleaned, read_requests


@pytest.mark.parametrize(
    ("text", "left"),
    [("  a\tquiet\n keyboard ", "a quiet keyboard"), ("nul\x00 and \x1b[31mred", "nul and red"), ("给我一个锅", "给我一个锅")],
)
def test_control_characters_and_spare_spaces_leave_a_text(text: str, left: str) -> None:
    assert cleaned(text) == left


def test_a_long_text_is_cut() -> None:
    assert len(cleaned("word " * 100_000)) <= MAX_CHARS


@pytest.mark.parametrize("text", ["", "  ", "\x00\x01", "!!! ... —", "\u200b"])
def test_a_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="has no words; write what you look for"):
        cleaned(text)


def test_a_line_has_a_user_a_text_or_both(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_text('{"user_id": "42"}\n\n{"text": "a jacket"}\n{"user_id": "42", "text": "a jacket"}\n', encoding="utf-8")
    assert read_requests(file) == [Request("42"), Request(text="a jacket"), Request("42", "a jacket")]


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"user": "42"}', '{"user_id": 42}', '{"text": null}'])
def test_another_line_is_refused_with_its_number_and_an_example(line: str, tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_text(f'{{"user_id": "42"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"^line 2 of requests\.jsonl is .*write \{\"user_id\""):
        read_requests(file)


def test_a_line_with_a_text_without_words_is_refused_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_text('{"user_id": "42"}\n{"user_id": "42", "text": " ?! "}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"^line 2 of requests\.jsonl .* its text has no words; leave out the text"):
        read_requests(file)


def test_a_file_without_requests_and_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(UserError, match="holds no request"):
        read_requests(tmp_path / "empty.jsonl")
    with pytest.raises(UserError, match="cannot read"):
        read_requests(tmp_path / "none.jsonl")
