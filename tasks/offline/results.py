"""Output files of a backtest or replay: a JSON file with every metric, and a figure next to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from models.errors import UserError
from models.visible import to_json_value


def check_writable(file: Path) -> None:
    """Raises UserError if `whole` could not write the file; an existing file stays unchanged."""
    if file.is_dir():
        raise UserError(f"cannot write {file}: it is a folder; name a file in it with --out, such as {file / 'result.json'}")
    if file.exists() and not file.is_file():
        raise UserError(f"cannot write {file}: it is not a regular file; name a file that can be written with --out")
    trial = _unfinished(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise _unwritable(file, error) from error


def picture_path(out: Path) -> Path:
    """The path of the figure for a result; raises UserError if it would overwrite the result."""
    if out.suffix.lower() == ".png":
        raise UserError(
            f"--out {out} is for JSON, and the curves go to a file with the same name and the ending .png; "
            f"name a file with another ending, such as {out.with_suffix('.json')}"
        )
    return out.with_suffix(".png")


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """A temporary path that becomes the file at the end of the block, so that the file is complete or absent."""
    unfinished = _unfinished(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        unfinished.replace(file)
    except OSError as error:
        raise _unwritable(file, error) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def save(result: dict[str, Any], file: Path) -> None:
    """Write a result as JSON."""
    text = to_json(result)
    with whole(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def to_json(result: dict[str, Any]) -> str:
    """A result as JSON text, with null for figures that are not finite."""
    return json.dumps(to_json_value(result), indent=2, default=str, allow_nan=False)


def _unfinished(file: Path) -> Path:
    return file.with_name(f".{file.name}.tmp")


def _unwritable(file: Path, error: OSError) -> UserError:
    return UserError(f"cannot write {file}: {error.strerror or error}; name a file that can be written with --out")
