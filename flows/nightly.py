"""Retrains the recommender in full on a pinned snapshot, evaluates it, and publishes a list for every user."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_link_artifact, create_markdown_artifact

from flows import arms, erasing, logs, priority, shop_report
from flows.handover import hand_over
from flows.registry import open_models
from flows.run_names import NIGHT, WORK, name_night, tag_run
from flows.stages import retried, stage
from models.device import pick_device
from models.errors import UserError, without_secrets
from settings import Settings, changes_of, of_night
from tasks import encoding, lake, locks, process, searches, upkeep
from tasks.compare import versions as compared
from tasks.erasure import progress
from tasks.experiments import current
from tasks.night import dataset, interests, learning, measures, report, shown, words, workers
from tasks.night import plan as plans
from tasks.night.plan import Plan
from tasks.online import outcomes
from tasks.privacy.common_keys import demand_common_keys
from tasks.publish import night, past, pointer, publication
from tasks.registry import gate, night_run, pages, promotion, versions
from tasks.registry import plans as recorded
from tasks.registry import upkeep as registry_upkeep
from tasks.registry.changes import record_changes
from tasks.scenarios import Places, Scenario, overview

logs.speak()
priority.give_way()

count_outcomes = retried("count-outcomes", outcomes.count_outcomes)
encode_items = retried("encode-items", encoding.encode_changed_items)
load_dataset = retried("load-dataset", dataset.load_dataset)
read_searches = retried("read-searches", searches.read_search_log)
read_shown = retried("read-shown", shown.read_shown)
read_tried = retried("read-tried", shown.read_tried)
learn = stage("train", learning.learn)
judge = stage("evaluate", learning.judge)
contend = stage("contest", learning.contend)
log_evaluation = retried("log-evaluation", night_run.log_evaluation)
learn_words = stage("words", words.learn_words)
learn_interests = stage("interests", interests.learn_interests)
measure = stage("measure", measures.measure)
complete = stage("refit", learning.complete)
register = retried("register", night_run.register)
record_plan = retried("record-plan", recorded.record_plan)
compare = stage("compare", compared.challenge)
write_metrics = retried("write-metrics", night.write_offline_metrics)
prune = retried("prune", registry_upkeep.prune)
maintain = retried("maintain", upkeep.maintain)


@dataclass(frozen=True)
class Night:
    """What is special about a night. repeated: the plan of an earlier night, which it follows; None for its own.

    is_arm: whether it trains the challenger of an experiment, after the control.
    """

    flow_run_id: str
    scenarios: Mapping[str, Scenario]
    changes: Mapping[str, str]
    as_challenger: bool = False
    repeated: Plan | None = None
    is_arm: bool = False


@flow(name="nightly", flow_run_name=name_night, description=__doc__)
@logs.printable_errors
def nightly(
    minutes: float | None = None,
    plan: str | None = None,
    changes: list[str] | None = None,
    as_challenger: bool = False,
    n_workers: int | None = None,
) -> str:
    """One nightly run; returns the version that is live afterwards. Safe to run again after any interruption.

    minutes: training budget before the hold-out; None for MINUTEHAND_TRAIN__MINUTES. plan: an earlier night (version, MLflow run or
    plan.json) whose plan this night repeats on the data of today, instead of following the clock and the settings. changes: settings of
    this night alone, each as model.dim=64. as_challenger: judge the version and register it, but leave the live lists as they are.
    n_workers: number of processes that train; None for MINUTEHAND_TRAIN__WORKERS.
    """
    settings = of_night(minutes, plan, changes or (), n_workers)
    tag_run(NIGHT, WORK)
    tables = replace(lake.locate(settings.lake, settings.home, settings.store), threads=settings.threads)
    with locks.take(tables), lake.explained():
        models = open_models(settings)
        repeated = None if plan is None else read_plan(models, plan)
        settings = settings if repeated is None else settings.with_plan(repeated)
        process.use_threads(settings.threads)
        lake.migrate(tables)
        demand_common_keys(tables)
        scenarios = overview.right_scenarios(tables, settings.home, settings.ingest.event_weights)
        promotion.follow(models, past.newest_promotion(tables))
        for text in registry_upkeep.reconcile(models, pointer.live_version(tables)).messages:
            get_run_logger().warning(text)
        if as_challenger and pointer.live_version(tables) is None:
            raise UserError("no version is live yet, so a challenger has nobody to challenge; run minutehand nightly first, without --as")
        count_outcomes(tables, settings.ingest.event_weights, settings.online, settings.retention)
        encoded = encode_items(tables, settings.encoder, pick_device(settings.train.device).type)
        data = load_dataset(tables, lake.newest_snapshot(tables), settings.ingest.event_weights, encoded.encoder)
        config, run_id = settings.model_dump(mode="json"), str(runtime.flow_run.id)
        about = {"flow_run_id": run_id, "lake_uri": tables.catalog}
        with night_run.start_night(
            models, str(runtime.flow_run.name), config, data.snapshot, process.git_revision(), data.describe(), **about
        ) as run:
            night = Night(run_id, scenarios, changes_of(changes or ()), as_challenger, repeated)
            live = learn_and_publish(settings, tables, models, data, run, night)
        experiment = current(tables)
        if experiment is not None and arms.retrains(experiment) and not as_challenger:
            own = arms.of_challenger(settings, experiment)
            name, parts = f"{runtime.flow_run.name} challenger", own.model_dump(mode="json")
            with night_run.start_night(models, name, parts, data.snapshot, process.git_revision(), data.describe(), **about) as run:
                learn_and_publish(own, tables, models, data, run, Night(run_id, scenarios, {}, as_challenger=True, is_arm=True))
                arms.renew(tables, models, experiment, run.run_id, data.snapshot)
        workers.clear(settings.train, settings.home)
        return live


def learn_and_publish(
    settings: Settings,
    tables: lake.Lake,
    models: versions.Registry,
    data: dataset.Dataset,
    run: night_run.NightRun,
    night: Night,
) -> str:
    """Train, evaluate, refit, register, decide at the gate, hand over, report, maintain."""
    champion, repeated, flow_run_id = versions.champion(models), night.repeated, night.flow_run_id
    before = champion.checkpoint_folder if champion else None
    asked = read_searches(tables, data.snapshot, settings.encoder, data.encoder)
    passed_over = read_shown(tables, data, settings.train, settings.online.window_hours)
    course = None if repeated is None else repeated.course
    trainer = workers.trainer_of(settings.train, settings.home, process.n_threads())
    learnt = learn(
        data,
        settings.model,
        settings.train,
        settings.evaluation,
        settings.seed,
        on_epoch=run.epoch,
        searches=asked,
        course=course,
        shown=passed_over,
        trainer=trainer,
    )
    followed = followed_plan(settings, data, learnt, repeated)
    towers = learn_words(tables, data, learnt, settings.encoder, settings.seed)
    judged = judge(data, learnt, before, settings.evaluation, settings.seed, towers)
    known = None if repeated else before  # a repeated plan starts from the data alone
    interests_of = learn_interests(tables, data, learnt, known, settings.encoder, settings.generator, settings.seed)
    measured = measure(tables, data, learnt, judged, interests_of[0], settings.evaluation, settings.seed)
    rows = [*judged.rows, *measured.rows]
    contest = contend(learnt, judged, measured.groups, settings.evaluation, settings.seed)
    log_evaluation(run, rows, *learnt.fit.curve.points, measured)
    with tempfile.TemporaryDirectory(prefix="minutehand-") as folder:
        tried = read_tried(tables, data.snapshot)
        parts = settings.model, settings.train, settings.increment
        complete(data, learnt, *parts, settings.seed, Path(folder), towers, interests_of, tried, trainer)
        version = register(run, Path(folder), rows, learning.example(data))
    record_plan(run, version, followed.model_dump_json(indent=1), followed.summary)
    record_changes(run, version, night.changes)
    today = compared.Today(data, learnt.evaluator.trend, asked, Places(tables, data.snapshot, night.scenarios))
    challenge = compare_with_live(settings, tables, models, today, version, before)
    if challenge.difference is not None:
        run.artifact("diff.json", challenge.difference.text())
    verdict = gate.pass_gate(
        models,
        version,
        judged.ndcg,
        judged.best_baseline_ndcg,
        contest,
        challenge.measured,
        settings.registry,
        must_replace=progress.must_retrain(tables, models, champion.version if champion else None),
        as_challenger=night.as_challenger,
    )
    get_run_logger().log(verdict.level, verdict.text)
    run.verdict(version)
    run.compare_versions()
    if night.as_challenger:
        live, lists, titles = live_now(tables, models), challenge.lists, data.titles
    else:
        decision = publication.GateNote(verdict.outcome, verdict.text, verdict.figures)
        live, lists, titles = hand_over(
            settings, tables, models, data, learnt.evaluator.trend, asked, verdict.live, flow_run_id, night.scenarios, decision
        )
    now = datetime.now(UTC).replace(tzinfo=None)
    judged_as = publication.Provenance(version, run.run_id, flow_run_id, data.snapshot, now)
    write_metrics(tables, rows, judged_as, {"champion": champion.version} if champion else {})
    text = report.night_report(version, verdict.text, judged, lists, titles)
    run.report(text)
    show_report(text, without_secrets(settings.mlflow_url), run)
    if not night.as_challenger:  # its lists are nobody's
        shop_report.write(settings, tables, run, version, live.version, verdict.text, is_new=live.champion == version)
    if night.is_arm:
        return live.version  # the control has done the upkeep of this night
    prune(models, settings.registry.keep_versions, {live.version, live.champion})
    unpublished = versions.unpublished_snapshot(models, live.version)
    maintain(tables, spare=versions.snapshots(models), keep_from=unpublished, retention=settings.retention)
    erasing.go_on(settings, tables, in_night=True)
    return live.version


def compare_with_live(
    settings: Settings, tables: lake.Lake, models: versions.Registry, today: compared.Today, version: str, champion: Path | None
) -> compared.Challenge:
    """What would change for users if the version went live."""
    challenger = (version, versions.find_version(models, version).checkpoint_folder)
    k, weights = settings.publish.n_recommendations, settings.ingest.event_weights
    return compare(tables, today, pointer.live_version(tables), challenger, champion, k, settings.seed, weights)


def live_now(tables: lake.Lake, models: versions.Registry) -> versions.Version:
    """The live version, as this night changes none."""
    live = pointer.live_version(tables)
    assert live is not None, "a challenger has a live version to challenge"
    return versions.find_version(models, live)


def read_plan(models: versions.Registry, night: str) -> Plan:
    """The plan of an earlier night, from a file or from MLflow."""
    if night.endswith(".json"):
        return plans.read_plan_file(Path(night))
    return plans.parsed(recorded.read_plan(models, night), f"night {night}")


def followed_plan(settings: Settings, data: dataset.Dataset, learnt: learning.FittedNight, repeated: Plan | None) -> Plan:
    """The plan that this night follows; logs what is not as it was when the repeated plan was made."""
    device = pick_device(settings.train.device).type
    plan = plans.plan_of(data, learnt, settings.model_dump(mode="json"), process.n_threads(), device, process.git_revision())
    if repeated is not None:
        for text in plans.differences(repeated, plan):
            get_run_logger().info("repeating the plan of snapshot %d: %s", repeated.snapshot, text)
    return plan


def show_report(text: str, mlflow_url: str, run: night_run.NightRun) -> None:
    """Write the report and links to its MLflow pages as artifacts of the flow run."""
    page, nights = mlflow_url + run.page, mlflow_url + pages.nights_page(run.registry.experiment_id)
    linked = f"{text}\n\nIn MLflow: [this night]({page}), [all nights side by side]({nights})"
    create_markdown_artifact(linked, key="nightly-report", description="Verdict and figures of the night")
    create_link_artifact(page, "this night in MLflow", key="nightly-mlflow-run", description="Curves and model of the night")
    create_link_artifact(nights, "all nights in MLflow", key="mlflow-nights", description="All nights side by side")
