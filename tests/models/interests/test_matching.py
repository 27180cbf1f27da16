"""The ids of clusters stay from night to night."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.interests.discovery import discover
from models.interests.matching import with_known_ids
from models.interests.vocabulary import Interests
from tests.models.interests.test_vocabulary import encode, found, planted


def ids_of_items(interests: Interests) -> dict[int, str]:
    return {int(item): interests.interest_ids[row] for item, row in zip(interests.item, interests.interest, strict=True)}


def shuffled(interests: Interests) -> Interests:
    """The same clusters in another order, with new numbers."""
    order = np.random.default_rng(1).permutation(len(interests))
    place = np.argsort(order)
    return replace(interests, vectors=interests.vectors[order], interest=place[interests.interest], terms=interests.terms)


def test_the_same_clusters_in_another_order_keep_their_ids() -> None:
    items, text = planted(6, 30)
    old = found(items, text)
    item_ids = [str(n) for n in range(180)]
    new = with_known_ids(shuffled(old), item_ids, old, item_ids)
    assert ids_of_items(new) == ids_of_items(old)
    assert new.next_cluster == old.next_cluster


def test_a_cluster_of_new_items_gets_a_number_that_was_never_used() -> None:
    items, text = planted(4, 30)
    old = replace(found(items, text), next_cluster=9)
    grown_items, grown_text = planted(8, 30)
    new = with_known_ids(found(grown_items, grown_text), [str(n) for n in range(240)], old, [str(n) for n in range(120)])
    assert {of for item, of in ids_of_items(new).items() if item >= 120} == {"cluster:9", "cluster:10", "cluster:11", "cluster:12"}
    assert {item: of for item, of in ids_of_items(new).items() if item < 120} == ids_of_items(old)
    assert new.next_cluster == 13


def test_the_clusters_of_a_night_start_from_those_of_the_night_before_and_keep_their_ids() -> None:
    items, text = planted(6, 30)
    item_ids = [str(n) for n in range(180)]
    old = found(items, text)
    reordered = np.random.default_rng(3).permutation(180)
    later = replace(items, titles=[items.titles[n] for n in reordered])
    new = discover(later, text[reordered], encode, 99, [item_ids[n] for n in reordered], old, item_ids)
    assert new is not None
    assert {int(reordered[item]): of for item, of in ids_of_items(new).items()} == ids_of_items(old)
