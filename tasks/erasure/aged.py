"""Takes rows that were deleted by age out of the files of raw.events and out of what the catalog keeps of them."""

from __future__ import annotations

import logging
import sqlite3

from tasks.advisory import UnreachableError
from tasks.erasure.at_once import PATIENCE_S, is_settled, move_on
from tasks.lake import Lake, reading
from tasks.locks import BusyError, night_paused
from tasks.privacy.files import renew_bounds, rewrite_feed, vacuum
from tasks.upkeep import FEED, has_deletes

logger = logging.getLogger("minutehand.upkeep")


def rewrite_aged_events(lake: Lake) -> int | None:
    """The number of files that were rewritten; None if this has to wait for the next upkeep.

    The change feed of minutes shows rewritten rows as new ones. So this waits until no event waits to be learnt and no night is under way,
    and then lets the watermarks point past the rewrite.
    """
    with reading(lake) as con:
        if not has_deletes(con, *FEED):
            return 0
    try:
        with night_paused(lake):
            return rewrite_feed(lake, is_settled, move_on, PATIENCE_S)
    except BusyError:
        return None


def empty_free_pages(lake: Lake) -> bool:
    """Rewrite a catalog without what it kept of deleted rows; False if others keep it busy, and this waits for another day."""
    try:
        renew_bounds(lake)
        vacuum(lake)
    except (sqlite3.OperationalError, BusyError, UnreachableError) as error:
        logger.warning("the catalog keeps deleted rows for now (%s); the upkeep of tomorrow tries again", error)
        return False
    return True
