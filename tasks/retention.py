"""How long things are kept that upkeep lets go of; model versions are counted instead (MINUTEHAND_REGISTRY__KEEP_VERSIONS)."""

from __future__ import annotations

PUBLICATIONS_WITH_SNAPSHOT = 7
"""Newest publications of each cadence whose snapshots of the lake can still be read."""
SNAPSHOT_HOURS = 24.0
"""Every snapshot of the lake can be read for this long; a run may be pinned to it."""
ORPHAN_GRACE_HOURS = 1.0
"""Age at which a file that no snapshot knows counts as left by a killed run."""
FRESHNESS_DAYS = 30.0
"""Rows of ops.freshness, which say how long users waited for their list."""
PREFECT_DAYS = 30
"""Runs, logs and artifacts in Prefect's database."""
