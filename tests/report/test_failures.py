"""Answers sorted by what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from m3att.report.failures import KINDS, Objects, blind_answers, kind_of


def area(*sides: int) -> NDArray[np.bool_]:
    top, bottom, left, right = sides
    mask_HW = np.zeros((20, 40), dtype=bool)
    mask_HW[top:bottom, left:right] = True
    return mask_HW


MAN, TWIN, DOG, NOTHING = area(0, 10, 0, 10), area(0, 10, 20, 30), area(10, 20, 0, 10), area(0, 0, 0, 0)
OBJECTS: Objects = [(MAN, 1), (TWIN, 1), (DOG, 18)]


@pytest.mark.parametrize(
    ("kind", "mask_HW"),
    [
        ("right", area(0, 10, 0, 8)),
        ("outline", area(0, 10, 0, 4) | area(0, 10, 11, 17)),
        ("part", area(0, 4, 0, 10)),
        ("several", MAN | TWIN | area(0, 10, 10, 20)),
        ("other of the kind", TWIN),
        ("other kind", DOG),
        ("nothing", area(10, 20, 30, 40)),
        ("nothing", NOTHING),
    ],
)
def test_an_answer_is_sorted_by_what_is_wrong_with_it(kind: str, mask_HW: NDArray[np.bool_]) -> None:
    assert kind in KINDS
    assert kind_of(mask_HW, MAN, OBJECTS) == kind


def test_what_names_nothing_wants_an_empty_mask() -> None:
    assert kind_of(NOTHING, NOTHING, OBJECTS) == "right"
    assert kind_of(MAN, NOTHING, OBJECTS) == "names nothing"


def test_less_is_told_where_less_is_known() -> None:
    assert kind_of(TWIN, MAN, [(MAN, ""), (TWIN, "")]) == "other object"
    assert kind_of(NOTHING, MAN, [(MAN, 1)]) == "nothing"
    assert kind_of(area(0, 4, 0, 10), MAN, []) == "part"
    assert kind_of(TWIN, MAN, []) == "nothing"


def test_answers_without_words() -> None:
    assert blind_answers(MAN, OBJECTS) == {
        "largest object": (1.0, 1.0),  # the first of three as large
        "most central object": (0.0, 0.0),
        "any object": (pytest.approx(1 / 3), pytest.approx(1 / 3)),
    }
    assert blind_answers(MAN, [*OBJECTS, (NOTHING, 1)])["most central object"] == (0.0, 0.0)
