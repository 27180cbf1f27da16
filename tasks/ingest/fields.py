"""The fields of events and items, and the names under which files are likely to have them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

Kind = Literal["events", "items"]
# Names that say which field a column is, lower case without blanks and signs; a tier is asked only where those before it are silent.
Aliases = Mapping[str, Sequence[str]]
EVENT_ALIASES: Aliases = {
    "event_id": ("eventid", "eventuuid"),
    "user_id": (
        "userid",
        "user customerid customer visitorid visitor memberid clientid accountid studentid learnerid readerid reviewerid",
        "sessionid session",
    ),
    "item_id": (
        "itemid",
        "item productid product movieid movie sku asin articleid article stockcode videoid trackid songid bookid courseid contentid",
    ),
    "event_type": ("eventtype", "type event action eventname behavior behaviour activity"),
    "value": ("value", "rating stars score quantity qty amount"),
    "query": ("query", "searchquery searchterm searchterms searchtext"),
    "occurred_at": ("occurredat", "timestamp ts time datetime eventtime eventtimestamp createdat unixtime", "date day"),
    "context": ("context",),
}
ITEM_ALIASES: Aliases = {
    "item_id": EVENT_ALIASES["item_id"],
    "title": ("title", "name productname itemname itemtitle movietitle producttitle"),
    "description": ("description", "desc itemdescription productdescription summary overview plot"),
    "categories": ("categories", "category genres genre"),
    "tags": ("tags", "labels keywords"),
    "price": ("price", "unitprice listprice"),
    "is_available": ("isavailable", "available instock isactive"),
}
ALIASES: Mapping[Kind, Aliases] = {"events": EVENT_ALIASES, "items": ITEM_ALIASES}
REQUIRED: Mapping[Kind, tuple[str, ...]] = {"events": ("user_id", "item_id", "occurred_at"), "items": ("item_id",)}
USER_WORDS = (
    *("user", "customer", "client", "member", "visitor", "account", "session", "buyer", "reviewer"),
    *("shopper", "person", "kunde", "profile", "subscriber", "device", "uid"),
)
ITEM_WORDS = (
    *("item", "product", "article", "artikel", "produkt", "sku", "asin", "movie", "film", "video"),
    *("track", "song", "book", "course", "content", "listing", "offer"),
)
"""Parts of the names of columns that may be proposed, where their values look like ids."""


def plain(name: str) -> str:
    """A name in lower case, without blanks and signs."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


KNOWN_NAMES = frozenset(
    word for aliases in (EVENT_ALIASES, ITEM_ALIASES) for name, tiers in aliases.items() for word in (plain(name), *" ".join(tiers).split())
)
