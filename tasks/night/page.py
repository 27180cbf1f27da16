"""The report of a night for the owner of the shop: one HTML page without scripts that needs nothing from the network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html import escape
from pathlib import Path
from string import Template

from models.visible import visible_line
from tasks.config import HealthConfig
from tasks.health import ALARM, LEARNING, OK, Check, examine
from tasks.lake import Lake, statement
from tasks.reading.asking import Row, ask, asking

PAGE = Path(__file__).with_name("page.html")
FOLDER = "report"
N_TITLES, N_MOVED, N_CATEGORIES, N_BOUGHT = 10, 5, 8, 8
WEEK = timedelta(days=7)
LONGEST_TITLE = 90
PLAIN = {
    "events": (
        "Events of your shop",
        "As many visits, clicks and purchases come in as usual at this hour.",
        "Unusually few or many events come in.",
    ),
    "people": (
        "People in your shop",
        "As many people are active as usual at this hour.",
        "Unusually few or many people are active.",
    ),
    "arrivals": (
        "Deliveries of events",
        "The newest events arrived in time.",
        "No new events have arrived for an unusually long time.",
    ),
    "unknown items": (
        "Catalogue",
        "Events name products that the catalogue has.",
        "Many events name products that the catalogue does not have.",
    ),
    "interests": (
        "Interests",
        "People look at the same kinds of products as usual.",
        "People look at other kinds of products than usual.",
    ),
    "lag": (
        "Freshness of lists",
        "Lists follow what people do in the usual time.",
        "Lists take unusually long to follow what people do.",
    ),
    "quality": (
        "Quality",
        "Recommendations predict what people do next as well as usual.",
        "Recommendations predict what people do next worse than usual.",
    ),
    "nights": (
        "Nightly training",
        "The nights run as usual.",
        "No night has finished for an unusually long time.",
    ),
}
"""Name of each check, and what it says if all is well and if not."""
STATES = {OK: "as usual", LEARNING: "still learning", ALARM: "look at this"}
TOO_LITTLE = "Too little happened in the last hour to judge."
HOW_TO_SEND = """<script defer src="/minutehand/tracker.js" data-key="mh_..."></script>
<ul data-mh-list="the recommendation_id that came with the list">
  <li data-mh-item="p7"><a href="/p7">Lamp</a></li>
