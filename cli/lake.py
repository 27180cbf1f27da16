"""The lake and the registry of this home, for the commands that only read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from settings import Settings
    from tasks.lake import Lake
    from tasks.registry.versions import Registry


def open_lake() -> Lake:
    """Its address; no connection is made, and no folder."""
    from settings import load

    return lake_of(load())


def lake_of(settings: Settings) -> Lake:
    """As open_lake, for a command that needs the settings too. Raises UserError where there is no home, and makes none."""
    from models.errors import UserError
    from tasks.lake import address

    lake = address(settings.lake, settings.home, settings.store)
    if lake.is_sqlite and not settings.home.is_dir() and not lake.folder.exists():
        raise UserError(
            f"there is no minutehand home at {settings.home.resolve()}; run this where the home is, or name it by MINUTEHAND_HOME; "
            "for a new home take in events: minutehand ingest events FILE"
        )
    return lake


def registry_of(settings: Settings) -> Registry:
    """The model registry of this home, with the environment that MLflow needs. Imports MLflow, which takes seconds."""
    from cli.environment import set_defaults

    set_defaults(settings)
    from tasks.registry.versions import open_registry

    return open_registry(
        settings.tracking_uri, settings.registry.model_name, settings.home.resolve() / "mlflow" / "artifacts", settings.registry.artifacts
    )
