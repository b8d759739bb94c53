"""Ablation tables by skill: means, paired differences and stars by hand."""

from __future__ import annotations

from typing import Any

import pytest

from m3att.report.ablation_skills import skills_markdown, skills_of_row


def scores(**by_skill: float) -> dict[str, Any]:
    return {"by_skill": {skill: {"mean_iou": value, "expressions": 1234} for skill, value in by_skill.items()}}


FULL = {0: scores(long=0.50, order=0.30), 1: scores(long=0.52, order=0.50)}
PLAIN = {0: scores(long=0.40, order=0.40), 1: scores(long=0.42, order=0.40)}


def test_differences_are_those_of_equal_seeds() -> None:
    found = skills_of_row(FULL, PLAIN)
    assert list(found) == ["long", "order"]
    assert found["long"]["mean_iou"] == [0.50, 0.52] and found["long"]["expressions"] == 1234
    assert found["long"]["difference"]["mean"] == pytest.approx(0.10)
    assert found["long"]["difference"]["interval"] == pytest.approx((0.10, 0.10))
    assert found["order"]["difference"]["mean"] == pytest.approx(0.0)
    # Differences -0.1 and 0.1: deviation 0.1414, over the root of 2 it is 0.1; t of one degree of freedom is 12.706.
    assert found["order"]["difference"]["interval"] == pytest.approx((-1.2706, 1.2706), abs=1e-3)


def test_one_seed_has_no_interval_and_no_rival_no_difference() -> None:
    assert skills_of_row({0: FULL[0]}, PLAIN)["long"]["difference"]["interval"] is None
    assert skills_of_row(FULL, {})["long"]["difference"] is None
    assert skills_of_row(FULL, {7: PLAIN[0]})["long"]["difference"] is None


def test_a_skill_that_a_run_lacks_is_left_out() -> None:
    assert list(skills_of_row({0: FULL[0], 1: scores(long=0.5)}, PLAIN)) == ["long"]
    assert skills_of_row({}, PLAIN) == {} and skills_of_row({0: {"mean_iou": 0.5}}, {}) == {}


def test_markdown_marks_what_is_proven() -> None:
    rows = [
        {"name": "plain", "by_skill": skills_of_row(PLAIN, FULL)},
        {"name": "missing", "by_skill": {}},
        {"name": "full", "by_skill": skills_of_row({0: scores(long=0.5)}, {})},
    ]
    lines = skills_markdown({"rows": rows})
    assert lines[3] == "| row | long (1,234) | order (1,234) |"
    assert lines[5:] == ["| plain | 41.0 (-10.0\\*) | 40.0 (+0.0) |", "| full | 50.0 | - |"]
    assert skills_markdown({"rows": [{"name": "old"}]}) == []