</ul>"""
HOW_TO_POST = """{"event_type": "impression", "user_id": "u1", "item_id": "p7", "occurred_at": "2026-11-28T12:00:00Z",
 "recommendation_id": "8c1d...", "position": 1}"""


@dataclass(frozen=True)
class Night:
    """What the report says of the night itself. is_new: whether its model went live. reason: the decision of the gate, in words."""

    run_name: str
    version: str
    live: str
    reason: str
    run_id: str
    snapshot: int
    is_new: bool


def night_page(lake: Lake, night: Night, config: HealthConfig, ignored_types: Sequence[str] = (), now: datetime | None = None) -> str:
    """The page as HTML. Titles and other texts of the data are escaped; no id of a person is on it."""
    clock = (now or datetime.now(UTC)).replace(tzinfo=None)
    checks = examine(lake, config, ignored_types, clock)
    since = {"since": str(clock - 2 * WEEK)}
    with asking(lake) as con:
        con.execute(statement(f"{FOLDER}/create_places"))
        lists = ask(con, "lists", folder=FOLDER)[0]
        titles = ask(con, "titles", {"n": N_TITLES}, FOLDER)
        categories = ask(con, "categories", {"n": N_CATEGORIES, "since": str(clock - WEEK)}, FOLDER)
        days = ask(con, "outcomes", since, FOLDER)
        bought = ask(con, "bought", {"since": str(clock - WEEK), "n": N_BOUGHT}, FOLDER)
        alarms = ask(con, "alarms", {"since": str(clock - timedelta(days=1))}, FOLDER)
    week = [row for row in days if row["day"] > (clock - WEEK).date()]
    before = [row for row in days if row["day"] <= (clock - WEEK).date()]
    parts = {
        "night": f"{clock:%d %B %Y}",
        "when": f"{clock:%A}, {clock.day} {clock:%B %Y}, {clock:%H:%M} UTC. {_model(night)}",
        "banner": _banner(checks),
        "tiles": _tiles(lists, week),
        "outcomes": _outcomes(week, before, bought, clock.date()),
        "shown": _shown(lists, titles, categories),
        "changed": _changed(lists, titles, categories),
        "health": _health(checks, alarms),
        "footer": _footer(night),
    }
    return Template(PAGE.read_text(encoding="utf-8")).substitute(parts)


def save(html: str, home: Path, clock: datetime) -> Path:
    """Write the page of a night below home/reports, complete or not at all; a second night of a day has the time in its name."""
    folder = home / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{clock:%Y-%m-%d}.html"
    if file.exists():
        file = folder / f"{clock:%Y-%m-%dT%H%M%S}.html"
    part = file.with_suffix(".part")
    part.write_text(html, encoding="utf-8")
    part.replace(file)
    return file


def _model(night: Night) -> str:
    if night.is_new:
        return "Tonight's newly trained model makes the lists."
    return "Tonight's newly trained model was not good enough, so the lists come from the model that you had before."


def _banner(checks: Sequence[Check]) -> str:
    alarms = [check for check in checks if check.state == ALARM]
    if alarms:
        n = "One thing needs" if len(alarms) == 1 else f"{len(alarms)} things need"
        points = "".join(f"<li>{escape(PLAIN[check.check][2])}</li>" for check in alarms)
        return f'<div class="banner bad">{n} your attention<ul>{points}</ul></div>'
    if not any(check.state == OK for check in checks):
        return '<div class="banner wait">Your lists are ready. minutehand is still learning what is usual in your shop.</div>'
    return '<div class="banner good">Your lists are ready, and everything looks as usual.</div>'


def _tiles(lists: Row, week: Sequence[Row]) -> str:
    tiles = [(f"{lists['n_users']:,}", f"{'person has' if lists['n_users'] == 1 else 'people have'} a list of their own")]
    if lists["n_before"]:
        tiles.append((_share(lists["n_changed"] / lists["n_before"]), "of them see another first ten than after the night before"))
    tiles.append((f"{lists['n_shown']:,}", f"of your {lists['n_items']:,} products are in somebody's first ten"))
    shown = sum(row["n_shown"] for row in week)
    if shown:
        tiles.append((f"{sum(row['n_bought'] for row in week):,}", "purchases after a recommendation in the last seven days"))
    return '<div class="tiles">' + "".join(f'<div class="tile"><b>{n}</b><span>{text}</span></div>' for n, text in tiles) + "</div>"


def _outcomes(week: Sequence[Row], before: Sequence[Row], bought: Sequence[Row], today: date) -> str:
    title = "<h2>What people did with what they were shown</h2>"
    if not week:
        return f"""<section>{title}
