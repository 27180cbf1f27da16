"""Everything a user can set: environment variables MINUTEHAND_*, nested by a double underscore."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.config import LIMIT, EncoderConfig, EvaluationConfig, IncrementConfig, NonNegativeInt, RecommenderConfig, TrainConfig
from models.errors import UserError
from tasks import access
from tasks.config import (
    GeneratorConfig,
    HealthConfig,
    IngestConfig,
    OnlineConfig,
    PublishConfig,
    RegistryConfig,
    RetentionConfig,
    ServerConfig,
    StoreConfig,
)
from tasks.lake import LakeConfig

if TYPE_CHECKING:
    from tasks.night.plan import Plan

PREFIX = "MINUTEHAND_"
OF_A_NIGHT = ("seed", "model.", "train.", "increment.", "ingest.event_weights")
"""What a single night may change: the settings that decide what its model becomes, and not where data are or how all models are judged."""
SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


class SettingsError(UserError):
    """A MINUTEHAND_* variable is unknown or has an impossible value."""


class Settings(BaseSettings):
    """The settings of one installation; built by flows and cli only."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid")
    home: Path = Field(
        Path(".minutehand"), description="Home folder: everything that minutehand writes is below it; deleting it resets everything"
    )
    home_access: access.Access = Field(
        "owner",
        description="Who can read and write the home folder and exported files: only the owner, or the group of the home folder as well",
    )
    seed: NonNegativeInt = Field(7, description="Seed of all random numbers")
    threads: NonNegativeInt = Field(0, le=65_536, description="Threads for torch, faiss and DuckDB; 0 uses all processors")
    lake: LakeConfig = LakeConfig()
    store: StoreConfig = StoreConfig()
    ingest: IngestConfig = IngestConfig()
    encoder: EncoderConfig = EncoderConfig()
    model: RecommenderConfig = RecommenderConfig()
    train: TrainConfig = TrainConfig()
    increment: IncrementConfig = IncrementConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    publish: PublishConfig = PublishConfig()
    generator: GeneratorConfig = GeneratorConfig()
    registry: RegistryConfig = RegistryConfig()
    retention: RetentionConfig = RetentionConfig()
    health: HealthConfig = HealthConfig()
    online: OnlineConfig = OnlineConfig()
    server: ServerConfig = ServerConfig()

    def with_minutes(self, minutes: float) -> Settings:
        """The same with another training budget; raises SettingsError for one that is none."""
        if not (minutes > 0 and math.isfinite(minutes)):
            raise SettingsError(f"a training budget of {minutes:g} minutes is none; give a finite number above 0, such as --minutes 20")
        return self.model_copy(update={"train": self.train.model_copy(update={"minutes": minutes})})

    def with_plan(self, plan: Plan) -> Settings:
        """The same with the settings that the plan of a night names, which decide the weights of its model."""
        ingest = self.ingest.model_copy(update={"event_weights": plan.event_weights})
        parts = {name: type(getattr(self, name)).model_validate(values) for name, values in plan.settings.items()}
        here = {"launcher": self.train.launcher, "folder": self.train.folder}  # where workers run decides nothing
        parts["train"] = parts["train"].model_copy(update=here)
        return self.model_copy(update={"seed": plan.seed, "threads": plan.threads, "ingest": ingest, **parts})

    @property
    def tracking_uri(self) -> str:
        """Where MLflow keeps its runs."""
        return by_psycopg(self.registry.tracking_uri or f"sqlite:///{self.home.resolve() / 'mlflow' / 'mlflow.db'}")

    @property
    def mlflow_url(self) -> str:
        """Where the MLflow UI answers: a server of one's own, or that of `minutehand up`."""
        uri = self.registry.tracking_uri
        return uri.rstrip("/") if uri.startswith(("http:", "https:")) else self.server.mlflow_url


def by_psycopg(uri: str) -> str:
    """The address of a database of MLflow; PostgreSQL by psycopg, the driver of minutehand's own locks, unless another is named."""
    return f"postgresql+psycopg:{uri.partition(':')[2]}" if uri.startswith(("postgresql:", "postgres:")) else uri


def variables() -> Iterator[tuple[str, object, str]]:
    """Every variable with its default and description, in the order of the fields."""
    for name, field in _fields(Settings, PREFIX):
        yield name, field.default, field.description or ""


def table() -> str:
    """The settings as docs/settings.md shows them: for each topic a heading, a sentence and a Markdown table."""
    shared = [(name, field) for name, field in _fields(Settings, PREFIX) if "__" not in name]
    parts = [_section("installation", "What all commands and runs share.", shared)]
    for name, field in Settings.model_fields.items():
        if topic := _nested(field):
            sentence = (topic.__doc__ or "").partition("\n")[0]
            parts.append(_section(name, sentence, list(_fields(topic, f"{PREFIX}{name.upper()}__"))))
    return "\n\n".join(parts)


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        if nested := _nested(field):
            yield from _fields(nested, f"{variable}__")
        else:
            yield variable, field


