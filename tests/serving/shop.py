"""A published shop of forty users and thirty tents, with words and interests, and minute runs that publish for everybody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.config import EncoderConfig, EvaluationConfig, IncrementConfig, RecommenderConfig, TrainConfig
from models.online.gate import UpdateDecision
from models.text.towers import Head, Words
from models.version import checkpoint as checkpoints
from serving.live import Live
from serving.segments import Segments
from tasks.config import GeneratorConfig, IngestConfig, PublishConfig
from tasks.encoding import encode_changed_items
from tasks.event_types import EVENT_WEIGHTS
from tasks.ingest import landing
from tasks.ingest.api_log import OWN_KINDS, ingest_segments
from tasks.ingest.log_names import folder_of
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot, reading, writing
from tasks.minute import steps
from tasks.minute.feed import read_histories, read_news
from tasks.minute.pacing import UsersToRefresh
from tasks.night.dataset import load_dataset
from tasks.night.interests import interests_of_all, learn_interests
from tasks.night.learning import complete, learn, make_lists, user_trends
from tasks.publish.minute import publish_minute
from tasks.publish.night import publish_night
from tasks.publish.publication import Content, Files, Provenance, Searched
from tasks.registry.integrity import digest_of
from tasks.registry.versions import Registry
from tasks.scenarios import Places, load_scenarios
from tasks.searches import encoded, last_searches, newer
from tasks.watermarks import Watermarks, read_watermarks
from tests.lakes import habits, put
from tests.models.planted import with_searches
from tests.models.text.test_encoder import save_tiny_bert

MODEL = RecommenderConfig(dim=8, n_blocks=1, n_heads=2, max_events=10)
TRAIN = TrainConfig(max_epochs=3, batch_events=256, device="cpu")
PUBLISH = PublishConfig(n_recommendations=12, n_similar=3)
TITLES: dict[str, str | None] = {f"i{n:02}": f"{'red' if n % 2 else 'green'} tent {n}" for n in range(30)}


def no_registry() -> Registry:
    raise AssertionError("the registry was opened")


@dataclass
class Shop:
    """A home with its lake. version: the newest model version, which is the name of its folder in the home.

    reads_searches: whether the model of a night reads searches, which is not worth it for so few.
    """

    home: Path
    lake: Lake
    encoder: EncoderConfig
    version: int = 1
    reads_searches: bool = False

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with reading(self.lake) as con:
            return con.execute(sql).fetchall()

    def start(self, folder: str = "log") -> Live:
        segments = Segments(self.home / folder, self.home / "landing")
        return Live.start(self.lake, no_registry, self.encoder, EVENT_WEIGHTS, MODEL.max_events, segments, self.home)

    def take_in(self) -> bool:
        """Take what the API has handed over into the lake, as a minute does; whether there was anything."""
        folder = landing.open_landing(IngestConfig(), self.home)
        given = {kind: sorted(folder_of(folder, kind).glob("api-*.jsonl")) for kind in (*landing.KINDS, *OWN_KINDS)}
        for kind in landing.KINDS:
            if given[kind]:
                landing.ingest_landed_files(self.lake, folder, kind, given[kind], IngestConfig())
        for own in OWN_KINDS:
            if given[own]:
                ingest_segments(self.lake, folder, own, given[own])
        return any(given.values())

    @property
    def folder(self) -> Path:
        return self.home / f"model-{self.version}"

    def provenance(self, snapshot: int) -> Provenance:
        return Provenance(str(self.version), "run", f"flow-{self.version}", snapshot, datetime.now(UTC).replace(tzinfo=None))

    def night(self) -> None:
        """Train, and publish for everybody."""
        text = encode_changed_items(self.lake, self.encoder, progress=False)
        data = load_dataset(self.lake, newest_snapshot(self.lake), EVENT_WEIGHTS, text.encoder)
        learnt = learn(data, MODEL, TRAIN, EvaluationConfig(n_bootstrap=20), seed=1)
        heads = (Head(data.text.shape[1]), Head(data.text.shape[1]))
        interests = learn_interests(self.lake, data, learnt, None, self.encoder, GeneratorConfig(), seed=1)
        words = Words.of(*heads, data.text, weight=30.0)
        complete(data, learnt, MODEL, TRAIN, IncrementConfig(), 1, self.folder, words, interests)
        if self.reads_searches:
            version = checkpoints.load(self.folder)
            model = with_searches(version.live.model, version.whitening)
            checkpoints.save(replace(version, live=replace(version.live, model=model)), self.folder)
        lists = make_lists(data, learnt.evaluator.trend, self.folder, PUBLISH)
        content = Content(
            data.catalog.item_ids,
            lists.users,
            lists.fallback,
            lists.neighbours,
            MODEL.max_events,
            self.provenance(data.snapshot),
            seen_items=lists.seen_items,
            checkpoint=Files(self.folder, digest_of(self.folder)),
            interests=interests_of_all(self.lake, data, self.folder, MODEL.max_events),
        )
        publish_night(self.lake, content, EVENT_WEIGHTS, user_trends(data, learnt.evaluator.trend, MODEL.max_events))

    def minute(self, *, learns: bool = True) -> int:
        """Publish new lists of all users; returns the time for which they are made. learns: whether the news changes the model."""
        marks, snapshot, live_folder = read_watermarks(self.lake), newest_snapshot(self.lake), self.folder
        assert marks is not None
        encode_changed_items(self.lake, self.encoder, progress=False)
        live = checkpoints.load(live_folder)
        news = read_news(self.lake, marks, snapshot, EVENT_WEIGHTS, MODEL.max_events)
        state = steps.prepare(self.lake, live_folder, self.home / "model-1", news, live.encoder)
        if learns:
            learnt = steps.update_model(state, steps.predict_events(state, IncrementConfig()), IncrementConfig(), seed=1)
        else:
            learnt = steps.UpdatedModel(state.live, UpdateDecision(True, "nothing", {}))
        self.version += 1
        steps.save(learnt, self.folder)
        everybody = {user for (user,) in self.rows("select distinct user_id from features.user_histories")} - {*news.merged["alias"]}
        asked = None if news.searches.is_empty() else encoded(news.searches, self.encoder, live.encoder).last_of_each()
        searching = [] if asked is None else sorted(set(asked["user_id"]) - set(state.step.user_ids))
        rest = sorted(everybody - set(state.step.user_ids) - set(searching))
        others = read_histories(self.lake, [*searching, *rest], EVENT_WEIGHTS, MODEL.max_events)
        known = last_searches(self.lake, [*state.step.user_ids, *searching, *rest], live.encoder)
        last = known if asked is None else newer(known, asked)
        audience = steps.Audience(UsersToRefresh(rest, (), is_settled=True), others, tuple(searching), last)
        lists = steps.rank(state, learnt, audience, PUBLISH, Places(self.lake, snapshot, load_scenarios(self.home)))
        content = Content(
            learnt.checkpoint.catalog.item_ids,
            lists.users,
            lists.fallback,
            lists.similar,
            MODEL.max_events,
            self.provenance(snapshot),
            neighbours_of=lists.similar_of,
            news=state.news,
            watermarks=Watermarks(snapshot, snapshot),
            checkpoint=Files(self.folder, digest_of(self.folder)),
            searches=None if asked is None else Searched(asked, live.encoder),
            interests=steps.interests(state, learnt, audience, MODEL.max_events, is_renewed=False),
        )
        publish_minute(self.lake, content, marks, UsersToRefresh(rest, (), is_settled=True))
        assert lists.users.asked_s is not None
        return lists.users.asked_s


def open_shop(home: Path, *, reads_searches: bool = False) -> Shop:
    """The shop after its first night."""
    lake = locate(LakeConfig(), home)
    migrate(lake)
    put(lake, habits(), TITLES, unavailable=["i07"])
    with writing(lake) as con:
        con.execute("update raw.items set categories = [case when item_id < 'i10' then 'Camping > Small' else 'Camping > Large' end]")
        con.execute(
            "update raw.items set price = substr(item_id, 2)::double, tags = [case when item_id like '%5' then 'sale' else 'new' end]"
        )
    shop = Shop(home, lake, EncoderConfig(name=str(save_tiny_bert(home / "encoder"))), reads_searches=reads_searches)
    shop.night()
    return shop
