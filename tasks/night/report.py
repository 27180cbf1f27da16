"""The report of a night, as markdown."""

from __future__ import annotations

from collections.abc import Sequence

from models.metrics.segments import SEGMENTS
from models.metrics.summary import FIGURES, SERVED
from models.results import MetricRow, RankedLists
from models.visible import in_markdown
from tasks.night.learning import Judged

METRICS_NOTE = (
    f"`{SERVED}` predicts each held-out event from a list one minute old, as served to users. "
    "All other metrics predict it with the previous event known."
)


def night_report(version: str, verdict: str, judged: Judged, lists: RankedLists, titles: Sequence[str]) -> str:
    """The verdict, the metrics tables and the lists of three users."""
    gain = lift(judged.rows)
    if gain is None or gain.value is None:
        against = "No event was held out."
    else:
        interval = f"95 % interval {gain.low:+.4f} to {gain.high:+.4f}"
        against = f"NDCG@10 of the lists as served is {gain.value:+.4f} against {judged.best_baseline}, the best baseline ({interval})."
    parts = [f"# Version {version}", verdict, against, metrics_table(judged.rows), "## Three users", sample_lists(lists, titles)]
    return "\n\n".join(parts)


def metrics_table(rows: Sequence[MetricRow]) -> str:
    """Two tables: models by metrics over all held-out events, the deciding metric first; then the deciding metric by segment."""
    value = {(row.model, row.segment, row.metric): row for row in rows}
    models = list(dict.fromkeys(row.model for row in rows))
    metrics = [metric for metric in (SERVED, *FIGURES) if any(row.metric == metric for row in rows)]
    overall = [[model, *(_figure(value.get((model, "all", metric))) for metric in metrics)] for model in models]
    counts = [next((row.n_events for row in rows if row.segment == segment), 0) for segment in SEGMENTS[1:]]
    titles = [f"{segment.replace('_', ' ')} ({n:,})" for segment, n in zip(SEGMENTS[1:], counts, strict=True)]
    by_segment = [[model, *(_figure(value.get((model, segment, metrics[0]))) for segment in SEGMENTS[1:])] for model in models]
    tables = [_table(["model", *metrics], overall), f"`{metrics[0]}` by segment (events):", _table(["model", *titles], by_segment)]
    return "\n\n".join([*([METRICS_NOTE] if SERVED in metrics else []), *tables])


def lift(rows: Sequence[MetricRow]) -> MetricRow | None:
    """The gain in the deciding NDCG@10 over the best baseline; None if nothing was held out."""
    return next((row for metric in (SERVED, FIGURES[0]) for row in rows if row.metric == f"{metric}_lift"), None)


def sample_lists(lists: RankedLists, titles: Sequence[str], n_users: int = 3, n_items: int = 10) -> str:
    """The lists of a few evenly spaced users."""
    step = max(len(lists.user_ids) // n_users, 1)
    chosen = range(0, min(len(lists.user_ids), step * n_users), step)
    return "\n\n".join(
        f"**{in_markdown(lists.user_ids[user])}**\n\n"
        + "\n".join(f"{rank}. {in_markdown(titles[item])}" for rank, item in enumerate(lists.item[user, :n_items], start=1) if item >= 0)
        for user in chosen
    )


def _figure(row: MetricRow | None) -> str:
    return "" if row is None or row.value is None else f"{row.value:.4f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
