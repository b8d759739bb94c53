"""The figures of a page, of answers that are given here."""

from __future__ import annotations

import pytest

from m3att.report.answers import Answer
from m3att.report.scored import Scored, by_kind, by_skill, compare, floors, headline, weakest, worst_failure


def answer(image: int, position: int, shared: int, union: int, kind: str, *skills: str, known: bool = True) -> Answer:
    blind = {"largest object": (0.5, 0.0)} if known else {}
    return Answer(
        image, position, image, 10 * image + position, "it", skills, shared, union, shared / union, 0.5, kind, blind
    )


ANSWERS = (
    answer(0, 0, 9, 10, "right", "colour"),
    answer(0, 1, 2, 10, "several", "colour", "place"),
    answer(1, 0, 0, 20, "nothing", "place"),
    answer(1, 1, 1, 10, "several", "place", known=False),
)
MODEL = Scored("model", "on something", {"by_skill": {}}, ANSWERS)


def test_the_headline_is_that_of_the_answers() -> None:
    found = headline(MODEL)
    assert {name: figure.value for name, figure in found.items() if figure} == {
        "overall IoU": pytest.approx(12 / 50),
        "mean IoU": pytest.approx(1.2 / 4),
        "Pr@0.5": pytest.approx(1 / 4),
    }
    mean = found["mean IoU"]
    assert mean is not None and (mean.low, mean.high) == (pytest.approx(0.05), pytest.approx(0.55))  # one image twice


def test_failures_and_skills_are_ordered_by_how_bad_they_are() -> None:
    kinds = by_kind(MODEL)
    assert [(row.name, row.expressions) for row in kinds] == [("right", 1), ("several", 2), ("nothing", 1)]
    assert worst_failure(kinds) == kinds[1] and worst_failure(kinds[:1]) is None
    skills = by_skill(MODEL)
    assert [(row.name, row.expressions, row.figure.value) for row in skills] == [
        ("place", 3, pytest.approx(0.1)),
        ("colour", 2, pytest.approx(0.55)),
    ]
    assert weakest(skills) == skills[0] and weakest([]) is None
    many = skills[1]._replace(expressions=10)
    assert weakest([skills[0], many]) == many  # three expressions say little


def test_floors_are_of_the_answers_whose_objects_are_known() -> None:
    (row,) = floors(MODEL)
    assert (row.name, row.expressions, row.figure.value, row.right) == ("largest object", 3, 0.5, 0.0)
    assert floors(Scored("bare", "", {}, ANSWERS[3:])) == []


def test_models_are_compared_expression_by_expression() -> None:
    better = Scored("better", "", {}, tuple(one._replace(iou=one.iou / 2 + 0.5) for one in ANSWERS))
    found = compare(MODEL, better)
    assert found is not None and (found.gained, found.lost) == (2, 0)  # an IoU of exactly 0.5 is not right
    assert found.differences["mean IoU"].value == pytest.approx(0.5 - 0.15) and found.differences["mean IoU"].sure
    assert [row.name for row in found.skills] == ["place", "colour"]
    assert compare(MODEL, Scored("other", "", {}, ANSWERS[:3])) is None
    assert compare(Scored("figures alone", "", {}), MODEL) is None


def test_a_file_of_scores_has_figures_without_intervals() -> None:
    one = {"expressions": 3, "mean_iou": 0.25, "precision": {"0.5": 0.5}}
    scores = {"overall_iou": 0.5, "mean_iou": 0.25, "precision": {"0.5": 0.5}, "by_skill": {"place": one}}
    bare = Scored("file", "", scores)
    mean = headline(bare)["mean IoU"]
    assert mean == (0.25, 0.25, 0.25)
    assert [(row.name, row.expressions, row.right) for row in by_skill(bare)] == [("place", 3, 0.5)]
    assert by_kind(bare) == floors(bare) == []
