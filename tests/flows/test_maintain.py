"""The scheduled flow that maintains the lake."""

from __future__ import annotations

import time
from pathlib import Path

from tasks.lake import LakeConfig, locate, migrate
from tests.tasks.publish.test_night import add_events, content, put, ranked, rows


def test_the_maintain_flow_counts_impressions_merges_files_and_changes_no_content(home: Path, prefect_server: str) -> None:
    from flows.maintain import maintain

    lake = locate(LakeConfig(), home)
    migrate(lake)
    for second in (1, 2):
        add_events(lake, *[(f"u{number}", "a", "view", second) for number in range(12)])
        put(lake, ranked({"u1": [second, 0]}))
    add_events(lake, ("u1", "a", "impression", int(time.time()) + 60))
    before = content(lake)
    landed = home / "landing" / "done" / "2020-01-01" / "events" / "e.csv"
    landed.parent.mkdir(parents=True)
    landed.touch()
    assert maintain().files_merged > 1
    assert content(lake) == before
    assert not landed.parent.exists(), "it is older than landing/done keeps files"
    assert rows(lake, "select item_id, position, model_version from eval.outcomes") == [("a", 2, "1")]
    assert rows(lake, "select numerator, denominator from eval.online where metric = 'ctr'") == [(0, 1)]
    assert rows(lake, "select count(*) from ducklake_list_files('lake', 'events', schema => 'raw')") == [(1,)]