<p>Nobody has reported in the last seven days which recommendations people saw, so this page cannot say what was bought because of them.</p>
<p>To see it here, let your pages report what they show. The tracker does it by itself for every list that is marked:</p>
<pre>{escape(HOW_TO_SEND)}</pre>
<p>A program of yours can send the same to <code>POST /v1/events</code>, or drop it as a file, one line for each product shown:</p>
<pre>{escape(HOW_TO_POST)}</pre>
<p class="note">Clicks and purchases come in as events of the types <code>click</code> and <code>purchase</code>. The guide is
docs/guides/outcomes.md; the tracker is in docs/guides/put-it-in-your-shop.md.</p></section>"""
    now, past = _sums(week), _sums(before)
    text = (
        f"In the last seven days, people saw a recommended product {now['n_shown']:,} times. Of every 1,000 times, "
        f"<b>{_per_thousand(now, 'n_clicked')} led to a click and {_per_thousand(now, 'n_bought')} to a purchase</b>."
    )
    if now["worth"]:
        text += f" These purchases were worth {now['worth']:,.2f} together."
    if past["n_shown"]:
        text += f" In the week before it was {_per_thousand(past, 'n_clicked')} and {_per_thousand(past, 'n_bought')}."
    table = _table(
        ["Bought most after it was shown", "shown", "clicked", "bought", "worth"],
        [[_title(row), *(f"{row[name]:,}" for name in ("n_shown", "n_clicked", "n_bought")), f"{row['worth']:,.2f}"] for row in bought],
    )
    best = table if bought else '<p class="note">Nothing was bought after it had been shown.</p>'
    return f"<section>{title}<p>{text}</p>{_days(week, today)}{_arms(week)}{best}</section>"


def _arms(week: Sequence[Row]) -> str:
    """The arms of a running experiment next to each other; empty without one."""
    arms = {arm: _sums([row for row in week if row["arm"] == arm]) for arm in ("control", "challenger")}
    if not all(sums["n_shown"] for sums in arms.values()):
        return ""
    names = {"control": "People with the model as it is", "challenger": "People with the model on trial"}
    rows = [
        [names[arm], f"{sums['n_shown']:,}", _per_thousand(sums, "n_clicked"), _per_thousand(sums, "n_bought")]
        for arm, sums in arms.items()
    ]
    return (
        "<h3>The experiment that is running</h3>"
        + _table(["", "products shown", "clicks per 1,000", "purchases per 1,000"], rows)
        + '<p class="note">A difference of a few days is often chance. Is it real yet? <code>minutehand experiment status</code></p>'
    )


def _days(week: Sequence[Row], today: date) -> str:
    """Clicks per 1,000 products shown, as one bar per day of the last seven."""
    days = [today - timedelta(days=back) for back in range(6, -1, -1)]
    sums = [_sums([row for row in week if row["day"] == day]) for day in days]
    rates = [1000 * found["n_clicked"] / found["n_shown"] if found["n_shown"] else None for found in sums]
    most = max([rate for rate in rates if rate is not None] or [0]) or 1
    bars = []
    for number, (day, rate) in enumerate(zip(days, rates, strict=True)):
        x, height = 10 + 100 * number, 1.0 if rate is None else max(90 * rate / most, 1.0)
        kind, middle = "empty" if rate is None else "day", f'x="{x + 36}" text-anchor="middle"'
        bars.append(f'<rect class="{kind}" x="{x}" y="{118 - height:.1f}" width="72" height="{height:.1f}" rx="2"/>')
        bars.append("" if rate is None else f'<text class="value" {middle} y="{112 - height:.1f}">{rate:,.0f}</text>')
        bars.append(f'<text {middle} y="136">{day:%a} {day.day}</text>')
    return (
        "<h3>Clicks for every 1,000 recommended products shown</h3>"
        f'<svg viewBox="0 0 710 142" role="img" aria-label="Clicks per 1,000 products shown, by day">{"".join(bars)}</svg>'
    )


def _shown(lists: Row, titles: Sequence[Row], categories: Sequence[Row]) -> str:
    top = [row for row in titles if row["by_now"] <= N_TITLES and row["n_now"]]
    rows = [
        (f"{_title(row)}<br><small>{_text(row['category'] or '')}</small>", _bar(row["n_now"], top[0]["n_now"]), _of(row["n_now"], lists))
        for row in top
    ]
    parts = ["<section><h2>What is shown</h2><h3>In the first ten of most people</h3>", _bars(rows)]
    most = max([max(row["share_now"] or 0, row["share_done"] or 0) for row in categories] or [0])
    kinds = [
        (
            _text(row["category"]),
            _bar(row["share_now"], most) + _bar(row["share_done"] or 0, most, "other"),
            f"{_share(row['share_now'])}<br><small>{_share(row['share_done'] or 0)}</small>",
        )
        for row in categories
        if row["share_now"]
    ]
    if kinds:
        key = '<i></i>of all recommendations <i class="other"></i>of what people looked at and bought in the last seven days'
        parts.append(f'<h3>Kinds of products</h3><p class="note key">{key}</p>{_bars(kinds)}')
    return "".join([*parts, "</section>"])


def _bars(rows: Sequence[tuple[str, str, str]]) -> str:
    """A table of names, bars and numbers."""
    cells = (f'<tr><td>{name}</td><td class="bar">{bar}</td><td class="number">{number}</td></tr>' for name, bar, number in rows)
    return f"<table>{''.join(cells)}</table>"


def _of(n_users: int, lists: Row) -> str:
    return _share(n_users / max(lists["n_users"], 1))


def _changed(lists: Row, titles: Sequence[Row], categories: Sequence[Row]) -> str:
    heading = "<section><h2>What changed since the night before</h2>"
    if not lists["n_before"]:
        return f"{heading}<p>This is the first night of which lists are kept, so there is nothing to compare with yet.</p></section>"
    text = f"{lists['n_changed']:,} of {lists['n_before']:,} people see another first ten products than after the night before."
    now, before = max(lists["n_users"], 1), lists["n_before"]
    gained = [row for row in sorted(titles, key=lambda row: row["by_gain"]) if row["n_now"] > row["n_before"]][:N_MOVED]
    lost = [row for row in sorted(titles, key=lambda row: row["by_loss"]) if row["n_now"] < row["n_before"]][:N_MOVED]

    def moved(name: str, rows: Sequence[Row]) -> str:
        if not rows:
            return ""
        cells = [[_title(row), _share(row["n_before"] / before), _share(row["n_now"] / now)] for row in rows]
        return f"<div><h3>{name}</h3>{_table(['', 'before', 'now'], cells)}</div>"

    kinds = sorted(
        (row for row in categories if row["share_before"] is not None), key=lambda row: -abs(row["share_now"] - row["share_before"])
    )
    drift = [row for row in kinds[:3] if abs(row["share_now"] - row["share_before"]) >= 0.005]
    if drift:
        moves = [f"{_text(row['category'])} from {_share(row['share_before'])} to {_share(row['share_now'])}" for row in drift]
        text += f" Of all recommendations, the share of these kinds moved most: {'; '.join(moves)}."
    columns = moved("Shown to more people", gained) + moved("Shown to fewer people", lost)
    return f'{heading}<p>{text}</p><div class="two">{columns}</div></section>'


def _health(checks: Sequence[Check], alarms: Sequence[Row]) -> str:
    rows = []
    for check in checks:
        name, well, wrong = PLAIN[check.check]
        plain = {OK: well if check.value is not None else TOO_LITTLE, ALARM: wrong, LEARNING: "Not judged yet."}[check.state]
        remedy = f"<br>What to do: {_text(check.remedy)}" if check.remedy else ""
        rows.append(
            f'<tr><td>{name}</td><td class="state {check.state}">{STATES[check.state]}</td>'
            f"<td>{plain}{remedy}<br><small>{_text(check.found)}</small></td></tr>"
        )
    past = ""
    if alarms:
        points = [
            f"<li>{PLAIN[row['check_name']][2]} From {row['first_at']:%d %b %H:%M} to {row['last_at']:%d %b %H:%M} UTC.</li>"
            for row in alarms
            if row["check_name"] in PLAIN
        ]
        past = f"<h3>In the last day</h3><ul>{''.join(points)}</ul>"
    return (
        f"<section><h2>Is anything wrong?</h2><p>minutehand compares the last hour with what is usual in your shop at this hour.</p>"
        f'<table>{"".join(rows)}</table>{past}<p class="note">At any time: <code>minutehand health</code></p></section>'
    )


def _footer(night: Night) -> str:
    return (
        f"For those who look after minutehand: {_text(night.run_name)}, model version {_text(night.version)}, "
        f"live version {_text(night.live)}, snapshot {night.snapshot}, MLflow run {_text(night.run_id)}. {_text(night.reason)}"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML; all columns but the first are numbers."""
    head = "".join(f"<th{_number(place)}>{name}</th>" for place, name in enumerate(header))
    body = "".join("<tr>" + "".join(f"<td{_number(place)}>{cell}</td>" for place, cell in enumerate(row)) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _number(place: int) -> str:
    return ' class="number"' if place else ""


def _bar(value: float, most: float, kind: str = "") -> str:
    return f'<span class="track {kind}"><i style="width: {100 * value / (most or 1):.1f}%"></i></span>'


def _title(row: Row) -> str:
    """The title of an item on one short line, escaped; its id if it has none."""
    text = visible_line(row["title"] or row["item_id"])
    return escape(text if len(text) <= LONGEST_TITLE else f"{text[: LONGEST_TITLE - 1]}…")


def _text(text: str) -> str:
    return escape(visible_line(text))


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 or share == 0 else f"{share:.1%}"


def _sums(rows: Sequence[Row]) -> Row:
    return {name: sum(row[name] for row in rows) for name in ("n_shown", "n_clicked", "n_bought", "worth")}


def _per_thousand(sums: Row, name: str) -> str:
    rate = 1000 * sums[name] / sums["n_shown"] if sums["n_shown"] else 0.0
    return re.sub(r"\.0$", "", f"{rate:,.1f}")
