"""Files in which the processes of a training hand over arrays, epochs and results."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.training.training import Curve


def write(file: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """A file of tensors with a description as JSON; it is there in full or not at all."""
    unfinished = file.with_suffix(".tmp")
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, unfinished, {"about": json.dumps(about)})
    os.replace(unfinished, file)


def read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file, mapped into memory, which processes of one machine share, and their description."""
    with safe_open(file, framework="pt") as source:
        names = list(source.keys())
        return {name: source.get_tensor(name) for name in names}, json.loads(source.metadata()["about"])


def curve_as_json(curve: Curve) -> dict[str, Any]:
    """A curve without its squares."""
    return {field.name: getattr(curve, field.name) for field in fields(Curve) if field.name != "squares"}


def curve_of(described: dict[str, Any]) -> Curve:
    """The curve that `curve_as_json` described."""
    return Curve(**{**described, "planned": [(int(step), float(epochs)) for step, epochs in described["planned"]]})
