"""Finds the interests of a catalogue: its labels, facets such as decades, and clusters of texts where labels are missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import faiss
import numpy as np

from models.events import Floats, Ints
from models.interests.matching import with_known_ids
from models.interests.terms import distinguishing_terms
from models.interests.vocabulary import (
    DECADE,
    PRICE,
    TAG,
    TOPIC,
    Descriptions,
    Interests,
    label_id,
    nearest,
    normal,
    spelled_paths,
)
from models.text.requests import decade_of

MAX_LABELS = 300
LEAST_ITEMS = 2
LEAST_TOPICS = 4
"""With fewer labels, clusters of texts are the topics."""
LEAST_COVERED = 0.25
"""If a smaller share of the items has labels, clusters of texts are the topics."""
NESTED_SHARE = 0.98
"""Categories are one path from broad to narrow if this share of them always follows the same one."""
PRICE_BANDS = 4
LEAST_PRICED = 20
N_TERMS = 8
NAME_TERMS = 3
N_CLUSTERS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
LEAST_PER_CLUSTER = 8
N_JUDGED = 5000
NEAR_BEST = 0.98
"""Of all numbers of clusters whose silhouette is this share of the best, the smallest is taken: fewer interests are easier to read."""
Encode = Callable[[Sequence[str]], Floats]


def discover(
    described: Descriptions,
    text: Floats | None,
    encode: Encode,
    seed: int,
    item_ids: Sequence[str],
    before: Interests | None = None,
    items_before: Sequence[str] = (),
) -> Interests | None:
    """The interests of a catalogue and their items; None if it has no label, no facet and no text.

    text: vectors of the encoder [items, text_dim], zero without text. before, items_before: the interests of the version before and the ids
    of its items; clusters keep the ids from there.
    """
    found = _labels_and_facets(described)
    if len(found):
        found = replace(found, vectors=encode([_spoken(found, row) for row in range(len(found))]).astype(np.float32))
    found = found.of(described, None)
    n_covered = len(np.unique(found.item[np.isin(found.interest, found.group_rows.get(TOPIC, []))]))
    n_topics = len(found.group_rows.get(TOPIC, []))
    if n_topics < LEAST_TOPICS or n_covered < LEAST_COVERED * len(described):
        found = replace(found, groups=tuple(TAG if group == TOPIC else group for group in found.groups))
        found = _with_clusters(found, described, text, seed, before)
    if not len(found):
        return None
    found = replace(found, terms=_terms(found, described))
    names = tuple(_cluster_name(found, row) if kind == "cluster" else found.names[row] for row, kind in enumerate(found.kinds))
    found = replace(found, names=names)
    return found if before is None else with_known_ids(found, item_ids, before, items_before)


def _labels_and_facets(described: Descriptions) -> Interests:
    """Labels and facets, without vectors, terms and items."""
    is_nested = _is_nested(described.categories)
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    from_categories: set[tuple[str, ...]] = set()
    counts: Counter[tuple[str, ...]] = Counter()
    bare = replace(described, tags=[()] * len(described))
    for item in range(len(described)):
        prefixes = set()
        for source, paths in ((bare, spelled_paths(bare, item, is_nested)), (described, spelled_paths(described, item, is_nested))):
            for path in paths:
                lowered = tuple(map(normal, path))
                for length in range(1, len(path) + 1):
                    prefixes.add(lowered[:length])
                    if source is bare:
                        from_categories.add(lowered[:length])
                    spellings[label_id(lowered[:length])][path[length - 1]] += 1
        counts.update(prefixes)
    n_items = len(described)
    useful = [path for path, n in counts.items() if LEAST_ITEMS <= n < n_items]
    kept = sorted(sorted(useful, key=lambda path: (-min(counts[path], n_items - counts[path]), path))[:MAX_LABELS])
    row = {path: number for number, path in enumerate(kept)}
    parents = [next((row[path[:length]] for length in range(len(path) - 1, 0, -1) if path[:length] in row), -1) for path in kept]
    has_categories = sum(path in from_categories for path in kept) >= LEAST_TOPICS
    ids, kinds = [label_id(path) for path in kept], ["label"] * len(kept)
    groups = [TOPIC if path in from_categories or not has_categories else TAG for path in kept]
    names = [max(spellings[each].items(), key=lambda pair: (pair[1], pair[0]))[0] for each in ids]
    decades = Counter(decade for title in described.titles if (decade := decade_of(title)) is not None)
    years = sorted(decade for decade, n in decades.items() if n >= LEAST_ITEMS)
    bounds = _price_bounds(described.prices)
    facets = [(f"decade:{year}", DECADE, f"{year}s") for year in (years if len(years) > 1 else [])]
    facets += [(f"price:{number}", PRICE, name) for number, name in enumerate(_band_names(bounds), 1)]
    ids += [facet[0] for facet in facets]
    return Interests(
        interest_ids=tuple(ids),
        kinds=(*kinds, *("facet" for _ in facets)),
        groups=(*groups, *(facet[1] for facet in facets)),
        parents=np.array([*parents, *(-1 for _ in facets)], np.int64),
        names=(*names, *(facet[2] for facet in facets)),
        terms=tuple(() for _ in ids),
        vectors=np.zeros((len(ids), 0), np.float32),
        item=np.zeros(0, np.int64),
        interest=np.zeros(0, np.int64),
        weight=np.zeros(0, np.float32),
        n_items=n_items,
        price_bounds=bounds,
        is_nested=is_nested,
    )


def _is_nested(categories: Sequence[Sequence[str]]) -> bool:
    """Whether each category always follows the same one, as in Kitchen, Cookware, Pans."""
    if any(sign in name for each in categories for name in each for sign in ">|"):
        return False
    before: dict[str, Counter[str]] = defaultdict(Counter)
    for each in categories:
        for broad, narrow in pairwise(each):
            before[normal(narrow)][normal(broad)] += 1
    shared = {narrow: counts for narrow, counts in before.items() if counts.total() >= LEAST_ITEMS}
    n = sum(counts.total() for counts in shared.values())
    return n > 0 and sum(counts.most_common(1)[0][1] for counts in shared.values()) >= NESTED_SHARE * n


def _price_bounds(prices: Floats) -> Floats:
    """Upper bounds of all price bands but the last, rounded to two digits; empty if few items have a price."""
    known = prices[np.isfinite(prices)]
    if len(known) < LEAST_PRICED:
        return np.zeros(0, np.float32)
    quantiles = np.quantile(known, np.arange(1, PRICE_BANDS) / PRICE_BANDS)
    rounded = np.array([float(f"{bound:.2g}") for bound in quantiles], np.float32)
    bounds = np.unique(rounded[(rounded > known.min()) & (rounded <= known.max())])
    return bounds if len(bounds) == PRICE_BANDS - 1 else np.zeros(0, np.float32)


def _band_names(bounds: Floats) -> list[str]:
    if not len(bounds):
        return []
    texts = [f"{bound:g}" for bound in bounds]
    return [f"under {texts[0]}", *(f"{low} to {high}" for low, high in pairwise(texts)), f"{texts[-1]} and more"]


def _spoken(found: Interests, row: int) -> str:
    """The text of a label or facet for the encoder."""
    if found.groups[row] == PRICE:
        return f"price {found.names[row]}"
    return found.names[row] if found.parents[row] < 0 else f"{found.names[row]}, {found.names[found.parents[row]]}"


def _with_clusters(found: Interests, described: Descriptions, text: Floats | None, seed: int, before: Interests | None) -> Interests:
    """The interests with clusters of the texts as topics, if there are enough texts."""
    known = np.zeros((0, 0), np.float32) if text is None else text[np.abs(text).sum(1) > 0]
    centroids = find_centroids(known, seed, before)
    if not len(centroids):
        return found
    n, dim = len(centroids), centroids.shape[1]
    grown = replace(
        found,
        interest_ids=(*found.interest_ids, *(f"cluster:{number}" for number in range(n))),
        kinds=(*found.kinds, *["cluster"] * n),
        groups=(*found.groups, *[TOPIC] * n),
        parents=np.concatenate([found.parents, np.full(n, -1)]),
        names=(*found.names, *[""] * n),
        terms=(*found.terms, *[()] * n),
        vectors=np.concatenate([found.vectors if len(found) else np.zeros((0, dim), np.float32), centroids]),
        next_cluster=n,
    )
    return grown.of(described, text)


def find_centroids(text: Floats, seed: int, before: Interests | None = None) -> Floats:
    """Centroids [clusters, text_dim] of spherical k-means; none for fewer than 2 * LEAST_PER_CLUSTER texts.

    The number of clusters is the smallest whose simplified silhouette is near the best. If the version before had clusters, of about as
    many items, k-means starts from them, so that clusters stay what they were.
    """
    most = len(text) // LEAST_PER_CLUSTER
    if most < 2:
        return np.zeros((0, text.shape[1]), np.float32)
    if before is not None:
        old = before.vectors[[n for n, kind in enumerate(before.kinds) if kind == "cluster"]]
        if 0 < len(old) <= most and old.shape[1] == text.shape[1] and before.n_items <= 2 * len(text) <= 4 * before.n_items:
            return _k_means(text, len(old), seed, np.ascontiguousarray(old))
    numbers = [n for n in N_CLUSTERS if n <= most] or [most]
    tried = [_k_means(text, n, seed) for n in numbers]
    scores = [silhouette(text, centroids, seed) for centroids in tried]
    return next(centroids for centroids, score in zip(tried, scores, strict=True) if score >= NEAR_BEST * max(scores))


def _k_means(text: Floats, n: int, seed: int, start: Floats | None = None) -> Floats:
    fit = faiss.Kmeans(
        text.shape[1], n, niter=20, seed=seed, spherical=True, nredo=3, min_points_per_centroid=1, max_points_per_centroid=100
    )
    fit.train(np.ascontiguousarray(text), init_centroids=start)
    centroids = np.asarray(fit.centroids, np.float32)
    return centroids[np.unique(nearest(centroids, text))]  # without those that are nearest to no text


def silhouette(text: Floats, centroids: Floats, seed: int) -> float:
    """Mean of (b - a) / max(a, b) over texts: a, b: cosine distance to the nearest and the second nearest centroid."""
    rows: Ints = np.sort(np.random.default_rng(seed).permutation(len(text))[:N_JUDGED])
    distance = np.sort(1 - text[rows] @ centroids.T, axis=1)[:, :2]
    return float(((distance[:, 1] - distance[:, 0]) / np.maximum(distance[:, 1], 1e-6)).mean())


def _terms(found: Interests, described: Descriptions) -> tuple[tuple[str, ...], ...]:
    """The distinguishing words of the titles of each interest, against those of its group."""
    out: list[tuple[str, ...]] = [()] * len(found)
    for group, rows in found.group_rows.items():
        if group in (TOPIC, TAG):
            for row, words in zip(rows, distinguishing_terms(described.titles, found.shares[:, rows], N_TERMS), strict=True):
                out[row] = words
    return tuple(out)


def _cluster_name(found: Interests, row: int) -> str:
    return ", ".join(found.terms[row][:NAME_TERMS]) or f"group {row + 1}"
