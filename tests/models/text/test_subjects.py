"""Words for subjects are told from other words, also those that the head was not fitted on."""

from __future__ import annotations

import json
from pathlib import Path

import bench.subjects
from models.text.subjects import subject_probability

SUBJECTS = [
    "astronomy",
    "beekeeping",
    "submarines",
    "camping",
    "falconry",
    "quilting",
    "mountaineers",
    "dinosaurs",
    "skateboarding",
    "motorcycles",
]
OTHERS = [
    "bewildering",
    "durability",
    "highlighted",
    "zesty",
    "understated",
    "counterpart",
    "unforgettable",
    "willingness",
    "plainly",
    "remind",
]


def test_subjects_that_the_head_never_saw_are_told_from_other_words() -> None:
    fitted_on = json.loads(Path(bench.subjects.__file__).with_suffix(".json").read_text(encoding="utf-8"))
    assert not {*SUBJECTS} & {*fitted_on["subjects"].split()}
    found, others = subject_probability(SUBJECTS), subject_probability([word for word in OTHERS if word not in fitted_on["others"].split()])
    assert sum(probability > 0.45 for probability in found) >= 9
    assert sum(probability > 0.45 for probability in others) <= 1


def test_no_words_get_no_probabilities() -> None:
    assert subject_probability([]) == []
