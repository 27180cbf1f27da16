"""The live state: one publication, and the events that were accepted since."""

from __future__ import annotations

import errno
import itertools
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from models.config import EncoderConfig
from models.errors import UserError
from models.ranking.choice import Choice
from models.text.clean import has_words
from serving.errors import NotFoundError
from serving.histories import Pending, Person
from serving.item_rules import item_of, line_of_item
from serving.items import Item
from serving.places import changed_at, scenarios_of
from serving.positions import contained_segments
from serving.published import Published, load_published, newest_publication
from serving.put_items import PutItems
from serving.ranking import Asked, Listed, Question, Row, answer, rows_of
from serving.rules import Event
from serving.segments import Segments, line_of, lines_of
from serving.served import served_line
from serving.shown import Shown
from serving.texts import Texts
from tasks.experiments import CHALLENGER, CONTROL
from tasks.ingest.aliases import Aliases, MergeError
from tasks.lake import Lake, reading, statement
from tasks.privacy.border import Border
from tasks.privacy.keyed import load_keys
from tasks.privacy.ledger import Erased, new_request, note_request, read_erased
from tasks.privacy.opt_out import opted_out
from tasks.process import give_back_memory

if TYPE_CHECKING:
    from tasks.registry.versions import Registry

log = logging.getLogger("minutehand.serving")
N_PUBLISHED = 200_000
"""Number of published events whose ids are remembered, so that a repeat counts once."""
PEOPLE = ("user_id", "alias")
"""Fields of a line of the log that name people."""
N_PENDING = 500_000
"""Maximum number of events that no publication contains; about 400 MiB of memory. More are refused until a publication contains them."""


