"""Known event types with their training weights; other types have weight 1."""

from __future__ import annotations

EVENT_WEIGHTS = {
    "view": 1.0,
    "click": 1.0,
    "cart": 1.0,
    "purchase": 1.0,
    "rating": 1.0,
    "search": 0.0,
    "impression": 0.0,
    "return": 0.0,
}
