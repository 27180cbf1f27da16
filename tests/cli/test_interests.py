"""`minutehand interests` as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tasks.lake import LakeConfig, locate, migrate
from tests.cli.test_ingest import minutehand
from tests.cli.test_reading import on_terminal
from tests.tasks.interests.test_rows import held
from tests.tasks.publish.test_night import add_events, add_item, put, ranked

EITHER = "error: give either a user or --text WORDS; lists for both together: minutehand recommend USER --text WORDS\n"


@pytest.fixture
def shop(home: Path) -> Path:
    """A home with two items, one known user and their interests."""
    lake = locate(LakeConfig(), home)
    migrate(lake)
    add_item(lake, "a", "Alpha [/b] :smile:")
    add_item(lake, "b", "A title that is much too long for one line of a narrow terminal")
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 0], "v": [1, 0]}), interests=held(["u", "v"], probability=0.62))
    return home


@pytest.mark.slow
def test_interests_are_a_table_for_people_with_the_items_that_speak_for_them_and_an_array_for_programs(shop: Path) -> None:
    shown = minutehand("interests", "u", home=shop)
    assert shown.stdout.splitlines()[0] == "user u: model version 1"
    assert shown.stdout.splitlines()[1].split() == ["interest", "of", "short", "because", "of"]
    assert shown.stdout.splitlines()[2].startswith("Soft      topic  62 %   Alpha [/b] :smile:; A title")
    (row,) = json.loads(minutehand("interests", "u", "--json", home=shop).stdout)
    assert (row["user_id"], row["horizon"], row["interest_id"], row["evidence"]) == ("u", "short", "label:fruit > soft", ["a", "b"])
    on_screen = re.sub(r"\x1b\[[\d;]*m", "", on_terminal("interests", "u", home=shop))
    assert max(map(len, on_screen.splitlines())) <= 80


def test_an_unknown_user_gets_what_everybody_is_interested_in_with_a_note(shop: Path) -> None:
    shown = minutehand("interests", "stranger", home=shop)
    assert (shown.returncode, shown.stderr) == (0, "nobody called stranger has history; this is what everybody is interested in\n")
    assert "62 %" in shown.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((), EITHER),
        (
            ("u", "--text", "red"),
            EITHER,
        ),
        (("--text", " "), "error: the text ' ' has no words; write what you look for, such as --text 'a warm jacket'\n"),
    ],
)
def test_a_misuse_gets_one_line(shop: Path, words: tuple[str, ...], error: str) -> None:
    done = minutehand("interests", *words, home=shop)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", error)
