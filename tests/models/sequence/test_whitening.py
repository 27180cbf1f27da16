"""Whitening: equal scales, no leaks from the future, and missing texts."""

from __future__ import annotations

import numpy as np

from models.events import Floats
from models.sequence.whitening import Whitening

ALL = np.ones(400, bool)


def lopsided(n: int = 400, seed: int = 0) -> Floats:
    """Texts that share one strong direction and differ in a few weak ones."""
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(n, 6)) * np.array([0.1, 0.2, 0.5, 1.0, 0.3, 0.05]) + np.array([9.0, 0, 0, 0, 0, 0])
    return text.astype(np.float32)


def test_dominant_directions_weigh_about_as_much_as_others_after_whitening() -> None:
    text = lopsided()
    whitening = Whitening.fit(text, 4, ALL, shrinkage=1e-6)
    spread = ((text - whitening.centre) @ whitening.projection).std(0)
    assert np.allclose(spread, 1, atol=0.01)
    assert np.abs(np.corrcoef(whitening.apply(text), rowvar=False) - np.eye(4)).max() < 0.1


def test_shrinkage_limits_the_amplification_of_noise() -> None:
    text = lopsided()
    whitening = Whitening.fit(text, 6, ALL, shrinkage=0.5)
    spread = ((text - whitening.centre) @ whitening.projection).std(0)
    assert (np.diff(spread) < 0).all()
    assert spread[-1] < 0.3


def test_rows_have_unit_length_and_those_without_text_are_zero() -> None:
    text = lopsided()
    text[7] = 0
    rows = Whitening.fit(text, 4, ALL).apply(text)
    assert rows.dtype == np.float32
    assert (rows[7] == 0).all()
    assert np.allclose(np.linalg.norm(np.delete(rows, 7, 0), axis=1), 1, atol=1e-5)


def test_only_the_rows_to_fit_on_and_only_those_with_text_are_looked_at() -> None:
    text, past = lopsided(), np.arange(400) < 200
    fitted = Whitening.fit(text, 4, past)
    changed = text.copy()
    changed[200:] = changed[200:] * 50 + 3
    again = Whitening.fit(changed, 4, past)
    assert np.array_equal(fitted.centre, again.centre)
    assert np.array_equal(fitted.projection, again.projection)
    padded = Whitening.fit(np.vstack([text, np.zeros_like(text)]), 4, np.concatenate([past, ~past]))
    assert np.allclose(fitted.centre, padded.centre) or not np.allclose(padded.centre, 0)


def test_empty_texts_do_not_change_the_fit() -> None:
    text = lopsided()
    with_holes = np.vstack([text, np.zeros((50, 6), np.float32)])
    assert np.allclose(Whitening.fit(with_holes, 4, np.ones(450, bool)).centre, Whitening.fit(text, 4, ALL).centre)


def test_the_fit_uses_all_texts_if_fewer_than_two_items_have_past_events() -> None:
    text = lopsided()
    none = Whitening.fit(text, 4, np.zeros(400, bool))
    assert np.array_equal(none.projection, Whitening.fit(text, 4, ALL).projection)


def test_no_text_or_one_text_gives_zero_rows_and_no_nan() -> None:
    nothing = np.zeros((3, 6), np.float32)
    assert (Whitening.fit(nothing, 4, ALL[:3]).apply(nothing) == 0).all()
    one = nothing.copy()
    one[1] = 1
    assert (Whitening.fit(one, 4, ALL[:3]).apply(one) == 0).all()


def test_equal_texts_give_no_nan() -> None:
    same = np.ones((5, 6), np.float32)
    assert np.isfinite(Whitening.fit(same, 4, ALL[:5]).apply(same)).all()


def test_dimensions_beyond_the_width_of_the_text_are_zero() -> None:
    text = lopsided()
    rows = Whitening.fit(text, 10, ALL).apply(text)
    assert rows.shape == (400, 10)
    assert (rows[:, 6:] == 0).all()


def test_a_later_text_gets_the_vector_of_an_equal_earlier_one() -> None:
    text = lopsided()
    whitening = Whitening.fit(text, 4, ALL)
    assert np.allclose(whitening.apply(text[5:6]), whitening.apply(text)[5:6], atol=1e-6)
