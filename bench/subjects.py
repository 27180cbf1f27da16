"""Fits the head that tells words for a subject, such as chess, from other words: python -m bench.subjects.

A subject is what somebody may be interested in. bench/subjects.json holds the words; the words of grammar and those that claim nothing
(`models/text/claim_words.py`) are others, too. Prints how well the head judges words that it was not fitted on, and writes
models/text/subjects.safetensors.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from bench.table import keep
from models.text.claim_words import GENERIC, STOP, TRIGGERS
from models.text.subjects import WEIGHTS, features_of

FOLDS = 8
STRENGTH = 10.0


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    words = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    subjects = sorted(set(words["subjects"].split()))
    others = sorted((set(words["others"].split()) | {word for word in STOP | GENERIC | TRIGGERS if len(word) > 2}) - set(subjects))
    features, is_subject = features_of([*subjects, *others]), np.repeat([True, False], [len(subjects), len(others)])
    head = LogisticRegression(C=STRENGTH, max_iter=2000)
    judged = cross_val_predict(head, features, is_subject, cv=FOLDS, method="predict_proba")[:, 1]
    head.fit(features, is_subject)
    save_file({"weight": head.coef_[0].astype(np.float32), "bias": head.intercept_.astype(np.float32)}, WEIGHTS)
    rows = [
        {
            "refused above": bar,
            f"of {len(subjects)} subjects": f"{np.mean(judged[is_subject] > bar):.3f}",
            f"of {len(others)} others": f"{np.mean(judged[~is_subject] > bar):.3f}",
        }
        for bar in (0.3, 0.5, 0.75)
    ]
    keep("subjects", rows)


if __name__ == "__main__":
    main()
