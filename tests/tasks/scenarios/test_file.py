"""Every mistake in scenarios.toml gets one line that says value, rule and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.scenarios import Scenario, ScenarioError, load_scenarios, read_scenarios


def written(home: Path, text: str) -> Path:
    home.mkdir(exist_ok=True)
    (home / "scenarios.toml").write_text(text, encoding="utf-8")
    return home


def test_without_a_file_there_is_one_scenario_without_rules(tmp_path: Path) -> None:
    assert load_scenarios(tmp_path) == {"default": Scenario(name="default")}
    assert load_scenarios(written(tmp_path, "")) == {"default": Scenario(name="default")}


def test_a_file_gives_its_scenarios_and_may_change_the_default_one(tmp_path: Path) -> None:
    text = """
        [cart]
        hide = { purchase = 90, view = 0.5 }
        where = "is_available and price < 100"
        max_per_category = 2
        variety = 0.3
        new_item_slots = 1
        in_tables = true
        [default]
        variety = 0
        [product-page]
        needs_item = true
    """
    found = load_scenarios(written(tmp_path, text))
    assert list(found) == ["default", "cart", "product-page"]
    assert found["cart"] == Scenario(
        name="cart",
        hide={"purchase": 90, "view": 0.5},
        where="is_available and price < 100",
        max_per_category=2,
        variety=0.3,
        new_item_slots=1,
        in_tables=True,
    )
    assert (found["default"].variety, found["default"].is_published) == (0, True)
    assert (found["product-page"].variety, found["product-page"].is_published) == (None, False)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[cart\nvariety = 1", r"scenarios\.toml is not TOML: .* \(at line 1, .*\); write one heading for each scenario, such as \[cart\]"),
        ("variety = 0.3", r"'variety' stands above all headings and belongs to no scenario; put it below a heading such as \[cart\]"),
        ("['a b']", r"\[a b\] is no name of a scenario; use up to 64 letters, digits, - and _, such as \[cart\]"),
        ("[cart]\nmax_per_categry = 2", r"\[cart\] has no setting 'max_per_categry'; did you mean max_per_category\?"),
        ("[cart]\nxyz = 2", r"\[cart\] has no setting 'xyz'; a scenario has hide, where, max_per_category, variety, new_item_slots,"),
        ("[cart]\nname = 'x'", r"\[cart\] has no setting 'name'"),
        ("[cart]\nhide = { purchase = -3 }", r"\[cart\] hide\.purchase = -3 is not possible; give each event type a number of days from 0"),
        ("[cart]\nhide = { view = nan }", r"\[cart\] hide\.view = nan is not possible"),
        ("[cart]\nhide = 3", r"\[cart\] hide = 3 is not possible; .* such as hide = \{ purchase = 90, view = 1 \}"),
        ("[cart]\nvariety = 1.5", r"\[cart\] variety = 1\.5 is not possible; give a number from 0 \(accuracy only\) to 1"),
        ("[cart]\nvariety = -0.1", r"\[cart\] variety = -0\.1 is not possible"),
        ("[cart]\nvariety = '0.3'", r"\[cart\] variety = '0\.3' is not possible"),
        ("[cart]\nnew_item_slots = 6", r"\[cart\] new_item_slots = 6 is not possible; give a whole number from 0 to 5"),
        ("[cart]\nmax_per_category = 0", r"\[cart\] max_per_category = 0 is not possible; give a whole number from 1"),
        ("[cart]\nmax_per_category = true", r"\[cart\] max_per_category = True is not possible"),
        ("[cart]\nin_tables = 1", r"\[cart\] in_tables = 1 is not possible; give true or false"),
        (
            "[page]\nneeds_item = true\nin_tables = true",
            r"\[page\] it needs an item, and lists in tables are made without one; leave out in",
        ),
        ("[default]\nneeds_item = true", r"\[default\] it needs an item, and lists in tables are made without one; leave out needs_item"),
    ],
)
def test_a_mistake_gets_a_line_with_value_rule_and_remedy(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ScenarioError, match=line) as raised:
        load_scenarios(written(tmp_path, text))
    assert len(str(raised.value).splitlines()) == 1


def test_each_mistake_gets_its_own_line_and_the_other_scenarios_are_read(tmp_path: Path) -> None:
    found, problems = read_scenarios(written(tmp_path, "[cart]\nvariety = 2\nwher = ''\n[home]\nvariety = 1\n[shelf]\nhide = []"))
    assert list(found) == ["default", "home"]
    assert [line.split("]")[0] for line in problems] == ["scenarios.toml: [cart", "scenarios.toml: [cart", "scenarios.toml: [shelf"]


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "scenarios.toml").mkdir()
    with pytest.raises(ScenarioError, match=r"cannot read .*scenarios\.toml: Is a directory; let the user that runs minutehand read it"):
        load_scenarios(tmp_path)
    (tmp_path / "scenarios.toml").rmdir()
    (tmp_path / "scenarios.toml").write_bytes(b"# \xff")
    with pytest.raises(ScenarioError, match=r"is not UTF-8 \(invalid start byte at byte 2\); save it as UTF-8"):
        load_scenarios(tmp_path)
