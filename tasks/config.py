"""Settings of the adapters in tasks. Importing this module is fast."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from models.config import CENTURY_HOURS, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from tasks.event_types import EVENT_WEIGHTS
from tasks.retention import MOST_DAYS

OPTIONAL_COLUMNS = ("event_id", "value", "query", "recommendation_id", "position", "context")
"""Columns of events that a setting can leave out; the others make an event."""
ALL = "all"


class IngestConfig(BaseModel):
    """How rows of input files become events and items."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    event_weights: dict[str, NonNegativeFloat] = Field(
        EVENT_WEIGHTS,
        description="Weight of each event type in training and popularity, as JSON; "
        "0 keeps the event but learns nothing from it; other types weigh 1, except search, impression and return, which weigh 0",
    )
    max_text_chars: PositiveInt = Field(
        2000, description="Maximum length of titles and descriptions, in characters; longer ones are cut and counted in the summary"
    )
    future_tolerance_hours: NonNegativeFloat = Field(
        24.0, le=CENTURY_HOURS, description="Events more than this many hours in the future are rejected"
    )
    earliest_year: NonNegativeInt = Field(
        1990, le=9999, description="Events before this year are rejected; numbers that are not times are usually read as such early years"
    )
    time_zone: str = Field("UTC", description="Time zone of times without one, such as Europe/Berlin")
    null_words_as_ids: bool = Field(False, description="Accept words such as null, None and NA as ids; otherwise they count as empty")
    memory_mb: PositiveInt = Field(
        1024, ge=64, description="Memory limit of an ingest for sorting and joining, in MB; data beyond it spill to disk"
    )
    landing: str = Field(
        "",
        description="Landing folder whose files the ingest flow takes in, or s3://bucket/prefix/; empty: the folder `landing` in the home "
        "folder",
    )
    max_rejected_share: NonNegativeFloat = Field(
        0.1, le=1, description="Largest share of rejected rows of a landed file with which its run still counts as successful"
    )
    pseudonyms: bool = Field(
        False,
        description="Store ids of users and sessions only as keyed hashes; the keys are in `privacy-keys.json` in the home folder, which "
        "belongs into a backup of its own",
    )
    keep_columns: str = Field(
        "all",
        description="Optional columns of events to keep, separated by commas: event_id, value, query, recommendation_id, position, "
        "context; the others are dropped before they are stored; empty: none",
    )
    keep_context: str = Field(
        "all",
        description="Top-level keys of context to keep, each with all that is below it, separated by commas; the others are dropped before "
        "they are stored; empty: none",
    )
    follow_links: bool = Field(
        False,
        description="Take in files through symbolic links that lead out of the landing "
        "folder, if the owner of the link may read the target",
    )

    @field_validator("keep_columns")
    @classmethod
    def _optional_columns_only(cls, value: str) -> str:
        for name in _split(value):
            if name not in OPTIONAL_COLUMNS and value != ALL:
                raise ValueError(f"{name!r} is not an optional column of events; those are {', '.join(OPTIONAL_COLUMNS)}")
        return value

    @property
    def kept_columns(self) -> frozenset[str] | None:
        """The optional columns of events that are kept; None: all."""
        return None if self.keep_columns == ALL else frozenset(_split(self.keep_columns))

    @property
    def kept_context(self) -> frozenset[str] | None:
        """The keys of context that are kept; None: all."""
        return None if self.keep_context == ALL else frozenset(_split(self.keep_context))

    @field_validator("event_weights")
    @classmethod
    def keep_zero_weights(cls, given: dict[str, float]) -> dict[str, float]:
        """Types that teach nothing by default, such as impressions, teach something only if they are named."""
        return {name: weight for name, weight in EVENT_WEIGHTS.items() if weight == 0} | given


