"""`minutehand promote` and `minutehand rollback`: make another version live."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.lake import lake_of, registry_of
from cli.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings import Settings
    from tasks.publish.promotion import Chosen, Home
    from tasks.publish.restore import Restored


def promote(version: Annotated[str, typer.Argument(help="A model version, as `minutehand models` names it", show_default=False)]) -> None:
    """Make a model version live, with its last lists if they are kept; else it ranks all users, which takes longer."""
    from tasks.publish.promotion import promote as go_live

    settings, home = _open()
    with _change_noted(settings, home):
        _rank_if_needed(settings, go_live(home, version, _show))


def rollback() -> None:
    """Undo the last change of the champion: make the version live again that was live before it. A second rollback undoes the first."""
    from tasks.publish.promotion import rollback as go_back

    settings, home = _open()
    with _change_noted(settings, home):
        _rank_if_needed(settings, go_back(home, _show))


def _open() -> tuple[Settings, Home]:
    from dataclasses import replace

    from settings import load
    from tasks.lake import migrate
    from tasks.privacy.common_keys import demand_common_keys
    from tasks.publish.promotion import Home

    settings = load()
    lake = replace(lake_of(settings), threads=settings.threads)
    migrate(lake)
    demand_common_keys(lake)
    return settings, Home(lake, settings.home, lambda: registry_of(settings), settings.ingest.event_weights, settings.retention.lists_days)


@contextmanager
def _change_noted(settings: Settings, home: Home) -> Iterator[None]:
    """Writes what a promotion changes for users to MLflow, after readers see it, and says it in one line."""
    from tasks.publish.pointer import live_version

    before = live_version(home.lake)
    yield
    after = live_version(home.lake)
    if before is None or after is None or before == after:
        return
    from tasks.compare.published import N_USERS, published_difference

    found = published_difference(home.lake, before, after, N_USERS, settings.ingest.event_weights)
    if found is not None:
        from tasks.registry.differences import record_difference

        name = record_difference(home.open_registry(), before, after, found.text())
        changed = f"{found.changed:.1%} of the users have another top ten than with version {before}"
        say(f"{changed} ({name} in MLflow; minutehand diff {before} {after})")


def _show(done: Restored) -> None:
    """Say what readers see now."""
    published, changed = done.publication, f"{done.publication.n_users_changed:,} changed"
    say(f"version {done.version} is live: lists of {published.n_users:,} users ({changed}), in {published.seconds:.1f} s")
    if done.marks.learnt > done.wanted:
        say(
            f"the lake no longer tells the events of snapshots {done.wanted + 1} to {done.marks.learnt} from older ones, so minutes do not "
            "learn them again; the next night learns all: minutehand nightly"
        )
    say("the next minute learns the events since, and ranks their users; next: minutehand status")


def _rank_if_needed(settings: Settings, chosen: Chosen) -> None:
    """Let the model make the lists of a version that has none."""
    if chosen.past is not None:
        return
    say(f"version {chosen.version}: {chosen.why}; ranking all users, which takes longer")
    from cli.environment import prepare
    from cli.up.temporary import find_api

    prepare(settings)
    demand_api = find_api(settings)
    from flows.promotion import promotion  # imports prefect and torch, while the server starts

    demand_api()
    version = promotion(chosen.version)
    say(f"version {version} is live; next: minutehand status")
