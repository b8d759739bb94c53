"""The curves of an ablation table: how the validation's mean IoU of each row grew with the steps."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from m3att.extras import require
from m3att.files import replace_file


class Curve(NamedTuple):
    """One row of a table.

    Args:
        label: of the row.
        steps: at which its runs were validated.
        mean: of the validation's mean IoU over the seeds, at each of these steps.
        low: the lowest over the seeds.
        high: the highest.
    """

    label: str
    steps: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]


def curves_of(summary: Mapping[str, Any]) -> list[Curve]:
    """The curves of the rows that have any, at the steps that all runs of a row were validated at.

    Args:
        summary: of `ablation_tables.summarise`.
    """
    found = []
    for row in summary["rows"]:
        runs = [{int(step): float(value) for step, value in curve} for curve in row["curves"].values()]
        steps = sorted(set.intersection(*map(set, runs))) if runs else []
        if steps:
            values = [[run[step] for run in runs] for step in steps]
            group = f"{row['group']}, {row['label']}" if row["group"] else row["label"]
            label = f"{group} ({len(runs)} seed{'s' * (len(runs) > 1)})"
            found.append(Curve(label, steps, [*map(statistics.mean, values)], [*map(min, values)], [*map(max, values)]))
    return found


def write_curves(path: Path, summary: Mapping[str, Any]) -> bool:
    """Draw the curves of a table as SVG: a line for the mean of each row, a band from its lowest to its highest seed.

    Args:
        path: of the file.
        summary: of `ablation_tables.summarise`.

    Returns:
        Whether it was drawn. It is not where no run has a curve, or matplotlib (extra report) is not installed.
    """
    curves = curves_of(summary)
    if not curves or find_spec("matplotlib") is None:
        return False
    replace_file(path, draw(curves, summary["title"]))
    return True


def draw(curves: Sequence[Curve], title: str) -> bytes:
    """An SVG of the curves.

    Args:
        curves: one for each row.
        title: of the table.
    """
    matplotlib = require("matplotlib", "report", "a chart")
    colours = require("matplotlib.colors", "report", "a chart").TABLEAU_COLORS
    figures = require("matplotlib.figure", "report", "a chart")
    # The same curves give the same file.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "m3att", "font.sans-serif": ["DejaVu Sans"]}):
        figure = figures.Figure(figsize=(7, 4.2 + 0.12 * max(0, len(curves) - 6)), layout="constrained")
        axes = figure.subplots()
        for number, curve in enumerate(curves):
            colour = list(colours)[number % len(colours)]
            style = ("-", "--", ":")[number // len(colours) % 3]
            axes.plot(curve.steps, curve.mean, style, color=colour, marker="o", markersize=3, label=curve.label)
            axes.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.12, linewidth=0)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("step")
        axes.set_ylabel("validation: mean IoU")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower right")
        written = BytesIO()
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Type", "Format")))
    return written.getvalue()
