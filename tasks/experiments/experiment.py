"""One experiment, and who is in its arms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import duckdb

from models.errors import UserError
from models.experiments.allocation import arm_of
from tasks.lake import Lake, reading, statement
from tasks.privacy.keyed import load_keys

CONTROL, CHALLENGER = "control", "challenger"
STARTING, RUNNING, STOPPING, STOPPED = "starting", "running", "stopping", "stopped"


class ExperimentError(UserError):
    """An experiment cannot be started, or there is none."""


@dataclass(frozen=True)
class Experiment:
    """A row of ops.experiments, in the order of its columns. key: of the hash that says who is in the challenger's arm.

    state: `starting` and `stopping` ask the next publication to change the lists of the challenger's users.
    """

    experiment_id: str
    name: str
    state: str
    metric: str
    share: float
    guard_rails: str
    control_version: str
    control_settings: str
    challenger_version: str
    challenger_settings: str
    arm_version: str
    arm_run_id: str
    learnt: int
    checkpoint: str | None
    checkpoint_sha256: str | None
    next_version: str | None
    next_run_id: str | None
    next_learnt: int | None
    frozen: str | None
    verdict: str | None
    started_at: datetime
    stopped_at: datetime | None
    key: bytes = field(default=b"", repr=False, compare=False)

    @property
    def is_due(self) -> bool:
        """Whether the next publication must change lists even if nothing is new."""
        return self.state in (STARTING, STOPPING) or (self.has_arm and self.next_version is not None)

    @property
    def has_arm(self) -> bool:
        """Whether the challenger makes lists."""
        return self.state in (STARTING, RUNNING)

    @property
    def version(self) -> tuple[str, int]:
        """The version that makes the lists of the challenger in the next publication, and the snapshot up to which it has learnt."""
        if self.next_version is None or self.next_learnt is None:
            return self.arm_version, self.learnt
        return self.next_version, self.next_learnt

    def is_challenger(self, user_id: str) -> bool:
        """Whether a user is in the challenger's arm."""
        return arm_of(self.key, self.experiment_id, user_id, self.share)

    def challengers(self, user_ids: Iterable[str]) -> list[str]:
        """The users in the challenger's arm, in their order."""
        return [user_id for user_id in user_ids if self.is_challenger(user_id)]

    def arm(self, user_id: str) -> str:
        """The name of the arm of a user."""
        return CHALLENGER if self.is_challenger(user_id) else CONTROL


def current(lake: Lake) -> Experiment | None:
    """The experiment that is starting, running or stopping; None without one."""
    with reading(lake) as con:
        return experiment_of(con, lake.home)


def experiment_of(con: duckdb.DuckDBPyConnection, home: Path) -> Experiment | None:
    """As `current`, as a connection sees it. home: where the keys are."""
    row = con.execute(statement("experiments/newest"), {"n": 1, "is_current": True}).fetchone()
    return None if row is None else replace(Experiment(*row), key=key_of(home))


def newest(lake: Lake, n: int = 1) -> list[Experiment]:
    """The newest experiments, newest first."""
    with reading(lake) as con:
        rows = con.execute(statement("experiments/newest"), {"n": n, "is_current": False}).fetchall()
    return [replace(Experiment(*row), key=key_of(lake.home)) for row in rows]


def key_of(home: Path) -> bytes:
    """The first key of a home, which a rotation keeps, so that arms stay as they are."""
    keys = load_keys(home)
    return keys.secrets[min(keys.secrets)]


def listed_users(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The users with a published list."""
    return [str(user_id) for (user_id,) in con.execute(statement("experiments/listed_users")).fetchall()]