class PublishConfig(BaseModel):
    """How many lists and similar items a run publishes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    n_recommendations: PositiveInt = Field(100, description="Number of items in each user's list")
    n_similar: PositiveInt = Field(50, description="Number of similar items published for each item")
    refresh_users: NonNegativeInt = Field(
        500,
        description="Maximum number of users without new events whose lists one minute run refreshes; exceeded only "
        "if lists would otherwise become older than the next setting allows",
    )
    refresh_after_hours: PositiveFloat = Field(
        24.0,
        le=CENTURY_HOURS,
        description="Maximum age of a list in hours; minute runs refresh lists of users without new events before this age",
    )
    shard_users: PositiveInt = Field(
        20_000, description="Users whose lists a night makes and writes at a time; more users than this do not need more memory"
    )
    workers: PositiveInt = Field(
        1, le=1024, description="Processes that make the lists of a night; each loads the model and gets its share of the threads"
    )
    memory_mb: PositiveInt = Field(
        2048,
        ge=64,
        description="Memory limit of DuckDB while a night writes its shards and publishes them, in MB; data beyond it spill to disk",
    )
    approximate_above: PositiveInt = Field(100_000, description="Number of items above which similar items are searched approximately")


class RetentionConfig(BaseModel):
    """How many days data is kept; 0 keeps it for ever. The hourly upkeep deletes what is older, once a day."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    events_days: NonNegativeInt = Field(
        0,
        le=MOST_DAYS,
        description="Days that `raw.events` keeps an event; the next night trains without it, and an ingest refuses older ones",
    )
    rejected_days: NonNegativeInt = Field(90, le=MOST_DAYS, description="Days that `raw.rejected` keeps a rejected row")
    served_days: NonNegativeInt = Field(
        90,
        le=MOST_DAYS,
        description="Days that `ops.served` keeps a list that the API answered with, `ops.api_positions` a segment, and `eval.outcomes` an "
        "impression",
    )
    lists_days: NonNegativeInt = Field(30, le=MOST_DAYS, description="Days for which `recs.list_history` can say which list a user had")
    freshness_days: NonNegativeInt = Field(
        30, le=MOST_DAYS, description="Days that `ops.freshness` keeps how long a user waited for a list"
    )
    figures_days: NonNegativeInt = Field(
        365,
        le=MOST_DAYS,
        description="Days that `eval.prequential` keeps the figures of a minute, `eval.online` those of an hour, `ops.health` a finding",
    )
    landing_days: NonNegativeInt = Field(90, le=MOST_DAYS, description="Days that `landing/done` keeps a file that was taken in")
    reports_days: NonNegativeInt = Field(365, le=MOST_DAYS, description="Days that the folder `reports` keeps the report of a night")
    logs_days: NonNegativeInt = Field(
        30, le=MOST_DAYS, description="Days that the files in `logs` are kept, and Prefect's runs with their logs and artifacts"
    )
    snapshots_days: NonNegativeInt = Field(
        30,
        le=MOST_DAYS,
        description="Maximum days that a snapshot of the lake is kept for a publication or a model version; deleted rows are in files "
        "until the snapshots before are gone",
    )


class HealthConfig(BaseModel):
    """When a health check raises an alarm, and where alarms are posted."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    history_days: PositiveInt = Field(
        14, le=28, description="Days of history from which on a check has a band; before, it is learning and raises no alarm"
    )
    width: PositiveFloat = Field(
        1.8,
        ge=1,
        le=100,
        description="How many times as wide as the usual spread of the 28 days before the band of a check is; a wider band "
        "raises fewer alarms, and finds smaller breaks later or not at all",
    )
    webhook: SecretStr = Field(
        SecretStr(""),
        description="Address to which `minutehand up` posts the start and the end of an alarm as JSON with a `text`; empty: none; "
        "it is neither logged nor stored outside Prefect's database",
    )

    @field_validator("webhook")
    @classmethod
    def _is_an_address(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if value.get_secret_value() and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("this is not an address to post to; give one such as https://ntfy.example/minutehand")
        return value


class RegistryConfig(BaseModel):
    """Where MLflow keeps model versions, how many, and when a new one goes live."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    tracking_uri: str = Field("", description="MLflow tracking URI; empty: a SQLite database in the home folder")
    artifacts: str = Field(
        "",
        description="Address of the models and reports, s3://bucket/prefix/, for an experiment that is not there yet; empty: the folder "
        "`mlflow/artifacts` in the home folder, or where the MLflow server keeps them",
    )
    model_name: str = Field("minutehand", description="Name of the MLflow experiment and of the registered model")
    gate_tolerance: NonNegativeFloat = Field(
        0.02, description="Share by which the served hold-out NDCG@10 of a challenger may be below that of the champion"
    )
    gate_confidence: PositiveFloat = Field(
        0.8, le=1, description="A challenger is refused if it is further below in at least this share of the bootstrap samples of users"
    )
    gate_segment_loss: NonNegativeFloat = Field(
        0.1, le=1, description="Share by which that figure may be below the champion's in the worst segment or user group"
    )
    gate_coverage_loss: NonNegativeFloat = Field(
        0.3, le=1, description="Share of the champion's coverage of the catalogue that a challenger may lose"
    )
    gate_churn: NonNegativeFloat = Field(
        0.9, le=1, description="Largest mean share of the places of the live top tens that a challenger may give to other items"
    )
    gate_slowdown: PositiveFloat = Field(
        2.0, description="How many times as long as the champion a challenger may take to rank a user, as a median over users"
    )
    keep_versions: PositiveInt = Field(
        30, description="Number of newest model versions of nights to keep; live versions and versions with an alias are always kept"
    )
    keep_increments: PositiveInt = Field(
        30, description="Number of newest model versions of minutes to keep; the live version is always kept"
    )

    @field_validator("artifacts")
    @classmethod
    def _is_in_a_bucket(cls, value: str) -> str:
        if value and not re.fullmatch(r"s3://[^/?#]+(/[^?#]*)?", value):
            raise ValueError("this is not an address in an object store; write s3://bucket/prefix/")
        return value


