"""The fields of events and items, and common column names for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

Kind = Literal["events", "items"]
# Column names by field, in lower case without blanks and signs. A tier is tried only if no column matches an earlier tier.
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
    "recommendation_id": ("recommendationid recid",),
    "position": (),
    "context": ("context",),
}
ITEM_ALIASES: Aliases = {
    "item_id": EVENT_ALIASES["item_id"],
    "title": (
        "title",
        "name productname itemname itemtitle movietitle producttitle",
        "titel artikelname produktname bezeichnung titre título titulo 标题 商品标题 商品名称 名称",
    ),
    "description": (
        "description",
        "desc itemdescription productdescription summary overview plot",
        "beschreibung artikelbeschreibung produktbeschreibung descripción descripcion 描述 商品描述 简介",
    ),
    "categories": (
        "categories",
        "category genres genre",
        "kategorien kategorie warengruppe catégories catégorie categorie categorías categoría categoria 类别 分类 商品类别 类目",
    ),
    "tags": ("tags", "labels keywords", "schlagworte schlagwörter stichworte étiquettes etiquetas 标签 关键词"),
    "price": ("price", "unitprice listprice", "preis verkaufspreis prix precio 价格 售价 商品价格"),
    "is_available": (
        "isavailable",
        "available instock isactive availability",
        "verfügbar verfuegbar verfügbarkeit lieferbar disponible disponibilité disponibilidad 是否有货 是否可售 库存状态",
    ),
}
ALIASES: Mapping[Kind, Aliases] = {"events": EVENT_ALIASES, "items": ITEM_ALIASES}
REQUIRED: Mapping[Kind, tuple[str, ...]] = {"events": ("user_id", "item_id", "occurred_at"), "items": ("item_id",)}
USER_WORDS = (
    *("user", "customer", "client", "member", "visitor", "account", "session", "buyer", "reviewer"),
    *("shopper", "person", "kunde", "profile", "subscriber", "device", "uid"),
    *("utilisateur", "usuario", "用户", "会员", "客户", "顾客"),
)
ITEM_WORDS = (
    *("item", "product", "article", "artikel", "produkt", "sku", "asin", "movie", "film", "video"),
    *("track", "song", "book", "course", "content", "listing", "offer"),
    *("produit", "producto", "articulo", "artículo", "商品", "产品"),
)
"""Name parts of columns that may be proposed as ids if their values look like ids."""
NO_ID_WORDS = (
    "price|preis|prix|precio|cost|kosten|betrag|amount|amt|quantity|qty|menge|anzahl|cantidad|quantit|(?<!ac)count|stock|bestand|rating|score"
    "|star|wert|umsatz|revenue|discount|rabatt|tax|weight|name|titl|titel|titre|título|titulo|desc|beschreibung|text|categor|kategorie"
    "|genre|type|url|image|rank|position|group|gruppe|brand|marke|parent|order|bestell|auftrag|cart|basket|zip|plz|postal|phone|mail|currency"
    "|color|language|region|city|status|version|价|数量|名|标题|描述|类|订单|品牌"
)
"""Name parts of columns that are never proposed as ids, whatever their values look like."""
TIME_WORDS = r"(?i:time|date|zeit|datum|fecha|hora|heure|stamp)|时间|日期|_at$|At$|\bts\b"


def plain(name: str) -> str:
    """A name in lower case, without blanks and signs."""
    return re.sub(r"[\W_]", "", name.lower())


KNOWN_NAMES = frozenset(
    word for aliases in (EVENT_ALIASES, ITEM_ALIASES) for name, tiers in aliases.items() for word in (plain(name), *" ".join(tiers).split())
)
