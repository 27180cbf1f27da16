"""Makes a version live that has no past lists: it learns the events since its snapshot, and ranks all users."""

from __future__ import annotations

from dataclasses import replace

from prefect import flow, get_run_logger, runtime

from flows import logs, priority
from flows.handover import hand_over
from flows.registry import open_models
from flows.run_names import WORK, name_moment, tag_run
from flows.stages import retried
from models.evaluation.evaluator import make_evaluator
from models.text.encoder import find_encoder
from settings import load
from tasks import encoding, lake, process, searches
from tasks.night import dataset
from tasks.publish import past
from tasks.registry import versions
from tasks.scenarios import overview

logs.speak()
priority.give_way()

encode_items = retried("encode-items", encoding.encode_changed_items)
load_dataset = retried("load-dataset", dataset.load_dataset)
read_searches = retried("read-searches", searches.read_search_log)


@flow(name="promotion", flow_run_name=name_moment, description=__doc__)
@logs.printable_errors
def promotion(version: str) -> str:
    """Rank with a version and publish; returns the version that is live afterwards: this one, or its increment with the events since."""
    settings = load()
    tag_run(WORK)
    process.use_threads(settings.threads)
    tables = replace(lake.locate(settings.lake, settings.home, settings.store), threads=settings.threads)
    with lake.explained():
        models = open_models(settings)
        chosen = versions.find_version(models, version)
        past.demand_other(tables, version)
        scenarios = overview.right_scenarios(tables, settings.home, settings.ingest.event_weights)
        encode_items(tables, settings.encoder, progress=False)
        key = find_encoder(settings.encoder).key
        data = load_dataset(tables, lake.newest_snapshot(tables), settings.ingest.event_weights, key)
        trend = make_evaluator(data.events, settings.evaluation).trend
        asked = read_searches(tables, data.snapshot, settings.encoder, data.encoder)
        run_id = str(runtime.flow_run.id)
        live, _, _ = hand_over(settings, tables, models, data, trend, asked, chosen, run_id, scenarios, cadence="promote")
    get_run_logger().info("version %s is live by hand", live.version)
    return live.version
