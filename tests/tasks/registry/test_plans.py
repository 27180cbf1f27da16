"""Plans of nights in MLflow: found by run and name, and a night without one is an error with a remedy."""

from __future__ import annotations

import pytest

from tasks.registry.errors import RegistryError
from tasks.registry.night_run import start_night
from tasks.registry.plans import PLAN, read_plan
from tasks.registry.versions import Registry


def test_a_plan_is_found_by_run_and_by_name_and_a_night_without_one_is_an_error(registry: Registry) -> None:
    with start_night(registry, "night 2026-01-01", {}, 3, None, {}) as night:
        registry.client.log_text(night.run_id, "{}", PLAN)
    with start_night(registry, "night 2026-01-02", {}, 4, None, {}) as without:
        pass
    assert read_plan(registry, night.run_id) == read_plan(registry, "night 2026-01-01") == "{}"
    with pytest.raises(RegistryError, match="has no plan: it failed early, or is of an earlier version; name a later night"):
        read_plan(registry, without.run_id)
    for unknown in ("99", "no such night"):
        with pytest.raises(RegistryError, match=f"no night '{unknown}'; name a model version, a run of MLflow or its name, or a plan.json"):
            read_plan(registry, unknown)
