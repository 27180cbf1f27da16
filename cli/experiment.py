"""`minutehand experiment`: compare the live model with a challenger on a share of the users."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.lake import lake_of, registry_of
from cli.options import AsJson, Command, pairs
from cli.output import say, say_json, show

if TYPE_CHECKING:
    from models.experiments.verdict import Arm
    from settings import Settings
    from tasks.experiments.standing import Standing
    from tasks.registry.versions import Registry, Version

app = typer.Typer(no_args_is_help=True, help="Compare the live model with a challenger on a share of the users: start, status, stop.")


class Metric(StrEnum):
    """What decides an experiment."""

    CTR = "ctr"
    CONVERSION = "conversion"
    VALUE = "value"
    SATISFACTION = "satisfaction"


@app.command(cls=Command)
def start(
    challenger: Annotated[str, typer.Option(help="Version of a night, as `minutehand models` lists it", show_default=False)],
    share: Annotated[float, typer.Option(help="Share of the users who get the challenger's lists")] = 0.2,
    metric: Annotated[Metric, typer.Option(help="What decides")] = Metric.CTR,
    name: Annotated[str, typer.Option(help="What the experiment is about", show_default=False)] = "",
    guard: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=SHARE", help="Stop if the challenger surely loses more than this share of a metric; repeatable"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give a share of the users the lists of a challenger, from now on."""
    from models.errors import UserError
    from settings import load
    from tasks.experiments import changes
    from tasks.lake import migrate
    from tasks.privacy.common_keys import demand_common_keys

    settings = load()
    try:
        rails = {metric.value: 0.1} if guard is None else {each: float(loss) for each, loss in pairs(guard, "--guard").items()}
    except ValueError as error:
        raise UserError(f"--guard: {error}; give a share, such as --guard conversion=0.1") from error
    changes.new_experiment(name, metric.value, share, rails, ("", "{}"), (challenger, "{}"), "", 0)  # refuses before MLflow is loaded
    models, tables = registry_of(settings), lake_of(settings)
    migrate(tables)
    demand_common_keys(tables)
    control, version = _arms(settings, models, challenger)
    experiment = changes.new_experiment(
        name,
        metric.value,
        share,
        rails,
        (control.version, _settings_behind(models, control)),
        (challenger, _settings_behind(models, version)),
        version.run_id,
        int(version.tags["snapshot"]),
    )
    changes.start(tables, experiment)
    _keep(models, challenger)
    _publish(settings)
    _tell(settings, as_json=as_json)


@app.command(cls=Command)
def status(as_json: AsJson = False) -> None:
    """Show both arms, and what may be said about them now. One may look at any time."""
    from settings import load

    _tell(load(), as_json=as_json)


@app.command(cls=Command)
def stop(
    promote: Annotated[bool, typer.Option("--promote", help="Then make the challenger live, as `minutehand promote` does")] = False,
    as_json: AsJson = False,
) -> None:
    """Give everybody the lists of the live model again, in one publication."""
    from models.errors import UserError
    from settings import load
    from tasks.experiments import changes, current
    from tasks.experiments.standing import standing

    if promote and as_json:
        raise UserError("--promote prints what readers see as text, so there is no JSON; leave --json or --promote out")
    settings = load()
    tables = lake_of(settings)
    experiment = current(tables)
    verdict = "" if experiment is None else standing(tables, experiment).verdict.text
    ended = changes.end(tables, verdict)
    _publish(settings)
    _tell(settings, as_json=as_json)
    if promote:
        from cli.promote import promote as make_live

        make_live(ended.arm_version)


def _arms(settings: Settings, models: Registry, challenger: str) -> tuple[Version, Version]:
    """The live version and the challenger. Raises UserError for a challenger that cannot be one."""
    from models.errors import UserError
    from tasks.encoding import is_encoder_of
    from tasks.publish.pointer import live_version
    from tasks.registry.versions import find_version

    live = live_version(lake_of(settings))
    if live is None:
        raise UserError("nothing has been published yet, so there is no control; minutehand nightly trains a model and publishes lists")
    control, version = find_version(models, live), find_version(models, challenger)
    if version.champion == control.champion:
        raise UserError(
            f"version {challenger} and the live version {live} are of the same night ({control.champion}); name a version of another night"
        )
    if version.champion != version.version:
        raise UserError(f"version {challenger} is an increment of version {version.champion}; name --challenger {version.champion}")
    if not is_encoder_of(version.checkpoint_folder, settings.encoder):
        raise UserError(
            f"version {challenger} was trained with another encoder than {settings.encoder.name}, so it cannot read new items; "
            "train it again with the encoder of today"
        )
    return control, version


