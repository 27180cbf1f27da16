"""Fixed retention times of snapshots and files. RetentionConfig in tasks/config.py has those that can be set."""

from __future__ import annotations

PUBLICATIONS_WITH_SNAPSHOT = 7
"""Number of newest publications of each cadence whose lake snapshots stay readable."""
SNAPSHOT_HOURS = 24.0
"""Every lake snapshot stays readable for this long, because a run may be pinned to it."""
ORPHAN_GRACE_HOURS = 1.0
"""Age from which a file that no snapshot names counts as an orphan of a killed run."""
MOST_DAYS = 36_500
"""The longest retention time that can be set."""
