"""The answers of the API, as dictionaries. `GET /openapi.json` of a server describes them in full."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Rejected(TypedDict):
    """Why one event or item was not accepted. index: its place in what was sent."""

    index: int
    reason: str


class Taken(TypedDict):
    """What became of the events or items of one call. Accepted ones are on the server's disk.

    new: of items only; the accepted ones that the catalogue did not know, so that a mistyped id shows.
    """

    accepted: int
    duplicates: int
    rejected: list[Rejected]
    new: NotRequired[list[str]]


class Item(TypedDict):
    """One row of a list. reason, source: None if the request asks for no explanation. slot: ranked, or exploration for a new item.

    propensity: the probability with which a draw put the new item there; 1.0 for ranked rows.
    """

    item_id: str
    title: str | None
    score: float
    probability: float
    reason: str | None
    source: str | None
    slot: str
    propensity: float


class Recommended(TypedDict):
    """One list, best item first. Send its recommendation_id and the position with impressions and clicks."""

    recommendation_id: str
    model_version: str
    snapshot: int
    scenario: str
    items: list[Item]


class Found(TypedDict):
    """One item that is similar to another, or fits words."""

    item_id: str
    title: str | None
    score: float


class Interest(TypedDict):
    """One interest of a user. evidence: ids of their items that speak most for it."""

    horizon: str
    interest_id: str
    kind: str
    dimension: str
    name: str
    probability: float
    evidence: list[str]
    evidence_titles: NotRequired[list[str]]


class Interests(TypedDict):
    """The interests of a user. is_own: False if nothing is known about them, so that these are everybody's."""

    user_id: str
    is_own: bool
    model_version: str
    snapshot: int
    interests: list[Interest]
