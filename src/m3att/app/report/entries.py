"""A run as the page of `m3att report` shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from m3att.app.ablation.command import summaries
from m3att.app.report.scoring import EXAMPLES, score
from m3att.app.report.targets import ABLATIONS, RUN, SCORES, Target
from m3att.engine.run_folder import RunFolder
from m3att.errors import DataError
from m3att.report.ablation_tables import notes, table_cells
from m3att.report.charts import line_chart
from m3att.report.curves import best_validation, curves, series_of
from m3att.report.page import Entry
from m3att.report.paper_tables import TableView
from m3att.report.pictures import best_median_worst, failures_by_kind
from m3att.report.scored import Scored
from m3att.report.tables import BOX_HEADS, box_rows, scores_heading


def make_entry(target: Target, given: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Entry, bool]:
    """A run as the page shows it, and whether some of its expressions were left out.

    Args:
        target: what was named.
        given: options of the command line.
        options: the settings among them.
    """
    if target.kind == SCORES:
        return scores_entry(target), False
    if target.kind == ABLATIONS:
        return ablations_entry(target), False
    entry = Entry(target.name, target.kind)
    if target.kind == RUN:
        entry = run_entry(target)
    if target.model is None:
        note = "The run has written no model yet, so nothing was scored."
        return replace(entry, notes=[*entry.notes, note]), False
    return scored_entry(entry, target.model, given, options)


def run_entry(target: Target) -> Entry:
    """The curves and facts of a training."""
    folder = RunFolder(Path(target.word))
    metrics = folder.read_metrics()
    facts = []
    if metrics:
        last = metrics[-1]
        facts.append(
            f"Trained for {last['step']:,} steps on {last.get('expressions', 0):,} expressions in "
            f"{last.get('seconds', 0) / 60:,.0f} minutes."
        )
    best = best_validation(metrics)
    if best is not None:
        facts.append(f"Best validated mean IoU: {100 * best[1]:.1f} at step {best[0]:,}.")
    kind = target.kind if target.model is None else f"{target.kind}, its {Path(target.model).name} model"
    return Entry(target.name, kind, facts, curves(metrics, target.name))


def scored_entry(entry: Entry, model: str, given: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Entry, bool]:
    """The entry with the model's scores and pictures, and whether some expressions were left out.

    Args:
        entry: what is known before.
        model: that is scored.
        given: options of the command line.
        options: the settings among them.
    """
    scored, scores, answers, painter = score(model, given, options, boxes_do=True)
    found = scores.to_dict()
    about = scores_heading({**found, "protocol": scores.shown.name})
    count = given.get("examples", EXAMPLES) if answers else 0
    chosen = best_median_worst(answers, count) if count else {}
    failed = failures_by_kind(answers, count) if count else {}
    notes = [f"Left out: {reason}" for reason in found["left_out"]["reasons"]] + list(scored.source.notes)
    entry = with_boxes(entry, found, about)
    entry = replace(
        entry,
        scored=Scored(entry.name, about, found, tuple(answers)) if answers else None,
        gallery={name: list(painter.cards(some, words=True)) for name, some in chosen.items()},
        failures={kind: list(painter.cards(some, words=False)) for kind, some in failed.items()},
        notes=[*entry.notes, *notes],
    )
    return entry, bool(scores.left_out)


def with_boxes(entry: Entry, found: Mapping[str, Any], about: str) -> Entry:
    """The entry with the figures of the objects that have a box and no mask, where there are some.

    Args:
        entry: what is known before.
        found: of `Scores.to_dict`.
        about: one line about what was scored.
    """
    rows = box_rows(found)
    if not rows:
        return entry
    title = "Objects with a box and no mask"
    table = TableView(title, BOX_HEADS, (), tuple(rows), ("docs/evaluation.md explains the figures.",))
    facts, notes = list(entry.facts), list(entry.notes)
    if not found["expressions"]:
        boxes = found["boxes"]
        facts.append(about)
        facts.append(
            f"Mean box IoU {100 * boxes['mean_box_iou']:.1f}, pointing accuracy {100 * boxes['pointing_accuracy']:.1f}."
        )
        notes.append("The data have boxes and no masks. All that a page says of masks is left out.")
    return replace(entry, facts=facts, notes=notes, tables=[*entry.tables, table])


def scores_entry(target: Target) -> Entry:
    """What a file of `m3att evaluate --json` says.

    Raises:
        DataError: where it is another file.
    """
    try:
        found = json.loads(Path(target.word).read_text(encoding="utf-8"))
        about = scores_heading(found)
        for name in ("overall_iou", "mean_iou"):
            float(found[name])
        own = Scored(target.name, about, {"calibrated": False, **found}) if found["expressions"] else None
        note = "A file of scores has no intervals, pictures or kinds of failure."
        return with_boxes(Entry(target.name, target.kind, scored=own, notes=[note]), found, about)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{target.word}: not a file of `m3att evaluate --json` ({error!r})") from error


def ablations_entry(target: Target) -> Entry:
    """The tables of an ablation folder with the paper's figures, and the validation of its runs by row."""
    out = Path(target.word)
    views: list[TableView] = []
    charts, facts = {}, []
    for table, summary, runs in summaries(out):
        heads, lines = table_cells(summary, table)
        partial = [] if summary["whole"] else ["Partial: not all runs of the table are finished."]
        views.append(
            TableView(summary["title"], tuple(heads), tuple(map(tuple, lines)), (), (*partial, *notes(summary, table)))
        )
        series = {}
        for run in runs:
            steps, values = series_of(RunFolder(run.folder).read_metrics(), "val/mean_iou")
            if steps:
                series[f"{run.row.name}, seed {run.seed}"] = (steps, values)
        if series:
            title = f"Table {table.name}: validated mean IoU"
            charts[title] = line_chart(series, f"{target.name}: {title}", "step", "mean IoU")
        facts.append(f"{summary['title']}: {summary['runs']['finished']} of {summary['runs']['asked']} runs finished.")
    return Entry(target.name, target.kind, facts, charts, tables=views)
