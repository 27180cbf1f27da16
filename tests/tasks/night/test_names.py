"""Names of clusters: generated only where a setting asks for it, only for clusters, and kept while the cluster stays the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.interests.vocabulary import Descriptions, Interests
from tasks.config import GeneratorConfig
from tasks.night.names import name_clusters
from tests.tasks.endpoint import open_endpoint

DESCRIBED = Descriptions(["Lodge skillet", "A pan of cast iron", "Kettle"], [()] * 3, [()] * 3, np.zeros(3, np.float32))
FOUND = Interests(
    interest_ids=("label:tea", "cluster:1"),
    kinds=("label", "cluster"),
    groups=("tag", "topic"),
    parents=np.array([-1, -1]),
    names=("Tea", "iron, cast, skillet"),
    terms=(("kettle",), ("iron", "cast", "skillet", "pan")),
    vectors=np.zeros((2, 4), np.float32),
    item=np.array([0, 1, 2]),
    interest=np.array([1, 1, 0]),
    weight=np.array([0.5, 1.0, 1.0], np.float32),
    n_items=3,
    price_bounds=np.zeros(0, np.float32),
)


def test_clusters_get_the_names_of_the_generator_and_keep_them_while_their_terms_stay() -> None:
    assert name_clusters(FOUND, DESCRIBED, None, GeneratorConfig()) is FOUND
    with open_endpoint() as endpoint:
        config = GeneratorConfig(url=endpoint.url, model="tiny")
        endpoint.says("Cast iron pans")
        named = name_clusters(FOUND, DESCRIBED, None, config)
        assert named.names == ("Tea", "Cast iron pans")
        assert '"titles": ["A pan of cast iron", "Lodge skillet"]' in endpoint.asked[0]["messages"][1]["content"]
        assert name_clusters(FOUND, DESCRIBED, named, config).names == named.names
        assert len(endpoint.asked) == 1, "a name that is known is not asked for again"
        endpoint.says("Woks")
        other = replace(FOUND, terms=(("kettle",), ("iron", "pan")))
        assert name_clusters(other, DESCRIBED, named, config).names == FOUND.names
        assert len(endpoint.asked) == 2
