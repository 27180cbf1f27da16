"""Learning from new events, shared by minute runs and the end of a nightly run: predict the news, learn it, register the version."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flows.stages import stage
from models.online.gate import UpdateDecision
from models.results import MetricRow
from models.text.encoder import find_encoder
from settings import Settings
from tasks import lake, watermarks
from tasks.minute import feed, steps
from tasks.registry import day_run, increments, versions


@dataclass(frozen=True)
class Learning:
    """What a run learnt, ready to publish.

    version: the version to publish; the parent if the gate discards the update. after: the watermarks once it is published.
    predicted: metrics of predicting the new events before they were learnt.
    """

    state: steps.State
    predicted: list[MetricRow]
    learnt: steps.UpdatedModel
    version: versions.Version
    after: watermarks.Watermarks


def learn_news(
    settings: Settings,
    tables: lake.Lake,
    folder: Path,
    day: day_run.Day,
    parent: versions.Version,
    champion: versions.Version,
    before: watermarks.Watermarks,
    news: feed.News,
) -> Learning:
    """A registered increment: the parent version plus the news since the watermarks `before`. The caller holds the publishing lock.

    Nothing is published here. folder: the checkpoint is written there before it moves to the registry.
    """
    key = find_encoder(settings.encoder).key
    state = stage("prepare", steps.prepare)(tables, parent.checkpoint_folder, champion.checkpoint_folder, news, key)
    scored = stage("predict", steps.predict_events)(state, settings.increment)
    learnt = stage("learn", steps.update_model)(state, scored, settings.increment, settings.seed + before.learnt)
    save = partial(steps.save, learnt, folder)
    version, after = stage("register", increments.keep)(day, learnt.decision, save, folder, parent, before, news.snapshot)
    return Learning(state, scored.rows, learnt, version, after)


def learn_nothing(
    settings: Settings,
    tables: lake.Lake,
    live: versions.Version,
    champion: versions.Version,
    before: watermarks.Watermarks,
    news: feed.News,
) -> Learning:
    """Result for a run that only refreshes stale lists: weights unchanged, pending events stay pending."""
    key = find_encoder(settings.encoder).key
    state = stage("prepare", steps.prepare)(tables, live.checkpoint_folder, champion.checkpoint_folder, news, key)
    after = watermarks.Watermarks(news.snapshot, news.snapshot if news.is_all_learnt else before.learnt)
    return Learning(state, [], steps.UpdatedModel(state.shown, UpdateDecision(True, "nothing to learn", {})), live, after)
