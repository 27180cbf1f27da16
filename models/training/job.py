"""A training as a folder of arrays and numbers, so that other processes can carry it out."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from models.config import RecommenderConfig, TrainConfig
from models.errors import UserError
from models.events import Events
from models.sequence.recommender import Recommender
from models.sequence.whitening import Whitening
from models.training.course import Course
from models.training.files import curve_as_json, curve_of, read, write
from models.training.judge import Judge
from models.training.passed import Passed
from models.training.training import Curve, Offsets, OnEpoch, Sampling, choose_sampling, train

FORMAT = 1
JOB, RESULT, EPOCHS, ALIVE = "job.safetensors", "result.safetensors", "epochs.jsonl", "alive"
NEXT = "next"
"""The file next to the folders of jobs; it names the job to do."""
COLUMNS, SIZES = ("user", "item", "kind", "time", "weight"), ("n_users", "n_items", "n_kinds")


class JobError(UserError):
    """A folder holds no training that this version of minutehand can carry out."""


@dataclass(frozen=True)
class Training:
    """All that decides a training. model: untrained, and trained in place. The other fields are as in `models.training.training.train`.

    chooses: whether it chooses by the time budget how steps sample items; otherwise they do as the offsets say.
    """

    model: Recommender
    events: Events
    offsets: Offsets
    config: TrainConfig
    seed: int
    searches: Tensor | None = None
    judge: Judge | None = None
    course: Course | None = None
    n_epochs: float | None = None
    chooses: bool = False


Trainer = Callable[[Training, OnEpoch | None], tuple[Curve, Sampling | None]]
"""Carries out a training; returns its curve, and how its steps sampled items."""


def train_here(training: Training, on_epoch: OnEpoch | None = None) -> tuple[Curve, Sampling | None]:
    """A training in this process."""
    model, events, offsets, config = training.model, training.events, training.offsets, training.config
    if training.chooses:
        sampling = choose_sampling(model, events, offsets, config, seed=training.seed, searches=training.searches)
        offsets = replace(offsets, sampling=sampling)
    curve = train(
        *(model, events, offsets, config),
        seed=training.seed,
        n_epochs=training.n_epochs,
        course=training.course,
        judge=training.judge,
        on_epoch=on_epoch,
        searches=training.searches,
    )
    return curve, offsets.sampling


@dataclass(frozen=True)
class Job:
    """A training in a folder, and how it is carried out. n_threads: of each worker."""

    training: Training
    n_workers: int
    n_threads: int

    def save(self, folder: Path) -> Path:
        """Writes the job below a folder, named by its content: the same training finds what is left of an earlier attempt."""
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="new-", dir=folder) as new:
            unfinished = Path(new) / "job"
            unfinished.mkdir()
            write(unfinished / JOB, *_described(self))
            with (unfinished / JOB).open("rb") as source:
                place = folder / hashlib.file_digest(source, "sha256").hexdigest()[:16]
            if not place.exists():
                shutil.move(unfinished, place)
        return place

    @staticmethod
    def load(folder: Path, device: torch.device) -> Job:
        """The job in a folder; its arrays are mapped into memory, which workers of one machine share. Raises JobError."""
        try:
            tensors, about = read(folder / JOB)
        except (OSError, SafetensorError) as error:
            raise JobError(f"cannot read {folder / JOB}: {error}; name the folder of a training that a night has begun") from error
        if about.get("format") != FORMAT:
            raise JobError(f"{folder} has format {about.get('format')}, and this version reads {FORMAT}; run one version on all machines")
        return _restored(tensors, about, device)


def _described(job: Job) -> tuple[dict[str, Tensor], dict[str, Any]]:
    training = job.training
    model, offsets, judge = training.model, training.offsets, training.judge
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {"prior": offsets.prior, "slot": torch.from_numpy(offsets.slot)}
    about: dict[str, Any] = {
        "format": FORMAT,
        "torch": torch.__version__,
        "n_workers": job.n_workers,
        "n_threads": job.n_threads,
        "seed": training.seed,
        "n_epochs": training.n_epochs,
        "chooses": training.chooses,
        "course": None if training.course is None else asdict(training.course),
        "sampling": None if offsets.sampling is None else asdict(offsets.sampling),
        "model": model.config.model_dump(),
        "train": training.config.model_dump(),
        "events": _add_events(tensors, "events", training.events),
        "passed": None if offsets.passed is None else offsets.passed.weight,
        "judge": None if judge is None else _add_judge(tensors, judge.of_its_users()),
    }
    if offsets.passed is not None:
        tensors |= {"passed.start": torch.from_numpy(offsets.passed.start), "passed.item": torch.from_numpy(offsets.passed.item)}
    if training.searches is not None:
        tensors["searches"] = training.searches
    return tensors, about


def _add_events(tensors: dict[str, Tensor], name: str, events: Events) -> dict[str, int]:
    tensors |= {f"{name}.{column}": torch.from_numpy(getattr(events, column)) for column in COLUMNS}
    return {size: getattr(events, size) for size in SIZES}


def _add_judge(tensors: dict[str, Tensor], judge: Judge) -> dict[str, int]:
    arrays: dict[str, np.ndarray] = {"rows": judge.rows, "target": judge.target, "place": judge.place}
    if judge.seen is not None:
        arrays |= {"seen_number": judge.seen[0], "seen_item": judge.seen[1]}
    if judge.texts is not None:
        arrays["texts"] = judge.texts
    tensors |= {f"judge.{name}": torch.from_numpy(value) for name, value in arrays.items()}
    tensors["judge.table"] = judge.table
    return _add_events(tensors, "judge.events", judge.events)


def _restored(tensors: dict[str, Tensor], about: dict[str, Any], device: torch.device) -> Job:
    arrays = {name: value.numpy() for name, value in tensors.items() if value.dtype != torch.bfloat16}
    course, sampling, judge = about["course"], about["sampling"], None
    if about["judge"] is not None:
        seen = (arrays["judge.seen_number"], arrays["judge.seen_item"]) if "judge.seen_item" in arrays else None
        judge = Judge(
            events=_events(arrays, "judge.events", about["judge"]),
            rows=arrays["judge.rows"],
            target=arrays["judge.target"],
            table=tensors["judge.table"],
            place=arrays["judge.place"],
            seen=seen,
            texts=arrays.get("judge.texts"),
        )
    passed = None if about["passed"] is None else Passed(arrays["passed.start"], arrays["passed.item"], about["passed"])
    return Job(
        Training(
            model=_model(tensors, RecommenderConfig.model_validate(about["model"])).to(device),
            events=_events(arrays, "events", about["events"]),
            offsets=Offsets(tensors["prior"].to(device), arrays["slot"], None if sampling is None else Sampling(**sampling), passed),
            config=TrainConfig.model_validate(about["train"]),
            seed=about["seed"],
            searches=tensors["searches"].to(device) if "searches" in tensors else None,
            judge=judge,
            course=None if course is None else Course(**{**course, "planned": tuple(tuple(entry) for entry in course["planned"])}),
            n_epochs=about["n_epochs"],
            chooses=about["chooses"],
        ),
        about["n_workers"],
        about["n_threads"],
    )


def _events(arrays: dict[str, np.ndarray], name: str, sizes: dict[str, int]) -> Events:
    user, item, kind, time, weight = (arrays[f"{name}.{column}"] for column in COLUMNS)
    return Events(user, item, kind, time, weight, *(sizes[size] for size in SIZES))


def _model(tensors: dict[str, Tensor], config: RecommenderConfig) -> Recommender:
    state = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
    whitening = None
    if "searches.centre" in state:
        whitening = Whitening(state["searches.centre"].numpy(), state["searches.projection"].numpy())
    n_kinds = len(state["kind.weight"])
    model = Recommender(config, torch.zeros_like(state["items.text"]), n_kinds, torch.Generator(), whitening)
    model.load_state_dict(state)
    return model


@dataclass(frozen=True)
class Result:
    """What a training gives: the state of its model, its curve, and how its steps sampled items."""

    state: dict[str, Tensor]
    curve: Curve
    sampling: Sampling | None

    def save(self, folder: Path) -> None:
        tensors = {f"model.{name}": value for name, value in self.state.items()}
        tensors |= {f"squares.{name}": value for name, value in self.curve.squares.items()}
        sampling = self.sampling
        about = {"n_items": sampling.n_items, "n_drawn": sampling.n_drawn} if sampling is not None else None
        write(folder / RESULT, tensors, {"curve": curve_as_json(self.curve), "sampling": about})

    @staticmethod
    def load(folder: Path) -> Result:
        tensors, about = read(folder / RESULT)
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "squares": {}}
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            parts[kind][rest] = value
        curve = replace(curve_of(about["curve"]), squares={name: value.clone() for name, value in parts["squares"].items()})
        return Result(parts["model"], curve, None if about["sampling"] is None else Sampling(**about["sampling"]))
