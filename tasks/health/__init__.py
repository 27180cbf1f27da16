"""Health checks: drift and breaks of events, lists and quality, and the alarms that follow from them."""

from tasks.health.checks import ALARM, LEARNING, OK, Check, examine
from tasks.health.watch import Change, mark_announced, to_announce, watch

__all__ = ["ALARM", "LEARNING", "OK", "Change", "Check", "examine", "mark_announced", "to_announce", "watch"]