class StoreConfig(BaseModel):
    """The object store that `s3://` addresses lead to, and the key to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    endpoint: str = Field("", description="Host and port of the store, such as 127.0.0.1:9000; empty: what boto3 finds, which is AWS")
    region: str = Field("", description="Region of the buckets; empty: what boto3 finds, else us-east-1")
    key_id: str = Field(
        "",
        description="Id of the access key; empty: what boto3 finds, such as AWS_ACCESS_KEY_ID, a profile, or the role of the machine",
    )
    secret: SecretStr = Field(SecretStr(""), description="Secret of the access key; it is neither logged nor stored")
    url_style: Literal["path", "vhost"] = Field("path", description="Whether the bucket is in the path of a URL or in its host name")
    use_ssl: bool = Field(True, description="Whether the store is asked by https")
    timeout_s: PositiveFloat = Field(
        10.0, le=3600, description="Maximum time in seconds for an answer of the store; a request is tried three times"
    )

    @field_validator("endpoint")
    @classmethod
    def _is_a_host(cls, value: str) -> str:
        if not re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?|", value):
            raise ValueError("this is not a host with a port; leave out scheme and path: 127.0.0.1:9000 (http: set USE_SSL to false)")
        return value

    @model_validator(mode="after")
    def _a_key_has_two_parts(self) -> StoreConfig:
        if bool(self.key_id) != bool(self.secret.get_secret_value()):
            raise ValueError("MINUTEHAND_STORE__KEY_ID and MINUTEHAND_STORE__SECRET belong together; set both, or neither")
        return self


class OnlineConfig(BaseModel):
    """Which clicks, purchases and ratings count for which impression."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    window_hours: PositiveFloat = Field(
        24.0, le=720, description="Maximum hours between an impression and a click, purchase or rating that counts for it"
    )
    repeat_minutes: NonNegativeFloat = Field(
        30.0, le=1440, description="An impression less than this many minutes after one of the same user, item and list is a repeat"
    )
    bot_impressions: PositiveInt = Field(
        1000, description="A user with more impressions within an hour counts as a bot for that hour, and these impressions count nowhere"
    )
    final_days: PositiveInt = Field(
        7,
        le=MOST_DAYS,
        description="Days after which an hour is final: events that happened more than this before the newest impression, but arrive "
        "later, change nothing",
    )


