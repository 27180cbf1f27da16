"""What the documents say exists: links, settings, tables, commands, options, tests."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

from cli import app
from settings import variables
from tasks.offline.replay import DEFAULT, POLICIES
from tests.conftest import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
documents = pytest.mark.parametrize("document", DOCUMENTS, ids=[str(document.relative_to(ROOT)) for document in DOCUMENTS])


@cache
def _text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def _anchors(document: Path) -> set[str]:
    """The headings as GitHub links to them."""
    titles = re.findall(r"^#+ (.+)$", _text(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _commands(text: str) -> list[str]:
    """Calls of minutehand in code blocks, comments left out; in a block with prompts, the lines behind them."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = []
    for block in blocks:
        prompt = "$ " if re.search(r"^\$ ", block, re.MULTILINE) else ""
        whole = block.replace("\\\n", " ").splitlines()
        lines += [line.removeprefix(prompt) for line in whole if line.startswith(f"{prompt}minutehand ")]
    return [line.split("   #")[0] for line in lines]


@documents
def test_every_relative_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]*(?:#[^)\s]*)?)\)", _text(document)):
        path, _, anchor = link.partition("#")
        if path.startswith("http"):
            continue
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@documents
def test_every_setting_that_is_named_exists(document: Path) -> None:
    known = {name for name, _, _ in variables()}
    assert set(re.findall(r"MINUTEHAND_[A-Z_]*[A-Z]", _text(document))) <= known


@pytest.mark.slow
@documents
def test_every_command_and_option_that_is_shown_exists(document: Path) -> None:
    root = get_command(app)
    for line in _commands(_text(document)):
        words = line.split()[1:]
        command = root
        while hasattr(command, "commands") and words and not words[0].startswith("-"):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]} | {"--help"}
        unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", " ".join(words))
        assert {word for word in unquoted.split() if word.startswith("-")} <= options, line


def test_the_page_of_tables_lists_every_table() -> None:
    created = {
        table
        for file in sorted((ROOT / "sql").rglob("*.sql"))
        for table in re.findall(r"create table (?:if not exists )?(\w+\.\w+)", file.read_text(encoding="utf-8"))
    }
    assert set(re.findall(r"^\| `(\w+\.\w+)` \|", _text(ROOT / "docs" / "tables.md"), re.MULTILINE)) == created


def test_the_tests_that_hold_the_invariants_are_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", _text(ROOT / "docs" / "ARCHITECTURE.md")))
    files = (ROOT / "tests").rglob("test_*.py")
    assert named
    assert named <= {name for file in files for name in re.findall(r"^def (test_\w+)", _text(file), re.MULTILINE)}


def test_every_file_that_is_named_exists() -> None:
    for document in DOCUMENTS:
        for path in re.findall(r"`((?:cli|flows|tasks|models|sql|bench|tests)/[\w/.]*)`", _text(document)):
            assert (ROOT / path).exists(), f"{path} in {document.name}"


def test_every_picture_is_shown_and_small() -> None:
    shown = {Path(path).name for document in DOCUMENTS for path in re.findall(r"\]\(([^)]+\.(?:png|svg))\)", _text(document))}
    sizes = {picture.name: picture.stat().st_size for picture in (ROOT / "docs" / "pictures").iterdir()}
    assert sizes.keys() == shown
    assert max(sizes.values()) < 300_000


def test_the_policies_of_a_replay_are_listed_with_those_compared_by_default() -> None:
    guide = _text(ROOT / "docs" / "guides" / "replay.md")
    listed = re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|$", guide, re.MULTILINE)
    assert {name for name, _ in listed} == set(POLICIES)
    assert [name for name, is_default in listed if is_default == "yes"] == list(DEFAULT)
    (option,) = [parameter for parameter in get_command(app).commands["replay"].params if parameter.name == "policies"]  # type: ignore[attr-defined]
    assert f"Default: {', '.join(DEFAULT)}." in option.help
    assert all(name in option.help for name in POLICIES)


def test_every_section_of_the_benchmarks_names_a_command_a_commit_and_a_date() -> None:
    _, *sections = re.split(r"^## ", _text(ROOT / "docs" / "benchmarks.md"), flags=re.MULTILINE)
    for section in sections:
        title = section.partition("\n")[0]
        assert re.search(r"python -m bench\.|^minutehand ", section, re.MULTILINE), title
        assert re.search(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7}\b", section), title
        assert re.search(r"\b20\d\d-\d\d-\d\d\b", section), title
    for module in re.findall(r"python -m bench\.(\w+)", "".join(sections)):
        assert list((ROOT / "bench").glob(f"{module}*")), module
