"""Names of colours, of pixels and in expressions."""

from __future__ import annotations

import numpy as np
import pytest

from m3att.data.collage.colours import COLOURS, PARTS, colour_names, colour_shares, demanded_colours

NAMED = {
    "black": (12, 12, 14),
    "white": (240, 240, 238),
    "grey": (128, 128, 130),
    "red": (190, 20, 25),
    "orange": (240, 130, 20),
    "yellow": (240, 220, 40),
    "green": (40, 130, 50),
    "blue": (35, 60, 180),
    "purple": (110, 40, 160),
    "pink": (240, 150, 180),
    "brown": (95, 60, 35),
    "tan": (210, 180, 140),
}


@pytest.mark.parametrize("name", COLOURS)
def test_a_pixel_has_the_name_that_people_give_it(name: str) -> None:
    assert COLOURS[int(colour_names(np.array([NAMED[name]], dtype=np.uint8))[0])] == name


def test_shares_of_a_standing_person_part_shirt_from_trousers() -> None:
    image_HWC = np.zeros((100, 30, 3), dtype=np.uint8)
    image_HWC[:50], image_HWC[50:] = NAMED["red"], NAMED["blue"]
    shares = colour_shares(image_HWC, np.ones((100, 30), dtype=np.bool_), cut_below=False)
    upper, lower = shares[PARTS.index("upper")], shares[PARTS.index("lower")]
    assert upper[COLOURS.index("red")] == lower[COLOURS.index("blue")] == 1
    assert shares[PARTS.index("whole")].sum() == pytest.approx(1)


def test_of_a_bust_only_the_upper_part_is_seen() -> None:
    image_HWC = np.full((40, 40, 3), NAMED["green"], dtype=np.uint8)
    shares = colour_shares(image_HWC, np.ones((40, 40), dtype=np.bool_), cut_below=True)
    assert shares[PARTS.index("upper"), COLOURS.index("green")] == 1
    assert shares[PARTS.index("lower")].sum() == 0


def test_only_the_object_itself_is_measured() -> None:
    image_HWC = np.full((40, 20, 3), NAMED["green"], dtype=np.uint8)
    mask_HW = np.zeros((40, 20), dtype=np.bool_)
    mask_HW[:, :10], image_HWC[:, :10] = True, NAMED["white"]
    assert colour_shares(image_HWC, mask_HW, cut_below=False)[0, COLOURS.index("white")] == 1


@pytest.mark.parametrize(
    ("expression", "person", "expected"),
    [
        ("man in the red shirt", True, {("upper", "red")}),
        ("woman in blue", True, {("upper", "blue")}),
        ("guy with black pants on left", True, {("lower", "black")}),
        ("white shirt blue jeans", True, {("upper", "white"), ("lower", "blue")}),
        ("red and black jacket", True, {("upper", "red"), ("upper", "black")}),
        ("blue girl", True, {("upper", "blue")}),
        ("lady with white hair", True, set()),
        ("man next to the red car", True, set()),
        ("man behind the girl wearing a green top", True, {("upper", "green")}),
        ("gray car", False, {("whole", "grey")}),
        ("car next to the white truck", False, set()),
        ("dog by the red shirt", False, set()),
        ("the big one", False, set()),
    ],
)
def test_colours_that_an_expression_gives_to_what_it_names(
    expression: str, person: bool, expected: set[tuple[str, str]]
) -> None:
    assert demanded_colours([expression], person) == expected


def test_demands_of_all_expressions_of_an_object_are_joined() -> None:
    assert demanded_colours(["red shirt", "blue jeans"], True) == {("upper", "red"), ("lower", "blue")}