def _section(topic: str, sentence: str, members: list[tuple[str, FieldInfo]]) -> str:
    rows = ["| variable | default | values | meaning |", "| --- | --- | --- | --- |"]
    for name, field in members:
        text = json.dumps(field.default) if isinstance(field.default, dict) else str(field.default)
        rows.append(f"| `{name}` | {f'`{text}`' if text else ''} | {_values(field)} | {field.description} |")
    return "\n".join([f"## {topic.capitalize()}", "", sentence, "", *rows])


def _nested(field: FieldInfo) -> type[BaseModel] | None:
    return field.annotation if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel) else None


def _values(field: FieldInfo) -> str:
    """The values that a field takes, in words: all of them where they are few, else the kind and the range."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(field.annotation))
    if field.annotation is bool:
        return "`True`, `False`"
    if field.annotation not in (int, float):
        return "JSON" if get_origin(field.annotation) is dict else "text"
    kind = "whole number" if field.annotation is int else "number"
    bounds = {}
    for name, sign in SIGNS.items():  # those of the field come after those of its type, and replace them
        for part in field.metadata:
            if (limit := getattr(part, name, LIMIT)) != LIMIT:
                bounds[name[0]] = f"{sign} {limit:,}"
    return ", ".join([kind, *bounds.values()])


def load(changes: Sequence[str] = ()) -> Settings:
    """The settings of this process, which from here on writes files that others cannot read, unless the settings let a group.

    changes: of a single night, each as model.dim=64; they take the place of variables.
    Raises SettingsError for a misspelt MINUTEHAND_* variable (pydantic-settings does not see those), for an
    impossible value, and for a change that a night cannot make.
    """
    with _environment({_variable(name): value for name, value in changes_of(changes).items()}):
        settings = _load()
    access.keep(settings.home, settings.home_access)
    return settings


def of_night(minutes: float | None, plan: str | None, changes: Sequence[str], n_workers: int | None = None) -> Settings:
    """The settings of a night. Raises SettingsError where two parameters decide the same."""
    if plan is not None and changes:
        raise SettingsError("a plan repeats the settings of an earlier night, so there is nothing to change; leave out --plan or --set")
    if n_workers is not None:
        if plan is not None:
            raise SettingsError("a plan names the number of workers that it is repeated with; leave out --plan or --workers")
        changes = [*changes, f"train.workers={n_workers}"]
    if minutes is None:
        return load(changes)
    if "train.minutes" in changes_of(changes):
        raise SettingsError("--minutes and --set train.minutes decide the same; keep one")
    return load(changes).with_minutes(minutes)


def changes_of(changes: Sequence[str]) -> dict[str, str]:
    """The changes of a night, each as model.dim=64, by name. Raises SettingsError for those that no night can make."""
    found: dict[str, str] = {}
    known = {name for name, _, _ in variables()}
    for text in changes:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not name:
            raise SettingsError(f"{text!r} is not of the form NAME=VALUE; an example is model.dim=64")
        if name in found:
            raise SettingsError(f"{name} is given twice ({found[name]} and {value}); keep one")
        if _variable(name) in known and not name.startswith(OF_A_NIGHT):
            raise SettingsError(
                f"{name} is not a setting of one night, which are seed, model.*, train.*, increment.* and ingest.event_weights; "
                f"set {_variable(name)} for all runs"
            )
        found[name] = value
    return found


def _variable(name: str) -> str:
    return PREFIX + name.replace(".", "__").upper()


@contextmanager
def _environment(given: Mapping[str, str]) -> Iterator[None]:
    """The environment with further variables."""
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _load() -> Settings:
    known = {name for name, _, _ in variables()}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists every setting"
            raise SettingsError(f"unknown setting {name}; {hint}")
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_explained(found) for found in error.errors())) from error
    except ValueError as error:
        raise SettingsError(f"a setting has an impossible value: {error}") from error


def _explained(found: ErrorDetails) -> str:
    """One impossible value: the variable, what is wrong, and the value where it is that of a single variable."""
    name = PREFIX + "__".join(str(part) for part in found["loc"]).upper()
    is_secret = any(isinstance(default, SecretStr) for variable, default, _ in variables() if variable == name)
    value = "" if is_secret or isinstance(found["input"], dict) else f" (found: {found['input']})"
    return f"{name} has an impossible value: {found['msg'].removeprefix('Value error, ')}{value}"


if __name__ == "__main__":
    print(table())
