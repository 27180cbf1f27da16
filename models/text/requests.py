"""Generated requests in words, with the items that fulfil each of them: the training data of the towers.

They are made from what a catalogue says about its items: labels (categories and tags), a decade from a year in the title, and titles. A
catalogue without labels is divided into topics, whose words take the place of labels. The templates name no kind of product, so that they
fit films, clothes and recipes alike.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from models.events import Ints

ItemWords = tuple[str, Sequence[str]]
"""The title and the labels of an item; both may be empty."""

LABEL = (
    "{l}",
    "something {l}",
    "I want {l}",
    "show me {l}",
    "I am interested in {l}",
    "good {l} for tonight",
    "the best {l}",
    "anything {l}",
)
DECADE = ("{d}", "from the {d}", "something from the {d}", "made in the {d}")
LABEL_DECADE = (
    *("{l} of the {d}", "{l} from the {d}", "something {l} from the {d}", "I want {l}, made in the {d}", "{d} {l}", "a {d} {l}"),
    *("{l} movies of the {d}", "the best {l} of the {d}"),
)
TWO_LABELS = ("{l} and {m}", "{l} {m}", "{l} with {m}")
PART = ("{t}", "{t}", "I am looking for {t}", "do you have {t}")
TITLE = ("{t}", "like {t}", "something like {t}")
TITLE_DECADE = ("{t} from the {d}", "like {t}, from the {d}", "{d} {t}", "something with {t} from the {d}")
NAMES = ("twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties")
DECADES = dict(zip(range(1920, 2000, 10), NAMES, strict=True))
YEAR = re.compile(r"\((1[89]\d\d|20\d\d)\)\s*$")
MAX_LABELS = 500
MAX_PAIRS = 400
MAX_TITLES = 6000
MAX_TOPIC_TITLES = 2000
LONGEST_LABEL = 80
"""A longer label is a sentence rather than a name; it makes no request."""
LEAST_ITEMS = 3
"""A label, or a combination of labels, of fewer items makes no request."""
PARTS = 4
"""A request asks for at most this many labels and decades together."""
LABEL_SHARE, TOPIC_SHARE = 0.9, 0.5
"""Share of a batch that are requests made from labels, or from topics; the others name titles and keep the meaning of other words."""


@dataclass(frozen=True)
class Topics:
    """Groups of items with similar texts. of_item: [items] topic of each item, -1 without a text; terms: the words of each topic."""

    of_item: Ints
    terms: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Requests:
    """Texts, and which facts an item must have to fulfil each: rows of `facts` [facts, items]; row 0 holds for every item.

    needs: [requests, PARTS] rows of facts, padded with 0. item: [requests] the one item that a request means, or -1. n_labels: how many
    requests, the first ones, are made from labels or topics. share: their share of a batch. n_searches: how many, the last ones, are real
    searches. search_share: their share of a batch; the generated requests divide the rest.
    """

    texts: tuple[str, ...]
    needs: Ints
    item: Ints
    facts: csc_matrix
    n_labels: int
    share: float = LABEL_SHARE
    n_searches: int = 0
    search_share: float = 0.0

    def with_searches(self, texts: Sequence[str], chosen: Ints, share: float) -> Requests:
        """The same with real searches at the end, each of which means the item that was chosen next."""
        needs = np.concatenate([self.needs, np.zeros((len(texts), PARTS), np.int64)])
        item = np.concatenate([self.item, chosen])
        return replace(self, texts=(*self.texts, *texts), needs=needs, item=item, n_searches=len(texts), search_share=share)

    def some(self, rows: Ints) -> Requests:
        """The requests of some rows, which ascend."""
        n_labels, n_searches = int((rows < self.n_labels).sum()), int((rows >= len(self.texts) - self.n_searches).sum())
        texts = tuple(self.texts[row] for row in rows)
        return replace(self, texts=texts, needs=self.needs[rows], item=self.item[rows], n_labels=n_labels, n_searches=n_searches)

    def fulfilling(self, requests: Ints, items: Ints) -> NDArray[np.bool_]:
        """Which of some items fulfil each of some requests, [requests, items]."""
        facts = self.facts[:, items].toarray()
        met: NDArray[np.bool_] = facts[self.needs[requests]].all(1)
        one = self.item[requests][:, None]
        return np.where(one >= 0, items == one, met)


def make_requests(titles: Sequence[str], labels: Sequence[Sequence[str]], seed: int, topics: Topics | None = None) -> Requests:
    """Requests for a catalogue; none if no label is shared by LEAST_ITEMS items. labels: those of each item; topics stand in for them."""
    rng = random.Random(seed)
    if topics is None:
        cleaned = [cleaned_labels(each) for each in labels]
    else:
        cleaned = [[f"topic {topic}"] if topic >= 0 and topics.terms[topic] else [] for topic in topics.of_item]
    counts = Counter(name for each in cleaned for name in each)
    names = [name for name, n in counts.most_common(MAX_LABELS) if n >= LEAST_ITEMS]
    decades = [decade_of(title) for title in titles]
    years = sorted({decade for decade in decades if decade is not None})
    row = {name: 1 + n for n, name in enumerate(names)} | {year: 1 + len(names) + n for n, year in enumerate(years)}
    having: list[set[int]] = [set() for _ in range(1 + len(row))]
    for item, (each, decade) in enumerate(zip(cleaned, decades, strict=True)):
        for key in (*each, decade):
            if key in row:
                having[row[key]].add(item)  # type: ignore[index]
    found: list[tuple[str, tuple[int, ...], int]] = []

    def add(text: str, *needs: int) -> None:
        if len(set.intersection(*(having[need] for need in needs))) >= LEAST_ITEMS:
            found.append((text, needs, -1))

    for name in names:
        spoken = (name,) if topics is None else topics.terms[int(name.split()[1])]
        for said in spoken:
            for template in LABEL if topics is None else rng.sample(LABEL, 2):
                add(template.format(l=said), row[name])
        for year in years:
            for template in rng.sample(LABEL_DECADE, 4):
                add(template.format(l=name if topics is None else rng.choice(spoken), d=_spoken(year, rng)), row[name], row[year])
        if topics is not None:
            for one, other in combinations(spoken[:4], 2):
                add(rng.choice(TWO_LABELS).format(l=one, m=other), row[name])
    for year in years:
        for template in DECADE:
            add(template.format(d=_spoken(year, rng)), row[year])
    pairs = list(combinations(names[:100], 2)) if topics is None else []
    for one, other in rng.sample(pairs, min(len(pairs), MAX_PAIRS)):
        add(rng.choice(TWO_LABELS).format(l=one, m=other), row[one], row[other])
    n_labels = len(found)
    described = [item for item, each in enumerate(cleaned) if any(name in row for name in each) and without_year(titles[item])]
    n_titles = min(len(described), MAX_TITLES if topics is None else MAX_TOPIC_TITLES)
    for item in rng.sample(described, n_titles):
        needs = [row[name] for name in cleaned[item] if name in row][: PARTS - 1]
        title, decade = without_year(titles[item]), decades[item]
        if decade is not None and rng.random() < 0.6:
            add(rng.choice(TITLE_DECADE).format(t=title, d=_spoken(decade, rng)), *needs, row[decade])
        else:
            add(rng.choice(TITLE).format(t=title), *needs)
    if topics is not None:
        for item in rng.sample(described, n_titles):
            found.append((rng.choice(PART).format(t=part_of(titles[item], rng)), (0,), item))
    padded = np.array([(*needs, *([0] * (PARTS - len(needs)))) for _, needs, _ in found], np.int64).reshape(-1, PARTS)
    return Requests(
        texts=tuple(text for text, _, _ in found),
        needs=padded,
        item=np.array([item for _, _, item in found], np.int64),
        facts=_matrix(having, len(titles)),
        n_labels=n_labels,
        share=LABEL_SHARE if topics is None else TOPIC_SHARE,
    )


def _matrix(having: Sequence[set[int]], n_items: int) -> csc_matrix:
    """Facts as a sparse matrix [facts, items]; the first one holds for every item."""
    columns = [np.arange(n_items), *(np.fromiter(items, np.int64, len(items)) for items in having[1:])]
    rows = np.repeat(np.arange(len(columns)), [len(items) for items in columns])
    column = np.concatenate(columns)
    return csc_matrix((np.ones(len(rows), bool), (rows, column)), shape=(len(columns), n_items))


def request_for(labels: Sequence[str], rng: random.Random) -> str | None:
    """A request that names one or two labels of an item; None for an item without labels."""
    names = cleaned_labels(labels)
    return " ".join(rng.sample(names, min(len(names), rng.choice((1, 2))))) if names else None


def part_of(title: str, rng: random.Random) -> str:
    """About half of a title, as somebody remembers it: some of its words in any order, its first and last word, or a run of characters."""
    words = without_year(title).split()
    if len(words) == 1 and len(words[0]) > 3 and not words[0].isascii():  # a script that may put no spaces between words
        n = (len(words[0]) + 1) // 2
        first = rng.randrange(len(words[0]) - n + 1)
        return words[0][first : first + n]
    if len(words) > 3 and rng.random() < 0.2:
        return f"{words[0]} {words[-1]}"
    return " ".join(rng.sample(words, (len(words) + 1) // 2))


def cleaned_labels(labels: Sequence[str]) -> list[str]:
    """The names of the labels of an item, sorted, each once."""
    return sorted({name for raw in labels if (name := clean_label(raw))})


def without_year(title: str) -> str:
    """The title without a year in brackets at its end."""
    return YEAR.sub("", title).strip()


def clean_label(raw: str) -> str:
    """The last part of a path such as 'Kitchen > Pans', in lower case and with single spaces.

    Empty for a label in brackets such as '(none)', without letters and digits, or longer than LONGEST_LABEL.
    """
    name = " ".join("".join(each if each.isprintable() else " " for each in raw.split(">")[-1]).lower().split())
    is_name = any(each.isalnum() for each in name) and len(name) <= LONGEST_LABEL and not name.startswith("(")
    return name if is_name else ""


def decade_of(title: str) -> int | None:
    """The decade of a year in brackets at the end of a title."""
    found = YEAR.search(title)
    return None if found is None else int(found[1]) // 10 * 10


def names_of_decade(decade: int | None) -> tuple[str, ...]:
    """The names of a decade, such as 1970s, 70s and seventies; none without a decade."""
    if decade is None:
        return ()
    return (f"{decade}s", *([f"{decade % 100}s", DECADES[decade]] if decade in DECADES else []))


def _spoken(decade: int, rng: random.Random) -> str:
    words = names_of_decade(decade)
    return rng.choice((*words, *words[2:]))
