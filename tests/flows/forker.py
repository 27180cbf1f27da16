"""Minutes in children of a process that has imported everything, so that a kill costs a second and not ten.

One line of JSON on stdin is a list of what children shall do, all at once; one line on stdout has their exit codes.
A child runs the minute flow; given {"kill": "module:name:before or after"} it kills itself there, given {"state": file}
it writes down what the tables and the registry hold instead.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

TABLES = {
    "lists": "select user_id, rank, item_id, score, probability, source, reason from recs.recommendations order by all",
    "similar": "select item_id, rank, similar_item_id, similarity from recs.similar_items order by all",
    "histories": "select user_id, item_ids, event_types, n_events from features.user_histories order by user_id",
    "embeddings": "select item_id, text_hash from features.item_embeddings order by item_id",
    "prequential": "select model, segment, metric, value, n_events from eval.prequential order by all",
    "freshness": "select user_id, received_at::varchar from ops.freshness order by all",
    "publications": "select cadence, n_users, n_users_changed, n_items from recs.publications order by published_at",
    "waiting": "select count(distinct snapshot) from ops.watermarks",
}


def kill_at(moment: str) -> None:
    """This process gets SIGKILL when it comes to a function, or back from it."""
    module, name, when = moment.split(":")
    *path, last = name.split(".")
    owner = reduce(getattr, path, import_module(module))
    work = getattr(owner, last)

    def dying(*given: Any, **named: Any) -> Any:
        if when == "after":
            work(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, last, dying)


def state() -> dict[str, Any]:
    """What a run leaves, without names of runs, versions and times."""
    from models import checkpoint as checkpoints
    from settings import load
    from tasks import increments, publishing, registry
    from tasks.lake import locate, reading

    settings = load()
    lake = locate(settings.lake, settings.home)
    with reading(lake) as con:
        found: dict[str, Any] = {name: con.execute(sql).fetchall() for name, sql in TABLES.items()}
    models = registry.open_registry(settings.tracking_uri, settings.registry.model_name)
    live = registry.find_version(models, publishing.live_version(lake) or "")
    loaded = checkpoints.load(live.checkpoint_folder)
    assert loaded.online is not None
    days = models.client.search_runs([models.experiment_id], f"tags.`minutehand.cadence` = '{increments.MINUTE}'")
    points = [models.client.get_metric_history(day.info.run_id, "live/ndcg_at_10") for day in days]
    found["learnt"] = dict(zip(loaded.catalog.item_ids, loaded.online.popularity.counts[-1].tolist(), strict=True))
    found["weights"] = {name: value.double().sum().item() for name, value in loaded.live.model.state_dict().items()}
    found["versions"] = len(registry.versions(models)), len(registry.logged_models(models))
    found["live is live"] = registry.aliases(models)[registry.LIVE] == live.version
    found["curve"] = [point.value for day in points for point in day]
    return found


def work(order: dict[str, str]) -> None:
    if "state" in order:
        Path(order["state"]).write_text(json.dumps(state()), encoding="utf-8")
        return
    if "kill" in order:
        kill_at(order["kill"])
    from flows.minute import minute

    minute()


def start(order: dict[str, str]) -> int:
    child = os.fork()
    if child:
        return child
    os.dup2(2, 1)
    code = 1
    try:
        work(order)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Answer until stdin ends."""
    for name in ("flows.minute", "models.encoder", "tasks.encoding", "tasks.increments", "tasks.minute", "tasks.night", "tasks.publishing"):
        import_module(name)
    for line in sys.stdin:
        children = [start(order) for order in json.loads(line)]
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]), flush=True)


if __name__ == "__main__":
    serve()
