"""The curves of a training, from the lines that it logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from m3att.report.charts import Series, line_chart

LOSS, VALIDATION = "loss/", "val/"
NO_LOSS = "loss/target_spread"  # is logged beside the losses, and is none
MOST_POINTS = 400  # of a line; more cannot be told apart


def series_of(metrics: Sequence[Mapping[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """The steps at which a figure was logged, and its values; thinned evenly where there are very many."""
    points = [(float(entry["step"]), float(entry[name])) for entry in metrics if name in entry]
    step = -(-len(points) // MOST_POINTS) or 1
    kept = points[::step] + ([points[-1]] if points and (len(points) - 1) % step else [])
    return [x for x, _ in kept], [y for _, y in kept]


def curves(metrics: Sequence[Mapping[str, Any]], name: str) -> dict[str, str]:
    """Charts of losses, learning rate and validation, by title; only of what was logged.

    Args:
        metrics: of `RunFolder.read_metrics`.
        name: of the run, which the charts are told apart by.
    """
    logged = list(dict.fromkeys(key for entry in metrics for key in entry))
    losses = [key for key in logged if key.startswith(LOSS) and key != NO_LOSS and any(series_of(metrics, key)[1])]
    validations = [key for key in logged if key.startswith(VALIDATION)]
    shown = [key for key in validations if not key.startswith("val/precision") or key == "val/precision_0.5"]
    wanted = {
        "Loss": ([key for key in losses if key != "loss/total"], LOSS, "loss (log scale)", True),
        "Total loss": ([key for key in losses if key == "loss/total"], LOSS, "loss", False),
        "Validation": (shown, VALIDATION, "share", False),
        "Learning rate": ([key for key in logged if key == "learning_rate"], "", "learning rate", False),
    }
    charts = {}
    for title, (keys, prefix, up, logarithmic) in wanted.items():
        series: Series = {key.removeprefix(prefix).replace("_", " "): series_of(metrics, key) for key in keys}
        if series:
            charts[title] = line_chart(series, f"{name}: {title}", "step", up, logarithmic)
    return charts


def best_validation(metrics: Sequence[Mapping[str, Any]]) -> tuple[int, float] | None:
    """Step and value of the highest validated mean IoU; None where nothing was validated by masks."""
    found = [(int(entry["step"]), float(entry["val/mean_iou"])) for entry in metrics if "val/mean_iou" in entry]
    return max(found, key=lambda one: one[1], default=None)
