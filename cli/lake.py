"""The lake of this home, for the commands that only read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.lake import Lake


def open_lake() -> Lake:
    """Its address; no connection is made."""
    from settings import load
    from tasks.lake import locate

    settings = load()
    return locate(settings.lake, settings.home)
