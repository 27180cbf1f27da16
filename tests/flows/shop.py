"""A home with a shop of forty users and thirty items, with queries for the tests of flows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.version import checkpoint as checkpoints
from settings import load
from tasks.lake import Lake, locate, migrate, reading
from tasks.night.learning import Judged
from tasks.registry import versions
from tests.lakes import habits, put
from tests.models.text.test_encoder import save_tiny_bert

TITLES: dict[str, str | None] = {f"i{n:02}": "red tent" if n % 2 else "green tent" for n in range(30)}
SMALL = {
    "MINUTEHAND_MODEL__DIM": "8",
    "MINUTEHAND_MODEL__N_BLOCKS": "1",
    "MINUTEHAND_MODEL__MAX_EVENTS": "8",
    "MINUTEHAND_TRAIN__MAX_EPOCHS": "2",
    "MINUTEHAND_EVALUATION__N_BOOTSTRAP": "20",
    "MINUTEHAND_PUBLISH__N_RECOMMENDATIONS": "5",
    "MINUTEHAND_REGISTRY__KEEP_VERSIONS": "2",
    "MINUTEHAND_THREADS": "1",
}

UNPOOLED = ("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
"""Setting that makes MLflow in this process close its connections, as tests replace the database by a copy."""


@dataclass(frozen=True)
class Shop:
    """A home, opened with the settings of the environment."""

    home: Path
    lake: Lake

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with reading(self.lake) as con:
            return con.execute(sql).fetchall()

    def value(self, sql: str) -> Any:
        return self.ask(sql)[0][0]

    @property
    def models(self) -> versions.Registry:
        settings = load()
        artifacts = self.home / "mlflow" / "artifacts"
        return versions.open_registry(settings.tracking_uri, settings.registry.model_name, artifacts, settings.registry.artifacts)

    @property
    def versions(self) -> set[str]:
        return {str(found.version) for found in versions.all_versions(self.models)}

    @property
    def live(self) -> str:
        """The version that the newest publication names."""
        return str(self.value("select model_version from recs.publications order by published_at desc limit 1"))

    def keep(self, name: str) -> None:
        """Copy the home to a folder next to it."""
        shutil.copytree(self.home, self.home.parent / name)

    def go_back(self, name: str) -> None:
        """Restore the home from the copy, at the same path, as the lake and the registry store full paths."""
        shutil.rmtree(self.home)
        shutil.copytree(self.home.parent / name, self.home)

    def spend_night(self) -> str:
        from flows.nightly import nightly

        return nightly()

    def spend_minute(self) -> str | None:
        from flows.minute import minute

        return minute()


def learnt(shop: Shop) -> dict[str, float]:
    """The number of events per item that the live model has learnt."""
    loaded = checkpoints.load(versions.find_version(shop.models, shop.live).checkpoint_folder)
    assert loaded.online is not None
    return dict(zip(loaded.catalog.item_ids, loaded.online.popularity.counts[-1].tolist(), strict=True))


def worse(judged: Judged) -> Judged:
    """The same evaluation, with a challenger that never finds the item."""
    ours = judged.rankings["minutehand"]
    lost = np.full_like(ours.rank, 1000)
    return replace(judged, rankings={**judged.rankings, "minutehand": replace(ours, rank=lost, served=lost)})


@contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    """The shop in a folder, with events and items but no night yet; the environment has the settings of the tests while it is open."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**SMALL, "MINUTEHAND_ENCODER__NAME": str(save_tiny_bert(folder / "encoder"))}.items():
            patch.setenv(name, value)
        patch.setenv(*UNPOOLED)
        patch.setenv("MINUTEHAND_HOME", str(folder / "home"))
        settings = load()
        lake = replace(locate(settings.lake, settings.home, settings.store), threads=settings.threads)
        migrate(lake)
        put(lake, habits(), TITLES)
        yield Shop(folder / "home", lake)
