"""A publication in memory keeps what ranks, and shares with the one before what both have."""

from __future__ import annotations

from pathlib import Path

from models.version import checkpoint as checkpoints
from serving.ranking import Asked
from tests.lakes import put
from tests.serving.shop import open_shop


def test_a_swap_shares_the_text_vectors_and_lists_need_neither_the_weights_before_the_hold_out_nor_the_item_texts(tmp_path: Path) -> None:
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
    assert after.words.items is before.words.items
    assert not len(after.live.model.items.text)
    whole = checkpoints.load(shop.folder)
    histories = [{"item_ids": ["i03", "i05"]}]
    assert after.recommend(histories) == whole.recommend(histories)
    assert live.recommend(Asked("u00"))
    live.segments.close()
