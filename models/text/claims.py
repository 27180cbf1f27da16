"""Checks generated text against its evidence: every title, number, category and interest in the text must occur there.

The check is strict. It refuses a text that it cannot follow, because a template always stands behind it. It knows the titles and labels of
the catalogue (`Known`), reads numbers in digits and in words, English and Chinese, and takes a capitalised or quoted word for a name. What
neither evidence nor catalogue knows is an interest if the word names a subject (`models/text/subjects.py`): in English any word, near a
word of liking with less certainty. In Chinese, what a person likes has to end with a title or label of the evidence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from models.text.claim_numbers import DECADES, FRACTIONS, NUMBERS, SCALES, read_numbers
from models.text.claim_words import (
    BOUNDARIES,
    DISLIKES,
    FANS,
    FAVOURITES,
    GENERIC,
    HAVING,
    LIKERS,
    QUOTED,
    STOP,
    TRIGGERS,
    Token,
    singular_of,
    stem_of,
    tokens_of,
    words_of,
)
from models.text.subjects import subject_probability

YEAR = re.compile(r"\s*\((?:1[89]|20)\d\d\)\s*$")
ARTICLE_LAST = re.compile(r"^(.*), (the|a|an)$", re.IGNORECASE)
MAIN_PART = re.compile(r"\s*(?:[:：,，(\[|]|\s[-–—]\s)")
ADDRESS = re.compile(r"://|www\.|\w@\w")
MAX_TITLE_WORDS = 12
OTHER_NAMES = {"sci-fi": ("science fiction", "scifi"), "science fiction": ("sci-fi", "scifi"), "film-noir": ("noir",)}
WINDOW = 8
LISTED = 4
"""An enumeration goes on after a comma if one of so many words is "and" or "or"."""
LIKED_SUBJECT, ANY_SUBJECT = 0.45, 0.75
"""A word is taken for an interest from this probability on that it names a subject: one near a word of liking or
beside a label of the evidence, and any other."""
NEGATION = re.compile(r"(?:not|never|neither|nor|cannot|n['’]t)$")
NEGATED = 3
"""A negation reaches so many words."""
HAN_DISLIKES = re.compile("不喜欢|讨厌|不爱|不感兴趣|从不|没有?看过")
HAN_LIKED = re.compile(
    "(?:喜欢|喜爱|热爱|偏爱|钟爱|钟情于|热衷于?|痴迷于?|沉迷于?|迷恋|爱看|爱读|着迷于|青睐)([^，。！？；：,.!?;:…\n]+)|"
    "对([^，。！？；：,.!?;:…\n]+?)(?:很|非常|特别|十分|都|也|更)*(?:感兴趣|有兴趣|情有独钟|着迷|入迷)"
)
HAN_AND = re.compile("[和与及跟、]|以及|还有")
HAN_ENDING = re.compile(r"(?:[的这那本部类片式等]|一部|电影|影片|作品|题材|故事|类型|图书|书籍|风格|系列|节目|商品|产品)+$")


@dataclass(frozen=True)
class Evidence:
    """What a text may name: titles, labels (categories, tags, interests and their terms) and numbers. All of it leaves the machine."""

    titles: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    numbers: tuple[int | float, ...] = ()

    @cached_property
    def title_words(self) -> frozenset[tuple[str, ...]]:
        """Every way to write each title."""
        return frozenset(words for title in self.titles for words in _title_forms(title))

    @cached_property
    def whole_titles(self) -> frozenset[tuple[str, ...]]:
        """The same without main parts, which may be other titles: Dune is not Dune: Part One."""
        return frozenset(words for title in self.titles for words in _title_forms(title, whole=True))

    @cached_property
    def label_words(self) -> frozenset[tuple[str, ...]]:
        """The stems of each label, and of the last part of a path such as 'Kitchen > Pans'."""
        return _label_forms(self.labels, stem_of)

    @cached_property
    def exact_labels(self) -> frozenset[tuple[str, ...]]:
        """The same with whole words: music is not musical if both are labels."""
        return _label_forms(self.labels, singular_of)


@dataclass(frozen=True)
class Known:
    """The titles and labels of a catalogue, as words. Whatever of them a text names must be in its evidence."""

    titles: frozenset[tuple[str, ...]] = frozenset()
    labels: frozenset[tuple[str, ...]] = frozenset()
    exact_labels: frozenset[tuple[str, ...]] = frozenset()

    @staticmethod
    def of(titles: Sequence[str], labels: Sequence[str]) -> Known:
        """The index of a catalogue."""
        forms = frozenset(words for title in titles for words in _title_forms(title, whole=True))
        return Known(forms, _label_forms(labels, stem_of), _label_forms(labels, singular_of))


def check(text: str, evidence: Evidence, known: Known | None = None) -> list[str]:
    """The reasons to refuse the text, each a short sentence; empty if everything that it names is in the evidence."""
    known = known or Known()
    tokens = list(tokens_of(text))
    if not tokens:
        return ["the text has no words"]
    supported = _supported(tokens, evidence, known)
    return [
        *_foreign(tokens, evidence),
        *(["the text has an address"] if ADDRESS.search(text) else []),
        *_wrong_quotes(text, tokens, evidence, known),
        *_wrong_titles(tokens, supported, known),
        *_wrong_labels(tokens, supported, known),
        *_wrong_numbers(text, tokens, supported, evidence),
        *_unknown_names(tokens, supported),
        *_unknown_interests(tokens, supported, evidence),
        *_unknown_han_interests(text, tokens, supported),
        *_dislikes(text, tokens),
    ]


def check_name(name: str, evidence: Evidence) -> list[str]:
    """The reasons to refuse the name of a group of items: each of its words, except for words of grammar, must be in the evidence."""
    given = {stem_of(word) for part in (*evidence.titles, *evidence.labels) for word in words_of(part)}
    unknown = [token.text for token in tokens_of(name) if stem_of(token.folded) not in given and token.folded not in STOP]
    return [f"the word {word} is not in the evidence" for word in unknown] or ([] if words_of(name) else ["the name has no words"])


def _title_forms(title: str, whole: bool = False) -> set[tuple[str, ...]]:
    """The ways to write a title: with and without its year, the article in front, and, unless whole, the part before a colon or dash."""
    bare = YEAR.sub("", title)
    forms = {title, bare, ARTICLE_LAST.sub(r"\2 \1", bare)}
    if not whole:
        forms |= {main for form in list(forms) if _is_telling(words_of(main := MAIN_PART.split(form)[0]))}
    found = {words_of(form) for form in forms}
    return {words[1:] if len(words) > 2 and words[0] in {"the", "a", "an"} else words for words in found if words} | (found - {()})


def _is_telling(words: Sequence[str]) -> bool:
    """Whether the main part of a title stands for the title: several words, or one that is no common word."""
    return len(words) > 1 or any(len(word) > 3 and not _claims_nothing(word) for word in words)


def _label_forms(labels: Sequence[str], form: Callable[[str], str]) -> frozenset[tuple[str, ...]]:
    parts = {part for label in labels for part in (label, *label.split(">"))}
    parts |= {other for part in parts for other in OTHER_NAMES.get(part.strip().casefold(), ())}
    return frozenset(tuple(form(word) for word in words) for part in parts if (words := words_of(part)))


def _spans(tokens: Sequence[Token], words: frozenset[tuple[str, ...]], keys: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where one of the word sequences occurs in the tokens, compared by their keys; longer ones first at each place."""
    for first in range(len(tokens)):
        for last in range(min(len(tokens), first + MAX_TITLE_WORDS), first, -1):
            if tuple(keys[first:last]) in words:
                yield first, last


