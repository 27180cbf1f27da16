"""A shop whose lake, models and landing folder are in an object store: nights, minutes, upkeep and an erasure, as on one machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.ingest import ingest
from flows.maintain import maintain
from settings import load
from tasks import store
from tasks.erasure.at_once import erase
from tasks.lake import examine
from tasks.privacy import files
from tasks.privacy.ledger import erasures
from tasks.privacy.scan import scan
from tasks.store import Bucket
from tasks.store import environment as store_environment
from tests.flows.shop import Shop, open_shop
from tests.stores import KEY, SECRET, names

pytestmark = [pytest.mark.slow, pytest.mark.extras]
PERSON = "mia-00042"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, prefect_server: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    if request.param == "postgres":
        server = f"host=127.0.0.1 port={request.getfixturevalue('postgres_port')} user=minutehand"
        subprocess.run(["psql", "-q", f"{server} dbname=postgres", "-c", "create database in_store"], check=True)
        monkeypatch.setenv("MINUTEHAND_LAKE__CATALOG", f"postgres:{server} dbname=in_store")
    values = {"ENDPOINT": bucket.config.endpoint, "REGION": "us-east-1", "KEY_ID": KEY, "SECRET": SECRET, "USE_SSL": "false"}
    for name, value in {
        **{f"MINUTEHAND_STORE__{name}": value for name, value in values.items()},
        **store_environment(bucket.config),
    }.items():
        monkeypatch.setenv(name, value)
    for name, folder in {"LAKE__DATA_PATH": "lake", "REGISTRY__ARTIFACTS": "mlflow", "INGEST__LANDING": "landing"}.items():
        monkeypatch.setenv(f"MINUTEHAND_{name}", f"{bucket}{folder}/")
    for name in ("INCREMENT__GATE_TOLERANCE", "INCREMENT__MAX_DRIFT", "REGISTRY__GATE_TOLERANCE"):
        monkeypatch.setenv(f"MINUTEHAND_{name}", "1000")
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    monkeypatch.setattr(files, "READERS_S", 0.0)
    with open_shop(tmp_path / "shop") as shop:
        yield shop


def test_nights_minutes_and_an_erasure_leave_nothing_on_the_machine_and_nobody_in_the_store(shop: Shop, bucket: Bucket) -> None:
    shop.spend_night()
    store.write(bucket, "landing/events/mia.csv", f"user,item,ts\n{PERSON},i03,2026-02-01\n{PERSON},i05,2026-02-02\n".encode())
    assert [file.outcome for file in ingest()] == ["done"]
    shop.spend_minute()
    assert shop.value(f"select count(*) from recs.recommendations where user_id = '{PERSON}'") > 0
    maintain()
    assert examine(shop.lake, 30.0).damages == ()
    assert not (shop.home / "lake" / "data").exists()
    assert {name.partition("/")[0] for name in names(bucket)} == {"lake", "mlflow", "landing"}
    places = [bucket.below("mlflow"), bucket.below("landing")]
    assert any(found.count for found in scan(shop.home, shop.lake, [PERSON], also=places))
    erase(shop.lake, shop.home, [PERSON], "cli", load().ingest.event_weights)
    shop.spend_minute()
    shop.spend_night()
    assert [found.state for found in erasures(shop.lake)] == ["done"]
    left = {f"{found.store}: {found.place}": found.count for found in scan(shop.home, shop.lake, [PERSON], also=places) if found.count}
    assert left == {}
    assert not [name for name in names(bucket) if PERSON.encode() in (store.read(bucket, name) or b"")]
