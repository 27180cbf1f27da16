"""The attribute by which users are grouped, as the lake knows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot, writing
from tasks.night.dataset import load_dataset
from tasks.night.measures import read_attribute
from tests.lakes import put

SET_CONTEXT = "update raw.events set context = $context where user_id = $user_id and item_id = $item_id"


@pytest.fixture
def lake(home: Path) -> Lake:
    lake = locate(LakeConfig(), home)
    migrate(lake)
    return lake


def test_the_newest_value_of_a_user_counts_and_an_alias_is_its_user(lake: Lake) -> None:
    put(lake, [("ann", "a", 1), ("ann", "b", 2), ("bob", "a", 3), ("cat", "a", 4), ("phone-7", "b", 5)])
    contexts = {
        ("ann", "a"): {"country": "AT"},
        ("ann", "b"): {"country": "DE", "a/b~c": "x"},
        ("cat", "a"): {"country": None},
        ("phone-7", "b"): {"country": "FR"},
    }
    with writing(lake) as con:
        for (user_id, item_id), context in contexts.items():
            con.execute(SET_CONTEXT, {"user_id": user_id, "item_id": item_id, "context": json.dumps(context)})
        con.execute("insert into raw.user_aliases by name select 'phone-7' as alias, 'bob' as user_id, now()::timestamp as merged_at")
    data = load_dataset(lake, newest_snapshot(lake), EVENT_WEIGHTS, "none")
    assert dict(zip(data.user_ids, read_attribute(lake, data, "country"), strict=True)) == {"ann": "DE", "bob": "FR", "cat": None}
    assert dict(zip(data.user_ids, read_attribute(lake, data, "a/b~c"), strict=True)) == {"ann": "x", "bob": None, "cat": None}