def _supported(tokens: Sequence[Token], evidence: Evidence, known: Known) -> list[bool]:
    """For each token, whether it is part of a title or label of the evidence."""
    out = [False] * len(tokens)
    others = known.titles - evidence.whole_titles
    for first, last in _spans(tokens, evidence.title_words - others, [token.folded for token in tokens]):
        if _looks_like_title(tokens[first:last]):
            out[first:last] = [True] * (last - first)
    for first, last in _spans(tokens, evidence.label_words, [stem_of(token.folded) for token in tokens]):
        exact = tuple(singular_of(token.folded) for token in tokens[first:last])
        if exact not in known.exact_labels or exact in evidence.exact_labels:
            out[first:last] = [True] * (last - first)
    return out


def _looks_like_title(span: Sequence[Token]) -> bool:
    """Whether the words are meant as a title: quoted, with capitals, or too particular to be anything else."""
    if all(token.quoted for token in span):
        return True
    if any(token.is_han for token in span):
        return len(span) > 2
    telling = [token for token in span if token.folded not in STOP]
    if telling and all(token.is_name or token.text[0].isdigit() for token in telling):
        return not (len(span) == 1 and span[0].starts and span[0].folded in GENERIC)
    return sum(token.folded not in GENERIC and len(token.folded) > 2 for token in telling) > 1


