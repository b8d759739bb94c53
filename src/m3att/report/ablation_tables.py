"""Ablation tables like the paper's: means and spreads over seeds beside the paper's figures.

`summarise` makes the JSON with fractions. `to_markdown` and `to_latex` print it in per cent.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from m3att.ablations import OURS, Row, Table
from m3att.errors import DataError, counted
from m3att.report.ablation_skills import skills_markdown, skills_of_row
from m3att.report.seeds import paired_interval

FINISHED, FAILED = "finished", "failed"
EXTRA = "overall_iou"  # which the paper's tables do not have
HEADS = {
    "mean_iou": "IoU",
    EXTRA: "overall IoU",
    "difference": "IoU, difference",
    "interval": "95 % interval",
    "equal_time": "IoU, equal time",
}
SCORED_ON = ("dataset", "split", "split_by", "images", "expressions", "pixels", "protocol", "threshold")
NOTHING = "-"
Results = Mapping[str, Mapping[int, Mapping[str, Any]]]  # row -> seed -> what its run left


def summarise(table: Table, results: Results, seeds: Sequence[int]) -> dict[str, Any]:
    """A table as plain values.

    Args:
        table: its rows.
        results: of each row, by seed: ``{"state": "finished", "scores": ..., "budget": ..., "seconds": ...,
            "curve": [[step, seconds, validation's mean IoU], ...]}`` or
            ``{"state": "failed", "reason": ...}``.
        seeds: those that a whole table has.

    Raises:
        DataError: where the runs were not scored on the same expressions.
    """
    finished = [one for row in results.values() for one in row.values() if one["state"] == FINISHED]
    scored_on = [{key: one["scores"].get(key) for key in SCORED_ON} for one in finished]
    if any(one != scored_on[0] for one in scored_on):
        raise DataError(
            f"table {table.name}: its runs were not scored on the same images ({_differing(scored_on)}); "
            "run the command without --report, which scores them anew"
        )
    shortest = min((one["seconds"] for one in finished), default=None)
    rows = [_row(table, row, results, shortest) for row in table.rows]
    done = [sum(seed in results.get(row.name, {}) for seed in seeds) for row in table.rows]
    return {
        "table": table.name,
        "title": table.title,
        "whole": sum(done) == len(table.rows) * len(seeds),
        "runs": {
            "asked": len(table.rows) * len(seeds),
            "finished": len(finished),
            "failed": sum(len(row["failed"]) for row in rows),
        },
        "seeds": list(seeds),
        "scored_on": scored_on[0] if scored_on else None,
        "budget": finished[0]["budget"] if finished else None,
        "equal_minutes": None if shortest is None else round(shortest / 60, 2),
        "minutes": round(statistics.mean(one["seconds"] for one in finished) / 60, 1) if finished else None,
        "rows": rows,
    }


def _row(table: Table, row: Row, results: Results, shortest: float | None) -> dict[str, Any]:
    own = results.get(row.name, {})
    values = {seed: figures_of(one) for seed, one in sorted(own.items()) if one["state"] == FINISHED}
    paper = {name: round(percent / 100, 4) for name, percent in row.paper.items()}
    against = {
        seed: one
        for seed, one in results.get(row.against or "", {}).items()
        if one["state"] == FINISHED and seed in values
    }
    other = {seed: figures_of(one) for seed, one in against.items()}
    rival = next((one for one in table.rows if one.name == row.against), None)
    difference = None
    if rival is not None:
        # Seed by seed: two rows with the same seed saw the same scenes, so that part of the spread cancels out.
        pairs = [values[seed]["mean_iou"] - other[seed]["mean_iou"] for seed in sorted(other)]
        stated = row.paper.keys() & rival.paper.keys() & {"mean_iou"}
        theirs = round((row.paper["mean_iou"] - rival.paper["mean_iou"]) / 100, 4) if stated else None
        interval = paired_interval(pairs)
        ends = None if interval is None else list(interval)
        difference = {"against": row.against, **_spread(pairs), "interval": ends, "paper": theirs}
    return {
        "name": row.name,
        "label": row.label,
        "group": row.group,
        "settings": {**OURS, **row.changes},
        "n": len(values),
        "seeds": list(values),
        "failed": [
            {"seed": seed, "reason": one["reason"]} for seed, one in sorted(own.items()) if one["state"] == FAILED
        ],
        "figures": {
            name: {**_spread([figures[name] for figures in values.values()]), "paper": paper.get(name)}
            for name in dict.fromkeys((*table.figures, EXTRA))
        },
        "difference": difference,
        "by_skill": skills_of_row(
            {seed: own[seed]["scores"] for seed in values}, {seed: one["scores"] for seed, one in against.items()}
        ),
        "curves": {
            str(seed): [[step, value] for step, _, value in own[seed]["curve"]]
            for seed in values
            if own[seed].get("curve")
        },
        "equal_time": _at_equal_time([own[seed] for seed in values], shortest),
        "remark": row.remark,
        "seconds": [round(own[seed]["seconds"], 1) for seed in values],
        "learning_rates": sorted({own[seed]["learning_rate"] for seed in values if "learning_rate" in own[seed]}),
    }


def _at_equal_time(runs: Sequence[Mapping[str, Any]], seconds: float | None) -> dict[str, Any] | None:
    """The validation's mean IoU of runs at one time of training; None where a run kept no curve, or there is none."""
    curves = [run.get("curve") for run in runs]
    if seconds is None or not runs or not all(curves):
        return None
    return {**_spread([value_at(curve, seconds) for curve in curves if curve]), "paper": None}


def value_at(curve: Sequence[Sequence[float]], seconds: float) -> float:
    """The mean IoU of a run at a time, on straight lines between its validations; 0 at the start.

    Args:
        curve: step, seconds and mean IoU of each validation, in order.
        seconds: of training.
    """
    before, lower = 0.0, 0.0
    for _, time, value in curve:
        if time >= seconds:
            return lower + (value - lower) * (seconds - before) / (time - before) if time > before else value
        before, lower = time, value
    return lower


def figures_of(result: Mapping[str, Any]) -> dict[str, float]:
    """A finished run's figures under the names that tables use."""
    scores = result["scores"]
    named = {name: float(scores[name]) for name in ("mean_iou", "overall_iou")}
    return named | {f"precision_{bound}": float(value) for bound, value in scores["precision"].items()}


def to_markdown(summary: Mapping[str, Any], table: Table) -> str:
    """The table with what was scored, at which budget, and what failed."""
    heads, lines = table_cells(summary, table)
    text = [f"### {summary['title']}", ""]
    if not summary["whole"]:
        text += [f"**Partial: {_progress(summary)}.**", ""]
    text += ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    text += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([*text, "", *notes(summary, table), *skills_markdown(summary)]) + "\n"


def table_cells(summary: Mapping[str, Any], table: Table) -> tuple[list[str], list[list[str]]]:
    """The heads of the columns, and the cells of each line."""
    return _heads(table), list(_lines(summary, table))


def to_latex(summary: Mapping[str, Any], table: Table) -> str:
    """The table as LaTeX that needs no package."""
    heads, lines = _heads(table, grouped=False), list(_lines(summary, table))
    text = ["\\begin{table}", "\\centering"]
    if not summary["whole"]:
        text.append(f"% partial: {_progress(summary)}")
    caption = " ".join(notes(summary, table))
    if not summary["whole"]:
        caption = f"Partial: {_progress(summary)}. {caption}"
    text += [f"\\caption{{{_escape(summary['title'] + '. ' + caption)}}}"]
    text += [f"\\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}", "\\hline"]
    if len(table.groups) > 1:
        width = (len(heads) - 1) // len(table.groups)
        spans = [f"\\multicolumn{{{width}}}{{c}}{{{_escape(group)}}}" for group in table.groups]
        text.append(" & ".join(["", *spans]) + " \\\\")
    text += [" & ".join(map(_escape, line)) + " \\\\" for line in (heads, *lines)]
    text.insert(len(text) - len(lines), "\\hline")
    return "\n".join([*text, "\\hline", "\\end{tabular}", "\\end{table}"]) + "\n"


def notes(summary: Mapping[str, Any], table: Table) -> list[str]:
    """The notes below a table, one or two sentences each."""
    said = [
        "Per cent. Mean over runs with different seeds ± their sample standard deviation, where there are two or more; "
        "in brackets what the paper reports, on RefCOCO val with its own backbone and budget."
    ]
    if table.groups == ("",):
        rivals = {row.against for row in table.rows if row.against}
        named = next(row.label for row in table.rows if row.name in rivals) if len(rivals) == 1 else "the row above"
        said.append(
            f"Difference: to {named}, seed by seed; its 95 % interval is Student's t over the seeds. With few seeds it "
            "is wide, and where it holds 0 the difference is not proven."
        )
    else:
        said += [
            f"{row['name']} less {row['difference']['against']}, seed by seed: "
            f"{_figure(row['difference'], '+.1f', '+.2f')}, 95 % interval {_interval(row['difference'])}."
            for row in summary["rows"]
            if row["difference"] and row["difference"]["n"]
        ]
    if any(row.get("equal_time") for row in summary["rows"]):
        said.append(
            f"Equal time: mean IoU on the images that training validates on, at {summary['equal_minutes']:g} minutes, "
            "when the fastest run ended. All other figures are at equal steps."
        )
    scored, budget = summary["scored_on"], summary["budget"]
    if scored:
        split_by = f" ({scored['split_by']})" if scored["split_by"] else ""
        said.append(
            f"IoU is the mean IoU at threshold {scored['threshold']:g}, of the last weights of each run, on "
            f"{scored['dataset']} {scored['split']}{split_by}: {counted(scored['expressions'], 'expression')} on "
            f"{counted(scored['images'], 'image')}, pixels: {scored['pixels']}, protocol: {scored['protocol']}."
        )
    if budget:
        said.append(
            f"Each run: {counted(budget['steps'], 'step')} of at most "
            f"{counted(budget['batch_size'], 'expression')}; "
            f"{summary['minutes']:g} minutes of training on average."
        )
    by_row = {row["name"]: row["learning_rates"] for row in summary["rows"] if row.get("learning_rates")}
    if len({rate for rates in by_row.values() for rate in rates}) == 1:
        said.append(f"Learning rate: {next(iter(by_row.values()))[0]:g}.")
    elif by_row:
        listed = ", ".join(f"{name} {' and '.join(f'{rate:g}' for rate in rates)}" for name, rates in by_row.items())
        said.append(f"Learning rates: {listed}.")
    for row in summary["rows"]:
        said += [f"Failed: {row['name']}, seed {one['seed']}: {one['reason']}." for one in row["failed"]]
    return said


def _heads(table: Table, grouped: bool = True) -> list[str]:
    heads = [table.head]
    for group in table.groups:
        before = f"{group}: " if group and grouped else ""
        heads += [before + _head(name) for name in _columns(table)]
    return heads


def _columns(table: Table) -> list[str]:
    if len(table.groups) > 1:
        return [*table.figures, "runs"]
    return [*table.figures, EXTRA, "difference", "interval", "equal_time", "minutes", "runs"]


def _head(name: str) -> str:
    return HEADS.get(name, name.replace("precision_", "Pr@"))


def _lines(summary: Mapping[str, Any], table: Table) -> Iterator[list[str]]:
    """The cells of each line; a table with groups has one line a label."""
    places = {(row["label"], row["group"]): row for row in summary["rows"]}
    for label in dict.fromkeys(row["label"] for row in summary["rows"]):
        line = [label]
        for group in table.groups:
            row = places.get((label, group))
            line += [_cell(row, name) if row else "" for name in _columns(table)]
        yield line


def _cell(row: Mapping[str, Any], name: str) -> str:
    if name == "runs":
        return f"{row['n']}" + (f" + {len(row['failed'])} failed" if row["failed"] else "")
    if name == "minutes":
        return f"{statistics.mean(row['seconds']) / 60:.1f}" if row["seconds"] else NOTHING
    if name == "difference":
        difference = row["difference"]
        return _figure(difference, "+.1f", "+.2f") if difference else ""
    if name == "interval":
        return _interval(row["difference"]) if row["difference"] else ""
    if name == "equal_time":
        return _figure(row["equal_time"], ".1f", ".2f") if row.get("equal_time") else NOTHING
    figure = row["figures"][name]
    mine = "failed" if row["failed"] and not row["n"] else _figure(figure, ".1f", ".2f")
    # The paper's words are printed once, beside the first figure.
    return f"{mine} ({row['remark']})" if row["remark"] and name == next(iter(row["figures"])) else mine


def _interval(difference: Mapping[str, Any]) -> str:
    """`-1.2 to +3.4`; a dash with fewer than two seeds."""
    ends = difference.get("interval")
    return f"{100 * ends[0]:+.1f} to {100 * ends[1]:+.1f}" if ends else NOTHING


def _figure(found: Mapping[str, Any], form: str, paper_form: str) -> str:
    """`48.1 ± 0.9 (67.88)`, without the parts that are missing."""
    text = NOTHING if found["mean"] is None else format(100 * found["mean"], form)
    if found["spread"] is not None:
        text += f" ± {100 * found['spread']:.1f}"
    return text if found["paper"] is None else f"{text} ({format(100 * found['paper'], paper_form)})"


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {
        "mean": statistics.mean(values) if values else None,
        "spread": statistics.stdev(values) if len(values) > 1 else None,
        "n": len(values),
        "values": list(values),
    }


def _progress(summary: Mapping[str, Any]) -> str:
    runs = summary["runs"]
    failed = f", {runs['failed']} failed" if runs["failed"] else ""
    return f"{runs['finished']} of {runs['asked']} runs finished{failed}"


def _differing(facts: Sequence[Mapping[str, Any]]) -> str:
    key = next(key for key in SCORED_ON if len({str(one[key]) for one in facts}) > 1)
    return f"{key}: {', '.join(sorted({str(one[key]) for one in facts}))}"


def _escape(text: str) -> str:
    for sign in "\\&%#_":
        text = text.replace(sign, {"\\": "\\textbackslash "}.get(sign, f"\\{sign}"))
    return text.replace("±", "$\\pm$").replace(" x ", " $\\times$ ").replace("IMI*", "IMI$^*$")
