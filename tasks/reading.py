"""Queries of the lake for people: recommendation lists, similar items, the status, and any read-only SQL."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from models.config import REPEATS_ARE_COMMON
from models.errors import UserError
from models.text.language import language_warning
from models.visible import to_json_value
from tasks.access import OURS, current_mask
from tasks.data_folder import check_free
from tasks.lake import ANYONE, Lake, current_snapshot, has_catalog, is_disk_full, quote, reading, statement
from tasks.privacy.opt_out import opted_out
from tasks.statements import is_explain, reading_statements

N_HINTS = 3
SERVED, NDCG = "ndcg_at_10_served", "ndcg_at_10"
N_TEXTS = 500
SEEN_ITEMS = "MINUTEHAND_EVALUATION__SEEN_ITEMS"
TAKE_IN = "take in events first: minutehand ingest events FILE, or minutehand simulate for a made-up shop"
TRAIN = "minutehand nightly trains a model and publishes lists"
NO_INTERESTS = (
    "the live model knows no interests: it was trained before this was possible, or its items have neither labels nor texts; "
    "run minutehand nightly, or give items categories: minutehand ingest items FILE --map categories=COLUMN"
)
BY_AND_BY = (
    "each minute run makes the lists of those who did something, and of up to 500 others (MINUTEHAND_PUBLISH__REFRESH_USERS); "
    "minutehand nightly makes all"
)
FORMATS = {".csv": "format csv, header true", ".parquet": "format parquet", ".json": None}
"""File endings of exports, with the options of DuckDB's COPY. This module writes JSON itself, as `--json` prints it."""
FOR_PEOPLE = {"landing", "shop"}
"""Folders of the home where an export may go."""
N_AT_ONCE = 10_000
NODE_KINDS = ("user", "item", "category", "tag", "interest")
UNITS = (("year", 31_557_600), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))

Row = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """The rows of a query; is_cut: whether the query has more rows than were asked for."""

    rows: list[Row]
    is_cut: bool


@dataclass(frozen=True)
class UserList:
    """The list of one user; note: why it is the list for anyone; None if the user has their own list."""

    user_id: str
    rows: list[Row]
    note: str | None


def lists_of(lake: Lake, user_ids: Sequence[str], k: int, scenario: str | None = None) -> list[UserList]:
    """The best k items of each user, best first. A user without a list gets the list for anyone, whose source is 'popular'.

    An id that was merged into a user gets the list of this user.

    scenario: one whose lists are in recs.scenario_recommendations; None for recs.recommendations. Raises UserError if nothing has been
    published yet; the message names the command to run next.
    """
    _demand_text(*user_ids)
    with _asking(lake) as con:
        return [_list_of(con, user_id, k, scenario) for user_id in user_ids]


def interests_of(lake: Lake, user_id: str) -> UserList:
    """The interests of a user, short horizon first. A user who has none yet gets those of everybody, with a note.

    Raises UserError if nothing has been published yet, or if the live model knows no interests.
    """
    _demand_text(user_id)
    with _asking(lake) as con:
        person, merged = _person(con, user_id)
        own = _rows(con, "user_interests", {"user_id": person})
        rows = [{"user_id": user_id, **row} for row in own or _rows(con, "user_interests", {"user_id": ANYONE})]
        if own:
            return UserList(user_id, rows, merged)
        if not _rows(con, "last_publication"):
            raise _nothing_published(con)
        if not rows:
            raise UserError(NO_INTERESTS)
        has_events = _rows(con, "find_user", {"user_id": person})[0]["is_known"]
        why = f"user {user_id} has events, but no interests yet" if has_events else _nobody(con, user_id)
        why = f"user {user_id} has opted out" if user_id in opted_out(con) else why
        return UserList(user_id, rows, f"{why}; this is what everybody is interested in")


def similar(lake: Lake, item_id: str, k: int) -> list[Row]:
    """The k items most similar to an item, most similar first.

    Raises UserError for an item without neighbours: nothing is published yet, the published model does not know the item, or the
    id is unknown. For an unknown id, the message proposes similar ids.
    """
    _demand_text(item_id)
    with _asking(lake) as con:
        found = _rows(con, "similar_items", {"item_id": item_id, "k": k})
        if found:
            return found
        if not _rows(con, "last_publication"):
            raise _nothing_published(con)
        _demand_item(con, item_id)
        raise UserError(f"item {item_id!r} has no neighbours: the live model has not seen it; the next `minutehand nightly` learns it")