def _foreign(tokens: Sequence[Token], evidence: Evidence) -> list[str]:
    """A text in another script than its evidence names things that nobody can look up there."""
    given = {_script(letter) for part in (*evidence.titles, *evidence.labels) for letter in part}
    found = {_script(letter) for token in tokens for letter in token.text}
    return [f"the evidence has no {script.lower()} letters" for script in sorted(found - given - {"", "LATIN"})]


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0] if letter.isalpha() and not letter.isascii() else ""


def _wrong_quotes(text: str, tokens: Sequence[Token], evidence: Evidence, known: Known) -> list[str]:
    """What is quoted has to be a title or a label, and the whole of it."""
    out = []
    for found in QUOTED.finditer(text):
        words = words_of(next(part for part in found.groups() if part))
        bare = words[1:] if len(words) > 1 and words[0] in {"the", "a", "an"} else words
        is_title = words in evidence.title_words or bare in evidence.title_words
        is_other = words in known.titles and words not in evidence.whole_titles and bare not in evidence.whole_titles
        if words and (is_other or not (is_title or tuple(stem_of(word) for word in words) in evidence.label_words)):
            out.append(f"{found[0]} is not in the evidence")
    return out


def _wrong_titles(tokens: Sequence[Token], supported: Sequence[bool], known: Known) -> list[str]:
    return [
        f"the title {_written(tokens[first:last])} is not in the evidence"
        for first, last in _spans(tokens, known.titles, [token.folded for token in tokens])
        if not all(supported[first:last]) and _looks_like_title(tokens[first:last]) and not _is_common(tokens[first:last])
    ]


def _is_common(span: Sequence[Token]) -> bool:
    """Whether the words are so common that they name a title only in quotes, such as "You" at the start of a sentence, or a number."""
    if all(token.quoted for token in span):
        return False
    return all(token.text.isdecimal() for token in span) or (
        span[0].starts and all(not token.is_han and _claims_nothing(token.folded) for token in span)
    )


def _wrong_labels(tokens: Sequence[Token], supported: Sequence[bool], known: Known) -> list[str]:
    return [
        f"the category or interest {_written(tokens[first:last])} is not in the evidence"
        for first, last in _spans(tokens, known.labels, [stem_of(token.folded) for token in tokens])
        if not all(supported[first:last]) and not all(token.folded in STOP | GENERIC for token in tokens[first:last])
    ]


def _wrong_numbers(text: str, tokens: Sequence[Token], supported: Sequence[bool], evidence: Evidence) -> list[str]:
    allowed, decades = _numbers_of(evidence)
    out = []
    for number, is_decade, first, last in read_numbers(tokens):
        if all(supported[first:last]):
            continue
        if is_decade:
            fits = number in decades
        else:
            is_percent = re.match(r"\s*(?:%|percent|per cent)", text[tokens[last - 1].end :]) is not None
            fits = number in allowed or any(abs((100 if is_percent else 1) * given - number) < 0.005 for given in allowed)
        if not fits:
            out.append(f"the number {_written(tokens[first:last])} is not in the evidence")
    return out


def _numbers_of(evidence: Evidence) -> tuple[set[float], set[float]]:
    """The numbers and the decades that a text may name: those given, the years of titles, and what labels contain."""
    numbers, decades = {float(number) for number in evidence.numbers}, set[float]()
    numbers |= {float(re.sub(r"\D", "", found[0])) for title in evidence.titles if (found := YEAR.search(title))}
    for label in evidence.labels:
        for number, is_decade, _, _ in read_numbers(list(tokens_of(label))):
            (decades if is_decade else numbers).add(number)
    return numbers, decades


def _unknown_names(tokens: Sequence[Token], supported: Sequence[bool]) -> list[str]:
    """Capitalised words within a sentence are names; those of the evidence are known."""
    return [
        f"the name {token.text} is not in the evidence"
        for token, is_known in zip(tokens, supported, strict=True)
        if token.is_name and not (is_known or token.starts or token.folded in STOP or (token.folded in GENERIC and token.text.isupper()))
    ]


