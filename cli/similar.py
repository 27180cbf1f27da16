"""`minutehand similar`: the nearest items of an item."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.lake import open_lake
from cli.options import AsJson, K
from cli.output import say_json, show_list


def similar(
    item: Annotated[str, typer.Argument(help="The id of an item", show_default=False)],
    k: K = 10,
    as_json: AsJson = False,
) -> None:
    """Show the items that are nearest to one item."""
    from tasks.reading import similar as find_similar

    rows = find_similar(open_lake(), item, k)
    if as_json:
        say_json([{"similar_to": item, **row} for row in rows])
    else:
        show_list(rows, f"like item {item}")
