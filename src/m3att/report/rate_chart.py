"""The curve of `m3att train --find-rate` as a PNG."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from m3att.extras import require
from m3att.files import replace_file


def require_drawing() -> Any:
    """Matplotlib's figures.

    Raises:
        ConfigError: where it is not installed.
    """
    return require("matplotlib.figure", "report", "m3att train --find-rate")


def write_rate_chart(path: Path, found: Mapping[str, Any]) -> None:
    """Draw the loss over the learning rate, with the suggestion.

    Args:
        path: of the PNG; its folder is made.
        found: of `RateRange.to_dict`.
    """
    figure = require_drawing().Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(found["rates"], found["losses"], color="#b8c4d6", linewidth=1, label="loss of each step")
    axes.plot(found["rates"], found["smoothed"], color="#1f5fa8", linewidth=2, label="smoothed")
    if found["suggestion"] is not None:
        label = f"steepest fall: {found['suggestion']:.2g}"
        axes.axvline(found["suggestion"], color="#c0392b", linestyle="--", linewidth=1.2, label=label)
    lowest, first = min(found["smoothed"]), found["smoothed"][0]
    axes.set_ylim(lowest - 0.1 * abs(first - lowest) - 1e-6, max(first, lowest) * 1.5 + 1e-6)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    axes.legend()
    written = BytesIO()
    figure.savefig(written, format="png", dpi=120)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, written.getvalue())