def demand_known(lake: Lake, user_id: str, item_id: str) -> str:
    """The user that an id stands for: the id itself, or the user into whom it was merged.

    Raises UserError if nothing is published yet, or if the item is unknown, or if the user has neither a history nor a list.
    """
    _demand_text(user_id, item_id)
    with _asking(lake) as con:
        if not _rows(con, "last_publication"):
            raise _nothing_published(con)
        _demand_item(con, item_id)
        person, _ = _person(con, user_id)
        if not opted_out(con).isdisjoint({user_id, person}):
            raise UserError(f"user {user_id!r} has opted out and gets the lists for everybody; to undo it: minutehand opt-in {user_id!r}")
        if _rows(con, "has_history", {"user_id": person})[0]["is_listed"]:
            return person
        if _rows(con, "find_user", {"user_id": person})[0]["is_known"]:
            raise UserError(f"user {user_id!r} has events, but no list yet; the next `minutehand minute` makes one")
        raise UserError(f"{_nobody(con, user_id)}; the list for anyone follows from popularity alone: minutehand recommend {user_id!r}")


def find_node(lake: Lake, name: str, *, is_item: bool = False) -> Row:
    """A node of the graph: the user or item with this id, else the node of this name, such as item:8123 or category:Kitchen > Pans.

    Raises UserError if there is none; the message says whether the next run adds it, and proposes similar ids.
    """
    _demand_text(name)
    with _asking(lake) as con:
        kind = "item" if is_item else "user"
        for node in (f"{kind}:{name}", name):
            for row in _rows(con, "find_node", {"node": node}):
                return row
        if not _rows(con, "last_publication"):
            raise _nothing_published(con)
        prefix, _, rest = name.partition(":")
        if rest and prefix in NODE_KINDS:
            kind, name = prefix, rest
        if kind not in ("user", "item"):
            raise UserError(f"no {kind} {name!r} in the graph; its {kind} nodes: {_nodes_of(kind)}")
        if _rows(con, f"find_{kind}", {f"{kind}_id": name})[0]["is_known"]:
            raise UserError(f"{kind} {name!r} is not in the graph yet: the next minute or night adds it, unless its events weigh nothing")
        if kind == "user":
            raise UserError(f"{_nobody(con, name)}; users with history: {_nodes_of(kind)}")
        near = ", ".join(_named(row) for row in _rows(con, "resembling_items", {"text": name, "n": N_HINTS}))
        raise UserError(f"no item {name!r}; {f'did you mean {near}?' if near else f'items: {_nodes_of(kind)}'}")


def _nodes_of(kind: str) -> str:
    return f"minutehand sql \"select id, name from graph.nodes where kind = '{kind}' order by weight desc limit 10\""


def neighbourhood(lake: Lake, node: str, k: int) -> list[Row]:
    """The k strongest edges of a node for each relation, strongest first."""
    with _asking(lake) as con:
        return _rows(con, "neighbourhood", {"node": node, "k": k})


def surroundings(lake: Lake, node: str, n_near: int, n_far: int, n_most: int) -> tuple[list[Row], list[Row]]:
    """The nodes within two edges of a node, nearest and strongest first, and their strongest edges to each other, each once.

    n_near: neighbours of the node for each relation. n_far: neighbours, and edges, of each neighbour for each relation. n_most: nodes
    altogether.
    """
    with _asking(lake) as con:
        room: Row = {"node": node, "n_near": n_near, "n_far": n_far, "n_most": n_most}
        nodes = _rows(con, "surrounding_nodes", room)
        asked: Row = {"nodes": json.dumps([row["node"] for row in nodes]), "node": node, "n_each": n_far}
        return nodes, _rows(con, "edges_between", asked)


def write_text(lake: Lake, file: Path, text: str, *, force: bool = False) -> None:
    """Write a text file for a person, atomically. Raises UserError as `export` does."""
    _demand_free(lake, file, force=force)
    try:
        with _replacing(file, force=force) as fresh:
            fresh.write_text(text, encoding="utf-8")
    except OSError as error:
        if is_disk_full(error):
            raise
        raise UserError(f"cannot write {file}: {error.strerror or error}; name a file in a folder that you may write to") from error


