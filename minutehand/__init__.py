"""The client of minutehand's API for a program of yours. It needs Python 3.11 and nothing else."""

from __future__ import annotations

from minutehand.answers import Found, Interest, Interests, Item, Recommended, Rejected, Taken
from minutehand.client import Client
from minutehand.errors import ApiError, RequestError, ServerError, UnreachableError

__all__ = [
    "ApiError",
    "Client",
    "Found",
    "Interest",
    "Interests",
    "Item",
    "Recommended",
    "Rejected",
    "RequestError",
    "ServerError",
    "Taken",
    "UnreachableError",
]
