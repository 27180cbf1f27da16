"""Names of clusters by a language model, where a setting asks for one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.interests.vocabulary import Descriptions, Interests
from tasks.config import GeneratorConfig
from tasks.generator import open_writer

N_TITLES = 8


def name_clusters(found: Interests, described: Descriptions, before: Interests | None, config: GeneratorConfig) -> Interests:
    """The interests with names for the clusters; without a model they stay as they are. A cluster with the terms of before keeps its name.

    described: the items of the interests. before: the interests of the version before.
    """
    if not config.model:
        return found
    named = {} if before is None else dict(zip(zip(before.interest_ids, before.terms, strict=True), before.names, strict=True))
    writer, names = open_writer(config), list(found.names)
    for row, kind in enumerate(found.kinds):
        if kind != "cluster" or not found.terms[row]:
            continue
        template = names[row]
        known = named.get((found.interest_ids[row], found.terms[row]), template)
        names[row] = writer.name_cluster(found.terms[row], _titles(found, row, described), template) if known == template else known
    writer.note()
    return replace(found, names=tuple(names))


def _titles(found: Interests, row: int, described: Descriptions) -> list[str]:
    """Titles of the items that belong to an interest most."""
    members = np.flatnonzero(found.interest == row)
    members = members[np.argsort(-found.weight[members], kind="stable")]
    return [title for entry in members if (title := described.titles[found.item[entry]])][:N_TITLES]
