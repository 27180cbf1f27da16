"""The sentence that says why an item is on a list, in the language of the catalogue: templates in English and Chinese."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.text.clean import clean_text

CHINESE_SHARE = 0.3
"""A catalogue is Chinese if at least this share of the letters of its titles are Chinese characters; a Chinese title may name a brand."""
MOST_COLUMNS = 60
"""A longer title is clipped. A Chinese character takes two columns."""


@dataclass(frozen=True)
class Sentences:
    """Templates of one language. of_event: by type of an event on another item. again: by type of an earlier event on the item itself.

    of_other and again_other serve all other event types.
    """

    of_event: Mapping[str, str]
    of_other: str
    again: Mapping[str, str]
    again_other: str
    of_search: str
    of_interest: str
    popular: str

    def because(self, event_type: str | None, title: str) -> str:
        """The item is listed because of an event on another item."""
        return self.of_event.get(event_type or "", self.of_other).format(title=clipped(title))

    def once_more(self, event_type: str | None) -> str:
        """The item is listed because of an earlier event on itself."""
        return self.again.get(event_type or "", self.again_other)

    def searched(self, query: str) -> str:
        """The item is listed because of the user's last search."""
        return self.of_search.format(query=clipped(query))

    def interest(self, name: str) -> str:
        """The item is listed because it shares a category or tag with the history."""
        return self.of_interest.format(name=clipped(name))


ENGLISH = Sentences(
    of_event={
        "view": "because you viewed {title}",
        "click": "because you clicked on {title}",
        "cart": "because you put {title} in your cart",
        "purchase": "because you bought {title}",
        "rating": "because you rated {title}",
    },
    of_other="because of {title}",
    again={
        "view": "because you viewed it before",
        "click": "because you clicked on it before",
        "cart": "because you put it in your cart before",
        "purchase": "because you bought it before",
        "rating": "because you rated it before",
    },
    again_other="because it is in your history",
    of_search="because you searched for “{query}”",
    of_interest="because of your interest in {name}",
    popular="popular right now",
)
CHINESE = Sentences(
    of_event={
        "view": "因为你看过「{title}」",
        "click": "因为你点击过「{title}」",
        "cart": "因为你把「{title}」加入过购物车",
        "purchase": "因为你买过「{title}」",
        "rating": "因为你评价过「{title}」",
    },
    of_other="因为「{title}」",
    again={
        "view": "因为你以前看过它",
        "click": "因为你以前点击过它",
        "cart": "因为你以前把它加入过购物车",
        "purchase": "因为你以前买过它",
        "rating": "因为你以前评价过它",
    },
    again_other="因为它在你的历史记录里",
    of_search="因为你搜索过「{query}」",
    of_interest="因为你对「{name}」感兴趣",
    popular="近期热门",
)


def sentences_for(titles: Sequence[str]) -> Sentences:
    """The templates in the language of a catalogue, detected from its titles; English if the titles are in neither language.

    Japanese titles have Chinese characters too, but kana between them.
    """
    letters = [letter for title in titles for letter in title if letter.isalpha()]
    n_chinese = sum("\u3400" <= letter <= "\u9fff" for letter in letters)
    n_kana = sum("\u3040" <= letter <= "\u30ff" for letter in letters)
    return CHINESE if letters and n_chinese >= CHINESE_SHARE * len(letters) and n_chinese > 10 * n_kana else ENGLISH


def clipped(text: str) -> str:
    """The text in one line without control characters, cut after a word if it is wider than MOST_COLUMNS."""
    line = clean_text(text)
    if _columns(line) <= MOST_COLUMNS:
        return line
    kept, room = 0, MOST_COLUMNS - 1
    for letter in line:
        room -= _columns(letter)
        if room < 0:
            break
        kept += 1
    head, space, _ = line[: kept + 1].rpartition(" ")
    cut = head if space and _columns(head) >= MOST_COLUMNS // 2 else line[:kept]
    return f"{cut.rstrip(' ,;:-')}…"


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