def _settings_behind(models: Registry, version: Version) -> str:
    """The settings of the night behind a version, as JSON; {} if it has no plan."""
    from tasks.registry.errors import RegistryError
    from tasks.registry.plans import read_plan

    try:
        return json.dumps(json.loads(read_plan(models, version.champion))["settings"])
    except RegistryError:
        return "{}"


def _keep(models: Registry, version: str) -> None:
    from tasks.registry.increments import follow_experiment

    follow_experiment(models, version)


def _publish(settings: Settings) -> None:
    """Run the minute flow, whose publication changes the arms."""
    from cli.environment import prepare
    from cli.up.temporary import find_api

    prepare(settings)
    demand_api = find_api(settings)

    from flows.minute import minute as flow

    demand_api()
    flow()


def _tell(settings: Settings, *, as_json: bool) -> None:
    from tasks.experiments.experiment import newest
    from tasks.experiments.standing import standing

    tables = lake_of(settings)
    found = newest(tables)
    if not found:
        if as_json:
            say_json(None)
        else:
            say("no experiment yet; start one: minutehand experiment start --challenger VERSION")
        return
    stands = standing(tables, found[0])
    if as_json:
        say_json(_as_json(stands))
        return
    experiment = found[0]
    began = f"{experiment.started_at:%Y-%m-%d %H:%M} UTC"
    say(f"experiment {experiment.name!r} ({experiment.experiment_id}) is {experiment.state}; it began {began}")
    if experiment.is_due:
        say("the next publication changes the lists; `minutehand up` makes one every minute, `minutehand minute` one now")
    share = f"{experiment.share:.0%} of the users"
    say(f"challenger: version {experiment.challenger_version}, {share}; lists by version {experiment.arm_version}")
    if experiment.has_arm and experiment.challenger_settings == "{}":
        say(f"the settings behind version {experiment.challenger_version} were not recorded, so nights do not train the challenger again")
    if experiment.next_version is not None:
        say(f"version {experiment.next_version} of the last night has the challenger's settings; the next minute publishes its lists")
    if experiment.frozen is not None:
        say(f"frozen: the challenger did not learn in the last publication: {experiment.frozen}")
    show(_rows(stands), as_json=False)
    say(f"verdict: {stands.verdict.text}")


def _rows(stands: Standing) -> list[dict[str, Any]]:
    return [
        {
            "metric": each.metric,
            "arm": name,
            "users": f"{arm.n_users:,}",
            "shown": f"{arm.n_shown:,.0f}",
            "with result": f"{arm.n_reacted:,}",
            "ratio": "" if arm.n_users == 0 else f"{arm.ratio:.4f}",
        }
        for each in stands.verdict.compared
        for name, arm in (("control", each.control), ("challenger", each.challenger))
    ]


def _as_json(stands: Standing) -> dict[str, Any]:
    experiment, verdict = stands.experiment, stands.verdict
    hidden = ("key", "guard_rails", "control_settings", "challenger_settings", "checkpoint", "checkpoint_sha256")
    row = {name: value for name, value in vars(experiment).items() if name not in hidden}
    return {
        **row,
        "guard_rails": json.loads(experiment.guard_rails),
        "verdict": {"kind": verdict.kind, "text": verdict.text, "evidence_of_a_wrong_division": verdict.evidence},
        "metrics": [
            {
                "metric": each.metric,
                "control": _arm(each.control),
                "challenger": _arm(each.challenger),
                "difference": each.difference.difference if each.may_count else None,
                "low": each.difference.low if each.may_count else None,
                "high": each.difference.high if each.may_count else None,
            }
            for each in verdict.compared
        ],
    }


def _arm(arm: Arm) -> dict[str, Any]:
    return {"users": arm.n_users, "shown": arm.n_shown, "users_with_result": arm.n_reacted, "ratio": arm.ratio}
