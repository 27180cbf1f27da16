"""Reads and checks scenarios.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from models.config import PositiveInt
from models.errors import UserError

FILE = "scenarios.toml"
DEFAULT = "default"
"""The scenario of recs.recommendations, also without a file."""
MOST_DAYS = 36_525
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
Days = Annotated[float, Field(ge=0, le=MOST_DAYS)]
REMEDIES = {
    "hide": f"give each event type a number of days from 0 to {MOST_DAYS:,}, such as hide = {{ purchase = 90, view = 1 }}",
    "where": 'give a SQL condition on the columns of raw.items, such as where = "is_available and price < 100"',
    "max_per_category": "give a whole number from 1, such as max_per_category = 2",
    "new_item_slots": "give a whole number from 0 to 5, such as new_item_slots = 1 for one of ten positions",
    "variety": "give a number from 0 (accuracy only) to 1, such as variety = 0.3",
    "in_tables": "give true or false",
    "needs_item": "give true or false",
}


class ScenarioError(UserError):
    """scenarios.toml is wrong; one line for each mistake."""


class Scenario(BaseModel):
    """The rules of one place.

    hide: days for which an item stays hidden after an event of the user, by event type; in addition to the rule of the model. where:
    condition on the columns of raw.items; empty for none. variety: None for the value that the model chose. new_item_slots: positions of
    every ten that are for new items.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    name: str
    hide: dict[str, Days] = Field(default_factory=dict)
    where: str = ""
    max_per_category: PositiveInt | None = None
    variety: Annotated[float, Field(ge=0, le=1)] | None = None
    new_item_slots: Annotated[int, Field(ge=0, le=5)] = 0
    in_tables: bool = False
    needs_item: bool = False

    @model_validator(mode="after")
    def _a_table_has_no_item(self) -> Scenario:
        if self.needs_item and (self.in_tables or self.name == DEFAULT):
            raise ValueError(
                "it needs an item, and lists in tables are made without one; "
                + ("leave out needs_item" if self.name == DEFAULT else "leave out in_tables, and ask the API for its lists")
            )
        return self

    @property
    def is_published(self) -> bool:
        """Whether its lists are in tables."""
        return self.in_tables or self.name == DEFAULT

    @property
    def settings(self) -> str:
        """The rules as text, equal for equal rules."""
        unsaid = set() if self.new_item_slots else {"new_item_slots"}  # so the rules of lakes from before it are still the same
        return self.model_dump_json(exclude={"name", "in_tables", "needs_item", *unsaid})


SETTINGS = tuple(name for name in Scenario.model_fields if name != "name")


def load_scenarios(home: Path) -> dict[str, Scenario]:
    """The scenarios of a home folder by name, `default` first. Raises ScenarioError if the file is wrong."""
    scenarios, problems = read_scenarios(home)
    if problems:
        raise ScenarioError("\n".join(problems))
    return scenarios


def read_scenarios(home: Path) -> tuple[dict[str, Scenario], list[str]]:
    """The right scenarios of a home folder by name, `default` first, and one line for each mistake."""
    plain = {DEFAULT: Scenario(name=DEFAULT)}
    file = home / FILE
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return plain, []
    except OSError as error:
        return plain, [f"cannot read {file}: {error.strerror or error}; let the user that runs minutehand read it"]
    except UnicodeDecodeError as error:
        return plain, [f"{file} is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"]
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return plain, [f"{FILE} is not TOML: {reason}; write one heading for each scenario, such as [cart], and its settings below"]
    scenarios, problems = dict(plain), []
    for name, given in found.items():
        wrong = list(_mistakes_of(name, given))
        problems += [f"{FILE}: {line}" for line in wrong]
        if not wrong:
            scenarios[name] = Scenario(name=name, **given)
    return scenarios, problems


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean ...?` with the known word that is most like the given one, or other advice if none is."""
    near = get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}?" if near else otherwise


def _mistakes_of(name: str, given: Any) -> Iterable[str]:
    if not isinstance(given, Mapping):
        yield f"{name!r} stands above all headings and belongs to no scenario; put it below a heading such as [cart]"
        return
    if not NAME.fullmatch(name):
        yield f"[{name}] is no name of a scenario; use up to 64 letters, digits, - and _, such as [cart]"
    known = ", ".join(SETTINGS)
    unknown = [key for key in given if key not in SETTINGS]
    for key in unknown:
        yield f"[{name}] has no setting {key!r}; {nearest(key, SETTINGS, f'a scenario has {known}')}"
    try:
        Scenario(name=name, **{key: value for key, value in given.items() if key not in unknown})
    except ValidationError as error:
        yield from (_explained(name, found) for found in error.errors())


def _explained(name: str, found: ErrorDetails) -> str:
    if not found["loc"]:
        return f"[{name}] {found['msg'].removeprefix('Value error, ')}"
    setting = ".".join(str(part) for part in found["loc"] if part != "[key]")
    return f"[{name}] {setting} = {found['input']!r} is not possible; {REMEDIES[str(found['loc'][0])]}"
