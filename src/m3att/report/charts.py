"""Charts as SVG that takes the colours of the page around it, so that light and dark pages show the same file.

Matplotlib draws them, with colours that stand for names of CSS variables and are replaced afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from typing import Any

from m3att.extras import require

INK, FAINT, GRID = "#010101", "#020202", "#030303"
SERIES = tuple(f"#0404{number:02x}" for number in range(1, 9))
VARIABLES = {INK: "--text", FAINT: "--faint", GRID: "--line"} | {
    colour: f"--series-{number}" for number, colour in enumerate(SERIES, start=1)
}
SIZE = (4.6, 2.7)  # inches; at 72 points an inch as wide as a phone
SETTINGS = {
    "svg.fonttype": "none",
    "font.size": 9.5,
    "font.sans-serif": ["DejaVu Sans"],
    "text.color": INK,
    "axes.labelcolor": FAINT,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}
Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""Label of each line with its x and y."""


def line_chart(series: Series, title: str, across: str, up: str, logarithmic: bool = False) -> str:
    """Lines over steps or the like.

    Args:
        series: the lines; the colours repeat after eight.
        title: said to people who do not see it.
        across: label of the x axis.
        up: label of the y axis.
        logarithmic: the y axis has a logarithmic scale, where all values allow it.

    Returns:
        An SVG element.
    """

    def draw(axes: Any) -> None:
        for number, (label, (x, y)) in enumerate(series.items()):
            mark = "o" if len(x) < 12 else ""
            axes.plot(x, y, color=SERIES[number % len(SERIES)], label=label, marker=mark, markersize=3)
        if logarithmic and all(value > 0 for _, y in series.values() for value in y):
            axes.set_yscale("log")
        if len(series) > 1:
            axes.legend(ncols=2 if len(series) > 4 else 1, loc="best")
        axes.set_xlabel(across)
        axes.set_ylabel(up)

    ends = ", ".join(f"{label} ends at {y[-1]:.3g}" for label, (_, y) in list(series.items())[:8] if y)
    return chart(draw, title, f"{title}: {ends}")


def reliability_chart(trust: Mapping[str, Any], title: str) -> str:
    """A reliability diagram: mean IoU of the masks in each range of scores; on the diagonal a score keeps its promise.

    Args:
        trust: of `calibration.reliability`.
        title: said to people who do not see it.

    Returns:
        An SVG element.
    """
    bins = trust["bins"]
    most = max(one["expressions"] for one in bins)

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, label="a score that is the IoU")
        for one in bins:
            middle, width = (one["from"] + one["to"]) / 2, one["to"] - one["from"]
            strength = 0.3 + 0.7 * one["expressions"] / most  # pale bars stand for few masks
            axes.bar(middle, one["mean_iou"], 0.9 * width, color=SERIES[0], alpha=strength)
        scores, ious = [one["score"] for one in bins], [one["mean_iou"] for one in bins]
        axes.plot(scores, ious, color=SERIES[5], marker="o", markersize=4, label="mean IoU at the mean score")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("score")
        axes.set_ylabel("mean IoU")
        axes.legend(loc="upper left")

    error = 100 * trust["expected_calibration_error"]
    return chart(draw, title, f"{title}: expected calibration error {error:.1f} per cent; the table has the figures")


def chart(draw: Any, salt: str, description: str) -> str:
    """What ``draw`` puts on fresh axes, as an SVG element for a page.

    Args:
        draw: called with the axes.
        salt: makes the ids within the element differ from those of other charts.
        description: the text in its place for people who do not see it.

    Raises:
        ConfigError: if matplotlib is not installed.
    """
    matplotlib = require("matplotlib", "report", "m3att report")
    figures = require("matplotlib.figure", "report", "m3att report")
    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": salt}):
        figure = figures.Figure(figsize=SIZE, layout="constrained")
        draw(figure.subplots())
        written = StringIO()
        nameless = dict.fromkeys(("Date", "Creator", "Type", "Format"))  # the same chart is the same text
        figure.savefig(written, format="svg", transparent=True, metadata=nameless)
    return for_page(written.getvalue(), description)


def for_page(svg: str, description: str) -> str:
    """A file of SVG as an element of a page: named, as wide as its place, without addresses and in the page's colours.

    Args:
        svg: as matplotlib writes it.
        description: of what it shows.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)  # the style would hold for the whole page
    svg = re.sub(r' (xmlns(:\w+)?|version)="[^"]*"', "", svg)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r'<g id="[\w.]+_\d+">', "<g>", svg)  # the same in every chart
    svg = svg.replace("'DejaVu Sans'", "system-ui")
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1)
