"""Outcome of a landed file."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.ingest.log_names import LogKind


@dataclass(frozen=True)
class Landed:
    """The outcome of one landed file, or of several that were ingested together.

    outcome: done (every row was ingested, or is barred), partial (other rows were refused), failed (unreadable), gone (removed before it
    was read), stuck (it cannot be moved away), or waiting (its mapping file needs a correction). barred: rejected rows of erased people,
    and those that are older than events are kept; no correction gets them in.
    """

    kind: LogKind
    file: str
    outcome: str
    read: int = 0
    new: int = 0
    changed: int = 0
    duplicate: int = 0
    rejected: int = 0
    barred: int = 0
    seconds: float = 0.0
    error: str = ""

    def needs_a_look(self, max_rejected_share: float) -> bool:
        """Whether its run counts as failed: the file was not ingested, or more than this share of its rows was refused.

        Barred rows do not count.
        """
        is_out = self.outcome in ("failed", "stuck", "waiting")
        return is_out or self.rejected - self.barred > max_rejected_share * self.read
