"""`minutehand status`: the contents of the lake, and the live model."""

from __future__ import annotations

from cli.lake import lake_of
from cli.options import AsJson
from cli.output import say_json, show


def status(as_json: AsJson = False) -> None:
    """Show the contents of the lake, and the age, training data and quality of the live model."""
    from settings import load
    from tasks.reading import status as find_status

    settings = load()
    ignored = [name for name, weight in settings.ingest.event_weights.items() if not weight > 0]
    rows = find_status(lake_of(settings), ignored_types=ignored, encoder=settings.encoder.name)
    if as_json:
        say_json(rows)
        return
    shown = [{**row, "value": f"{row['value']:,}" if isinstance(row["value"], int) else row["value"] or "none yet"} for row in rows]
    show(shown, as_json=False)