def status(lake: Lake, now: datetime | None = None, ignored_types: Sequence[str] = (), encoder: str = "") -> list[Row]:
    """The status as rows of what and value: contents of the lake, live model, its age and quality, and events not yet processed.

    ignored_types: event types with weight 0; their events do not count as unprocessed. encoder: name of the encoder, for a warning
    about item texts in a language that it does not know.
    """
    clock = (now or datetime.now(UTC)).replace(tzinfo=None)
    with _asking(lake) as con:
        counts = _rows(con, "count_lake")[0]
        live = next(iter(_rows(con, "last_publication")), None)
        facts = {
            "events": counts["n_events"],
            "users": counts["n_users"],
            "items": counts["n_items"],
            "newest event happened": _when(counts["happened_at"], clock),
            "newest event arrived": _when(counts["arrived_at"], clock),
            "rejected rows": counts["n_rejected"],
            "embeddings": counts["n_embeddings"],
            "snapshot": current_snapshot(con),
            **(_live(con, live, clock) | _quality(con, live["champion"] or live["model_version"]) if live else {"live model": None}),
            **_progress(con, ignored_types),
            **_freshness(con, clock),
        }
        unknown = _text_warning(con, encoder) if counts["n_items"] else None
        if unknown:
            facts["item texts"] = unknown
        if not live:
            facts["next"] = TRAIN if counts["n_events"] else TAKE_IN
    return [{"what": what, "value": value} for what, value in facts.items()]


def text_warning(lake: Lake, encoder: str) -> str | None:
    """Advice about item texts in a language that the named encoder does not know; None if no such texts were found."""
    with _asking(lake) as con:
        return _text_warning(con, encoder)


def freshness_by_hour(lake: Lake, hours: float = 24.0, now: datetime | None = None) -> list[Row]:
    """Delay between users' events and the lists that reflect them, from ops.freshness_by_hour, newest hour first."""
    clock = (now or datetime.now(UTC)).replace(tzinfo=None)
    with _asking(lake) as con:
        return _rows(con, "freshness_by_hour", {"since": str(clock - timedelta(hours=hours))})


def query(lake: Lake, sql: str, max_rows: int | None = None) -> Answer:
    """The rows of a SQL statement, or of the last of several. Columns with the same name get a number.

    Raises UserError, before any statement runs, if one of them is not read-only. SQL that DuckDB refuses raises UserError with
    DuckDB's message in one line.
    """
    _demand_text(sql)
    with _asking(lake) as con, _refused():
        *before, last = _reading_statements(con, sql)
        for text in before:
            con.execute(text)
        cursor = con.execute(last)
        found = cursor.fetchall() if max_rows is None else cursor.fetchmany(max_rows + 1)
        names = _distinct([column[0] for column in cursor.description or []])
    rows = [dict(zip(names, row, strict=True)) for row in found[:max_rows]]
    return Answer(rows, is_cut=max_rows is not None and len(found) > max_rows)


def export(lake: Lake, sql: str, file: Path, *, force: bool = False) -> int:
    """Write the rows of a SQL statement to a file, in the format of its ending; returns the number of rows.

    The write is atomic. A file that replaces another (force) keeps the permissions of the old one.
    Raises UserError as `query` does, and if the file cannot be written or already exists.
    """
    ending = file.suffix.lower()
    if ending not in FORMATS:
        raise UserError(f"--out {file}: a file ends in {', '.join(FORMATS)}; name one that does")
    _demand_text(sql)
    _demand_free(lake, file, force=force)
    with _asking(lake) as con, _refused():
        *before, last = _reading_statements(con, sql)
        if is_explain(last):
            raise UserError("the plan of an EXPLAIN is no table; leave --out out to see it")
        for text in before:
            con.execute(text)
        try:
            with _replacing(file, force=force) as fresh:
                return _write(con, last, fresh, FORMATS[ending])
        except OSError as error:
            if is_disk_full(error):
                raise
            raise UserError(f"cannot write {file}: {error.strerror or error}; name a file in a folder that you may write to") from error


