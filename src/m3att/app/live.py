"""What a training shows in the terminal while it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from m3att.app.console import progress_bar

LINE_EVERY_SECONDS = 60.0


@contextmanager
def training_progress() -> Iterator[Callable[[int, int, dict[str, float]], None]]:
    """Shows steps, pace and the newest figures: a bar on a terminal, else a line a minute and one a validation."""
    with progress_bar("training") as advance:
        said = time.monotonic()

        def report(step: int, steps: int, figures: dict[str, float]) -> None:
            nonlocal said
            advance(step, steps)
            validated = any(name.startswith("val/") for name in figures)
            due = figures and not sys.stderr.isatty() and time.monotonic() - said > LINE_EVERY_SECONDS
            if validated or due:
                said = time.monotonic()
                print(figures_line(step, steps, figures), file=sys.stderr, flush=True)

        yield report


def figures_line(step: int, steps: int, figures: Mapping[str, float]) -> str:
    """The newest figures of a training in one line.

    Args:
        step: done so far.
        steps: of the whole run.
        figures: by name, as metrics.jsonl has them.
    """
    parts = [f"step {step:,} of {steps:,}"]
    parts += [f"{name} {figures[key]:.4f}" for name, key in (("loss", "loss/total"),) if key in figures]
    if "expressions_per_second" in figures:
        parts.append(f"{figures['expressions_per_second']:.0f} expressions/s")
    for name, key in (
        ("mean IoU", "val/mean_iou"),
        ("overall IoU", "val/overall_iou"),
        ("Pr@0.5", "val/precision_0.5"),
        ("box IoU", "val/mean_box_iou"),
        ("pointing accuracy", "val/pointing_accuracy"),
        ("old mean IoU", "old/mean_iou"),
        ("old box IoU", "old/mean_box_iou"),
    ):
        if key in figures:
            parts.append(f"{name} {figures[key]:.3f}")
    return ", ".join(parts)
