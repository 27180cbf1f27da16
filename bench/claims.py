"""How many lies the check of generated text catches, and how many true sentences pass: python -m bench.claims.

bench/claims.json and its successors each hold what some people watched, bought and like, true sentences about them, and sentences with
one lie each: a wrong title, number, category or interest. The first two files taught the check; the figures of claims_3.json, 49 of 50 lies
and 43 of 50 true sentences, and of claims_4.json, 25 of 26 and 25 of 26, were taken before anything was changed for them. The check knows
the titles and labels of the file, or with --data those of movietweetings as well.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from bench.table import keep, there
from models.text.claims import Evidence, Known, check

SETS: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(Path(__file__).parent.glob("claims*.json"))
}
KINDS = ("title", "number", "category", "interest")


def judge(cases: dict[str, Any], known: Known) -> list[tuple[dict[str, str | None], list[str]]]:
    """Each sentence of a set with the reasons to refuse it."""
    people = [Evidence(tuple(each["titles"]), tuple(each["labels"]), tuple(each["numbers"])) for each in cases["people"]]
    return [(case, check(case["text"], people[case["person"]], known)) for case in cases["sentences"]]


def known_of(cases: dict[str, Any], items: pl.DataFrame | None = None) -> Known:
    """The catalogue of a set, and that of a data set as well."""
    titles, labels = cases["catalogue"]["titles"], cases["catalogue"]["labels"]
    if items is None:
        return Known.of(titles, labels)
    return Known.of(
        [*titles, *items["title"]], [*labels, *items["genres"].str.split("|").explode(empty_as_null=True).drop_nulls().unique()]
    )


def row(name: str, catalogue: str, judged: list[tuple[dict[str, str | None], list[str]]]) -> dict[str, object]:
    """The figures of one set and one catalogue."""
    n = Counter(case["lie"] for case, _ in judged)
    caught = Counter(case["lie"] for case, reasons in judged if reasons)
    figures = {kind: f"{caught[kind]} of {n[kind]}" for kind in KINDS}
    n_lies, n_caught = sum(n[kind] for kind in KINDS), sum(caught[kind] for kind in KINDS)
    return {
        "set": name,
        "catalogue": catalogue,
        "lies caught": f"{n_caught} of {n_lies}",
        "true kept": f"{n[None] - caught[None]} of {n[None]}",
        **figures,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    parser.add_argument("--show", action="store_true", help="print the sentences that are judged wrongly")
    options = parser.parse_args()
    catalogues: dict[str, pl.DataFrame | None] = {"of the file": None}
    for name in there(["movietweetings"], options.data):
        catalogues[name] = pl.read_parquet(options.data / name / "items.parquet")
    rows = []
    for set_name, cases in SETS.items():
        for name, items in catalogues.items():
            judged = judge(cases, known_of(cases, items))
            rows.append(row(set_name, name, judged))
            for case, reasons in judged if options.show else []:
                if bool(reasons) is (case["lie"] is None):
                    print(f"{set_name}, {name}, {case['lie'] or 'true'}: {case['text']}  {'; '.join(reasons)}")
    keep("claims", rows)


if __name__ == "__main__":
    main()
