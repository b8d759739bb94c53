"""Curves of an ablation table: means and bands by hand, and what is left out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from m3att.report.ablation_curves import Curve, curves_of, write_curves


def row(label: str, *runs: list[list[float]], group: str = "") -> dict[str, Any]:
    return {"label": label, "group": group, "curves": {str(seed): run for seed, run in enumerate(runs)}}


SUMMARY = {
    "title": "Table IX: a trial",
    "rows": [
        row("plain", [[10, 0.25], [20, 0.5]], [[10, 0.75], [20, 1.0]]),
        row("never trained"),
        row("3", [[10, 0.1], [20, 0.2], [30, 0.3]], [[20, 0.4], [30, 0.5]], group="Shared"),
        row("3", [[10, 0.5]], group="Generic"),
    ],
}


def test_mean_and_band_are_those_of_the_seeds_at_steps_that_all_have() -> None:
    plain, shared, generic = curves_of(SUMMARY)
    assert plain == Curve("plain (2 seeds)", [10, 20], [0.5, 0.75], [0.25, 0.5], [0.75, 1.0])
    assert shared.label == "Shared, 3 (2 seeds)" and shared.steps == [20, 30]
    assert shared.mean == pytest.approx([0.3, 0.4]) and shared.high == [0.4, 0.5]
    assert generic == Curve("Generic, 3 (1 seed)", [10], [0.5], [0.5], [0.5])


def test_every_curve_has_its_name_and_the_same_curves_are_the_same_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "curves.svg"
    assert write_curves(path, SUMMARY)
    text = path.read_text(encoding="utf-8")
    assert all(name in text for name in ("plain (2 seeds)", "Shared, 3 (2 seeds)", "Table IX: a trial"))
    assert "never trained" not in text
    assert len(re.findall(r'<g id="FillBetween', text)) == 3
    assert write_curves(path, SUMMARY) and path.read_text(encoding="utf-8") == text


def test_nothing_is_drawn_without_curves(tmp_path: Path) -> None:
    assert not write_curves(tmp_path / "curves.svg", {"title": "", "rows": [row("plain")]})
    assert not list(tmp_path.iterdir())