def _unknown_interests(tokens: Sequence[Token], supported: Sequence[bool], evidence: Evidence) -> list[str]:
    """Words for subjects that are in no evidence, though the catalogue may not know them either."""
    liked: set[int] = set()
    for at, token in enumerate(tokens):
        is_verb = token.folded in {"like", "likes", "liked"} and at > 0 and tokens[at - 1].folded in LIKERS
        if is_verb or token.folded in TRIGGERS:
            liked |= set(_liked_after(tokens, at)) | set(_liked_before(tokens, at))
        elif [each.folded for each in tokens[at : at + 2]] == ["like", "you"] and at:
            liked.add(at - 1)  # as in "a sailor like you"
        if token.folded in {"and", "or"} and 0 < at < len(tokens) - 1 and supported[at - 1] != supported[at + 1]:
            liked |= {at - 1, at + 1}  # as in "sailing and horror"
    given = {stem_of(word) for part in (*evidence.titles, *evidence.labels) for word in words_of(part)}
    asked = [
        at
        for at, token in enumerate(tokens)
        if not (supported[at] or token.is_han or _claims_nothing(token.folded) or stem_of(token.folded) in given)
        and (token.starts or not token.is_name)  # names have a check of their own
    ]
    return [
        f"the interest {tokens[at].text} is not in the evidence"
        for at, probability in zip(asked, subject_probability([tokens[at].folded for at in asked]), strict=True)
        if probability > (LIKED_SUBJECT if at in liked else ANY_SUBJECT)
    ]


def _unknown_han_interests(text: str, tokens: Sequence[Token], supported: Sequence[bool]) -> list[str]:
    """What a person likes, in Chinese: each part of an enumeration has to end with a title or label, before words such as 电影."""
    ends = {token.end: is_known for token, is_known in zip(tokens, supported, strict=True)}
    out = []
    for found in HAN_LIKED.finditer(text):
        which = 1 if found[1] else 2
        at = found.start(which)
        for part in HAN_AND.split(found[which]):
            start = text.index(part, at)
            at = start + len(part)
            head = HAN_ENDING.sub("", part.rstrip(" 》」”\"'。"))
            if head and not ends.get(start + len(head), False):
                out.append(f"the interest {part} is not in the evidence")
    return out


def _liked_after(tokens: Sequence[Token], at: int) -> Iterator[int]:
    """The words after a verb of liking: to the end of the clause, or of an enumeration."""
    for after in range(at + 1, min(len(tokens), at + 1 + WINDOW)):
        is_new_clause = tokens[after].clause != tokens[after - 1].clause
        is_listed = tokens[after].after_comma and any(token.folded in {"and", "or"} for token in tokens[after : after + LISTED])
        if tokens[after].starts or tokens[after].folded in BOUNDARIES or (is_new_clause and not is_listed):
            return
        yield after


def _liked_before(tokens: Sequence[Token], at: int) -> Iterator[int]:
    """The words before a noun of liking, as in "a sailing fan", and the subjects of "are your favourites" or "is what you love"."""
    if tokens[at].folded in FANS and not tokens[at].starts:
        yield at - 1
    copula = next((n for n in range(at - 1, max(-1, at - 5), -1) if tokens[n].folded in {"is", "are"}), None)
    if copula is None or tokens[at].folded not in FAVOURITES or any(token.starts for token in tokens[copula : at + 1]):
        return
    for before in range(copula - 1, max(-1, copula - 1 - WINDOW), -1):
        yield before
        if tokens[before].starts:
            return


def _claims_nothing(word: str) -> bool:
    is_number = word in NUMBERS or word in SCALES or word in DECADES or word in FRACTIONS or word[0].isdigit()
    return is_number or len(word) < 3 or word in STOP or word in GENERIC or word in TRIGGERS


def _dislikes(text: str, tokens: Sequence[Token]) -> list[str]:
    """No evidence shows what a person dislikes or has not had: a negation near a word of liking or of watching is refused."""
    for at, token in enumerate(tokens):
        reach = [each for each in tokens[at + 1 : at + 1 + NEGATED] if each.clause == token.clause]
        words = [each.folded for each in reach]
        is_about_taste = words[:1] not in (["only"], ["just"]) and (words[:2] == ["for", "you"] or not HAVING.isdisjoint(words))
        if token.folded in DISLIKES or (NEGATION.search(token.folded) and is_about_taste):
            return [f"the evidence shows no dislike, and the text says {token.text}"]
    return ["the evidence shows no dislike"] if HAN_DISLIKES.search(text) else []


def _written(span: Sequence[Token]) -> str:
    return " ".join(token.text for token in span)
