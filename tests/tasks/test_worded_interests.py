"""A text speaks of interests: of those of the items that fit it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.config import EncoderConfig
from models.errors import UserError
from models.interests.words import SHARPNESS_TEXT, in_words, nearest_items
from models.text.encoder import find_encoder, load_encoder
from models.text.towers import Head, Words
from models.training.capture_fit import fit_capture
from models.version import checkpoint as checkpoints
from tasks.lake import Lake, writing
from tasks.publish.night import publish_night
from tasks.publish.publication import Files
from tasks.registry.integrity import digest_of
from tasks.worded_interests import WordedInterests, interests_in
from tests.models.interests.test_users import events_of
from tests.models.interests.test_vocabulary import described
from tests.models.interests.test_vocabulary import found as vocabulary_of
from tests.models.text.test_encoder import save_tiny_bert
from tests.tasks.fruits import ITEMS, save_checkpoint
from tests.tasks.publish.test_night import WEIGHTS, add_events, add_item, provenance, ranked, shown
from tests.tasks.test_live import no_registry

TITLES = ("red tent", "red tent", "green", "green", "tent tent")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> EncoderConfig:
    return EncoderConfig(name=str(save_tiny_bert(tmp_path_factory.mktemp("encoder") / "tiny")))


def publish(lake: Lake, folder: Path, encoder: EncoderConfig, *, has_towers: bool, has_interests: bool = True) -> None:
    """Publish a version of five fruits: the first two are called a red tent and are Camping, the next two are Garden."""
    key, text = find_encoder(encoder).key, load_encoder(encoder, torch.device("cpu")).encode(list(TITLES))
    interests = vocabulary_of(described(("Camping",), ("Camping",), ("Garden",), ("Garden",), (), titles=[f"{t} (1970)" for t in TITLES]))
    capture = fit_capture(events_of((0, 1, 1)), interests.shares, interests.group_numbers, 0, 7)
    version = replace(
        checkpoints.load(save_checkpoint(folder / "fruits")),
        encoder=key,
        words=Words.of(Head(8).eval(), Head(8).eval(), text, 1.0) if has_towers else None,
        interests=interests if has_interests else None,
        capture=capture if has_interests else None,
    )
    checkpoints.save(version, folder / "version")
    for item_id, title in zip(ITEMS, TITLES, strict=True):
        add_item(lake, item_id, title)
    with writing(lake) as con:
        for item_id, vector in zip(ITEMS, text, strict=True):
            con.execute(
                "insert into features.item_embeddings by name select $id as item_id, $key as encoder, '' as text_hash,"
                " $vector::float[] as vector, now()::timestamp as encoded_at",
                {"id": item_id, "key": key, "vector": vector.tolist()},
            )
    add_events(lake, ("u", "a", "view", 1))
    files = Files(folder / "version", digest_of(folder / "version"))
    publish_night(lake, replace(shown(ranked({"u": [1]}), provenance(lake, "7")), checkpoint=files), WEIGHTS)


def ask(lake: Lake, encoder: EncoderConfig, text: str) -> WordedInterests:
    return interests_in(lake, no_registry, encoder, text)


@pytest.mark.slow
@pytest.mark.parametrize("has_towers", [True, False])
def test_a_text_speaks_of_the_interests_of_the_items_that_fit_it(
    lake: Lake, tmp_path: Path, encoder: EncoderConfig, has_towers: bool
) -> None:
    publish(lake, tmp_path, encoder, has_towers=has_towers)
    first, *others = ask(lake, encoder, "red tent").rows
    assert (first["interest_id"], first["kind"], first["dimension"], first["model_version"]) == ("label:camping", "label", "tag", "7")
    assert first["probability"] > 0.6
    assert (first["evidence"], first["evidence_titles"]) == (["apple", "pear"], ["red tent", "red tent"])
    assert first["probability"] + sum(row["probability"] for row in others) == pytest.approx(1, abs=1e-3)
    assert ask(lake, encoder, "green").rows[0]["interest_id"] == "label:garden"


@pytest.mark.slow
def test_any_text_gets_an_answer(lake: Lake, tmp_path: Path, encoder: EncoderConfig) -> None:
    publish(lake, tmp_path, encoder, has_towers=True)
    for text in ("给我一个锅", "red " * 25_000, "\x1b[31mred\x00", "not horror; ignore the above"):
        assert sum(row["probability"] for row in ask(lake, encoder, text).rows) == pytest.approx(1, abs=1e-3), text


def test_a_text_without_words_and_a_version_without_interests_get_one_clear_line(
    lake: Lake, tmp_path: Path, encoder: EncoderConfig
) -> None:
    with pytest.raises(UserError, match="nothing has been published yet"):
        ask(lake, encoder, "red")
    publish(lake, tmp_path, encoder, has_towers=True, has_interests=False)
    with pytest.raises(UserError, match="the live model knows no interests"):
        ask(lake, encoder, "red")
    with pytest.raises(UserError, match="has no words"):
        ask(lake, encoder, " \x00 ")
    with pytest.raises(UserError, match="has no words"):
        ask(lake, encoder, "🎸")


def test_items_count_by_their_cosine_and_each_group_sums_to_one() -> None:
    interests = vocabulary_of(described(*[(name,) for name in "aabbccdd"], titles=[f"t ({1950 + 10 * (n % 2)})" for n in range(8)]))
    cosine = np.zeros((1, 8), np.float32)
    cosine[0, 2:4] = 1, 0.9
    found = in_words(interests, cosine, SHARPNESS_TEXT)[0]
    assert interests.interest_ids[int(found.argmax())] == "label:b"
    assert [float(found[rows].sum()) for rows in interests.group_rows.values()] == pytest.approx([1, 1])
    assert nearest_items(interests, cosine[0], interests.interest_ids.index("label:b"), 5).tolist() == [2, 3]
