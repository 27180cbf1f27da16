"""Spells ingest options for error messages: as command-line options, or as keys of a mapping file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """The place where options are given: the command line, or a mapping file of the landing folder.

    file: name of the mapping file; empty for the command line. prefix: prefix of its keys, such as "events.".
    """

    file: str = ""
    prefix: str = ""

    @property
    def within(self) -> str:
        """The end of a remedy: the name of the mapping file, if there is one."""
        return f" in {self.file}" if self.file else ""

    def map(self, name: str, column: str) -> str:
        """The option that maps a column to a field."""
        return self._pair("map", name, column)

    def maps(self, columns: Mapping[str, str]) -> str:
        """The options that map columns to several fields; for a mapping file, one line."""
        if self.file and len(columns) > 1:
            pairs = ", ".join(f"{name} = {_quoted(column)}" for name, column in columns.items())
            return f"{self.prefix}map = {{ {pairs} }}"
        return " ".join(self.map(name, column) for name, column in columns.items())

    def set(self, name: str, value: str) -> str:
        """The option that gives a field the same value in every row."""
        return self._pair("set", name, value)

    def context(self, column: str) -> str:
        """The option that keeps a column in context."""
        return f"{self.prefix}context = [{_quoted(column)}]" if self.file else _as_word("--context ", column)

    def option(self, name: str, value: str = "") -> str:
        """Any other option, with its value if there is one."""
        if self.file:
            key = self.prefix + name.replace("-", "_")
            return f"{key} = {_quoted(value)}" if value else key
        return f"--{name} {value}" if value else f"--{name}"

    def _pair(self, option: str, name: str, value: str) -> str:
        if self.file:
            return f"{self.prefix}{option}.{name} = {_quoted(value)}"
        return _as_word(f"--{option} ", f"{name}={value}")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _as_word(option: str, text: str) -> str:
    return f"{option}{text}" if re.fullmatch(r"[\w.=-]*", text) else f"{option}'{text}'"
