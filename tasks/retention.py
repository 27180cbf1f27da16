"""Retention times of data that upkeep deletes. Model versions are kept by number (MINUTEHAND_REGISTRY__KEEP_VERSIONS)."""

from __future__ import annotations

PUBLICATIONS_WITH_SNAPSHOT = 7
"""Number of newest publications of each cadence whose lake snapshots stay readable."""
SNAPSHOT_HOURS = 24.0
"""Every lake snapshot stays readable for this long, because a run may be pinned to it."""
ORPHAN_GRACE_HOURS = 1.0
"""Age from which a file that no snapshot names counts as an orphan of a killed run."""
FRESHNESS_DAYS = 30.0
"""Age limit of rows in ops.freshness, which record how long users waited for their lists."""
SERVED_DAYS = 90.0
"""Age limit of rows in ops.served, which hold the lists that the API answered with, and of those in ops.api_positions."""
PREFECT_DAYS = 30
"""Age limit of runs, logs and artifacts in Prefect's database."""