@dataclass
class Live:
    """Answers requests from memory.

    Thread safety: readers take `published` and a user's pending events under the lock, and rank without it. Who changes the items of
    `published` holds `changing` meanwhile, and the lock only for the swap.
    """

    lake: Lake
    open_registry: Callable[[], Registry]
    texts: Texts
    event_weights: Mapping[str, float]
    max_events: int
    published: Published
    segments: Segments
    home: Path | None = None
    border: Border = field(default_factory=Border)
    scenarios_at: tuple[int, int] = (0, 0)
    pending: dict[str, list[Pending]] = field(default_factory=dict)
    known: dict[str, Pending] = field(default_factory=dict)
    counted: OrderedDict[str, None] = field(default_factory=OrderedDict)
    put: PutItems = field(default_factory=PutItems)
    aliases: Aliases = field(default_factory=Aliases)
    opted_out: frozenset[str] = frozenset()
    erased: Erased | None = None
    changing: threading.Lock = field(default_factory=threading.Lock)
    merging: threading.Lock = field(default_factory=threading.Lock)
    lock: threading.Lock = field(default_factory=threading.Lock)
    shown: Shown = field(default_factory=Shown)
    clock: Callable[[], float] = time.time
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @staticmethod
    def start(
        lake: Lake,
        open_registry: Callable[[], Registry],
        encoder: EncoderConfig,
        event_weights: Mapping[str, float],
        max_events: int,
        segments: Segments,
        home: Path | None = None,
        border: Border | None = None,
    ) -> Live:
        """The state after a start: the newest publication and the events of the kept segments.

        home: where scenarios.toml is. border: what ids become before they are stored.
        """
        scenarios_at = changed_at(home)
        published = load_published(lake, open_registry, event_weights, max_events, home=home)
        live = Live(
            lake, open_registry, Texts(encoder), event_weights, max_events, published, segments, home, border or Border(), scenarios_at
        )
        with reading(lake) as con:
            live.aliases = Aliases(con.execute(statement("ingest/aliases")).fetchall())
            live.opted_out = opted_out(con)
            live.erased = read_erased(con, lake.home)
        for path in segments.all():
            live._restore(lines_of(path), path.stem)
        live._drop_published(published)
        return live

    def _restore(self, rows: Sequence[Mapping[str, Any]], segment: str) -> None:
        """Apply the lines of a kept segment; the swap of the publication that follows applies its items."""
        rows = [{name: self.border.id_of(value) if name in PEOPLE else value for name, value in row.items()} for row in rows]
        events = [_event_of(row) for row in rows if "kind" not in row]
        events = [event for event in events if not self.refuses(event)]
        self._remember(events, [self._searched(event) for event in events], segment)
        self.put.add([item_of(row) for row in rows if row.get("kind") == "item"], segment)
        for row in rows:
            if row.get("kind") == "alias":
                with suppress(MergeError):  # a later segment, or the lake, has merged the user again
                    self._merge(row["alias"], self.aliases.target(row["alias"], row["user_id"]))

    def is_known(self, event_id: str) -> bool:
        """Whether the event was accepted since the publication, or shortly before."""
        return event_id in self.known or event_id in self.counted

    def refuses(self, event: Event) -> bool:
        """Whether an event is of an erased person, so that the ingest would refuse it."""
        at = datetime.fromtimestamp(event.time_s, UTC).replace(tzinfo=None)
        return self.erased is not None and self.erased.refuses(event.user_id, at)

    def is_erased(self, user_id: str) -> bool:
        """Whether a person is erased: they get answers as a stranger does."""
        return self.erased is not None and self.erased.is_erased(user_id)

    def erase(self, user_id: str) -> str:
        """Record durably that a person is to be erased, and forget them; returns the id of the erasure. The next minute run does the rest.

        Raises OSError, and forgets nobody, if the request cannot be written.
        """
        home, keys = self.lake.home, load_keys(self.lake.home)
        with self.lock:
            ids = self.aliases.ids_of(self.border.id_of(user_id))
        request = new_request(keys, ids, "api")
        note_request(home, request)
        self.erased = read_erased(self.lake, home)
        with self.lock:
            for event_id in [event_id for event_id, each in self.known.items() if each.event.user_id in ids]:
                del self.known[event_id]
                self.counted[event_id] = None
            self.pending = _by_user(self.known.values(), self.aliases)
        return request.erasure_id

    def accept(self, events: Sequence[Event]) -> Future[None]:
        """A promise that is kept once the events are on disk and applied.

        Raises OSError, here or by the promise, and applies nothing, if they cannot be written or too many wait. The thread of the log
        applies them, so that a request waits for no third thread; this one encodes searches, which takes milliseconds.
        """
        done: Future[None] = Future()
        if not events:
            done.set_result(None)
            return done
        if len(self.known) + len(events) > N_PENDING:
            waiting = f"{len(self.known):,} events wait for a publication, which minutehand up or minutehand minute makes"
            raise OSError(errno.ENOBUFS, waiting)
        vectors = [self._searched(event) for event in events]
        done.set_running_or_notify_cancel()  # a client that goes away stops nothing

        def apply(written: Future[str]) -> None:
            try:
                self._remember(events, vectors, written.result())
            except Exception as error:
                done.set_exception(error)
            else:
                done.set_result(None)

        self.segments.append([event.line for event in events]).add_done_callback(apply)
        return done

    def _remember(self, events: Sequence[Event], vectors: Sequence[np.ndarray | None], segment: str) -> None:
        """Apply events that are on disk in a segment of the log. vectors: of their searches."""
        ready = [  # the log has the line
            Pending(replace(event, line=b""), vector, segment, next(self.numbers)) for event, vector in zip(events, vectors, strict=True)
        ]
        with self.lock:
            for each in ready if self.segments.is_kept(segment) else ():  # otherwise a publication contains them already
                if not self.is_known(each.event.event_id):
                    self.known[each.event.event_id] = each
                    self.pending.setdefault(self.aliases.resolve(each.event.user_id), []).append(each)

    def put_items(self, items: Sequence[Item]) -> None:
        """Write items durably, then apply them. Raises OSError, and applies nothing, if they cannot be written."""
        if not items:
            return
        segment = self.segments.append([line_of_item(item) for item in items]).result()
        with self.changing:
            with self.lock:
                if not self.segments.is_kept(segment):  # a publication contains them already
                    return
                self.put.add(items, segment)
            published = self.published.with_items(items)  # conditions may take seconds, in which lists are still made
            with self.lock:
                self.published = published

    def merge(self, alias: str, user_id: str, at: datetime) -> str:
        """Merge a session or another id into a user, durably; returns the user. Everything the alias did counts for the user at once.

        Raises MergeError if the two cannot be merged, and OSError, and applies nothing, if the merge cannot be written.
        """
        alias, user_id = self.border.id_of(alias), self.border.id_of(user_id)
        if self.is_erased(alias) or self.is_erased(user_id):
            raise MergeError("one of the two ids is erased, so nothing is merged; minutehand erasures --readmit ID lets a person come back")
        with self.merging:
            user = self.aliases.target(alias, user_id)
            if user is not None:
                row = {"alias": alias, "user_id": user, "merged_at": at.astimezone(UTC).isoformat(timespec="microseconds")}
                self.segments.append([line_of("alias", row)]).result()
                self._merge(alias, user)
            return self.aliases.resolve(user_id)

    def _merge(self, alias: str, user: str | None) -> None:
        if user is not None:
            with self.lock:
                ids = [*self.aliases.add(alias, user), user]
                theirs = [each for name in ids for each in self.pending.pop(name, ())]
                if theirs:
                    self.pending[user] = sorted(theirs, key=lambda each: each.number)

    def log_served(self, asked: Sequence[Asked], lists: Sequence[Listed]) -> None:
        """Write the served lists to the log, without waiting for the disk."""
        now = datetime.now(UTC)
        lines = [
            served_line(
                one.recommendation_id,
                self._named(of),
                one.scenario,
                one.model_version,
                one.item_ids,
                [row["source"] for row in one.items],
                [row["slot"] for row in one.items],
                [row["propensity"] for row in one.items],
                now,
                one.experiment_id,
                one.arm,
            )
            for of, one in zip(asked, lists, strict=True)
        ]
        self.segments.append(lines, is_synced=False)

    def _named(self, asked: Asked) -> str | None:
        """The id in the log of served lists; None for people who have opted out, and for erased ones."""
        is_out = not self.opted_out.isdisjoint(map(self.aliases.resolve, asked.user_ids)) or any(map(self.is_erased, asked.user_ids))
        return None if is_out else next(iter(asked.user_ids), None)

    def refresh(self) -> bool:
        """Load the newest publication if there is a newer one, and the scenarios if they have changed; whether there was a newer one."""
        self.segments.hand_over_again()
        scenarios_at = changed_at(self.home)
        with reading(self.lake) as con:
            newest, self.opted_out, self.erased = newest_publication(con), opted_out(con), read_erased(con, self.lake.home)
        if newest is None or newest == self.published.publication_id:
            self._refresh_scenarios(scenarios_at)
            return False
        started = time.monotonic()
        published = load_published(self.lake, self.open_registry, self.event_weights, self.max_events, self.published, self.home)
        self.scenarios_at = scenarios_at
        published.warm_up()
        self._drop_published(published)
        del published
        give_back_memory()
        now = self.published
        log.info("model version %s, snapshot %d: loaded in %.2f s", now.version, now.data_snapshot, time.monotonic() - started)
        return True

    def _refresh_scenarios(self, scenarios_at: tuple[int, int]) -> None:
        if scenarios_at != self.scenarios_at:
            published = self.published.with_scenarios(self.lake, scenarios_of(self.home))
            self.scenarios_at = scenarios_at
            with self.changing:
                published = published.with_items(self.put.now())
                with self.lock:
                    self.published = published

    def _drop_published(self, published: Published) -> None:
        """Swap the publication, and drop the events that it contains."""
        contained = contained_segments(self.lake, published.data_snapshot, self.segments)
        is_other = published.checkpoint.encoder != self.published.checkpoint.encoder
        with self.changing:
            published = published.with_items(self.put.now(without=contained.items))
            with self.lock:
                self.segments.forget(contained.whole)
                self.put.forget(contained.items)
                self.published = published
                gone = [event_id for event_id, each in self.known.items() if each.segment in contained.events]
                for event_id in gone:
                    del self.known[event_id]
                    self.counted[event_id] = None
                while len(self.counted) > N_PUBLISHED:
                    self.counted.popitem(last=False)
                if is_other:  # vectors of another encoder mean nothing to this version
                    self.known = {event_id: replace(each, vector=None) for event_id, each in self.known.items()}
                self.pending = _by_user(self.known.values(), self.aliases)
        if is_other:
            self._encode_again()

    def _encode_again(self) -> None:
        """Give the searches that no publication contains their vectors for the version in memory."""
        with self.lock:
            searches = [each for each in self.known.values() if each.event.event_type == "search"]
        ready = {each.event.event_id: replace(each, vector=self._searched(each.event)) for each in searches}
        with self.lock:
            self.known |= {event_id: each for event_id, each in ready.items() if event_id in self.known}
            self.pending = _by_user(self.known.values(), self.aliases)

    def _searched(self, event: Event) -> np.ndarray | None:
        """The vector of a search; None for other events, and if it cannot be encoded: the event is on disk, so it counts without."""
        try:
            return self.texts.vector(event.query, self.published.checkpoint) if event.event_type == "search" else None
        except (OSError, RuntimeError, UserError):
            log.exception("a search cannot be encoded; lists do not follow it before the next minute run")
            return None

    def recommend(self, asked: Asked) -> list[dict[str, Any]]:
        """One list, best item first: item_id, title, score, probability, reason, source, slot, propensity."""
        return self.recommend_all([asked])[0].items

    def recommend_all(self, asked: Sequence[Asked]) -> list[Listed]:
        """The lists of requests of one shape. Raises UserError if one cannot be answered."""
        asked = [self._stored(one) for one in asked]
        with self.lock:
            whole = self.published
            sides = [self._side(whole, one) for one in asked]
            looking_at = [rows_of(side.row_of_item, one.items) for side, one in zip(sides, asked, strict=True)]
            people = [self._person(one.user_ids, tuple(rows.tolist())) for one, rows in zip(asked, looking_at, strict=True)]
        is_known = [person.is_known(side) for person, side in zip(people, sides, strict=True)]
        sides = [side if known else whole for side, known in zip(sides, is_known, strict=True)]  # strangers are in no arm
        questions = [self._question(side, one, person) for side, one, person in zip(sides, asked, people, strict=True)]
        lists = self._answered(whole, sides, questions)
        experiment_id = None if whole.experiment is None else whole.experiment.experiment_id
        out = []
        for side, known, question, rows in zip(sides, is_known, questions, lists, strict=True):
            has_arm = experiment_id is not None and known and bool(question.person.user_ids)
            arm = (CONTROL if side is whole else CHALLENGER) if has_arm else None
            listed = Listed(str(uuid4()), side.version, side.data_snapshot, question.asked.scenario, rows, experiment_id, arm)
            self.shown.remember(listed.recommendation_id, question.before, listed.item_ids)
            out.append(listed)
        self.log_served(asked, out)
        return out

    def _side(self, published: Published, asked: Asked) -> Published:
        """What makes the list of a request: the publication, or the challenger of its experiment. The caller holds the lock."""
        name = next(iter(asked.user_ids), None)
        return published.side_of(None if name is None else self.aliases.resolve(name))

    def _answered(self, whole: Published, sides: Sequence[Published], questions: Sequence[Question]) -> list[list[Row]]:
        """The lists of questions, each made by its side."""
        lists: dict[int, list[Row]] = {}
        for side in (whole, whole.challenger):
            rows = [row for row, each in enumerate(sides) if each is side]
            if side is not None and rows:
                of_side = [questions[row] for row in rows]
                lists |= dict(zip(rows, answer(side, of_side, self._choice(side, of_side[0].asked)), strict=True))
        return [lists[row] for row in range(len(questions))]

    def _stored(self, asked: Asked) -> Asked:
        """The request with ids of people as the lake has them."""
        user_id, session_id = (None if given is None else self.border.id_of(given) for given in (asked.user_id, asked.session_id))
        return replace(asked, user_id=user_id, session_id=session_id)

    def _question(self, published: Published, asked: Asked, person: Person) -> Question:
        row_of, before = published.row_of_item, self.shown.before(asked.after)
        if asked.scenario not in published.places:  # it was removed since the request was checked
            raise NotFoundError(
                f"scenario is {asked.scenario[:40]!r}: there is no such scenario; name one of {', '.join(published.places)}"
            )
        now, place = asked.now or int(self.clock()), published.places[asked.scenario]
        hides = place.hides(person.user_ids, [each.event for each in person.pending], row_of, now)
        hidden = np.concatenate([rows_of(row_of, [*asked.exclude, *before]), np.array(person.looking_at, np.int64), hides])
        return Question(asked, person, now, None if asked.text is None else self.vector_of(asked.text, published), hidden, before)

    def person(self, user_ids: tuple[str, ...]) -> tuple[Published, Person]:
        """A person as the lists know them, and the publication."""
        stored = tuple(map(self.border.id_of, user_ids))
        with self.lock:
            person, side = self._person(stored), self.published.side_of(self.aliases.resolve(stored[0]))
            return side if person.is_known(side) else self.published, person

    def _person(self, user_ids: tuple[str, ...], looking_at: tuple[int, ...] = ()) -> Person:
        """The caller holds the lock. Nothing is known about people who have opted out, and about erased ones."""
        user_ids = tuple(dict.fromkeys(name for user_id in user_ids for name in self.aliases.ids_of(user_id)))
        if not self.opted_out.isdisjoint(user_ids) or any(map(self.is_erased, user_ids)):
            return Person((), looking_at=looking_at)
        pending = [each for name in user_ids for each in self.pending.get(name, ())]
        taught = [each.event for each in pending if self.event_weights.get(each.event.event_type, 1.0) > 0]
        return Person(user_ids, taught, pending, looking_at)

    def vector_of(self, text: str, published: Published | None = None) -> np.ndarray:
        """The vector of the text of a request. Raises UserError if the version cannot read it. published: None for the live version."""
        if not has_words(text):
            raise UserError(f"the text {text[:20]!r} has no words; write what the person looks for, or leave it out")
        vector = self.texts.vector(text, (published or self.published).checkpoint)
        if vector is None:
            raise UserError(
                "the live model cannot read requests in words: too few items have titles, or it was trained with another encoder; "
                "give items titles and run minutehand nightly, or leave the text out"
            )
        return vector

    def has_item(self, item_id: str) -> bool:
        """Whether the catalogue has the item, or it was put since."""
        if item_id in self.published.row_of_item:
            return True
        with self.lock:
            return self.put.has(item_id)

    def check(self, asked: Asked) -> None:
        """Raises UserError, or NotFoundError, if a request names what does not exist or contradicts itself."""
        places = self.published.places
        if asked.scenario not in places:
            raise NotFoundError(f"scenario is {asked.scenario[:40]!r}: there is no such scenario; name one of {', '.join(places)}")
        if places[asked.scenario].scenario.needs_item and not asked.items:
            raise UserError(f'scenario {asked.scenario} needs an item; name the one in front of the person: item=... or "items": [...]')
        for item_id in asked.items:
            if not self.has_item(item_id):
                raise NotFoundError(
                    f"item {item_id[:40]!r} is not in the catalogue: the minute run after an event on it brings it there, PUT /v1/items "
                    "does at once; leave it out, or name one of GET /v1/popular"
                )
        if asked.filter is not None and asked.filter.is_available is False:
            raise UserError("filter.is_available is false: lists hold available items only; leave it out")
        self.shown.before(asked.after)

    def _choice(self, published: Published, asked: Asked) -> Choice:
        """What the scenario and the filter of a request allow."""
        choice = published.places[asked.scenario].choice
        if asked.filter is not None:
            allowed = published.items.allowed(asked.filter)
            choice = replace(choice, allowed=allowed if choice.allowed is None else allowed & choice.allowed)
        return choice if asked.variety is None else replace(choice, variety=asked.variety)


def _by_user(pending: Iterable[Pending], aliases: Aliases) -> dict[str, list[Pending]]:
    found: dict[str, list[Pending]] = {}
    for each in pending:
        found.setdefault(aliases.resolve(each.event.user_id), []).append(each)
    return found


def _event_of(row: Mapping[str, Any]) -> Event:
    moment = min(datetime.fromisoformat(row["occurred_at"]), datetime.now(UTC))
    return Event(row["event_id"], row["user_id"], row["item_id"], row["event_type"], row["query"], round(moment.timestamp()), b"")
