"""`minutehand diff`: what changes for users between two model versions."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.lake import lake_of, registry_of
from cli.options import AsJson
from cli.output import say, say_json, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from settings import Settings
    from tasks.compare.difference import Difference, Exposure
    from tasks.lake import Lake

COLUMNS, LONGEST_TITLE, N_TITLES, N_RANKED = 80, 30, 2, 1000


def diff(
    before: Annotated[str, typer.Argument(help="A model version", metavar="VERSION", show_default=False)],
    after: Annotated[str, typer.Argument(help="Another one", metavar="VERSION", show_default=False)],
    users: Annotated[
        int | None,
        typer.Option("--users", min=1, help="Largest number of users; 20,000 of published lists, 1,000 to rank", show_default=False),
    ] = None,
    is_ranked: Annotated[
        bool, typer.Option("--rank", help="Rank the lists with both versions now, even if both have published lists")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how lists differ between two versions: users, exposure of items, and examples.

    Compares the lists that were live with each version. If one of them never published, both rank a sample of users now.
    """
    from models.errors import UserError
    from settings import load
    from tasks import process

    settings = load()
    if before == after:
        raise UserError(f"both versions are {before}; name two, as minutehand models lists them")
    lake = lake_of(settings)
    process.use_threads(settings.threads)
    found = None if is_ranked else _published(settings, lake, before, after, users)
    if found is None:
        found = _ranked(settings, lake, before, after, users or N_RANKED)
    if as_json:
        say_json(found.as_json(with_users=True))
        return
    _tell(found)


def _published(settings: Settings, lake: Lake, before: str, after: str, n_users: int | None) -> Difference | None:
    from tasks.compare.published import N_USERS, published_difference

    return published_difference(lake, before, after, n_users or N_USERS, settings.ingest.event_weights)


def _ranked(settings: Settings, lake: Lake, before: str, after: str, n_users: int) -> Difference:
    """The difference between lists that both versions rank now, from the newest snapshot."""
    from cli.environment import set_defaults
    from models.errors import UserError

    set_defaults(settings)
    from tasks.compare.versions import ranked_difference, today_of
    from tasks.registry.versions import find_version

    registry = registry_of(settings)
    folders = {version: find_version(registry, version).checkpoint_folder for version in (before, after)}
    today = today_of(lake, settings.home, settings.ingest.event_weights, settings.encoder, settings.evaluation)
    k, weights = settings.publish.n_recommendations, settings.ingest.event_weights
    found = ranked_difference(lake, today, folders, n_users, k, settings.seed, weights)
    if found is None:
        raise UserError("no user has history, so there are no lists to compare; take in events: minutehand ingest events FILE")
    return found


def _tell(found: Difference) -> None:
    one_sided = "".join(
        f"; {n:,} users have a list in version {version} only"
        for n, version in ((found.n_only_before, found.before), (found.n_only_after, found.after))
        if n
    )
    say(_wrapped(f"version {found.before} to version {found.after}: {found.basis}; {found.n_users:,} users{one_sided}"))
    others = f"{found.changed_items:.1%} get other items, the rest another order"
    say(_wrapped(f"{found.changed:.1%} of the users get another top ten: {others}; {found.replaced:.1%} of the places change hands"))
    say(_wrapped(f"rank-biased overlap {found.overlap:.3f} (1: equal lists); a tenth of the users have {found.overlap_low:.3f} or less"))
    say(_wrapped(f"\n{found.moved_by_popularity:.1%} of the places move between popular and rare items"))
    show([_row("items", each) for each in found.popularity], as_json=False)
    say(_wrapped(f"\n{found.moved_between_categories:.1%} of the places move between categories; those that move most:"))
    show([_row("category", each) for each in found.categories], as_json=False)
    if found.examples:
        say("\nexamples, from the list that changes most to the one that changes least")
    for each in found.examples:
        say(f"user {each.user_id}: overlap {each.overlap:.3f}")
        for sign, titles in (("-", each.gone), ("+", each.new)):
            if titles:
                say(_short(f"  {sign} {_named(titles)}"))
        if not each.gone and not each.new:
            say("    the same items in another order")


def _row(name: str, each: Exposure) -> dict[str, Any]:
    return {name: each.group, "before": f"{each.before:.1%}", "after": f"{each.after:.1%}", "moved": f"{each.moved:+.1%}"}


def _named(titles: Sequence[str]) -> str:
    more = f" and {len(titles) - N_TITLES} more" if len(titles) > N_TITLES else ""
    return f"{'; '.join(_short(title, LONGEST_TITLE) for title in titles[:N_TITLES])}{more}"


def _short(text: str, longest: int = COLUMNS) -> str:
    line = " ".join(text.split()) if longest < COLUMNS else text
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def _wrapped(text: str) -> str:
    begin = "\n" if text.startswith("\n") else ""
    return begin + fill(text.strip(), COLUMNS, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
