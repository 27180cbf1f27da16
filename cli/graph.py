"""`minutehand graph`: what a user, an item or a category is connected with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.lake import open_lake
from cli.options import AsJson, K
from cli.output import say, say_json, show

if TYPE_CHECKING:
    from tasks.lake import Lake

PAGE = Path(__file__).with_name("graph.html")
N_NEAR, N_FAR, N_MOST = 12, 3, 80
"""Numbers of nodes on a page: neighbours per relation, neighbours of each neighbour per relation, and altogether."""


def graph(
    node: Annotated[
        str | None,
        typer.Argument(metavar="[USER]", help="A user, or a node such as item:8123 or 'category:Kitchen > Pans'", show_default=False),
    ] = None,
    item: Annotated[str | None, typer.Option("--item", help="An item instead of a user", show_default=False)] = None,
    k: K = 10,
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the neighbourhood as an interactive .html page", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --out overwrite a file")] = False,
) -> None:
    """Show the strongest edges of a user, an item or another node in the interest graph."""
    from models.errors import UserError
    from tasks.reading import find_node, neighbourhood, surroundings, write_text

    if (node is None) == (item is None):
        raise UserError("name one node: a user, --item ITEM, or a node such as 'category:Kitchen > Pans'")
    if force and out is None:
        raise UserError("--force overwrites the file that --out names; add --out FILE, or leave it away")
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: the page ends in .html; name a file that does")
    lake = open_lake()
    centre = find_node(lake, str(item) if node is None else _stored(lake, node), is_item=node is None)
    if out is not None:
        nodes, edges = surroundings(lake, centre["node"], N_NEAR, N_FAR, N_MOST)
        write_text(lake, out, page(centre, nodes, edges), force=force)
        if as_json:
            say_json([{"file": str(out), "nodes": len(nodes), "edges": len(edges)}])
        else:
            say(f"{len(nodes):,} nodes and {len(edges):,} edges in {out}")
        return
    rows = neighbourhood(lake, centre["node"], k)
    if as_json:
        say_json([{"source": centre["node"], **row} for row in rows])
    else:
        shown = [{"relation": row["relation"], "node": row["node"], "name": _name(row), "share": row["share"]} for row in rows]
        show(shown, as_json=False, title=_title(centre))


def _stored(lake: Lake, node: str) -> str:
    """The name of a node, in which a user is named as the lake names them."""
    from tasks.privacy.border import stored_ids

    kind, sign, name = node.rpartition("user:")
    return node if kind or (":" in node and not sign) else sign + stored_ids(lake, [name])[0]


def page(centre: dict[str, Any], nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> str:
    """A self-contained HTML page that draws the nodes and edges. No text of the data can become markup or code in it."""
    import json
    from base64 import b64encode
    from hashlib import sha256

    from models.visible import to_json_value, visible_line

    template = PAGE.read_text(encoding="utf-8")
    script = template.split("<script>", 1)[1].split("</script>")[0]
    drawn = [{**node, "name": visible_line(node["name"])} for node in nodes]
    about = {"title": visible_line(_title(centre)), "nodes": drawn, "edges": edges}
    data = json.dumps(to_json_value(about), default=str, ensure_ascii=True)
    safe = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return template.replace("$HASH", b64encode(sha256(script.encode()).digest()).decode()).replace("$DATA", safe)


def _title(centre: dict[str, Any]) -> str:
    name = "" if centre["name"] == centre["id"] else f" ({centre['name']})"
    return f"{centre['kind']} {centre['id']}{name}: model version {centre['model_version']}, snapshot {centre['data_snapshot']}"


def _name(row: dict[str, Any]) -> str:
    """The name of a node; empty if the node says it already."""
    name = str(row["name"] or "")
    return "" if row["node"].endswith(name) else name
