"""The plan of a night: repeated, it gives the same weights; on a lake without a person, those of a lake that never had them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.config import EncoderConfig, IncrementConfig
from models.training.course import Course
from settings import Settings
from tasks.encoding import encode_changed_items
from tasks.erasure.at_once import erase
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot
from tasks.night.dataset import Dataset, load_dataset
from tasks.night.learning import complete, learn
from tasks.night.plan import Plan, PlanError, differences, parsed, plan_of, read_plan_file
from tasks.privacy.keyed import keys_file, load_keys
from tests.lakes import Event, habits, put
from tests.models.text.test_encoder import save_tiny_bert
from tests.tasks.night.test_learning import EVALUATION, MODEL, TRAIN

PERSON = "u10x"
"""Sorts between the others, so that their rows move when this person goes."""
TITLES: dict[str, str | None] = {"i00": "Red tent", "i01": "Green tent"}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> EncoderConfig:
    return EncoderConfig(name=str(save_tiny_bert(tmp_path_factory.mktemp("encoder") / "tiny")))


def lake_of(folder: Path, encoder: EncoderConfig, events: list[Event]) -> Lake:
    lake = replace(locate(LakeConfig(), folder), threads=1)
    migrate(lake)
    put(lake, events, TITLES)
    encode_changed_items(lake, encoder, progress=False)
    return lake


def data_of(lake: Lake, encoder: EncoderConfig) -> Dataset:
    key = encode_changed_items(lake, encoder, progress=False).encoder
    return load_dataset(lake, newest_snapshot(lake), EVENT_WEIGHTS, key)


def night(data: Dataset, folder: Path, course: Course | None = None, minutes: float = 6.0) -> tuple[Course, dict[str, bytes]]:
    """The course of a night, and the files of its model version."""
    train = TRAIN.model_copy(update={"minutes": minutes, "max_epochs": 3})
    learnt = learn(data, MODEL, train, EVALUATION, 1, course=course)
    complete(data, learnt, MODEL, train, IncrementConfig(), 1, folder)
    return learnt.fit.course, {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def with_person(events: list[Event]) -> list[Event]:
    """The events, with those of the person between them, at times of others too, and on an item that nobody else had."""
    theirs = [*((PERSON, item, hours) for _, item, hours in events[::7]), (PERSON, "only-theirs", events[3][2] + 0.5)]
    mixed = [*events]
    for place, event in enumerate(theirs):
        mixed.insert(place * 5 % len(mixed), event)
    return mixed


def test_a_model_trained_after_an_erasure_equals_bit_for_bit_one_of_a_lake_that_never_had_the_person(
    tmp_path: Path, encoder: EncoderConfig
) -> None:
    torch.set_num_threads(1)
    events = list(habits())
    never = lake_of(tmp_path / "never", encoder, events)
    erased = lake_of(tmp_path / "erased", encoder, with_person(events))
    load_keys(never.home)
    shutil.copy(keys_file(never.home), keys_file(erased.home))  # the owners of replay windows are digests under this key
    course, before = night(data_of(erased, encoder), tmp_path / "first")
    erase(erased, erased.home, [PERSON], "cli", EVENT_WEIGHTS)
    without, clean = data_of(erased, encoder), data_of(never, encoder)
    assert (without.user_ids, without.catalog.item_ids) == (clean.user_ids, clean.catalog.item_ids)
    _, after = night(without, tmp_path / "second", course)
    _, expected = night(clean, tmp_path / "third", course)
    assert after.keys() == expected.keys()
    assert [name for name in after if after[name] != expected[name]] == []
    assert before != after, "the person had taught the first model something"


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [6.0, 1e-4])
def test_a_repeated_plan_gives_the_same_weights_whatever_the_clock_says(tmp_path: Path, encoder: EncoderConfig, minutes: float) -> None:
    torch.set_num_threads(1)
    data = data_of(lake_of(tmp_path / "lake", encoder, list(habits())), encoder)
    course, first = night(data, tmp_path / "first", minutes=minutes)
    again, second = night(data, tmp_path / "second", course, minutes=99.0)
    assert (again.n_epochs, again.is_sampled) == (course.n_epochs, course.is_sampled)
    assert [name for name in first if first[name] != second[name]] == []


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, encoder: EncoderConfig) -> Plan:
    data = data_of(lake_of(tmp_path_factory.mktemp("planned"), encoder, list(habits())), encoder)
    learnt = learn(data, MODEL, TRAIN, EVALUATION, 1)
    settings = Settings(seed=5, model=MODEL, train=TRAIN, evaluation=EVALUATION)
    return plan_of(data, learnt, settings.model_dump(mode="json"), 1, "cpu", "a" * 40)


def test_a_plan_survives_its_json_and_the_settings_of_its_night_come_back(plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(plan.model_dump_json(), encoding="utf-8")
    assert read_plan_file(file) == plan
    settings = Settings(seed=99).with_plan(plan)
    assert (settings.seed, settings.threads, settings.model, settings.train) == (5, 1, MODEL, TRAIN)
    assert plan.summary == f"2 epochs on all items, seed 5, 1 thread, cpu, snapshot {plan.snapshot}"


def test_a_text_that_is_no_plan_is_an_error_that_says_where_it_was_and_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"night 3 holds no plan that this version can follow: snapshot: Field required; name another"):
        parsed("{}", "night 3")
    with pytest.raises(PlanError, match=r"cannot read .*gone.json.*; give a plan.json, or the version or MLflow run of a night"):
        read_plan_file(tmp_path / "gone.json")


def test_what_differs_from_the_repeated_night_is_named(plan: Plan) -> None:
    now = plan.model_copy(update={"n_events": 1, "git_revision": "b" * 40})
    assert differences(plan, plan) == []
    assert differences(plan, now) == [f"{plan.n_events:,} events then, 1 now", f"code {'a' * 40} then, {'b' * 40} now"]
