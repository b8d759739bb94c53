"""The live view of a training, and its plain lines."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from m3att.app import live
from m3att.app.live import Clock, View, duration, figures_line, training_progress, view_rows

FIGURES = {
    "loss/total": 1.25,
    "loss/mask": 0.75,
    "loss/dice": 0.5,
    "loss/box": 0.0,
    "learning_rate": 0.0004,
    "gradient_norm": 2.5,
    "expressions_per_second": 123.4,
    "data_wait": 0.034,
    "memory_gib": 3.14,
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the live view, which the test moves on."""
    now = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_shows_losses_rate_pace_wait_memory_time_left_and_validations(clock: list[float]) -> None:
    console = Console(file=StringIO(), force_terminal=True, width=120, height=20, legacy_windows=False)
    with training_progress(console) as report:
        report(10, 100, dict(FIGURES))
        clock[0] += 90
        report(40, 100, {**FIGURES, "val/mean_iou": 0.4321, "agreement": 0.4321})
        report(41, 100, {})
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    # The validation stays in the output.
    assert "step 40 of 100, loss 1.2500, rate 0.0004, 123 expressions/s, 3% waiting for data, 3.1 GiB" in shown
    assert "mean IoU 0.432" in shown


def test_the_view_keeps_the_newest_of_each_figure(clock: list[float]) -> None:
    view, console = View(), Console(file=StringIO(), width=120)
    view.update(10, 100, FIGURES)
    clock[0] += 90
    view.update(40, 100, {"val/mean_iou": 0.4, "agreement": 0.4})
    view.update(41, 100, {"loss/total": 0.5, "val/mean_iou": 0.3, "agreement": 0.3})
    console.print(view)
    assert isinstance(console.file, StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert "41/100" in lines[0] and lines[0].endswith("3 min left")  # 59 steps at 90 s for 31
    assert lines[1].split() == ["loss", "0.5000", "mask", "0.7500", "dice", "0.5000"]
    assert lines[2].split()[:4] == ["step", "learning", "rate", "0.0004"]
    assert lines[3] == "pace        123 expressions/s   3% waiting for data   3.1 GiB"
    assert lines[4].split() == ["validation", "mean", "IoU", "0.300", "best", "0.400"]


def test_a_view_of_a_run_that_has_ended_says_no_time_left(clock: list[float]) -> None:
    view, console = View(), Console(file=StringIO(), width=120)
    view.update(10, 100, FIGURES)
    clock[0] += 90
    view.update(100, 100, {})
    console.print(view)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().splitlines()[0].rstrip().endswith("100/100")


def test_a_view_before_the_first_figures_has_no_rows() -> None:
    assert view_rows({}, None) == []
    assert [title for title, _ in view_rows({"val/mean_iou": 0.1}, None)] == ["validation"]


def test_a_line_a_minute_and_one_a_validation_without_a_terminal(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with training_progress() as report:
        report(1, 10, dict(FIGURES))
        clock[0] += 30
        report(2, 10, dict(FIGURES))
        clock[0] += 31
        report(3, 10, {})
        report(4, 10, {"loss/total": 1.0})
        report(5, 10, {"loss/total": 1.0, "val/mean_iou": 0.5})
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "step 4 of 10, loss 1.0000, 2 min left",
        "step 5 of 10, loss 1.0000, mean IoU 0.500, 1 min left",
    ]


def test_time_left_is_not_said_before_it_is_known_and_after_the_end(clock: list[float]) -> None:
    watch = Clock()
    assert watch.left(5, 10) is None
    clock[0] += 0.5
    assert watch.left(6, 10) is None
    clock[0] += 1.5
    assert watch.left(7, 10) == pytest.approx(3.0)
    assert figures_line(10, 10, {}, 0.0) == "step 10 of 10"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5, "less than a minute"), (60, "1 min"), (3600, "1 h"), (3600 * 5 + 61, "5 h 1 min"),
        (86400 * 2 + 3600 * 3 + 600, "2 d 3 h"), (86400, "1 d"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
