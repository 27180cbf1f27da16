"""The interests of a night, and those of the minutes after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.config import EncoderConfig, IncrementConfig
from models.version.checkpoint import KnownInterests, load_interests
from tasks.config import GeneratorConfig
from tasks.event_types import EVENT_WEIGHTS
from tasks.interests.rows import FoundInterests
from tasks.lake import Lake, newest_snapshot
from tasks.minute import steps
from tasks.minute.feed import read_histories, read_news
from tasks.minute.pacing import ALL_SETTLED
from tasks.night.dataset import Dataset
from tasks.night.interests import interests_of_all, learn_interests
from tasks.night.learning import complete, learn
from tasks.watermarks import Watermarks
from tests.lakes import habits, put
from tests.tasks.night.test_learning import EVALUATION, MODEL, TRAIN, encoder, lake, pinned
from tests.tasks.publish.test_night import put as publish
from tests.tasks.publish.test_night import ranked

__all__ = ["encoder", "lake", "pinned"]

TENTS = {f"i{n:02}": f"{'red' if n % 2 else 'green'} tent number {n} ({1970 + 10 * (n % 3)})" for n in range(30)}


def spend(lake: Lake, data: Dataset, encoder: EncoderConfig, folder: Path, champion: Path | None = None) -> None:
    """A night that saves its version in a folder."""
    learnt = learn(data, MODEL, TRAIN, EVALUATION, seed=1)
    interests = learn_interests(lake, data, learnt, champion, encoder, GeneratorConfig(), seed=1)
    complete(data, learnt, MODEL, TRAIN, IncrementConfig(), 1, folder, interests=interests)


def of_user(found: FoundInterests, user_id: str) -> dict[tuple[int, str], float]:
    """Probability by horizon and interest."""
    held, user = found.found, list(found.user_ids).index(user_id)
    rows = np.flatnonzero(held.user == user)
    return {(int(held.horizon[n]), found.interests.interest_ids[held.interest[n]]): float(held.probability[n]) for n in rows}


def cited(found: FoundInterests, item_ids: tuple[str, ...], user_id: str) -> set[str]:
    items = found.found.evidence[found.found.user == list(found.user_ids).index(user_id)]
    return {item_ids[item] for item in items[items >= 0]}


def nobody_else(lake: Lake) -> steps.Audience:
    return steps.Audience(ALL_SETTLED, read_histories(lake, [], EVENT_WEIGHTS, MODEL.max_events))


def test_a_minute_finds_the_interests_that_a_night_with_the_same_model_finds(
    lake: Lake, pinned: Callable[[], Dataset], encoder: EncoderConfig, tmp_path: Path
) -> None:
    put(lake, habits(), TENTS, clear=True)
    data = pinned()
    spend(lake, data, encoder, tmp_path / "night")
    publish(lake, ranked({"u00": [1]}), max_events=MODEL.max_events)  # writes the histories
    put(lake, [("u00", "new", 500), ("u00", "i05", 501), ("nobody", "i07", 501.5)], {"new": "red tent number 5 (1980)"})
    today = pinned()
    news = read_news(lake, Watermarks(data.snapshot, data.snapshot), newest_snapshot(lake), EVENT_WEIGHTS, MODEL.max_events)
    state = steps.prepare(lake, tmp_path / "night", tmp_path / "night", news, data.encoder)
    learnt = steps.update_model(state, steps.predict_events(state, IncrementConfig()), IncrementConfig(), seed=1)
    minute = steps.interests(state, learnt, nobody_else(lake), MODEL.max_events, is_renewed=False)
    steps.save(learnt, tmp_path / "minute")
    night = interests_of_all(lake, today, tmp_path / "minute", MODEL.max_events)
    assert minute is not None
    assert night is not None
    assert minute.items is not None
    assert [state.live.catalog.item_ids[row] for row in minute.items] == ["new"]
    new = minute.interests.interest[minute.interests.item == minute.items[0]]
    assert [minute.interests.kinds[row] for row in new] == ["facet", "cluster"]
    for user in ("nobody", "u00"):
        expected, found = of_user(night, user), of_user(minute, user)
        assert {key: round(p, 4) for key, p in found.items()} == {key: round(p, 4) for key, p in expected.items()}
        ids = state.live.catalog.item_ids
        assert cited(minute, ids, user) <= items_of(today, user)


def items_of(data: Dataset, user_id: str) -> set[str]:
    """The items that a user has had."""
    return {data.catalog.item_ids[item] for item in data.events.item[data.events.user == data.user_ids.index(user_id)]}


@pytest.mark.slow
def test_interests_of_the_next_night_keep_the_ids_of_the_champion(
    lake: Lake, pinned: Callable[[], Dataset], encoder: EncoderConfig, tmp_path: Path
) -> None:
    put(lake, habits(), TENTS, clear=True)
    spend(lake, pinned(), encoder, tmp_path / "first")
    put(lake, [("u00", "a-new-one", 500)], {"a-new-one": "red tent number 31 (1970)"})
    spend(lake, pinned(), encoder, tmp_path / "second", champion=tmp_path / "first")
    first, second = load_interests(tmp_path / "first"), load_interests(tmp_path / "second")
    assert first is not None
    assert second is not None
    assert set(first.interests.kinds) == {"cluster", "facet"}

    def by_item(known: KnownInterests) -> dict[str, set[str]]:
        out: dict[str, set[str]] = {}
        for item, row in zip(known.interests.item, known.interests.interest, strict=True):
            out.setdefault(known.item_ids[item], set()).add(known.interests.interest_ids[row])
        return out

    before, after = by_item(first), by_item(second)
    assert np.mean([before[item] == after[item] for item in TENTS]) > 0.8


@pytest.mark.slow
def test_a_catalogue_without_descriptions_has_no_interests(
    lake: Lake, pinned: Callable[[], Dataset], encoder: EncoderConfig, tmp_path: Path
) -> None:
    put(lake, habits(), clear=True)
    data = pinned()
    spend(lake, data, encoder, tmp_path / "night")
    assert load_interests(tmp_path / "night") is None
    assert interests_of_all(lake, data, tmp_path / "night", MODEL.max_events) is None
