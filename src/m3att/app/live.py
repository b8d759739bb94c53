"""What a training shows in the terminal while it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

LINE_EVERY_SECONDS = 60.0
SETTLED_SECONDS = 1.0  # before which the time that is left is a guess
Report = Callable[[int, int, dict[str, float]], None]

LOSSES = ("mask", "dice", "box", "reconstruction", "category", "attention")
SCORES = (
    ("mean IoU", "val/mean_iou"),
    ("overall IoU", "val/overall_iou"),
    ("Pr@0.5", "val/precision_0.5"),
    ("box IoU", "val/mean_box_iou"),
    ("pointing accuracy", "val/pointing_accuracy"),
    ("old mean IoU", "old/mean_iou"),
    ("old box IoU", "old/mean_box_iou"),
)


class Clock:
    """Estimates how long a training will still take, from the steps that it was watched for."""

    def __init__(self) -> None:
        self.begun: tuple[float, int] | None = None

    def left(self, step: int, steps: int) -> float | None:
        """Seconds to the last step; None while nobody can say.

        Args:
            step: done so far.
            steps: of the whole run.
        """
        now = time.monotonic()
        if self.begun is None:
            self.begun = (now, step)
        passed, done = now - self.begun[0], step - self.begun[1]
        return passed / done * (steps - step) if done and passed > SETTLED_SECONDS else None


@contextmanager
def training_progress(console: Console | None = None) -> Iterator[Report]:
    """Shows a training: a live view on a terminal, else a line a minute and one a validation.

    Args:
        console: where it is shown; None: the standard error.
    """
    if console is None and not sys.stderr.isatty():
        yield plain_report()
        return
    from rich.console import Console as Terminal
    from rich.live import Live

    shown, view = console or Terminal(stderr=True), View()
    with Live(view, console=shown, refresh_per_second=4, transient=True) as live:

        def report(step: int, steps: int, figures: dict[str, float]) -> None:
            view.update(step, steps, figures)
            if validated(figures):  # stays above the view
                live.console.print(figures_line(step, steps, figures), highlight=False)

        yield report


def plain_report() -> Report:
    """Prints the newest figures at most once a minute, and at each validation."""
    said, clock = time.monotonic(), Clock()

    def report(step: int, steps: int, figures: dict[str, float]) -> None:
        nonlocal said
        left = clock.left(step, steps)
        if validated(figures) or (figures and time.monotonic() - said > LINE_EVERY_SECONDS):
            said = time.monotonic()
            print(figures_line(step, steps, figures, left), file=sys.stderr, flush=True)

    return report


class View:
    """The live view: steps and time left, the parts of the loss, pace and memory, and the last validation."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.clock = Clock()
        self.figures: dict[str, float] = {}
        self.best: float | None = None
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
        self.bar = Progress(*columns)
        self.task = self.bar.add_task("training", total=None, left="")

    def update(self, step: int, steps: int, figures: Mapping[str, float]) -> None:
        """Take what a step reports.

        Args:
            step: done so far.
            steps: of the whole run.
            figures: the newest, by name; those that are missing stay.
        """
        self.figures |= figures
        if "agreement" in figures:
            self.best = max(figures["agreement"], self.best if self.best is not None else 0.0)
        left = self.clock.left(step, steps)
        text = "" if left is None or step >= steps else f"{duration(left)} left"
        self.bar.update(self.task, completed=step, total=steps, left=text)

    def __rich__(self) -> Any:
        """The view as rich draws it."""
        from rich.console import Group
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        for title, cells in view_rows(self.figures, self.best):
            table.add_row(f"[bold]{title}[/bold]", "   ".join(cells))
        return Group(self.bar, table)


def view_rows(figures: Mapping[str, float], best: float | None) -> list[tuple[str, list[str]]]:
    """The rows of the live view: a title, and the figures behind it.

    Args:
        figures: the newest, by name, as metrics.jsonl has them.
        best: validated mean IoU.
    """
    rows: list[tuple[str, list[str]]] = []
    if "loss/total" in figures:
        parts = [f"{name} {figures[key]:.4f}" for name in LOSSES if figures.get(key := f"loss/{name}")]
        rows.append(("loss", [f"{figures['loss/total']:.4f}", *parts]))
        rate = f"learning rate {figures['learning_rate']:.3g}" if "learning_rate" in figures else ""
        norm = f"gradient norm {figures['gradient_norm']:.3g}" if "gradient_norm" in figures else ""
        rows.append(("step", [text for text in (rate, norm) if text]))
        rows.append(("pace", pace_texts(figures)))
    scores = [f"{name} {figures[key]:.3f}" for name, key in SCORES if key in figures]
    if scores:
        rows.append(("validation", scores + ([f"best {best:.3f}"] if best is not None else [])))
    return rows


def pace_texts(figures: Mapping[str, float]) -> list[str]:
    """Expressions a second, the share of the time that is spent waiting for data, and memory."""
    texts = []
    if "expressions_per_second" in figures:
        texts.append(f"{figures['expressions_per_second']:.0f} expressions/s")
    if "data_wait" in figures:
        texts.append(f"{figures['data_wait']:.0%} waiting for data")
    if "memory_gib" in figures:
        texts.append(f"{figures['memory_gib']:.1f} GiB")
    return texts


def figures_line(step: int, steps: int, figures: Mapping[str, float], left: float | None = None) -> str:
    """The newest figures of a training in one line.

    Args:
        step: done so far.
        steps: of the whole run.
        figures: by name, as metrics.jsonl has them.
        left: seconds to the last step, where they are known.
    """
    parts = [f"step {step:,} of {steps:,}"]
    parts += [f"{name} {figures[key]:.4f}" for name, key in (("loss", "loss/total"),) if key in figures]
    if "learning_rate" in figures:
        parts.append(f"rate {figures['learning_rate']:.3g}")
    parts += pace_texts(figures)
    parts += [f"{name} {figures[key]:.3f}" for name, key in SCORES if key in figures]
    if left is not None and step < steps:
        parts.append(f"{duration(left)} left")
    return ", ".join(parts)


def validated(figures: Mapping[str, float]) -> bool:
    """Whether figures are those of a validation too."""
    return any(name.startswith("val/") for name in figures)


def duration(seconds: float) -> str:
    """A time in words."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    first = next(at for at, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)