class GeneratorConfig(BaseModel):
    """Which language model words names, summaries and reasons; without a model, templates do."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    url: str = Field(
        "",
        description="Base URL of an OpenAI-compatible endpoint, such as http://127.0.0.1:11434/v1; titles, interests "
        "and numbers, but no user ids, are sent there",
    )
    model: str = Field(
        "",
        description="Model of the endpoint; without an endpoint, a causal language model on this machine: the name of a Hugging Face "
        "model, or a local folder; empty: no generated texts",
    )
    api_key: SecretStr = Field(SecretStr(""), description="Key of the endpoint, if it asks for one; it is neither logged nor stored")
    timeout_s: PositiveFloat = Field(20.0, le=3600, description="Maximum time in seconds for one text")
    budget_s: PositiveFloat = Field(
        120.0, le=86_400, description="Maximum time in seconds for all texts of one run; after it, the templates stand"
    )

    reasons: NonNegativeInt = Field(
        0,
        le=100_000,
        description="How many reasons of published lists a night words at most; each serves all rows that cite the same event; 0: none",
    )
    minute_reasons: NonNegativeInt = Field(0, le=1000, description="The same for a minute run, which keeps what the night has worded")
    minute_budget_s: PositiveFloat = Field(5.0, le=60, description="Maximum time in seconds for all texts of a minute run")
    reason_ranks: PositiveInt = Field(3, le=1000, description="Only reasons that stand in the first so many rows of a list are worded")

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("this is not the base URL of an endpoint; give one such as http://127.0.0.1:11434/v1")
        if parts.username or parts.password:
            raise ValueError("the URL contains a name or a password; put the key into MINUTEHAND_GENERATOR__API_KEY")
        return value

    @model_validator(mode="after")
    def _an_endpoint_has_a_model(self) -> GeneratorConfig:
        if self.url and not self.model:
            raise ValueError(f"url {self.url} has no model; set MINUTEHAND_GENERATOR__MODEL to the name of a model that it serves")
        return self

    @property
    def place(self) -> str:
        """Where texts are generated: the host of the endpoint, or this machine."""
        return urlsplit(self.url).netloc if self.url else "this machine"


class ServerConfig(BaseModel):
    """Where the servers of `minutehand up` and `minutehand serve` listen, and how much one client of the API may ask."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = Field("127.0.0.1", description="Address of the Prefect server and the MLflow UI")
    prefect_port: PositiveInt = Field(4200, le=65535, description="Port of the Prefect server")
    mlflow_port: PositiveInt = Field(5000, le=65535, description="Port of the MLflow UI")
    allowed_hosts: str = Field(
        "",
        description="Further host names or addresses under which browsers may reach the servers, "
        "separated by commas; localhost and the host are always allowed",
    )
    api_host: str = Field("127.0.0.1", description="Address of the API; another than this machine's own needs keys (`minutehand keys add`)")
    api_port: PositiveInt = Field(8000, le=65535, description="Port of the API")
    api_origins: str = Field(
        "",
        description="Origins of other sites whose pages may ask the API, such as https://shop.example, separated by commas",
    )
    api_requests_per_s: PositiveFloat = Field(
        200.0, description="Requests per second that a key, or without a valid key an address, may send to the API for long"
    )
    api_burst: PositiveInt = Field(400, description="Requests that a key or an address may send at once")
    api_body_bytes: PositiveInt = Field(4_000_000, description="Largest body of a request to the API")

    @field_validator("allowed_hosts")
    @classmethod
    def _names_only(cls, value: str) -> str:
        for name in _split(value):
            if not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]", name):
                raise ValueError(f"{name!r} is not the name or address of a host; leave out scheme, port and wildcards")
        return value

    @field_validator("api_origins")
    @classmethod
    def _origins_only(cls, value: str) -> str:
        for origin in _split(value):
            if not re.fullmatch(r"https?://([a-z0-9._-]+|\[[0-9a-f:]+\])(:[0-9]+)?", origin):
                raise ValueError(
                    f"{origin!r} is not an origin; write it as a browser does, in lower case and without path: https://shop.example"
                )
        return value

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins of other sites whose pages may send requests to the API."""
        return tuple(_split(self.api_origins))

    @property
    def reachable_host(self) -> str:
        """The address at which this machine's own processes reach the servers."""
        return _reachable(self.host)

    @property
    def accepted_hosts(self) -> frozenset[str]:
        """Values that a request may have in its Host header, without port."""
        own = {"127.0.0.1", "localhost", "[::1]", self.reachable_host.lower(), _reachable(self.api_host).lower()}
        return frozenset({*own, *_split(self.allowed_hosts.lower())})

    @property
    def prefect_url(self) -> str:
        """URL of the Prefect server."""
        return f"http://{self.reachable_host}:{self.prefect_port}"

    @property
    def mlflow_url(self) -> str:
        """URL of the MLflow UI."""
        return f"http://{self.reachable_host}:{self.mlflow_port}"

    @property
    def api_url(self) -> str:
        """URL of the API."""
        return f"http://{_reachable(self.api_host)}:{self.api_port}"

    @property
    def is_api_open(self) -> bool:
        """Whether other machines can reach the API."""
        return self.api_host.lower() != "localhost" and not re.fullmatch(r"127(\.\d+){3}", self.api_host)


def _reachable(host: str) -> str:
    return "127.0.0.1" if host == "0.0.0.0" else host


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
