"""The API keeps what /openapi.json promises, for requests that schemathesis makes up from it: clear answers, and never a 500."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.openapi import from_asgi

from serving.admission import admitted
from serving.app import create_app
from serving.keys import Keys
from serving.live import Live
from tasks.config import IngestConfig, ServerConfig
from tests.serving.shop import open_shop
from tests.serving.test_live import start

__all__ = ["start"]
HOST = "testserver"
REFUSED = ["400", "401", "403", "404", "406", "413", "422", "428", "5xx"]
"""What wrong values may be answered with: the default, and 413 for too many events. A 500 is refused by another check."""
CONFIG = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}})
SAME_EACH_TIME = settings(derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def keep_the_contract(live: Live, home: Path, n_examples: int, *, except_for: str | None = None) -> None:
    """Ask every operation, with values that fit the schema and with values that do not; all broken promises are raised together."""
    app = admitted(create_app(live, IngestConfig()), ServerConfig(allowed_hosts=HOST), Keys(home))
    broken = []
    operations = [found.ok() for found in from_asgi("/openapi.json", app, config=CONFIG).get_all_operations()]
    for operation in [each for each in operations if each.path != except_for]:
        for mode in GenerationMode:

            @settings(SAME_EACH_TIME, max_examples=n_examples)
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Case) -> None:
                case.call_and_validate()

            try:
                with suppress(Unsatisfiable):  # an operation without parameters has no wrong ones
                    ask()
            except FailureGroup as error:
                error.add_note(f"{operation.label}, {mode.name.lower()} values")
                broken.append(error)
    if broken:
        raise BaseExceptionGroup("the API breaks its contract", broken)


def test_every_answer_is_one_that_the_schema_names(start: Callable[[], Live], tmp_path: Path) -> None:
    keep_the_contract(start(), tmp_path, 2, except_for="/v1/search")  # these fruits have no words


@pytest.mark.slow
def test_every_answer_to_many_requests_is_one_that_the_schema_names(tmp_path: Path) -> None:
    live = open_shop(tmp_path).start()
    try:
        keep_the_contract(live, tmp_path, 50)
    finally:
        live.segments.close()
