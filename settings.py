"""Everything a user can set: environment variables MINUTEHAND_*, nested by a double underscore."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, Field, NonNegativeInt, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.config import EncoderConfig, EvaluationConfig, IncrementConfig, RecommenderConfig, TrainConfig
from models.errors import UserError
from tasks.config import IngestConfig, PublishConfig, RegistryConfig, ServerConfig
from tasks.lake import LakeConfig

PREFIX = "MINUTEHAND_"


class SettingsError(UserError):
    """A MINUTEHAND_* variable is unknown or has an impossible value."""


class Settings(BaseSettings):
    """The settings of one installation; built by flows and cli only."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid")
    home: Path = Field(Path(".minutehand"), description="Folder of everything that is written; deleting it is a full reset")
    seed: NonNegativeInt = Field(7, description="Seed of every random choice")
    threads: NonNegativeInt = Field(0, description="Threads for torch, faiss and DuckDB; 0 takes every processor")
    lake: LakeConfig = LakeConfig()
    ingest: IngestConfig = IngestConfig()
    encoder: EncoderConfig = EncoderConfig()
    model: RecommenderConfig = RecommenderConfig()
    train: TrainConfig = TrainConfig()
    increment: IncrementConfig = IncrementConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    publish: PublishConfig = PublishConfig()
    registry: RegistryConfig = RegistryConfig()
    server: ServerConfig = ServerConfig()

    def with_minutes(self, minutes: float) -> Settings:
        """The same with another training budget; raises SettingsError for one that is none."""
        if not (minutes > 0 and math.isfinite(minutes)):
            raise SettingsError(f"a training budget of {minutes:g} minutes is none; give a finite number above 0, such as --minutes 20")
        return self.model_copy(update={"train": self.train.model_copy(update={"minutes": minutes})})

    @property
    def tracking_uri(self) -> str:
        """Where MLflow keeps its runs."""
        return self.registry.tracking_uri or f"sqlite:///{self.home.resolve() / 'mlflow' / 'mlflow.db'}"

    @property
    def mlflow_url(self) -> str:
        """Where the MLflow UI answers: a server of one's own, or that of `minutehand up`."""
        uri = self.registry.tracking_uri
        return uri.rstrip("/") if uri.startswith(("http:", "https:")) else self.server.mlflow_url


def variables(model: type[BaseModel] = Settings, prefix: str = PREFIX) -> Iterator[tuple[str, object, str]]:
    """Every variable with its default and description, in the order of the fields."""
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from variables(field.annotation, f"{variable}__")
        else:
            yield variable, field.default, field.description or ""


def table() -> str:
    """The settings as README shows them: a Markdown table of variable, default and meaning."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, default, description in variables():
        text = json.dumps(default) if isinstance(default, dict) else str(default)
        rows.append(f"| `{name}` | {f'`{text}`' if text else ''} | {description} |")
    return "\n".join(rows)


def load() -> Settings:
    """The settings of this process.

    Raises SettingsError for a misspelt MINUTEHAND_* variable (pydantic-settings does not see those) and for an
    impossible value.
    """
    known = {name for name, _, _ in variables()}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "README lists every setting"
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
    value = "" if isinstance(found["input"], dict) else f" (found: {found['input']})"
    return f"{name} has an impossible value: {found['msg'].removeprefix('Value error, ')}{value}"


if __name__ == "__main__":
    print(table())
