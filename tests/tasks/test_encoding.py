"""The cache of text vectors in the lake."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from models.config import EncoderConfig
from models.text.encoder import load_encoder
from tasks.encoding import encode_changed_items, text_vectors
from tasks.lake import Lake, LakeConfig, current_snapshot, locate, migrate, reading, statement, writing
from tests.models.text.test_encoder import save_tiny_bert

Item = tuple[str, str | None, str | None, list[str] | None, list[str] | None]
ITEMS: list[Item] = [
    ("a", "Red tent", "A tent for two.", ["camping", "tents"], ["red"]),
    ("b", "Green tent", None, None, None),
    ("c", None, None, None, None),
    ("d", "  ", "", [], [" "]),
]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = locate(LakeConfig(), tmp_path / "home")
    migrate(lake)
    return lake


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> EncoderConfig:
    return EncoderConfig(name=str(save_tiny_bert(tmp_path_factory.mktemp("encoder") / "tiny")))


def put(lake: Lake, items: Sequence[Item]) -> None:
    with writing(lake) as con:
        con.executemany("insert into raw.items values (?, ?, ?, ?, ?, null, true, now()::timestamp, now()::timestamp)", items)


def retitle(lake: Lake, item_id: str, title: str | None) -> None:
    with writing(lake) as con:
        con.execute("update raw.items set title = $title where item_id = $item_id", {"title": title, "item_id": item_id})


def stored(lake: Lake) -> list[tuple[str, str]]:
    with reading(lake) as con:
        return con.execute("select item_id, text_hash from features.item_embeddings order by all").fetchall()


def snapshot(lake: Lake) -> int:
    with reading(lake) as con:
        return current_snapshot(con)


def test_items_with_text_get_a_vector_and_the_others_none(lake: Lake, config: EncoderConfig) -> None:
    put(lake, ITEMS)
    summary = encode_changed_items(lake, config)
    assert (summary.n_items, summary.n_encoded, summary.n_cached, summary.n_without_text) == (4, 2, 0, 2)
    assert [item_id for item_id, _ in stored(lake)] == ["a", "b"]


def test_texts_that_the_encoder_does_not_know_are_encoded_with_a_warning(
    lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(lake, [("a", "Чайник", None, None, None)])
    config = EncoderConfig(name=str(save_tiny_bert(tmp_path / "tiny-en")))
    with caplog.at_level(logging.WARNING, "minutehand.encoding"):
        assert encode_changed_items(lake, config).n_encoded == 1
        warnings = list(caplog.messages)
        assert ["in Cyrillic letters" in each for each in set(warnings)] == [True]
        encode_changed_items(lake, config)
    assert caplog.messages == warnings, "no new texts, no new warning"


def test_the_text_puts_the_long_description_last(lake: Lake) -> None:
    put(lake, ITEMS)
    with reading(lake) as con:
        con.execute(statement("encoding/define_item_text"))
        texts = con.execute("select item_text(title, description, categories, tags) from raw.items order by item_id").fetchall()
    assert texts == [("Red tent. camping, tents. red. A tent for two.",), ("Green tent",), (None,), (None,)]


def test_a_second_night_encodes_nothing_and_leaves_no_snapshot(lake: Lake, config: EncoderConfig) -> None:
    put(lake, ITEMS)
    encode_changed_items(lake, config)
    before = snapshot(lake)
    summary = encode_changed_items(lake, config)
    assert (summary.n_encoded, summary.n_cached) == (0, 2)
    assert snapshot(lake) == before


def test_only_a_changed_text_is_encoded_again_and_its_old_vector_is_gone(lake: Lake, config: EncoderConfig) -> None:
    put(lake, ITEMS)
    encode_changed_items(lake, config)
    before = dict(stored(lake))
    retitle(lake, "b", "Red red tent")
    assert encode_changed_items(lake, config).n_encoded == 1
    after = stored(lake)
    assert len(after) == 2
    assert dict(after)["a"] == before["a"]
    assert dict(after)["b"] != before["b"]


def test_the_vector_of_a_removed_text_is_deleted(lake: Lake, config: EncoderConfig) -> None:
    put(lake, ITEMS)
    encode_changed_items(lake, config)
    retitle(lake, "b", None)
    assert encode_changed_items(lake, config).n_encoded == 0
    assert [item_id for item_id, _ in stored(lake)] == ["a"]


def test_a_killed_run_keeps_its_chunks_and_the_next_goes_on_from_there(lake: Lake, config: EncoderConfig) -> None:
    put(lake, [(f"i{n}", f"red tent number {n}", None, None, None) for n in range(5)])
    encode_changed_items(lake, config, chunk_items=2)
    with writing(lake) as con:
        con.execute("delete from features.item_embeddings where item_id >= 'i2'")  # as if killed after the first chunk
    summary = encode_changed_items(lake, config, chunk_items=2)
    assert (summary.n_encoded, summary.n_cached) == (3, 2)
    assert len(stored(lake)) == 5


def test_vectors_are_read_back_as_the_encoder_returned_them(lake: Lake, config: EncoderConfig) -> None:
    put(lake, ITEMS)
    key = encode_changed_items(lake, config).encoder
    with reading(lake) as con:
        item_ids, vectors = text_vectors(con, key)
    expected = load_encoder(config, torch.device("cpu")).encode(["Red tent. camping, tents. red. A tent for two.", "Green tent"])
    assert item_ids.to_list() == ["a", "b"]
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, expected)


def test_encoders_do_not_share_vectors(lake: Lake, config: EncoderConfig) -> None:
    put(lake, ITEMS)
    encode_changed_items(lake, config)
    summary = encode_changed_items(lake, config.model_copy(update={"max_tokens": 8}))
    assert summary.n_encoded == 2
    assert len(stored(lake)) == 4


def test_a_catalogue_without_text_needs_no_weights(lake: Lake, tmp_path: Path) -> None:
    folder = save_tiny_bert(tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"no weights at all")
    put(lake, ITEMS[2:])
    config = EncoderConfig(name=str(folder))
    summary = encode_changed_items(lake, config)
    assert (summary.n_encoded, summary.n_without_text) == (0, 2)
    with reading(lake) as con:
        item_ids, vectors = text_vectors(con, summary.encoder)
    assert item_ids.is_empty()
    assert vectors.shape == (0, 0)


def test_the_counts_are_logged(lake: Lake, config: EncoderConfig, caplog: pytest.LogCaptureFixture) -> None:
    put(lake, ITEMS)
    with caplog.at_level(logging.INFO, logger="minutehand.encoding"):
        encode_changed_items(lake, config)
    assert "2 of 4 items encoded by tiny@" in caplog.text
    assert "0 unchanged, 2 without text" in caplog.text


def test_with_little_time_one_chunk_is_encoded_and_the_rest_is_counted(lake: Lake, config: EncoderConfig) -> None:
    put(lake, [(f"i{n}", f"tent number {n}", None, None, None) for n in range(5)])
    summary = encode_changed_items(lake, config, progress=False, chunk_items=2, within_s=0.0)
    assert (summary.n_encoded, summary.n_left_out) == (2, 3)
    assert [item_id for item_id, _ in stored(lake)] == ["i0", "i1"]
    assert encode_changed_items(lake, config, progress=False, within_s=3600.0).n_encoded == 3
