"""The plan of a night: all that decides its weights besides the data, recorded so that another night can repeat it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import UserError
from models.training.course import Course
from tasks.night.dataset import Dataset
from tasks.night.learning import FittedNight

PARTS = ("encoder", "model", "train", "increment", "evaluation")
"""Groups of settings that decide the weights. Of ingest, only the event weights do."""


class PlanError(UserError):
    """There is no plan where one is sought, or it cannot be followed."""


class Plan(BaseModel):
    """The plan of one night.

    snapshot, n_events, n_users, n_items: of the data that it was made for. threads, device: sums over several threads, or on a card, come
    out differently. settings: by group, as in Settings. course: of the training before the hold-out; that of the refit follows from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    snapshot: int
    n_events: int
    n_users: int
    n_items: int
    seed: int
    threads: int
    device: str
    torch: str
    git_revision: str | None
    event_weights: dict[str, float]
    settings: dict[str, dict[str, Any]]
    course: Course

    @property
    def summary(self) -> str:
        """The plan in words."""
        steps = "a sample of items" if self.course.is_sampled else "all items"
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        workers = "" if self.workers == 1 else f" of {self.workers} workers"
        return f"{self.course.n_epochs:g} epochs on {steps}, seed {self.seed}, {threads}{workers}, {self.device}, snapshot {self.snapshot}"

    @property
    def workers(self) -> int:
        """The number of processes that trained together, on which the result depends."""
        return int(self.settings["train"].get("workers", 1))


def plan_of(dataset: Dataset, learnt: FittedNight, settings: dict[str, Any], threads: int, device: str, git_revision: str | None) -> Plan:
    """The plan that a night followed. settings: all groups as JSON; threads: of torch."""
    import torch

    return Plan(
        snapshot=dataset.snapshot,
        n_events=len(dataset.events),
        n_users=len(dataset.user_ids),
        n_items=len(dataset.catalog),
        seed=settings["seed"],
        threads=threads,
        device=device,
        torch=torch.__version__,
        git_revision=git_revision,
        event_weights=settings["ingest"]["event_weights"],
        settings={name: settings[name] for name in PARTS},
        course=learnt.fit.course,
    )


def parsed(text: str, source: str) -> Plan:
    """A plan from its JSON. source: where the text was found, for the error. Raises PlanError."""
    try:
        return Plan.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise PlanError(f"{source} holds no plan that this version can follow: {place}: {first['msg']}; name another night") from error


def read_plan_file(file: Path) -> Plan:
    """The plan in a file. Raises PlanError."""
    try:
        return parsed(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"cannot read {file}: {error}; give a plan.json, or the version or MLflow run of a night") from error


def differences(then: Plan, now: Plan) -> list[str]:
    """What is not as it was when a plan was made, in words; the weights can then differ from those of its night."""
    sizes = {"events": (then.n_events, now.n_events), "users": (then.n_users, now.n_users), "items": (then.n_items, now.n_items)}
    found = [f"{before:,} {name} then, {after:,} now" for name, (before, after) in sizes.items() if before != after]
    parts = {"device": (then.device, now.device), "torch": (then.torch, now.torch), "code": (then.git_revision, now.git_revision)}
    return found + [f"{name} {before} then, {after} now" for name, (before, after) in parts.items() if before != after]
