"""The saved filters of Prefect's runs page, as stored by its server."""

from __future__ import annotations

from prefect.client.orchestration import get_client

from cli.up.orchestration import save_filters


def test_the_saved_filters_for_nights_and_runs_with_work_exist_once_each(prefect_server: str) -> None:
    save_filters()
    save_filters()
    with get_client(sync_client=True) as client:
        found = client.request("POST", "/saved_searches/filter", json={}).json()
    tags = {search["name"]: [part["value"] for part in search["filters"] if part["property"] == "tag"] for search in found}
    assert tags == {"nights": [["nightly"]], "runs that did something": [["had-work"]]}
    assert len(found) == 2
