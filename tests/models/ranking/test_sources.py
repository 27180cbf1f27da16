"""The source of a row: the part of the blend that lifted it most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.events import Events
from models.ranking.blend import GATES, contributions
from models.ranking.scorer import Scorer
from models.ranking.searches import Searches
from models.ranking.sources import N_SAMPLED, NEW, SOURCES, sample_of
from tests.models.planted import random_events, random_text
from tests.models.ranking.test_scorer import scorer_of
from tests.models.ranking.test_searches import random_words

EVENTS = random_events(n_items=30)


def of_one_gate(name: str, weight: float) -> Scorer:
    scorer = scorer_of(EVENTS)
    gate = np.zeros_like(scorer.blend.gate)
    gate[0, GATES.index(name)] = weight
    return replace(scorer, blend=replace(scorer.blend, gate=gate, repeat=np.zeros_like(scorer.blend.repeat)))


def named(scorer: Scorer, events: Events = EVENTS, **options: object) -> set[str]:
    """The sources of the first rows of all lists."""
    source = scorer.rank(events, 20, 3, **options).source  # type: ignore[arg-type]
    assert source is not None
    return {SOURCES[row] for row in source[:, 0]}


@pytest.mark.parametrize(("gate", "source"), [("sequence", "sequence"), ("popularity", "popularity"), ("age", "new"), ("young", "new")])
def test_if_one_term_decides_it_is_the_source(gate: str, source: str) -> None:
    assert named(of_one_gate(gate, 2.0)) == {source}


def test_repeats_and_searches_are_sources_too() -> None:
    scorer = of_one_gate("popularity", 0.01)
    scorer.blend.repeat[0, 0] = 5.0
    assert named(scorer) == {"repeats"}
    asked = Searches.build(np.arange(20), np.full(20, scorer.as_of - 5), np.arange(20), random_text(30))
    searching = replace(of_one_gate("popularity", 0.01), words=random_words(30))
    assert named(searching, searches=asked) == {"search"}


@pytest.mark.usefixtures("fp32")
def test_the_source_has_the_highest_terms_above_their_mean_also_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = scorer_of(EVENTS)
    scorer.blend.gate[0] = 0.7, 1.3, 1.1, 0.4, -0.5, 0.3, 0.2, 0.6
    lists = scorer.rank(EVENTS, 20, 5)
    (scored,) = scorer.score_blocks(EVENTS, 20, now=None, trend=None, earlier=None)
    parts = contributions(scorer.blend, scored.features, {"sequence": scored.sequence}, scored.items, scored.repeats)
    groups = {
        "sequence": parts["sequence"] + parts["item_mean"],
        "popularity": parts["popularity"],
        "repeats": parts["repeats"],
        "new": torch.stack([parts[name].expand(20, -1) for name in NEW]).sum(0),
        "search": torch.zeros(20, 30),
    }
    lift = torch.stack([(groups[name] - groups[name].mean(1, keepdim=True)).gather(1, torch.from_numpy(lists.item)) for name in SOURCES])
    assert lists.source is not None
    assert np.array_equal(lists.source, lift.argmax(0).numpy())
    monkeypatch.setattr("models.ranking.sources.BLOCK_USERS", 3)
    again = scorer.rank(EVENTS, 20, 5).source
    assert again is not None
    assert np.array_equal(again, lists.source)


def test_the_sample_is_of_available_items_over_the_whole_catalogue() -> None:
    available = np.arange(5000) % 2 == 0
    rows = sample_of(available).numpy()
    assert len(set(rows)) == N_SAMPLED
    assert available[rows].all()
    assert rows[0] == 0
    assert rows[-1] == 4998
    assert len(sample_of(np.zeros(7, bool))) == 7
