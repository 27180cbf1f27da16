"""Searches between the lake and the model."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.config import EncoderConfig
from tasks import searches
from tasks.searches import SearchLog, as_searches, encoded, newer
from tests.models.text.test_encoder import save_tiny_bert


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> EncoderConfig:
    return EncoderConfig(name=str(save_tiny_bert(tmp_path_factory.mktemp("encoder") / "tiny")))


def searched(*found: tuple[str, str, int]) -> pl.DataFrame:
    users, texts, seconds = zip(*found, strict=True)
    return pl.DataFrame(
        {"user_id": users, "query": texts, "occurred_at": [datetime.fromtimestamp(second) for second in seconds], "time_s": seconds}
    )


def test_equal_texts_share_a_vector_and_a_text_without_words_stands_for_no_search(encoder: EncoderConfig) -> None:
    log = encoded(searched(("u", "red tent", 1), ("v", "\x00 \x1b[31m", 2), ("w", "red tent", 3)), encoder, "key")
    used = log.vectors[log.text]
    assert np.array_equal(used[0], used[2])
    assert used[0].any()
    assert not used[1].any()
    assert log.last_of_each()["user_id"].to_list() == ["u", "v", "w"]


def test_of_too_many_texts_the_oldest_count_as_no_search(
    encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(searches, "MAX_TEXTS", 1)
    log = encoded(searched(("u", "red tent", 1), ("v", "green tent", 2)), encoder, "key")
    assert [bool(row.any()) for row in log.vectors[log.text]] == [False, True]
    assert "2 different searches: the oldest 1 of them are left out" in caplog.text


def test_the_last_search_of_each_user_is_kept_for_a_day(encoder: EncoderConfig, tmp_path: Path) -> None:
    day = 24 * 3600
    log = encoded(searched(("u", "a", 0), ("v", "b", 5), ("u", "c", 10), ("w", "d", 3 * day)), encoder, "key")
    assert log.last_of_each().select("user_id", "query").rows() == [("u", "c"), ("v", "b"), ("w", "d")]
    assert log.last_of_each(3 * day)["user_id"].to_list() == ["w"]
    assert log.newest_s == 3 * day
    of_two = log.of_users(["w", "u"])
    assert list(zip(of_two.user.tolist(), of_two.time.tolist(), strict=True)) == [(0, 3 * day), (1, 0), (1, 10)]


def test_a_new_search_takes_the_place_of_an_older_one_but_not_of_a_later_one() -> None:
    def last(*found: tuple[str, str, int]) -> pl.DataFrame:
        return searched(*found).with_columns(vector=pl.Series([[1.0, 0.0]] * len(found), dtype=pl.List(pl.Float32)))

    both = newer(last(("u", "old", 1), ("v", "later", 9)), last(("u", "new", 1), ("v", "earlier", 5), ("w", "first", 3)))
    assert both.select("user_id", "query").rows() == [("u", "new"), ("v", "later"), ("w", "first")]
    ready = as_searches(both, ["w", "v"], dim=2)
    assert (ready.user.tolist(), ready.time.tolist()) == ([0, 1], [3, 9])
    assert len(as_searches(both, ["w"], dim=3)) == 0, "vectors of another encoder do not count"
    assert len(as_searches(both.clear(), ["w"], dim=3)) == 0


def test_a_log_of_nobody_has_no_searches() -> None:
    log = SearchLog(searched(("u", "a", 1)).clear(), np.empty(0, np.int64), np.zeros((1, 4), np.float32), [None], "key")
    assert len(log.of_users(["u"])) == 0
