"""Takes events that were deleted by age out of the files of raw.events."""

from __future__ import annotations

from tasks.erasure.at_once import PATIENCE_S, is_settled, move_on
from tasks.lake import Lake, reading, statement
from tasks.locks import BusyError, night_paused, publishing_paused
from tasks.privacy.files import rewrite_feed
from tasks.upkeep import FEED


def rewrite_aged_events(lake: Lake) -> int | None:
    """The number of files that were rewritten; None if this has to wait for the next upkeep.

    The change feed of minutes shows rewritten rows as new ones. So this waits until no event waits to be learnt and no night is under way,
    and then lets the watermarks point past the rewrite.
    """
    with reading(lake) as con:
        if FEED not in con.execute(statement("maintain/find_deletes")).fetchall():
            return 0
    try:
        with night_paused(lake), publishing_paused(lake, PATIENCE_S):
            return rewrite_feed(lake, is_settled, move_on)
    except BusyError:
        return None
