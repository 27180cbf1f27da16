"""What can be set about the adapters; light to import."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

from models.config import CENTURY_HOURS, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from tasks.event_types import EVENT_WEIGHTS


class IngestConfig(BaseModel):
    """How input rows become events and items."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    event_weights: dict[str, NonNegativeFloat] = Field(
        EVENT_WEIGHTS,
        description="Weight of each event type in training and popularity, as JSON; "
        "0 keeps the event but learns nothing from it; other types weigh 1",
    )
    max_text_chars: PositiveInt = Field(
        2000, description="Longer titles and descriptions are cut here, and the cut is counted in the summary"
    )
    future_tolerance_hours: NonNegativeFloat = Field(
        24.0, le=CENTURY_HOURS, description="Events later than now by more than this are refused"
    )
    earliest_year: NonNegativeInt = Field(
        1990, le=9999, description="Events of years before it are refused: numbers that are no times come out there"
    )
    time_zone: str = Field("UTC", description="Zone of times that are written without one, such as Europe/Berlin")
    null_words_as_ids: bool = Field(False, description="Take ids such as null, None and NA as they are, rather than as nothing")
    memory_mb: PositiveInt = Field(
        1024, ge=64, description="Memory of an ingest for sorting and joining, in MB; what does not fit goes to disk"
    )
    landing: str = Field("", description="Folder whose files the ingest flow takes in; empty for landing under the home folder")
    max_rejected_share: NonNegativeFloat = Field(
        0.1, le=1, description="Share of the rows of a landed file that may be refused before the run that takes it in counts as failed"
    )
    follow_links: bool = Field(
        False, description="Take in links of the landing folder that lead out of it, where their owner may read what they lead to"
    )


class PublishConfig(BaseModel):
    """What is written to recs.*."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    n_recommendations: PositiveInt = Field(100, description="Items in each user's list")
    n_similar: PositiveInt = Field(50, description="Neighbours of each item")
    refresh_users: NonNegativeInt = Field(
        500, description="Users without news whose lists a minute makes anew, at most; more where lists would grow too old"
    )
    refresh_after_hours: PositiveFloat = Field(
        24.0, le=CENTURY_HOURS, description="Age at which a minute makes a list anew though nothing happened, if there is room"
    )
    approximate_above: PositiveInt = Field(50_000, description="Catalogue size above which neighbours are searched approximately")


class RegistryConfig(BaseModel):
    """Where model versions are kept, and what makes one the champion."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    tracking_uri: str = Field("", description="MLflow tracking URI; empty for SQLite under the home folder")
    model_name: str = Field("minutehand", description="Name of the registered model and of the experiment")
    gate_tolerance: NonNegativeFloat = Field(0.02, description="Share of the champion's hold-out NDCG that a challenger may fall short of")
    keep_versions: PositiveInt = Field(30, description="Newest model versions that are kept, besides those that are live or have an alias")
    keep_increments: PositiveInt = Field(30, description="Newest versions made by minutes that are kept, besides the live one")


class ServerConfig(BaseModel):
    """Where `minutehand up` listens."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = Field("127.0.0.1", description="Address of the Prefect server and the MLflow UI")
    prefect_port: PositiveInt = Field(4200, le=65535, description="Port of the Prefect server")
    mlflow_port: PositiveInt = Field(5000, le=65535, description="Port of the MLflow UI")
    allowed_hosts: str = Field(
        "",
        description="Names or addresses, separated by commas, by which browsers may ask for the servers, besides localhost and the host",
    )

    @field_validator("allowed_hosts")
    @classmethod
    def _names_only(cls, value: str) -> str:
        for name in _split(value):
            if not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]", name):
                raise ValueError(f"{name!r} is not the name or address of a host; leave out scheme, port and wildcards")
        return value

    @property
    def reachable_host(self) -> str:
        """The address at which this machine's own processes reach the servers."""
        return "127.0.0.1" if self.host == "0.0.0.0" else self.host

    @property
    def accepted_hosts(self) -> frozenset[str]:
        """What a request may name as its Host, without port."""
        return frozenset({"127.0.0.1", "localhost", "[::1]", self.reachable_host.lower(), *_split(self.allowed_hosts.lower())})

    @property
    def prefect_url(self) -> str:
        """Where the Prefect server answers."""
        return f"http://{self.reachable_host}:{self.prefect_port}"

    @property
    def mlflow_url(self) -> str:
        """Where the MLflow UI answers."""
        return f"http://{self.reachable_host}:{self.mlflow_port}"


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
