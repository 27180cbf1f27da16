"""Homes that share a lake have the same privacy keys."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cli.stores import check_lake
from settings import load
from tasks.config import IngestConfig
from tasks.lake import Lake, reading
from tasks.privacy.common_keys import demand_common_keys
from tasks.privacy.keyed import NAME, PrivacyKeysError, add_key, keys_file, load_keys
from tasks.privacy.pseudonyms import rotate
from tests.tasks.ingest.taking import take

PSEUDONYMS = IngestConfig(pseudonyms=True)
ANNA = "user_id,item_id,occurred_at\nanna,a,2024-01-01\n"


def other(lake: Lake, tmp_path: Path) -> Lake:
    """The same lake as another home sees it."""
    root = tmp_path / "other" / "lake"
    root.mkdir(parents=True)
    return replace(lake, lock_path=root / "writer.lock")


@pytest.mark.parametrize("lake_config", ["sqlite"], indirect=True)
def test_a_lake_of_one_home_needs_no_keys(lake: Lake) -> None:
    demand_common_keys(lake)
    assert not keys_file(lake.home).exists()


@pytest.mark.postgres
@pytest.mark.parametrize("lake_config", ["postgres"], indirect=True)
def test_a_second_home_needs_the_keys_of_the_first_and_makes_none(lake: Lake, tmp_path: Path) -> None:
    demand_common_keys(lake)
    second = other(lake, tmp_path)
    with pytest.raises(PrivacyKeysError, match=rf"there is no .*; copy {NAME} from that home to {second.home}"):
        demand_common_keys(second)
    assert not keys_file(second.home).exists()
    shutil.copy(keys_file(lake.home), keys_file(second.home))
    demand_common_keys(second)
    assert load_keys(second.home).digest("u1") == load_keys(lake.home).digest("u1")


@pytest.mark.postgres
@pytest.mark.parametrize("lake_config", ["postgres"], indirect=True)
def test_a_home_with_another_key_is_refused_and_a_rotation_reaches_the_others_as_a_copy(lake: Lake, tmp_path: Path) -> None:
    demand_common_keys(lake)
    second = other(lake, tmp_path)
    load_keys(second.home)
    with pytest.raises(PrivacyKeysError, match=r"key 1 in .* is not the one with which other homes use the lake"):
        demand_common_keys(second)
    shutil.copy(keys_file(lake.home), keys_file(second.home))
    add_key(lake.home)
    demand_common_keys(lake)
    with pytest.raises(PrivacyKeysError, match="key 2 in"):
        demand_common_keys(second)
    shutil.copy(keys_file(lake.home), keys_file(second.home))
    demand_common_keys(second)
    with reading(lake) as con:
        assert con.execute("select count(*) from ops.key_fingerprints").fetchall() == [(2,)]


@pytest.mark.postgres
@pytest.mark.parametrize("lake_config", ["postgres"], indirect=True)
def test_a_home_without_keys_is_refused_by_a_lake_that_used_keys_before_it_recorded_them(
    lake: Lake, tmp_path: Path, write: Callable[[str, str], str]
) -> None:
    take(lake, write("a.csv", ANNA), config=PSEUDONYMS)
    second = other(lake, tmp_path)
    with pytest.raises(PrivacyKeysError, match="there is no"):
        demand_common_keys(second)
    assert not keys_file(second.home).exists()
    demand_common_keys(lake)


@pytest.mark.postgres
@pytest.mark.parametrize("lake_config", ["postgres"], indirect=True)
def test_a_rotation_records_its_key_so_that_a_home_with_another_new_key_is_refused(
    lake: Lake, tmp_path: Path, write: Callable[[str, str], str]
) -> None:
    take(lake, write("a.csv", ANNA), config=PSEUDONYMS)
    demand_common_keys(lake)
    second = other(lake, tmp_path)
    shutil.copy(keys_file(lake.home), keys_file(second.home))
    add_key(lake.home)  # a rotation that was killed before it wrote
    rotate(second)
    with pytest.raises(PrivacyKeysError, match="key 2 in"):
        demand_common_keys(lake)
    demand_common_keys(second)


@pytest.mark.postgres
@pytest.mark.parametrize("lake_config", ["postgres"], indirect=True)
def test_doctor_names_keys_that_are_not_those_of_the_lake_and_makes_none(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demand_common_keys(lake)
    second = other(lake, tmp_path)
    monkeypatch.setenv("MINUTEHAND_LAKE__CATALOG", lake.catalog)
    monkeypatch.setenv("MINUTEHAND_LAKE__DATA_PATH", lake.data_path)
    monkeypatch.setenv("MINUTEHAND_HOME", str(second.home))
    found = {finding.check: finding for finding in check_lake(load())}["privacy keys"]
    assert (found.state, found.remedy) == ("bad", f"copy {NAME} from that home to {second.home}")
    assert not keys_file(second.home).exists()
    shutil.copy(keys_file(lake.home), keys_file(second.home))
    assert {finding.check: finding for finding in check_lake(load())}["privacy keys"].state == "ok"