def age(moment: datetime, now: datetime) -> str:
    """The time since a moment in words, in the largest unit that fits."""
    seconds = (now - moment).total_seconds()
    unit, length = next(((unit, length) for unit, length in UNITS if abs(seconds) >= length), ("second", 1))
    n = int(abs(seconds) // length)
    words = f"{n} {unit}{'' if n == 1 else 's'}"
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def one_line(message: str) -> str:
    """A DuckDB message in one line, without the copy of the statement that follows it."""
    return " ".join(message.split("\n\nLINE ")[0].split())


def _demand_text(*texts: str) -> None:
    """Raises UserError for text from the command line that is not UTF-8: DuckDB does not accept it."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{text!r} is not UTF-8; give it as text of that encoding") from error


def _reading_statements(con: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """The statements of a text, at least one. They can neither read variables of this program nor change settings."""
    found = reading_statements(con, sql)
    if not found:  # only blanks and comments
        raise UserError(f'no statement in {sql!r}; try: minutehand sql "from raw.items limit 5"')
    con.execute("set python_enable_replacements = false")
    con.execute("set lock_configuration = true")
    return found


@contextmanager
def _refused() -> Iterator[None]:
    """Turns DuckDB's errors into a UserError of one line."""
    try:
        yield
    except (duckdb.Error, RuntimeError) as error:
        if isinstance(error, duckdb.Error) and is_disk_full(error):
            raise
        raise UserError(one_line(str(error))) from error


def _demand_free(lake: Lake, file: Path, *, force: bool) -> None:
    target = file.resolve()
    if any(target.is_relative_to(Path(folder).resolve()) for folder in (lake.lock_path.parent, lake.data_path)):
        raise UserError(f"--out {file} is in the lake itself; name a file somewhere else")
    home = lake.lock_path.parent.resolve().parent
    if target.is_relative_to(home) and set(target.relative_to(home).parts[:1]) & (OURS - FOR_PEOPLE):
        raise UserError(f"--out {file} is where minutehand keeps its own files; name a file somewhere else")
    if file.is_dir():
        raise UserError(f"--out {file} is a folder; name a file")
    if not force and os.path.lexists(file):
        raise UserError(f"{file} is there already; name another file, or overwrite it with --force")


@contextmanager
def _replacing(file: Path, *, force: bool) -> Iterator[Path]:
    """A temporary file in the same folder; it is renamed to the file when the block ends without an error."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".minutehand-", suffix=".tmp")
    os.close(descriptor)
    fresh = Path(name)
    try:
        yield fresh
        fresh.chmod(0o666 & ~current_mask())
        if force:
            with suppress(FileNotFoundError):
                fresh.chmod(stat.S_IMODE(file.stat().st_mode))
        else:
            _demand_still_free(file)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def _demand_still_free(file: Path) -> None:
    """Reserve the name, so that a file that another process creates at the same moment is not overwritten."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        raise UserError(f"another process has just created {file}; name another file, or overwrite it with --force") from error


def _write(con: duckdb.DuckDBPyConnection, sql: str, file: Path, options: str | None) -> int:
    """Write the rows of a statement: with DuckDB's COPY and these options, or as an array of JSON objects if options is None."""
    n_rows = 0
    if options is not None:
        for each in con.extract_statements(f"copy (from ({sql}\n)) to {quote(str(file))} ({options}, use_tmp_file false)"):
            result = con.execute(each).fetchall()
            if each.type == duckdb.StatementType.COPY:  # DuckDB splits a pivot into several statements
                n_rows = int(result[0][0])
        return n_rows
    cursor = con.execute(sql)
    names = _distinct([column[0] for column in cursor.description or []])
    with file.open("w", encoding="utf-8") as sink:
        sink.write("[")
        while rows := cursor.fetchmany(N_AT_ONCE):
            for row in rows:
                sink.write(",\n" if n_rows else "\n")
                sink.write(json.dumps(to_json_value(dict(zip(names, row, strict=True))), default=str, ensure_ascii=False))
                n_rows += 1
        sink.write("\n]\n")
    return n_rows


def _list_of(con: duckdb.DuckDBPyConnection, user_id: str, k: int, scenario: str | None) -> UserList:
    name, place = ("recommendations", {}) if scenario is None else ("scenario_recommendations", {"scenario": scenario})
    person, merged = _person(con, user_id)
    own = _rows(con, name, {**place, "user_id": person, "k": k})
    if own:
        return UserList(user_id, [{"user_id": user_id, **row} for row in own], merged)
    anyone = _rows(con, name, {**place, "user_id": ANYONE, "k": k})
    if not anyone and not _rows(con, "last_publication"):
        raise _nothing_published(con)
    if not anyone and scenario is not None and not _rows(con, "is_in_force", {"scenario": scenario}):
        raise UserError(f"no lists of scenario {scenario!r} are published yet; the next `minutehand minute` makes them")
    if not opted_out(con).isdisjoint({user_id, person}):
        why = f"user {user_id} has opted out"
    elif scenario is not None and _rows(con, "has_history", {"user_id": person})[0]["is_listed"]:
        why = f"user {user_id} has no list of scenario {scenario!r} yet: {BY_AND_BY}"
    else:
        has_events = _rows(con, "find_user", {"user_id": person})[0]["is_known"]
        why = f"user {user_id} has events, but no list yet" if has_events else _nobody(con, user_id)
    return UserList(user_id, [{"user_id": user_id, **row} for row in anyone], f"{why}; this is the list for anyone")


def _person(con: duckdb.DuckDBPyConnection, user_id: str) -> tuple[str, str | None]:
    """The user that an id stands for, and a note if that is another id: it was merged into that user."""
    for row in _rows(con, "person", {"alias": user_id}):
        return row["user_id"], f"{user_id} was merged into user {row['user_id']}: this is what is known about both"
    return user_id, None


def _demand_item(con: duckdb.DuckDBPyConnection, item_id: str) -> None:
    """Raises UserError for an unknown item; the message proposes similar ids."""
    if _rows(con, "find_item", {"item_id": item_id})[0]["is_known"]:
        return
    near = ", ".join(_named(row) for row in _rows(con, "resembling_items", {"text": item_id, "n": N_HINTS}))
    hint = f"did you mean {near}?" if near else 'their ids: minutehand sql "select item_id, title from raw.items limit 10"'
    raise UserError(f"no item {item_id!r}; {hint}")


def _nobody(con: duckdb.DuckDBPyConnection, user_id: str) -> str:
    """A note that a user is unknown, with similar ids if there are any."""
    near = ", ".join(repr(row["user_id"]) for row in _rows(con, "resembling_users", {"user_id": user_id, "n": N_HINTS}))
    note = f"nobody called {user_id} has history"
    return f"{note} (did you mean {near}?)" if near else note


@contextmanager
def _asking(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection in autocommit mode: upkeep could delete rows that a transaction of several statements still needs."""
    if not has_catalog(lake):
        check_free(lake.folder, lake.shown_catalog)  # data files without a catalog: the catalog was lost
        raise UserError(f"there is no lake at {lake.lock_path.parent} yet; {TAKE_IN}")
    with reading(lake) as con:
        try:
            yield con
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise UserError(
                f"{one_line(str(error))}: a table of this lake, or a column, is missing; any minutehand ingest adds them"
            ) from error


def _rows(con: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, str | int] | None = None) -> list[Row]:
    """The rows of a statement of sql/read.

    The statement is prepared and executed in SQL: binding a Python value would import numpy, pandas and pyarrow, which takes a
    third of a second.
    """
    con.execute(f"prepare asked as {statement(f'read/{name}')}")
    values = [f"{key} := {quote(value) if isinstance(value, str) else value}" for key, value in (parameters or {}).items()]
    cursor = con.execute(f"execute asked({', '.join(values)})" if values else "execute asked")
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _nothing_published(con: duckdb.DuckDBPyConnection) -> UserError:
    if not _rows(con, "count_lake")[0]["n_events"]:
        return UserError(f"the lake is empty; {TAKE_IN}")
    return UserError(f"nothing has been published yet; {TRAIN}")


def _live(con: duckdb.DuckDBPyConnection, live: Row, clock: datetime) -> Row:
    return {
        "live model": f"version {live['model_version']}",
        "MLflow run": live["mlflow_run_id"],
        "snapshot of the lists": live["data_snapshot"],
        "published": _when(live["published_at"], clock),
        "users with a list": _rows(con, "count_lists")[0]["n_users"],
        "lists changed": live["n_users_changed"],
        **_seen_items(live),
    }


def _text_warning(con: duckdb.DuckDBPyConnection, encoder: str) -> str | None:
    con.execute(statement("encoding/define_item_text"))
    return language_warning(encoder, [row["text"] for row in _rows(con, "sample_texts", {"n": N_TEXTS})])


def _seen_items(live: Row) -> Row:
    """Whether lists show items again that their users have seen, and why; empty if the publication did not record it."""
    if live["hides_seen_items"] is None:
        return {}
    decision = "hidden" if live["hides_seen_items"] else "shown again"
    setting, share = live["seen_items_setting"], live["repeat_share"]
    if setting is not None:
        repeats = f"{share:.2%} of the training events are repeats"
        by_auto = f"{repeats}, and auto shows them from {REPEATS_ARE_COMMON:.0%} on"
        decision = f"{decision}: {by_auto if setting == 'auto' else f'{SEEN_ITEMS} was {setting}; {repeats}'}"
    return {"seen items": decision}


def _progress(con: duckdb.DuckDBPyConnection, ignored_types: Sequence[str]) -> Row:
    """The watermarks of lists and live model, and how many events are still missing in each; empty before the first publish."""
    marks = next(iter(_rows(con, "watermarks")), None)
    if marks is None:
        return {}
    asked = {**marks, "until": current_snapshot(con), "ignored_types": "\n".join(ignored_types)}
    try:
        waiting = _rows(con, "count_waiting", asked)[0]
    except duckdb.InvalidInputException as error:
        if "No snapshot found" not in str(error):
            raise
        gap = "but upkeep has deleted the snapshots after it; minutehand nightly trains a new model on all events"
        return {f"{what} up to snapshot": f"{marks[what]}, {gap}" for what in ("published", "learnt")}
    return {
        "published up to snapshot": f"{marks['published']}, {_missing(waiting['n_unpublished'], 'in the lists')}",
        "learnt up to snapshot": f"{marks['learnt']}, {_missing(waiting['n_unlearnt'], 'in the live model')}",
    }


def _missing(n_events: int, place: str) -> str:
    if not n_events:
        return f"all events are {place}"
    return f"{n_events:,} {'event is' if n_events == 1 else 'events are'} not yet {place}"


def _freshness(con: duckdb.DuckDBPyConnection, clock: datetime) -> Row:
    """Delay of the lists of the last hour, since the events arrived and since they happened; empty if no list followed an event."""
    waits = _rows(con, "freshness", {"since": str(clock - timedelta(hours=1))})[0]

    def delays(since: str, n_users: int) -> str:
        figures = ", ".join(f"{name} {waits[f'{since}_{name}_s']:.0f} s" for name in ("p50", "p95", "max"))
        return f"{figures} ({n_users:,} {'user' if n_users == 1 else 'users'} in the last hour)"

    counts = {"arrived": waits["n_users"], "happened": waits["n_live_users"]}
    labels = {"arrived": "list delay after arrival", "happened": "list delay after event"}
    return {labels[since]: delays(since, n_users) for since, n_users in counts.items() if n_users}


def _quality(con: duckdb.DuckDBPyConnection, version: str) -> Row:
    """Hold-out quality of the nightly version behind the live model, and of the best baseline on the same events.

    If that night did not measure served lists, all figures are those with the previous event known.
    """
    asked = [SERVED, NDCG, f"{SERVED}_lift", f"{NDCG}_lift"]
    figures = {metric: _rows(con, "quality", {"model_version": version, "metric": metric}) for metric in asked}
    own = {metric: next((row for row in rows if row["model_version"] == version), None) for metric, rows in figures.items()}
    decides = NDCG if own[SERVED] is None else SERVED
    best = next((row for row in figures[decides] if row["is_baseline"]), None)
    found = {
        "hold-out NDCG@10 served": _filled("{value:.4f}, from lists one minute old", own[SERVED]),
        "best baseline": _filled("{model} {value:.4f}", best),
        "gain over it": _filled("{value:+.4f} (95 %: {low:+.4f} to {high:+.4f})", own[f"{decides}_lift"]),
        "hold-out NDCG@10": _filled("{value:.4f}, with the previous event known", own[NDCG]),
    }
    return {what: figure for what, figure in found.items() if figure}


def _filled(template: str, row: Row | None) -> str | None:
    return None if row is None else template.format_map(row)


def _when(moment: datetime | None, clock: datetime) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC, {age(moment, clock)}" if moment else None


def _named(row: Row) -> str:
    return f"{row['item_id']} ({row['title']})" if row["title"] else str(row["item_id"])


def _distinct(names: list[str]) -> list[str]:
    """The names, with repeated ones numbered: a, a, a becomes a, a_1, a_2."""
    taken: list[str] = []
    for name in names:
        fresh, n = name, 0
        while fresh in taken:
            n += 1
            fresh = f"{name}_{n}"
        taken.append(fresh)
    return taken
