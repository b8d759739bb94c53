"""The curves of a training, read from what it logged."""

from __future__ import annotations

import pytest

from m3att.report.curves import MOST_POINTS, best_validation, curves, series_of

LINES = [
    {"step": 1, "loss/mask": 0.5, "loss/dice": 0.9, "loss/box": 0.0, "loss/total": 1.4, "learning_rate": 0.1},
    {"step": 2, "loss/mask": 0.4, "loss/dice": 0.8, "loss/box": 0.0, "loss/total": 1.2, "learning_rate": 0.2},
    {"step": 2, "val/mean_iou": 0.3, "val/precision_0.5": 0.2, "val/precision_0.9": 0.0},
    {"step": 3, "val/mean_iou": 0.25, "val/precision_0.5": 0.2, "val/precision_0.9": 0.0},
]


def test_a_long_series_is_thinned_and_keeps_its_ends() -> None:
    steps, values = series_of([{"step": n, "loss/mask": n / 2} for n in range(1003)], "loss/mask")
    assert len(steps) <= MOST_POINTS + 1 and (steps[0], steps[-1], values[-1]) == (0, 1002, 501)
    assert series_of(LINES, "val/mean_iou") == ([2, 3], [0.3, 0.25])
    assert series_of(LINES, "val/other") == ([], [])


def test_there_is_a_chart_for_what_was_logged() -> None:
    pytest.importorskip("matplotlib")
    found = curves(LINES, "a run")
    assert list(found) == ["Loss", "Total loss", "Validation", "Learning rate"]
    assert "mask ends at 0.4, dice ends at 0.8" in found["Loss"] and "box" not in found["Loss"]  # always 0
    assert "precision 0.5" in found["Validation"] and "precision 0.9" not in found["Validation"]
    assert curves(LINES[2:], "a run").keys() == {"Validation"}
    assert best_validation(LINES) == (2, 0.3) and best_validation(LINES[:2]) is None
