"""One of RecTools' transformers on one split; runs in an environment with RecTools and without minutehand.

    python bench/peers/rectools_model.py FOLDER sasrec|esasrec MINUTES SEED THREADS

RecTools validates only on training users; if the validation period has none of them, the last epoch counts.

FOLDER/split.npz contains the training events, the validation events, and the history of each test event. The results are
FOLDER/NAME.npz with the ten best items of each test event, -1 at the end of shorter lists, and FOLDER/NAME.json with the seconds.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Trainer, seed_everything  # type: ignore[import-not-found]
from pytorch_lightning.callbacks import ModelCheckpoint  # type: ignore[import-not-found]
from rectools import Columns  # type: ignore[import-not-found]
from rectools.dataset import Dataset  # type: ignore[import-not-found]
from rectools.models import SASRecModel  # type: ignore[import-not-found]
from rectools.models.nn.transformers.ligr import LiGRLayers  # type: ignore[import-not-found]

EPOCH = pd.Timestamp("2000-01-01")
VALIDATION = pd.Timestamp("2200-01-01")
K = 10


def frame(user: np.ndarray, item: np.ndarray, moments: pd.DatetimeIndex | pd.Timestamp) -> pd.DataFrame:
    return pd.DataFrame({Columns.User: user, Columns.Item: item, Columns.Weight: 1.0, Columns.Datetime: moments})


def in_order(n: int) -> pd.DatetimeIndex:
    """Times in the order of the rows; RecTools uses only their order."""
    return EPOCH + pd.to_timedelta(np.arange(n), unit="s")


def is_validation(interactions: pd.DataFrame, **_: Any) -> np.ndarray:
    return (interactions[Columns.Datetime] >= VALIDATION).to_numpy()


def build(name: str, length: int, minutes: float, folder: Path, *, validates: bool) -> SASRecModel:
    """SASRec with the full softmax, and eSASRec (LiGR blocks, sampled softmax), both as wide and as deep as minutehand.

    Batches of 16 users instead of the default 128: in a few minutes the number of steps matters most (movielens-1m after
    .8 epochs of 16: NDCG@10 .022, after 3.1 epochs of 128: .019), and an epoch takes somewhat less.
    validates: keep the epoch with the lowest validation loss, else the last one.
    """

    def trainer() -> Trainer:
        best = ModelCheckpoint(dirpath=folder / name, monitor="val_loss", mode="min", filename="best", save_weights_only=False)
        return Trainer(
            max_epochs=10_000,
            max_time=timedelta(minutes=minutes),
            accelerator="cpu",
            devices=1,
            callbacks=[best] if validates else [],
            enable_checkpointing=validates,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    shared: dict[str, Any] = {
        "n_blocks": 2,
        "n_heads": 2,
        "n_factors": 128,
        "session_max_len": length,
        "dropout_rate": 0.2,
        "batch_size": 16,
        "lr": 1e-3,
        "get_val_mask_func": is_validation if validates else None,
        "get_trainer_func": trainer,
        "recommend_torch_device": "cpu",
    }
    if name == "sasrec":
        return SASRecModel(loss="softmax", **shared)
    return SASRecModel(loss="sampled_softmax", n_negatives=256, transformer_layers_type=LiGRLayers, **shared)


def main() -> None:
    folder, name, minutes, seed, threads = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    seed_everything(seed)
    if threads:
        torch.set_num_threads(threads)
    split = np.load(folder / "split.npz", allow_pickle=False)
    learnt = frame(split["train_user"], split["train_item"], in_order(len(split["train_user"])))
    chosen_by = frame(split["validation_user"], split["validation_item"], VALIDATION)
    validates = bool((chosen_by[Columns.User].isin(learnt[Columns.User]) & chosen_by[Columns.Item].isin(learnt[Columns.Item])).any())
    started = time.monotonic()
    model = build(name, int(split["length"]), minutes, folder, validates=validates)
    model.fit(Dataset.construct(pd.concat([learnt, chosen_by] if validates else [learnt], ignore_index=True)))
    epochs = model.fit_trainer.global_step / model.fit_trainer.num_training_batches
    checkpoint = model.fit_trainer.checkpoint_callback.best_model_path if validates else ""
    if checkpoint:
        model.load_weights_from_checkpoint(checkpoint)
    trained = time.monotonic()
    histories = frame(split["history_user"], split["history_item"], in_order(len(split["history_user"])))
    rows = np.unique(split["history_user"])
    found = model.recommend(
        rows, Dataset.construct(histories), k=K, filter_viewed=bool(split["hide_seen"]), on_unsupported_targets="ignore"
    )
    top = np.full((int(split["n_test"]), K), -1)
    top[found[Columns.User].to_numpy(), found[Columns.Rank].to_numpy() - 1] = found[Columns.Item].to_numpy()
    np.savez(folder / f"{name}.npz", top=top)
    about = {
        "epochs": epochs,
        "training_s": trained - started,
        "seconds": time.monotonic() - started,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    (folder / f"{name}.json").write_text(json.dumps(about), encoding="utf-8")


if __name__ == "__main__":
    main()
