"""The API as a child of `minutehand up`: `python -m cli.up.api_server` waits until there is something to answer with, then serves.

It reads the ports and the host from the settings.
"""

from __future__ import annotations

import sys
import time

from cli.lake import lake_of
from cli.output import say
from cli.serve import demand_keys, run
from models.errors import UserError
from serving.keys import Keys
from settings import Settings, load

WAITS = "waiting: "
LOOK_S = 5.0


def main() -> None:
    """Wait, saying what for, then serve until a signal."""
    settings, said = load(), ""
    while reason := obstacle(settings):
        if reason != said:
            say(f"{WAITS}{reason}", err=True)
            said = reason
        time.sleep(LOOK_S)
    try:
        run(settings)
    except UserError as error:
        say(f"error: {error}", err=True)
        sys.exit(1)


def obstacle(settings: Settings) -> str | None:
    """What the API waits for, as one sentence; None if it can start."""
    from serving.published import newest_publication
    from tasks.lake import has_catalog

    try:
        demand_keys(settings, Keys(settings.home, settings.home_access))
        lake = lake_of(settings)
        is_published = has_catalog(lake) and newest_publication(lake) is not None
    except UserError as error:
        return str(error)
    return None if is_published else "nothing is published yet; the first night does it: minutehand nightly"


if __name__ == "__main__":
    main()
