"""The tables of interests within a publish transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from models.events import Ints
from models.interests.capture import HORIZONS
from models.interests.users import UserInterests
from models.interests.vocabulary import Interests
from tasks.lake import ANYONE, statement


@dataclass(frozen=True)
class FoundInterests:
    """The interests that a publish writes. The items of interests are those of the published catalogue.

    found: of the users in user_ids, and after them of everybody. items: rows of the items whose interests are new; None replaces the tables
    of all users and items.
    """

    interests: Interests
    user_ids: Sequence[str]
    found: UserInterests
    items: Ints | None = None

    @property
    def is_all(self) -> bool:
        """Whether the tables are replaced as a whole, as a night does."""
        return self.items is None


def write_interests(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: FoundInterests, provenance: dict[str, Any]) -> None:
    """Replace the interests of users, and of items and the catalogue if items are described. provenance: columns of every row."""
    con.register("renewed", pa.table({"user_id": pa.array([*content.user_ids, ANYONE], pa.string())}))
    con.execute(statement("interests/delete_user_interests"), {"is_all": content.is_all})
    insert_user_interests(con, item_ids, content, provenance)
    if content.items is not None and not len(content.items):
        return
    con.execute(statement("interests/delete_interests"))
    con.register("interests", interest_rows(content.interests))
    con.execute(statement("interests/insert_interests"), provenance)
    described = np.arange(len(item_ids)) if content.items is None else content.items
    con.register("described", pa.table({"item_id": item_ids.take(pa.array(described))}))
    con.execute(statement("interests/delete_item_interests"), {"is_all": content.is_all})
    con.register("members", member_rows(item_ids, content.interests, described))
    con.execute(statement("interests/insert_item_interests"), provenance)


def insert_user_interests(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: FoundInterests, provenance: dict[str, Any]) -> None:
    """Insert the interests of users by user. provenance: columns of every row."""
    con.register("held", user_rows(item_ids, content))
    con.execute(statement("interests/insert_user_interests"), provenance)


def interest_rows(interests: Interests) -> pa.Table:
    """Rows of recs.interests without the provenance."""
    ids = interests.interest_ids
    return pa.table(
        {
            "interest_id": pa.array(ids, pa.string()),
            "kind": pa.array(interests.kinds, pa.string()),
            "dimension": pa.array(interests.groups, pa.string()),
            "parent_id": pa.array([ids[row] if row >= 0 else None for row in interests.parents], pa.string()),
            "name": pa.array(interests.names, pa.string()),
            "terms": pa.array([list(words) for words in interests.terms], pa.list_(pa.string())),
            "n_items": pa.array(interests.items_of, pa.int64()),
        }
    )


def member_rows(item_ids: pa.Array, interests: Interests, items: Ints) -> pa.Table:
    """Rows of recs.item_interests of the given items, without the provenance."""
    kept = np.isin(interests.item, items)
    return pa.table(
        {
            "item_id": item_ids.take(pa.array(interests.item[kept])),
            "interest_id": pa.array(interests.interest_ids, pa.string()).take(pa.array(interests.interest[kept])),
            "share": pa.array(interests.weight[kept], pa.float32()),
        }
    )


def user_rows(item_ids: pa.Array, content: FoundInterests) -> pa.Table:
    """Rows of recs.user_interests by user id, horizon and falling probability, without the provenance."""
    interests, found = content.interests, content.found
    users = [*content.user_ids, ANYONE]
    rank = np.empty(len(users), np.int64)
    rank[np.array(sorted(range(len(users)), key=users.__getitem__))] = np.arange(len(users))
    order = np.argsort(rank[found.user], kind="stable")
    interest, evidence = pa.array(found.interest[order]), found.evidence[order]
    is_there = evidence >= 0
    borders = pa.array(np.concatenate([[0], np.cumsum(is_there.sum(1))]).astype(np.int32))
    cited = item_ids.take(pa.array(evidence[is_there]))
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()).take(pa.array(found.user[order])),
            "horizon": pa.array(HORIZONS, pa.string()).take(pa.array(found.horizon[order])),
            "interest_id": pa.array(interests.interest_ids, pa.string()).take(interest),
            "kind": pa.array(interests.kinds, pa.string()).take(interest),
            "name": pa.array(interests.names, pa.string()).take(interest),
            "probability": pa.array(found.probability[order], pa.float32()),
            "evidence": pa.ListArray.from_arrays(borders, cited),
        }
    )
