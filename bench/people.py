"""Clicks on the lists of each stage, by people who react: python -m bench.people [--quick] [--seed 0].

A home of its own gets a simulated shop that ends now, by the product's commands: simulate, ingest, nightly, minute, serve.
Then everybody visits the shop. They view two items, which a file brings and a minute run learns, and then two more, which are posted to the
API. Now they look at four lists: the one for unknown users, their list of the night, that of the minute, and that of the API.
Their true interests at this moment are the same for all four; the clicks on each list are drawn with a seed of its own.
ctr: clicks per impression, ten impressions a list, with the 95 % interval from resampling people. gain: against the stage above, paired by
person. --quick: a smaller shop; two to four minutes on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.freshness import command, query
from bench.serving import start_server
from bench.table import keep
from models.metrics.intervals import bootstrap_interval, mean_difference
from models.simulation.people import Crowd, PeopleConfig, crowd_at, look, published, reactions, views, walk, wish
from models.simulation.shop import Ints, ShopConfig, Truth

SIZES = {"quick": (500, 1200, 40), "full": (1000, 1200, 60)}
"""Users, items, days."""
N_EPOCHS, LONG = "8", "30"
"""Epochs of training, and a limit in minutes that they do not reach, so that the speed of the machine makes no difference."""
LOOKS = 20
"""Looks of each person at each list: people of one interest differ less than the clicks of one look."""
STEP_S = 15.0
VARIABLES = {"MINUTEHAND_SERVER__API_REQUESTS_PER_S": "1000000", "MINUTEHAND_SERVER__API_BURST": "1000000"}
"""All requests come from one address."""
BATCH = 100
N_RESAMPLES = 1000
LISTS = "select user_id, rank, item_id from recs.recommendations where rank <= 10 order by user_id, rank"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
        keep("people", run(Path(folder) / "home", given.seed, *SIZES["quick" if given.quick else "full"]))


def run(home: Path, seed: int, n_users: int, n_items: int, n_days: int) -> list[dict[str, object]]:
    """One row per stage; the reactions to the lists of the API are in the lake afterwards."""
    env = {**os.environ, **VARIABLES, "MINUTEHAND_HOME": str(home), "MINUTEHAND_TRAIN__MAX_EPOCHS": N_EPOCHS}
    shop, rng, config = home / "shop", np.random.default_rng(seed), PeopleConfig()
    sizes = {"users": n_users, "items": n_items, "days": n_days, "seed": seed}
    command(env, "simulate", *(word for name, value in sizes.items() for word in (f"--{name}", str(value))))
    for kind in ("items", "events"):
        command(env, "ingest", kind, str(shop / f"{kind}.parquet"))
    command(env, "nightly", "--minutes", LONG)
    truth = Truth(*(pl.read_parquet(shop / f"truth_{name}.parquet") for name in ("interests", "items")))
    crowd = crowd_at(pl.read_parquet(shop / "items.parquet"), truth, now())
    lists = pl.DataFrame(query(env, LISTS))
    user = np.unique(crowd.users(lists["user_id"]))
    user = user[user >= 0]
    seen = walk(crowd, user, 4, ShopConfig().follow, rng)
    shown = {"fallback": published(crowd, lists, user, 10, everyone=True), "nightly": published(crowd, lists, user, 10)}

    views(crowd, user, seen[:, :2], now() - timedelta(seconds=2 * STEP_S), STEP_S, "first").write_parquet(shop / "first_views.parquet")
    command(env, "ingest", "events", str(shop / "first_views.parquet"))
    command(env, "minute")
    shown["minute"] = published(crowd, pl.DataFrame(query(env, LISTS)), user, 10)

    server = start_server(env, home / "serve.log")
    try:
        later = views(crowd, user, seen[:, 2:], now() - timedelta(seconds=STEP_S), STEP_S, "then")
        shown["live"], answered = ask(server.port, crowd, user, later)
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)
    react(env, shop, crowd, user, shown["live"], seen, answered, seed)
    return compare(crowd, config, user, seen, shown, seed)


def now() -> datetime:
    """This second, UTC."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def ask(port: int, crowd: Crowd, user: Ints, later: pl.DataFrame) -> tuple[Ints, list[str]]:
    """(rows of the lists that the API makes after the events, their recommendation_ids)."""
    times = pl.col("occurred_at").dt.to_string("%Y-%m-%dT%H:%M:%S%.fZ")
    rows = later.select("event_id", "user_id", "item_id", "event_type", times).to_dicts()
    for first in range(0, len(rows), 1000):
        taken = post(port, "/v1/events", rows[first : first + 1000])
        if taken["rejected"]:
            sys.exit(f"the API rejected events: {taken['rejected'][:3]}")
    names = [crowd.user_ids[row] for row in user]
    requests = [{"user_id": name, "k": 10} for name in names]
    parts = [{"requests": requests[first : first + BATCH]} for first in range(0, len(requests), BATCH)]
    found = [one for part in parts for one in post(port, "/v1/recommend/batch", part)["lists"]]
    places = [(name, rank, item["item_id"]) for name, one in zip(names, found, strict=True) for rank, item in enumerate(one["items"], 1)]
    lists = pl.DataFrame(places, ["user_id", "rank", "item_id"], orient="row")
    return published(crowd, lists, user, 10), [str(one["recommendation_id"]) for one in found]


def post(port: int, path: str, body: object) -> Any:
    """The answer of the API."""
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def react(env: dict[str, str], shop: Path, crowd: Crowd, user: Ints, shown: Ints, seen: Ints, answered: list[str], seed: int) -> None:
    """Everybody looks at the list of the API once, and the lake takes in what they did."""
    config = PeopleConfig()
    looks = look(wish(crowd, config, user, shown, seen), config, np.random.default_rng([seed, 99]))
    file = shop / "reactions.parquet"
    reactions(crowd, user, shown, looks, now(), f"people{seed}", answered).write_parquet(file)
    command(env, "ingest", "events", str(file))


def compare(crowd: Crowd, config: PeopleConfig, user: Ints, seen: Ints, shown: dict[str, Ints], seed: int) -> list[dict[str, object]]:
    """Clicks per impression of each stage, with intervals that resample people."""
    people, viewed = np.repeat(user, LOOKS), np.repeat(seen, LOOKS, 0)
    rows: list[dict[str, object]] = []
    before: NDArray[np.float32] | None = None
    for number, (name, lists) in enumerate(shown.items()):
        chance = wish(crowd, config, people, np.repeat(lists, LOOKS, 0), viewed)
        ctr = look(chance, config, np.random.default_rng([seed, number])).clicked.mean(1, dtype=np.float32)
        low, high = bootstrap_interval(ctr, people, N_RESAMPLES, seed)
        row: dict[str, object] = {"list": name, "people": len(user), "ctr": f"{ctr.mean():.4f}", "low": f"{low:.4f}", "high": f"{high:.4f}"}
        if before is None:
            row |= {"gain": "", "gain_low": "", "gain_high": ""}
        else:
            gain = mean_difference(ctr, before, people, N_RESAMPLES, seed)
            row |= {"gain": f"{gain.difference:+.4f}", "gain_low": f"{gain.low:+.4f}", "gain_high": f"{gain.high:+.4f}"}
        rows.append(row)
        before = ctr
    return rows


if __name__ == "__main__":
    main()
