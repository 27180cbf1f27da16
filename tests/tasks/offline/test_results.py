"""Result files are complete or absent, and never overwrite anything else."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from models.errors import UserError
from tasks.offline.results import check_writable, picture_path, save, to_json, whole


def test_a_result_that_cannot_be_written_raises_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--out"):
        save({}, tmp_path / "file" / "result.json")
    save({"a": 1}, tmp_path / "new" / "result.json")
    assert json.loads((tmp_path / "new" / "result.json").read_text()) == {"a": 1}
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["result.json"]


def test_a_metric_that_is_not_finite_becomes_null(tmp_path: Path) -> None:
    result = {"loss": [1.0, math.nan], "segments": {"all": {"ratio": math.inf}}, "n": 3, "best": True, "file": tmp_path}
    save(result, tmp_path / "result.json")
    found = {"loss": [1.0, None], "segments": {"all": {"ratio": None}}, "n": 3, "best": True, "file": str(tmp_path)}
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(to_json(result)) == found


def test_a_folder_or_special_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for folder in (tmp_path, Path(), Path("/")):
        with pytest.raises(UserError, match=r"it is a folder; name a file in it with --out, such as .*result\.json"):
            check_writable(folder)
    for file in (Path("/dev/null"), Path("/dev/null/result.json")):
        with pytest.raises(UserError, match=f"cannot write {file}: .*; name a file that can be written with --out"):
            check_writable(file)
    assert Path("/dev/null").is_char_device()
    assert list(tmp_path.iterdir()) == []


def test_checking_a_file_does_not_change_it(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text("mine", encoding="utf-8")
    check_writable(file)
    check_writable(tmp_path / "other.json")
    assert file.read_text(encoding="utf-8") == "mine"
    assert list(tmp_path.iterdir()) == [file]


def test_a_figure_never_overwrites_its_result() -> None:
    assert picture_path(Path("a/replay.json")) == Path("a/replay.png")
    assert picture_path(Path("a/replay")) == Path("a/replay.png")
    for name in ("replay.png", "replay.PNG"):
        with pytest.raises(UserError, match=rf"--out {name} is for JSON.*such as replay.json"):
            picture_path(Path(name))


def test_an_error_while_writing_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    def draw_half(unfinished: Path) -> None:
        unfinished.write_text("half", encoding="utf-8")
        raise RuntimeError("no font")

    file = tmp_path / "replay.png"
    file.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError, match="no font"), whole(file) as unfinished:
        draw_half(unfinished)
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]
