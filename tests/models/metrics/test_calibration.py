"""Calibration of interests, calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models.metrics.calibration import ALPHA, calibrate, item_interests

DRAMA, COMEDY, BOTH, NONE = range(4)
INTERESTS = item_interests(csr_matrix(np.array([[2.0, 0], [0, 1], [1, 1], [0, 0]], np.float32)))


def matrix(*rows: list[float]) -> csr_matrix:
    return csr_matrix(np.array(rows, np.float32))


def test_the_interests_of_an_item_sum_to_one_and_an_item_without_any_stays_empty() -> None:
    assert INTERESTS.toarray().tolist() == [[1, 0], [0, 1], [0.5, 0.5], [0, 0]]


def test_a_list_in_the_proportions_of_the_history_has_no_divergence() -> None:
    found = calibrate(matrix([3, 1, 0, 0], [0, 0, 5, 1]), np.array([[DRAMA, DRAMA, BOTH, BOTH], [DRAMA, COMEDY, -1, -1]]), INTERESTS)
    assert found.divergence == pytest.approx([0, 0], abs=1e-6)
    assert found.wanted == pytest.approx([0.625, 0.375])
    assert found.shown == pytest.approx([0.625, 0.375])


def test_a_list_that_leaves_an_interest_out_costs_by_its_share_of_the_history() -> None:
    found = calibrate(matrix([3, 1, 0, 0]), np.array([[DRAMA, DRAMA]]), INTERESTS)
    drama = 0.75 * np.log(0.75 / ((1 - ALPHA) + ALPHA * 0.75))
    comedy = 0.25 * np.log(0.25 / (ALPHA * 0.25))
    assert found.divergence == pytest.approx([drama + comedy], rel=1e-5)


def test_without_interests_in_history_or_list_there_is_no_figure_and_the_means_leave_the_list_out() -> None:
    history = matrix([0, 0, 0, 2], [1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0])
    found = calibrate(history, np.array([[DRAMA], [NONE], [DRAMA], [COMEDY]]), INTERESTS)
    assert np.isnan(found.divergence).tolist() == [True, True, True, False]
    assert (found.wanted.tolist(), found.shown.tolist()) == ([1, 0], [0, 1])
