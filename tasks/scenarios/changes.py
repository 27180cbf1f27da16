"""What changed in the scenarios since the last publication, so that a minute knows which lists follow old rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from tasks.lake import Lake, reading, statement
from tasks.scenarios.conditions import fingerprint, read_items
from tasks.scenarios.file import DEFAULT, Scenario

PLAIN = Scenario(name=DEFAULT).settings


@dataclass(frozen=True)
class Rule:
    """The rules of one scenario, as a row of ops.scenarios. changed_at: UTC; None if they never changed."""

    settings: str
    allowed_hash: str = ""
    changed_at: datetime | None = None


@dataclass(frozen=True)
class Rules:
    """The rules that lists shall follow, by scenario, and how they differ from those of the last publication.

    is_changed: whether any differ, in scenarios.toml or in the items that a `where` allows. hiding: users with new events that hide an
    item, but that no model learns.
    """

    by_scenario: Mapping[str, Rule]
    is_changed: bool
    hiding: tuple[str, ...] = ()

    @property
    def since(self) -> datetime | None:
        """Older lists follow other rules; None if none do."""
        return max((rule.changed_at for rule in self.by_scenario.values() if rule.changed_at is not None), default=None)

    @property
    def is_due(self) -> bool:
        """Whether there is a reason to publish."""
        return self.is_changed or bool(self.hiding)


UNCHANGED = Rules({}, is_changed=False)


def rules_of(con: duckdb.DuckDBPyConnection, lake: Lake, snapshot: int, scenarios: Mapping[str, Scenario], now: datetime) -> Rules:
    """The rules of the scenarios in tables at a snapshot, compared with those of the last publication that the connection sees.

    now: UTC. Raises UserError for a wrong `where`.
    """
    stored = {name: Rule(*rule) for name, *rule in con.execute(statement("scenarios/rules")).fetchall()} or {DEFAULT: Rule(PLAIN)}
    wanted = {name: each for name, each in scenarios.items() if each.is_published}
    hashes = _hashes(lake, snapshot, wanted) if any(each.where for each in wanted.values()) else {}
    rules = {}
    for name, each in wanted.items():
        old = stored.get(name)
        changed_at = old.changed_at if old is not None and old.settings == each.settings else now
        rules[name] = Rule(each.settings, hashes.get(name, ""), changed_at)
    return Rules(rules, is_changed=rules != stored)


def read_rules(lake: Lake, snapshot: int, scenarios: Mapping[str, Scenario], now: datetime) -> Rules:
    """Like rules_of, for a run that holds the publishing lock."""
    with reading(lake) as con:
        return rules_of(con, lake, snapshot, scenarios, now)


def _hashes(lake: Lake, snapshot: int, scenarios: Mapping[str, Scenario]) -> dict[str, str]:
    with reading(lake, snapshot) as con:
        return {name: fingerprint(read_items(con, each.where), each.where) for name, each in scenarios.items() if each.where}


def note_rules(con: duckdb.DuckDBPyConnection, rules: Rules) -> None:
    """Store the rules that the lists follow from now on."""
    if not rules.is_changed:
        return
    con.register(
        "rules",
        pa.table(
            {
                "scenario": pa.array(rules.by_scenario, pa.string()),
                "settings": pa.array([rule.settings for rule in rules.by_scenario.values()], pa.string()),
                "allowed_hash": pa.array([rule.allowed_hash for rule in rules.by_scenario.values()], pa.string()),
                "changed_at": pa.array([rule.changed_at for rule in rules.by_scenario.values()], pa.timestamp("us")),
            }
        ),
    )
    con.execute(statement("scenarios/delete_rules"))
    con.execute(statement("scenarios/insert_rules"))
