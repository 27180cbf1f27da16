"""Numbers in a text, in digits and in words, English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from models.text.claim_words import Token, word_set

SMALL = {name: 1 + n for n, name in enumerate(re.findall(r"\w+", "one two three four five six seven eight nine ten eleven twelve"))}
TEENS = {name: 13 + n for n, name in enumerate(re.findall(r"\w+", "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"))}
TENS = {name: 20 + 10 * n for n, name in enumerate(re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety"))}
SCALES = {"hundred": 100, "hundreds": 100, "thousand": 1000, "thousands": 1000, "million": 1_000_000, "millions": 1_000_000}
OTHER = {"zero": 0, "half": 0.5, "twice": 2, "thrice": 3, "dozen": 12, "dozens": 12, "double": 2, "triple": 3}
ORDINALS = {name: 2 + n for n, name in enumerate(re.findall(r"\w+", "second third fourth fifth sixth seventh eighth ninth tenth"))}
NUMBERS: dict[str, float] = {**SMALL, **TEENS, **TENS, **OTHER, **ORDINALS}
FRACTIONS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4, "third": 3, "thirds": 3, "fourths": 4} | {
    f"{name}{ending}": n for name, n in ORDINALS.items() if n > 4 for ending in ("", "s")
}
"""The denominators of fractions, as in three quarters."""
DECADES = {
    name: 1920 + 10 * n
    for n, name in enumerate(re.findall(r"\w+", "twenties thirties forties fifties sixties seventies eighties nineties noughties"))
}
NOT_A_NUMBER = word_set("this that no any every another each which the new good great")
"""After these words, "one" stands for a thing."""
ONE_OF = word_set("of for to that you more from which with who another by in is")
"""Before these words, "one" stands for a thing."""
HAN_DIGITS = dict(zip("零一二两三四五六七八九", (0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
HAN_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
HAN_MEASURES = frozenset("部个本次年天位条件家种月周日点分星首集人项款双")


def read_numbers(tokens: Sequence[Token]) -> Iterator[tuple[float, bool, int, int]]:
    """Each number in digits or words: its value, whether it is a decade, and its tokens."""
    at = 0
    while at < len(tokens):
        first, word = at, tokens[at].folded
        at += 1
        if decade := re.fullmatch(r"(\d\d(?:\d\d)?)'?s", word):
            yield _decade(int(decade[1])), True, first, at
        elif word in DECADES:
            yield DECADES[word], True, first, at
        elif ordinal := re.fullmatch(r"(\d+)(?:st|nd|rd|th)", word):
            yield float(ordinal[1]), False, first, at
        elif re.fullmatch(r"\d+(?:[.,]\d+)*", word):
            if [token.folded for token in tokens[at : at + 2]] == ["年", "代"]:
                at += 2
                yield _decade(int(float(word))), True, first, at
            else:
                yield _value(word), False, first, at
        elif word in NUMBERS or word in SCALES:
            value, at = _in_words(tokens, first)
            if at < len(tokens) and tokens[at].folded in FRACTIONS and value < FRACTIONS[tokens[at].folded]:
                value, at = value / FRACTIONS[tokens[at].folded], at + 1
            is_idiom = word == "second" and first > 0 and tokens[first - 1].folded == "a"
            if not (is_idiom or (word == "one" and at == first + 1 and _stands_for_a_thing(tokens, first))):
                yield value, False, first, at
        elif word in HAN_DIGITS or word in HAN_UNITS:
            while at < len(tokens) and (tokens[at].folded in HAN_DIGITS or tokens[at].folded in HAN_UNITS):
                at += 1
            value = _in_han([token.folded for token in tokens[first:at]])
            if [token.folded for token in tokens[at : at + 2]] == ["年", "代"]:
                at += 2
                yield _decade(int(value)), True, first, at
            elif value > 1 and at < len(tokens) and tokens[at].folded in HAN_MEASURES:
                yield value, False, first, at


def _decade(number: int) -> float:
    return float(number if number > 99 else 1900 + number if number >= 20 else 2000 + number)


def _value(digits: str) -> float:
    """The value of digits, with commas or points between thousands or before decimals."""
    plain = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", digits) if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits) else digits
    head, *tail = re.split(r"[.,]", plain)
    return float(f"{head}.{''.join(tail) or 0}")


def _in_words(tokens: Sequence[Token], first: int) -> tuple[float, int]:
    """The value of a number in words that begins at a token, and where it ends."""
    total, part, at = 0.0, 0.0, first
    while at < len(tokens):
        word = tokens[at].folded
        if word in SCALES:
            part = max(part, 1) * SCALES[word]
            if SCALES[word] >= 1000:
                total, part = total + part, 0
        elif word in NUMBERS and (at == first or _continues(tokens[at - 1].folded, word)):
            part += NUMBERS[word]
        elif not (word == "and" and tokens[at - 1].folded in SCALES and at + 1 < len(tokens) and tokens[at + 1].folded in NUMBERS):
            break
        at += 1
    return total + part, at


def _continues(before: str, word: str) -> bool:
    return before in SCALES or before == "and" or (before in TENS and (word in SMALL or word in ORDINALS))


def _stands_for_a_thing(tokens: Sequence[Token], at: int) -> bool:
    before = tokens[at - 1].folded if at else ""
    after = tokens[at + 1].folded if at + 1 < len(tokens) and tokens[at + 1].clause == tokens[at].clause else "of"
    return before in NOT_A_NUMBER or after in ONE_OF or tokens[at].starts


def _in_han(digits: Sequence[str]) -> float:
    total, part = 0, 0
    for digit in digits:
        if digit in HAN_UNITS:
            total, part = total + (part or 1) * HAN_UNITS[digit], 0
        else:
            part = 10 * part + HAN_DIGITS[digit]
    return float(total + part)
