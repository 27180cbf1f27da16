"""Groups of users and of items, for fairness. A group is a segment with a name such as `activity=low`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from models.events import Ints
from models.metrics.segments import Mask
from models.results import MetricRow

LEAST_USERS = 20
"""A group by an attribute with fewer users has no figures: they would say too much about single users."""
MAX_VALUES = 6
"""Only the most frequent values of an attribute have groups."""
LEAST_EVENTS = 30
"""A group with fewer events cannot be the worst, as its figure is mostly chance."""
NONE = "none"


def thirds(family: str, names: tuple[str, str, str], value: Ints) -> dict[str, Mask]:
    """Masks of the users with the lowest, the middle and the highest third of the values above 0, and of those without a value (0).

    Equal values are in one group, so groups may differ in size; empty groups are left out.
    """
    known = value > 0
    borders = np.quantile(value[known], [1 / 3, 2 / 3], method="inverted_cdf") if known.any() else np.zeros(2)
    third = np.searchsorted(borders, value, side="left")
    masks = {NONE: ~known, **{name: known & (third == n) for n, name in enumerate(names)}}
    return {f"{family}={name}": mask for name, mask in masks.items() if mask.any()}


def by_attribute(family: str, value: Sequence[str | None]) -> dict[str, Mask]:
    """Masks of the users with each of the most frequent values; None is no value. Groups of fewer than LEAST_USERS are left out."""
    values = np.array(["" if each is None else each for each in value], dtype=object)
    found, counts = np.unique([each for each in value if each is not None], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_VALUES]
    return {f"{family}={found[n]}": values == found[n] for n in order if counts[n] >= LEAST_USERS}


def family_of(segment: str) -> str | None:
    """The family of a group, such as `activity`; None for other segments."""
    family, is_group, _ = segment.partition("=")
    return family if is_group else None


def worst_group(rows: Iterable[MetricRow], model: str, metric: str) -> MetricRow | None:
    """The row of the group with the lowest value of a metric, among groups with LEAST_EVENTS; None without one."""
    of_groups = [row for row in rows if (row.model, row.metric) == (model, metric) and family_of(row.segment)]
    measured = [row for row in of_groups if row.value is not None and row.n_events >= LEAST_EVENTS]
    return min(measured, key=lambda row: row.value or 0.0, default=None)
