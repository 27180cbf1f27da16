"""Answers requests in words with the live model: lists for a text, for a user and a text, or for many requests at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.config import EncoderConfig
from models.errors import UserError
from models.text.clean import clean_text, has_words
from models.text.encoder import find_encoder, load_encoder
from models.text.language import language_warning
from tasks.lake import Lake, reading, statement
from tasks.live import load_live
from tasks.privacy.opt_out import opted_out

if TYPE_CHECKING:
    from tasks.registry.versions import Registry

FIELDS = {"user_id", "text"}


@dataclass(frozen=True)
class Request:
    """The request of one person: a text, a user id, or both."""

    user_id: str | None = None
    text: str | None = None


def read_requests(file: Path) -> list[Request]:
    """The requests of a file of JSON lines. Raises UserError with the number of the first line that is not a request."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}; give a UTF-8 text file with one JSON object a line") from error
    found = [_parsed(line, f"line {number} of {file.name}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise UserError(f'{file.name} holds no request; write one a line, such as {{"user_id": "42", "text": "a warm jacket"}}')
    return found


def _parsed(line: str, place: str) -> Request:
    example = '{"user_id": "42", "text": "a warm jacket"}, either or both'
    try:
        value = json.loads(line)
    except ValueError as error:
        raise UserError(f"{place} is not JSON: {error}; write {example}") from error
    if not isinstance(value, dict) or not value or value.keys() - FIELDS or not all(isinstance(each, str) for each in value.values()):
        raise UserError(f"{place} is {line[:80]!r}; write {example}")
    if "text" in value and not has_words(value["text"]):
        raise UserError(f"{place} is {line[:80]!r}, and its text has no words; leave out the text, or write {example}")
    return Request(value.get("user_id"), value.get("text"))


def cleaned(text: str) -> str:
    """The text as encoders get it (`clean_text`). Raises UserError if it has neither letters nor digits."""
    found = clean_text(text)
    if not has_words(found):
        raise UserError(f"the text {text[:20]!r} has no words; write what you look for, such as --text 'a warm jacket'")
    return found


@dataclass(frozen=True)
class Answers:
    """A list for each request, best item first: rank, item_id, title, score, probability and model_version. notes: warnings for people."""

    lists: list[list[dict[str, Any]]]
    notes: list[str]


def answer(lake: Lake, open_registry: Callable[[], Registry], encoder: EncoderConfig, requests: Sequence[Request], k: int) -> Answers:
    """The k best items for each request.

    A user without a history, or none, is a cold start. Raises UserError if no model is live, if it cannot read requests, or if it was
    trained with another encoder.
    """
    texts = [None if each.text is None else cleaned(each.text) for each in requests]
    version, checkpoint = load_live(lake, open_registry)
    key = find_encoder(encoder).key
    if checkpoint.encoder != key:
        raise UserError(f"the live model was trained with the encoder {checkpoint.encoder}, and {key} is set; run minutehand nightly")
    histories = _histories(lake, [each.user_id for each in requests if each.user_id is not None])
    nothing: dict[str, Any] = {"item_ids": []}
    known = [nothing if each.user_id is None else histories.get(each.user_id, nothing) for each in requests]
    hidden = [[*each["item_ids"], *each.get("earlier_item_ids", [])] for each in known]
    now = datetime.now(UTC)
    lists = checkpoint.answer(known, _vectors(encoder, texts, len(checkpoint.whitening.centre)), k, now, hidden, texts)
    titles = titles_of(lake, sorted({item_id for each in lists for item_id, _, _ in each}))
    for_anyone = {each.user_id for each in requests if each.text is None}
    notes = [
        f"nobody called {each} has history; {'the list is the one for anyone' if each in for_anyone else 'the list uses only the text'}"
        for each in _unknown(requests, histories)
    ]
    notes += language_notes(encoder, [text for text in texts if text is not None])
    rows = [
        [
            {
                "rank": rank,
                "item_id": item_id,
                "title": titles.get(item_id),
                "score": score,
                "probability": share,
                "model_version": version,
            }
            for rank, (item_id, score, share) in enumerate(each, 1)
        ]
        for each in lists
    ]
    return Answers(rows, notes)


def language_notes(encoder: EncoderConfig, texts: Sequence[str]) -> list[str]:
    """A warning if the encoder does not know the language of some texts."""
    if language_warning(encoder.name, texts) is None:
        return []
    return [f"the encoder {encoder.name} knows only English, and the text is in another language: expect poor results"]


def _unknown(requests: Sequence[Request], histories: dict[str, dict[str, Any]]) -> list[str]:
    """Users without a history, each once."""
    return list(dict.fromkeys(each.user_id for each in requests if each.user_id is not None and each.user_id not in histories))


def _vectors(config: EncoderConfig, texts: Sequence[str | None], dim: int) -> np.ndarray:
    """Vectors of the texts; zeros for a request without text."""
    out = np.zeros((len(texts), dim), np.float32)
    rows = [row for row, text in enumerate(texts) if text is not None]
    if rows:
        out[rows] = load_encoder(config, torch.device("cpu")).encode([text for text in texts if text is not None])
    return out


def _histories(lake: Lake, user_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    if not user_ids:
        return {}
    with reading(lake) as con:
        known = sorted(set(user_ids) - opted_out(con))
        found = con.execute(statement("read/histories_of_users"), {"user_ids": known}).pl()
    return {row.pop("user_id"): row for row in found.to_dicts()}


def titles_of(lake: Lake, item_ids: Sequence[str]) -> dict[str, str]:
    """The titles of some items; items without a description are left out."""
    with reading(lake) as con:
        return dict(con.execute(statement("read/titles"), {"item_ids": list(item_ids)}).fetchall())
