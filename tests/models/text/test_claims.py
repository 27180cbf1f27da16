"""The check of generated text: lies about titles, numbers, categories and interests are found, and true sentences pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.claims import SETS, judge, known_of
from models.text.claims import Evidence, Known, check, check_name

KNOWN = Known.of(
    ["Alien (1979)", "Aliens (1986)", "Up (2009)", "Blade Runner (1982)", "Matrix, The (1999)", "Her (2013)", "Three (2010)", "霸王别姬"],
    ["Horror", "Sci-Fi", "Music", "Musical", "Comedy", "Kitchen > Cast Iron Pans", "1970s", "恐怖", "动画"],
)
PERSON = Evidence(("Alien (1979)", "Up (2009)", "Star Wars: A New Hope (1977)"), ("Horror", "Sci-Fi", "Musical", "1970s"), (3, 0.8, 1200))
CHINESE = Evidence(("千与千寻",), ("动画", "1990年代"), (3,))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_of_fifty_lies_at_least_48_are_caught_and_of_fifty_true_sentences_at_least_45_pass(name: str) -> None:
    judged = judge(SETS[name], known_of(SETS[name]))
    lies = [bool(reasons) for case, reasons in judged if case["lie"]]
    true = [not reasons for case, reasons in judged if not case["lie"]]
    assert sum(lies) >= 0.96 * len(lies)
    assert sum(true) >= 0.9 * len(true)
    assert len(judged) > 50


@pytest.mark.parametrize(
    "text",
    [
        "Because you watched Alien, and you like horror.",
        "You watched three horror films of the seventies, “Alien” (1979) among them.",
        "80% of your films are science fiction, and 1,200 of them are musicals.",
        "Three horror films, one of them Alien, are what you like.",
        "Try it: her pick is Star Wars.",
        "You love musicals, horror and sci-fi from the 70s.",
        "You enjoy unsettling, relentless horror with a human side.",
        "You can't get enough of horror, and this one won't disappoint.",
        "Four fifths of it is horror.",
        "Star Wars: A New Hope made you a fan of sci-fi.",
    ],
)
def test_a_text_that_names_only_what_the_evidence_has_passes(text: str) -> None:
    assert check(text, PERSON, KNOWN) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Because you watched Blade Runner.", "the title Blade Runner"),
        ("“Aliens” is next for you.", "“Aliens”"),
        ("You saw 'Star' again.", "'Star'"),
        ("If you liked The Matrix, try this.", "the title The Matrix"),
        ("You follow Ridley Scott.", "the name Ridley"),
        ("You watched 4 horror films.", "the number 4"),
        ("You watched twenty-five horror films.", "the number twenty five"),
        ("Two thousand horror films.", "the number Two thousand"),
        ("Horror of the eighties.", "the number eighties"),
        ("Horror of the 1980s.", "the number 1980s"),
        ("You enjoy music.", "the category or interest music"),
        ("More comedies for you.", "the category or interest comedies"),
        ("Cast iron pans for you.", "the category or interest Cast iron pans"),
        ("You enjoy gardening.", "the interest gardening"),
        ("You like horror, musicals and sailing.", "the interest sailing"),
        ("Sailing and horror are what you love.", "the interest Sailing"),
        ("Dinosaurs and horror run through your list.", "the interest Dinosaurs"),
        ("Someone who follows astronomy will want this.", "the interest astronomy"),
        ("A gardener like you will want this.", "the interest gardener"),
        ("Horror is not for you.", "no dislike"),
        ("You have never really liked horror.", "no dislike"),
        ("Three fifths of it is horror.", "the number Three fifths"),
        ("You do not like horror.", "no dislike"),
        ("You never watched horror.", "no dislike"),
        ("恐怖片适合你。", "no cjk letters"),
        ("Horror: see www.example.com", "an address"),
        (" ...", "no words"),
    ],
)
def test_a_text_that_names_something_else_is_refused_with_the_reason(text: str, reason: str) -> None:
    assert [found for found in check(text, PERSON, KNOWN) if reason in found], check(text, PERSON, KNOWN)


@pytest.mark.parametrize(
    "text", ["因为你看过《千与千寻》，你喜欢动画片。", "你最近看了三部九十年代的动画。", "你偏爱细腻动人的动画电影，对动画情有独钟。"]
)
def test_a_chinese_text_that_names_only_what_the_evidence_has_passes(text: str) -> None:
    assert check(text, CHINESE, KNOWN) == []


@pytest.mark.parametrize(
    "text",
    [
        "因为你看过《霸王别姬》。",
        "霸王别姬适合你。",
        "你看了五部动画。",
        "八十年代的动画。",
        "你喜欢恐怖片。",
        "你不喜欢动画。",
        "你热爱摄影和动画。",
        "你对动画和园艺很感兴趣。",
    ],
)
def test_a_chinese_text_that_names_something_else_is_refused(text: str) -> None:
    assert check(text, CHINESE, KNOWN)


def test_a_title_that_is_the_main_part_of_another_does_not_stand_for_it() -> None:
    known = Known.of(["Dune (1984)", "Dune: Part One (2021)"], [])
    part_one = Evidence(("Dune: Part One (2021)",))
    assert check("You watched Dune: Part One.", part_one, known) == []
    assert check("You watched Dune.", part_one, known)
    assert check("You watched Dune.", part_one) == []


def test_every_word_of_a_name_is_one_of_the_terms_or_titles() -> None:
    group = Evidence(("Lodge cast-iron skillet",), ("skillets", "pan"))
    assert check_name("Cast Iron Pans and Skillet", group) == []
    assert check_name("Kitchen pans", group) == ["the word Kitchen is not in the evidence"]
    assert check_name("…", group)


@pytest.mark.slow
@given(st.text(max_size=300), st.lists(st.text(max_size=20), max_size=4), st.lists(st.text(max_size=20), max_size=4))
def test_any_text_and_any_evidence_get_an_answer(text: str, titles: list[str], labels: list[str]) -> None:
    evidence = Evidence(tuple(titles), tuple(labels))
    check(text, evidence, Known.of(titles[:2], labels[:2]))
    check_name(text, evidence)
