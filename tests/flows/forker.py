"""Minute runs in forked children of a process that has imported everything, so that a kill takes one second instead of ten.

Each line of JSON on stdin is a list of orders for concurrent children; one line on stdout has their exit codes. By default a child
runs the minute flow. Keys of an order: {"settings": ...} changes settings; {"kill": "module:name:before or after"} kills the child
there; {"kill_before": n} kills it before the nth persistent effect; {"effects": file} writes all effects to a file.
Two keys replace the minute flow: {"state": file} writes the content of tables and registry to a file; {"a_day_passes": ...} turns
the run of today into the run of yesterday. Two go with those that kill: {"rollback": true} goes back to the champion before, and
{"night": true} runs a night.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.flows.effects import place, watch

IMPORTED = (
    *(
        "flows.minute",
        "flows.minute_work",
        "models.text.encoder",
        "tasks.encoding",
        "tasks.registry.increments",
        "tasks.minute.steps",
        "tasks.night.learning",
    ),
    *("tasks.publish.night", "transformers.models.auto.modeling_auto", "transformers.models.bert.modeling_bert", "torch._dynamo"),
    *("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
)
FOREIGN = ("mlflow.db", ".artifact.uploading.")
"""Files that vary between runs: temporary files of SQLite, and partial uploads of MLflow."""
TABLES = {
    "events": "select user_id, item_id, event_type, occurred_at::varchar from raw.events order by all",
    "items": "select item_id, title from raw.items order by all",
    "rejected": "select line, reason from raw.rejected order by all",
    "lists": "select user_id, rank, item_id, score, probability, source, reason from recs.recommendations order by all",
    "in cart": "select user_id, rank, item_id, score, reason from recs.scenario_recommendations where scenario = 'cart' order by all",
    "searches": "select user_id, query, occurred_at::varchar from features.user_searches order by all",
    "interests": "select interest_id, kind, parent_id, name, n_items from recs.interests order by all",
    "item interests": "select item_id, interest_id, share from recs.item_interests order by all",
    "user interests": "select user_id, horizon, interest_id, probability, evidence from recs.user_interests order by all",
    "nodes": "select * exclude (model_version, data_snapshot, generated_at) from graph.nodes order by all",
    "edges": "select * exclude (model_version, data_snapshot, generated_at) from graph.edges order by all",
    "one state": """
        select count(distinct data_snapshot) from (
            (select data_snapshot from recs.recommendations where user_id = 'u05' limit 1)
            union all (select data_snapshot from recs.scenario_recommendations where user_id = 'u05' limit 1)
            union all (select data_snapshot from recs.user_interests where user_id = 'u05' limit 1)
            union all (select data_snapshot from graph.edges where source = 'user:u05' limit 1)
        )
    """,
    "similar": "select item_id, rank, similar_item_id, similarity from recs.similar_items order by all",
    "histories": "select user_id, item_ids, event_types, earlier_item_ids, n_events from features.user_histories order by user_id",
    "embeddings": "select item_id, text_hash from features.item_embeddings order by item_id",
    "prequential": "select model, segment, metric, value, n_events from eval.prequential order by all",
    "freshness": "select user_id, count(*) from ops.freshness group by all order by all",
    "publications": "select cadence, n_users, n_users_changed, n_items from recs.publications order by published_at",
    "moved": "select item_id from ops.moved_items order by all",
    "waiting": "select count(distinct snapshot) from ops.watermarks",
    "experiments": """
        select state, frozen, verdict, next_version is null, stopped_at is null, learnt = marks.snapshot
        from ops.experiments, ops.watermarks as marks where marks.consumer = 'learnt' order by started_at
    """,
    "arms": """
        select distinct user_id, model_version in (select arm_version from ops.experiments where state <> 'stopped')
        from recs.recommendations order by all
    """,
}


def kill_at(moment: str) -> None:
    """Have this process killed by SIGKILL when it calls a function, or when the function returns."""
    module, name, when = moment.split(":")
    *path, last = name.split(".")
    owner = reduce(getattr, path, import_module(module))
    work = getattr(owner, last)

    def dying(*given: Any, **named: Any) -> Any:
        if when == "after":
            work(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, last, dying)


@contextmanager
def watched(order: dict[str, Any]) -> Iterator[None]:
    """Count effects within the block."""
    effects: list[str] = []

    def before(name: str) -> None:
        if len(effects) == order.get("kill_before"):
            os.kill(os.getpid(), signal.SIGKILL)
        effects.append(name)

    watch(Path(os.environ["MINUTEHAND_HOME"]).resolve(), before)
    yield
    if "effects" in order:
        Path(order["effects"]).write_text(json.dumps(effects), encoding="utf-8")


def let_a_day_pass() -> None:
    """Turn the run of today into the run of yesterday."""
    from settings import load
    from tasks.registry import day_run, versions

    settings = load()
    models = versions.open_registry(settings.tracking_uri, settings.registry.model_name)
    today = datetime.now(UTC).date()
    day = day_run.open_day(models, today, "1")
    models.client.set_tag(day.run_id, "minutehand.day", str(today - timedelta(days=1)))


def state() -> dict[str, Any]:
    """The state after a run, without run ids, version numbers and times."""
    from models.version import checkpoint as checkpoints
    from settings import load
    from tasks.experiments import current
    from tasks.lake import locate, reading
    from tasks.publish import pointer
    from tasks.registry import day_run, versions
    from tasks.registry.names import LIVE

    settings = load()
    lake = locate(settings.lake, settings.home)
    with reading(lake) as con:
        found: dict[str, Any] = {name: con.execute(sql).fetchall() for name, sql in TABLES.items()}
    models = versions.open_registry(settings.tracking_uri, settings.registry.model_name)
    live = versions.find_version(models, pointer.live_version(lake) or "")
    loaded = checkpoints.load(live.checkpoint_folder)
    assert loaded.online is not None
    days = models.client.search_runs(
        [models.experiment_id], f"tags.`minutehand.cadence` = '{day_run.MINUTE}'", order_by=["attributes.start_time"]
    )
    points = [models.client.get_metric_history(day.info.run_id, "live/ndcg_at_10") for day in days]
    found["learnt"] = dict(zip(loaded.catalog.item_ids, loaded.online.popularity.counts[-1].tolist(), strict=True))
    experiment = current(lake)
    if experiment is not None and experiment.has_arm:
        arm = checkpoints.load(versions.find_version(models, experiment.arm_version).checkpoint_folder)
        assert arm.online is not None
        found["learnt by the challenger"] = dict(zip(arm.catalog.item_ids, arm.online.popularity.counts[-1].tolist(), strict=True))
    found["weights"] = {name: value.double().sum().item() for name, value in loaded.live.model.state_dict().items()}
    folders = list((settings.home / "mlflow" / "artifacts" / "models").iterdir())
    found["versions"] = len(versions.all_versions(models)), len(versions.logged_models(models)), len(folders)
    found["days"] = [day.info.status for day in days]
    found["files"] = sorted({place(file, settings.home) for file in settings.home.rglob("*") if not file.name.startswith(FOREIGN)})
    found["live is live"] = versions.aliases(models)[LIVE] == live.version
    found["curve"] = [point.value for day in points for point in day]
    return found


def work(order: dict[str, Any]) -> None:
    os.environ.update(order.get("settings", {}))
    if "a_day_passes" in order:
        let_a_day_pass()
        return
    if "state" in order:
        Path(order["state"]).write_text(json.dumps(state()), encoding="utf-8")
        return
    if "kill" in order:
        kill_at(order["kill"])
    if "rollback" in order:
        from cli.promote import rollback

        with watched(order):
            rollback()
        return
    if "night" in order:
        from flows.nightly import nightly

        with watched(order):
            nightly()
        return
    from flows.ingest import LandingError
    from flows.minute import minute

    with watched(order), suppress(LandingError):
        minute()


def start(order: dict[str, Any]) -> int:
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
    """Execute orders until stdin ends."""
    for name in IMPORTED:
        import_module(name)
    for line in sys.stdin:
        children = [start(order) for order in json.loads(line)]
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]), flush=True)


if __name__ == "__main__":
    serve()
