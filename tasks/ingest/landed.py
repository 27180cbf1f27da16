"""What became of a landed file."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.ingest.fields import Kind


@dataclass(frozen=True)
class Landed:
    """What became of one file, or of several that got in together.

    outcome: done (every row got in), partial (some or all were refused), failed (it could not be read), gone before it could be read,
    stuck where it cannot be moved away, or waiting for a mapping file to be corrected.
    """

    kind: Kind
    file: str
    outcome: str
    read: int = 0
    new: int = 0
    changed: int = 0
    duplicate: int = 0
    rejected: int = 0
    seconds: float = 0.0
    error: str = ""

    def needs_a_look(self, max_rejected_share: float) -> bool:
        """Whether the run that met it counts as failed: it did not get in, or more than this share of its rows did not."""
        is_out = self.outcome in ("failed", "stuck", "waiting")
        return is_out or self.rejected > max_rejected_share * self.read
