"""How many lies the check of generated text catches, and how many true sentences pass: python -m bench.claims.

bench/claims.json holds what ten people watched and like, fifty true sentences about them, and fifty with one lie each: a wrong title,
number, category or interest. The check knows the titles and labels of the file, or with --data those of movietweetings as well.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import polars as pl

from bench.table import keep, there
from models.text.claims import Evidence, Known, check

CASES = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
KINDS = ("title", "number", "category", "interest")


def judge(known: Known) -> list[tuple[dict[str, str | None], list[str]]]:
    """Each sentence with the reasons to refuse it."""
    people = [Evidence(tuple(each["titles"]), tuple(each["labels"]), tuple(each["numbers"])) for each in CASES["people"]]
    return [(case, check(case["text"], people[case["person"]], known)) for case in CASES["sentences"]]


def row(name: str, judged: list[tuple[dict[str, str | None], list[str]]]) -> dict[str, object]:
    """The figures of one catalogue."""
    n = Counter(case["lie"] for case, _ in judged)
    caught = Counter(case["lie"] for case, reasons in judged if reasons)
    figures = {kind: f"{caught[kind]} of {n[kind]}" for kind in KINDS}
    n_lies, n_caught = sum(n[kind] for kind in KINDS), sum(caught[kind] for kind in KINDS)
    return {"catalogue": name, "lies caught": f"{n_caught} of {n_lies}", "true kept": f"{n[None] - caught[None]} of {n[None]}", **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    parser.add_argument("--show", action="store_true", help="print the sentences that are judged wrongly")
    options = parser.parse_args()
    titles, labels = CASES["catalogue"]["titles"], CASES["catalogue"]["labels"]
    catalogues = {"of the file": Known.of(titles, labels)}
    for name in there(["movietweetings"], options.data):
        items = pl.read_parquet(options.data / name / "items.parquet")
        catalogues[name] = Known.of([*titles, *items["title"]], [*labels, *items["genres"].str.split("|").explode().drop_nulls().unique()])
    rows = []
    for name, known in catalogues.items():
        judged = judge(known)
        rows.append(row(name, judged))
        for case, reasons in judged if options.show else []:
            if bool(reasons) is (case["lie"] is None):
                print(f"{name}, {case['lie'] or 'true'}: {case['text']}  {'; '.join(reasons)}")
    keep("claims", rows)


if __name__ == "__main__":
    main()
