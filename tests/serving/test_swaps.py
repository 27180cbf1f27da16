"""A publication in memory keeps what ranks, and leaves the rest in its files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.version import checkpoint as checkpoints
from serving import published
from serving.items import ItemTable
from serving.ranking import Asked
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import Lake, LakeConfig, has_catalog, locate, newest_snapshot, statement, writing
from tasks.publish.past import past_publication
from tasks.publish.restore import restore
from tasks.scenarios import load_scenarios
from tests.lakes import put
from tests.serving.shop import no_registry, open_shop


@pytest.mark.slow
def test_a_swap_maps_the_text_vectors_and_lists_need_neither_the_weights_before_the_hold_out_nor_the_item_texts(tmp_path: Path) -> None:
    shop = open_shop(tmp_path)
    live = shop.start()
    before = live.published.checkpoint
    assert before.words is not None
    assert (before.past, checkpoints.load(shop.folder).past is None) == (None, False)
    put(shop.lake, [("u00", "i03", 5000)])
    shop.minute()
    assert live.refresh()
    after = live.published.checkpoint
    assert live.published.version == "2"
    assert after.words is not None
    assert np.array_equal(after.words.items, before.words.items)
    mapped = Path("/proc/self/maps").read_text()
    assert str(shop.folder / "words.safetensors") in mapped
    assert str(shop.folder / "live.safetensors") not in mapped  # its item vectors are in memory
    assert not len(after.live.model.items.text)
    whole = checkpoints.load(shop.folder)
    histories = [{"item_ids": ["i03", "i05"]}]
    assert after.recommend(histories) == whole.recommend(histories)
    assert live.recommend(Asked("u00"))
    live.segments.close()


@pytest.mark.slow
def test_the_api_follows_a_rollback_with_the_weights_of_the_version_and_the_events_since(tmp_path: Path) -> None:
    shop = open_shop(tmp_path)
    live = shop.start()
    first = live.published.checkpoint
    put(shop.lake, [("u00", "i03", 5000)])
    shop.minute()
    put(shop.lake, [("u00", "i05", 5001)])
    assert live.refresh()
    found = past_publication(shop.lake, "1")
    assert found is not None
    restore(shop.lake, found, "rollback", load_scenarios(tmp_path), EVENT_WEIGHTS, datetime.now(UTC).replace(tzinfo=None))
    assert live.refresh()
    after = live.published
    assert after.version == "1"
    assert np.array_equal(after.checkpoint.popularity, first.popularity)
    assert after.data_snapshot == int(shop.rows("select snapshot from ops.watermarks where consumer = 'published'")[0][0])
    user = after.row_of_user["u00"]
    assert after.row_of_item["i03"] in after.events.item[after.events.user == user]
    assert live.recommend(Asked("u00"))
    live.segments.close()


def expire_all(lake: Lake) -> None:
    """Let all snapshots but a new one expire, as an erasure does."""
    with writing(lake) as con:
        con.execute("update raw.items set description = 'changed'")
    newest = newest_snapshot(lake)
    with writing(lake) as con:
        older = [found for (found,) in con.execute(statement("privacy/snapshots_before"), {"snapshot": newest}).fetchall()]
        con.execute(statement("maintain/expire"), {"versions": older}).fetchall()


@pytest.mark.slow
def test_a_publication_and_new_scenarios_are_read_also_if_their_snapshot_expires_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_shop(tmp_path)
    live = shop.start()
    expire_all(shop.lake)
    (tmp_path / "scenarios.toml").write_text("[cart]\nwhere = 'price < 5'\n", encoding="utf-8")
    assert not live.refresh()
    assert list(live.published.places) == ["default", "cart"]
    assert {row["item_id"] for row in live.recommend(Asked("u00", k=30, scenario="cart"))} <= {f"i{n:02}" for n in range(5)}
    read_items, calls = ItemTable.build, 0

    def expiring(*given: Any) -> ItemTable:
        nonlocal calls
        calls += 1
        if calls == 1:
            expire_all(shop.lake)
        return read_items(*given)

    monkeypatch.setattr(ItemTable, "build", staticmethod(expiring))
    again = published.load_published(shop.lake, no_registry, EVENT_WEIGHTS, 10, live.published, tmp_path)
    assert calls == 2
    assert again.read_at > live.published.read_at
    assert list(again.places) == ["default", "cart"]
    live.segments.close()


@pytest.mark.slow
def test_histories_that_are_converted_in_blocks_are_those_of_one_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = open_shop(tmp_path)
    live = shop.start()
    monkeypatch.setattr(published, "BLOCK_USERS", 7)
    parts = published.load_published(shop.lake, live.open_registry, live.event_weights, 3)
    monkeypatch.setattr(published, "BLOCK_USERS", 1000)
    whole = published.load_published(shop.lake, live.open_registry, live.event_weights, 3)
    assert len(whole.row_of_user) > 2 * 7
    for name in ("user", "item", "kind", "time", "weight", "n_users", "n_items", "n_kinds"):
        assert np.array_equal(getattr(parts.events, name), getattr(whole.events, name))
    for name in ("n_events", "start", "stop", "item"):
        assert np.array_equal(getattr(parts.earlier, name), getattr(whole.earlier, name))
    assert len(whole.earlier.item)
    assert np.array_equal(parts.trend, whole.trend)
    live.segments.close()


def test_a_lake_whose_tables_are_still_being_created_has_no_publication(home: Path) -> None:
    lake = locate(LakeConfig(), home)
    with writing(lake):
        pass
    assert has_catalog(lake)
    assert published.newest_publication(lake) is None
