"""Nodes of the interest graph and what surrounds them, for people."""

from __future__ import annotations

import json

from models.errors import UserError
from tasks.lake import Lake
from tasks.reading.asking import N_HINTS, Row, ask, asking, demand_text, named, nobody, nothing_published

NODE_KINDS = ("user", "item", "category", "tag", "interest")


def find_node(lake: Lake, name: str, *, is_item: bool = False) -> Row:
    """A node of the graph: the user or item with this id, else the node of this name, such as item:8123 or category:Kitchen > Pans.

    Raises UserError if there is none; the message says whether the next run adds it, and proposes similar ids.
    """
    demand_text(name)
    with asking(lake) as con:
        kind = "item" if is_item else "user"
        for node in (f"{kind}:{name}", name):
            for row in ask(con, "find_node", {"node": node}):
                return row
        if not ask(con, "last_publication"):
            raise nothing_published(con)
        prefix, _, rest = name.partition(":")
        if rest and prefix in NODE_KINDS:
            kind, name = prefix, rest
        if kind not in ("user", "item"):
            raise UserError(f"no {kind} {name!r} in the graph; its {kind} nodes: {_nodes_of(kind)}")
        if ask(con, f"find_{kind}", {f"{kind}_id": name})[0]["is_known"]:
            raise UserError(f"{kind} {name!r} is not in the graph yet: the next minute or night adds it, unless its events weigh nothing")
        if kind == "user":
            raise UserError(f"{nobody(con, name)}; users with history: {_nodes_of(kind)}")
        near = ", ".join(named(row) for row in ask(con, "resembling_items", {"text": name, "n": N_HINTS}))
        raise UserError(f"no item {name!r}; {f'did you mean {near}?' if near else f'items: {_nodes_of(kind)}'}")


def _nodes_of(kind: str) -> str:
    return f"minutehand sql \"select id, name from graph.nodes where kind = '{kind}' order by weight desc limit 10\""


def neighbourhood(lake: Lake, node: str, k: int) -> list[Row]:
    """The k strongest edges of a node for each relation, strongest first."""
    with asking(lake) as con:
        return ask(con, "neighbourhood", {"node": node, "k": k})


def surroundings(lake: Lake, node: str, n_near: int, n_far: int, n_most: int) -> tuple[list[Row], list[Row]]:
    """The nodes within two edges of a node, nearest and strongest first, and their strongest edges to each other, each once.

    n_near: neighbours of the node for each relation. n_far: neighbours, and edges, of each neighbour for each relation. n_most: nodes
    altogether.
    """
    with asking(lake) as con:
        room: Row = {"node": node, "n_near": n_near, "n_far": n_far, "n_most": n_most}
        nodes = ask(con, "surrounding_nodes", room)
        asked: Row = {"nodes": json.dumps([row["node"] for row in nodes]), "node": node, "n_each": n_far}
        return nodes, ask(con, "edges_between", asked)
