"""Where a lake is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from models.config import PositiveInt
from models.errors import UserError, without_secrets
from tasks.config import StoreConfig
from tasks.store import SCHEME, Place, is_remote, place_of

ANYONE = "*"
"""The user_id of the list for users without their own list."""
NO_STORE = StoreConfig()


class LakeConfig(BaseModel):
    """Where the tables are stored, and how long a command waits for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    catalog: str = Field(
        "", description="Catalog of the lake; empty: a SQLite file in the home folder; PostgreSQL: postgres:dbname=... host=..."
    )
    data_path: str = Field(
        "", description="Folder of the Parquet files, or s3://bucket/prefix/; empty: the folder `lake/data` in the home folder"
    )
    busy_timeout_ms: PositiveInt = Field(5000, description="Maximum time in milliseconds that a statement waits for the SQLite catalog")
    lock_timeout_s: PositiveInt = Field(
        600, description="Maximum time in seconds that a writer waits for the lock that another writer holds"
    )


@dataclass(frozen=True)
class Lake:
    """The address of a lake, not a connection: safe to pass to tasks and processes. threads: per connection; 0 uses all processors."""

    catalog: str
    data_path: str
    lock_path: Path
    busy_timeout_ms: int
    lock_timeout_s: int
    threads: int = 0
    store: StoreConfig = NO_STORE

    @property
    def is_sqlite(self) -> bool:
        return self.catalog.startswith("sqlite:")

    @property
    def catalog_file(self) -> str:
        """The path of a SQLite catalog; empty for PostgreSQL."""
        return self.catalog.removeprefix("sqlite:") if self.is_sqlite else ""

    @property
    def shown_catalog(self) -> str:
        """The catalog's address without secrets, for messages."""
        return self.catalog_file or without_secrets(self.catalog)

    @property
    def is_remote(self) -> bool:
        """Whether the Parquet files are in an object store."""
        return is_remote(self.data_path)

    @property
    def place(self) -> Place:
        """Where the Parquet files are: a folder, or the objects below a prefix."""
        return place_of(self.data_path, self.store)

    @property
    def folder(self) -> Path:
        """The folder of the Parquet files, for a lake whose files are on this machine."""
        return Path(self.data_path)

    @property
    def home(self) -> Path:
        """The home folder of the lake, also if its catalog or its files are elsewhere."""
        return self.lock_path.parent.parent


def address(config: LakeConfig, home: Path, store: StoreConfig | None = None) -> Lake:
    """The lake of a home folder, for readers; creates nothing. store: the object store of a data_path that is in one."""
    root = home.resolve() / "lake"
    return Lake(
        catalog=config.catalog or f"sqlite:{root / 'catalog.sqlite'}",
        data_path=_data_path(config.data_path, root),
        lock_path=root / "writer.lock",
        busy_timeout_ms=config.busy_timeout_ms,
        lock_timeout_s=config.lock_timeout_s,
        store=store or NO_STORE,
    )


def _data_path(given: str, root: Path) -> str:
    """The address of the Parquet files, with a separator at its end."""
    if is_remote(given):
        if not given.removeprefix(SCHEME).strip("/").partition("/")[0]:
            raise UserError(f"MINUTEHAND_LAKE__DATA_PATH is {given}, which names no bucket; write s3://bucket/prefix/")
        return f"{given.rstrip('/')}/"
    if "://" in given:
        raise UserError(f"MINUTEHAND_LAKE__DATA_PATH is {given}, which is neither a folder nor s3://bucket/prefix/; write one of them")
    return f"{Path(given).expanduser().resolve() if given else root / 'data'}{os.sep}"


def has_catalog(lake: Lake) -> bool:
    """Whether a SQLite catalog exists and is not empty; always true for PostgreSQL, where only a connection can find out."""
    file = Path(lake.catalog_file)
    return not lake.is_sqlite or (file.exists() and (file.is_dir() or file.stat().st_size > 0))
