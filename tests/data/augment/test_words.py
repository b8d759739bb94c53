"""What the words of an expression say of sides, places and colours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3att.data.augment.words import MIRRORED, mirrored, names_colour, names_place


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("the man on the left", "the man on the right"),
        ("leftmost cup, right of the tree", "rightmost cup, left of the tree"),
        ("Left man", "Right man"),
        ("LEFT MAN", "RIGHT MAN"),
        ("the Leftmost", "the Rightmost"),
        ("left-hand side", "right-hand side"),
        ("a left handed batter", "a right handed batter"),
        ("lft l RGHT R", "rght r LFT L"),
        ("lefty's left", "righty's right"),
        ("man lef", "man right"),
        ("guy on righ", "guy on left"),
        ("the rigth one", "the left one"),
        ("bottomright dog", "bottomleft dog"),
        ("guy onleft", "guy onright"),
        ("rightiest horse", "leftiest horse"),
        ("far left", "far right"),
        ("second from left", "second from right"),
        ("donut at 2 o'clock", "donut at 10 o'clock"),
        ("donut at 12 o clock", "donut at 12 o clock"),
        ("slice at 4:30 oclock", "slice at 7:30 oclock"),
        ("12:30 o'clock", "11:30 o'clock"),
        ("between 11 and 12 o clock", "between 1 and 12 o clock"),
        ("Three o'clock", "Nine o'clock"),
        ("girl 9 0clock", "girl 3 0clock"),
        ("sheep on the east side", "sheep on the west side"),
        # Sides, although a word follows that could make them others.
        ("man on the right next to a tree", "man on the left next to a tree"),
        ("far right behind the bus", "far left behind the bus"),
        # None of these are words of side.
        ("cleft bright leftover upright l8 r2d2", "cleft bright leftover upright l8 r2d2"),
        ("the brighter freight train", "the brighter freight train"),
        ("l'oreal bottle", "l'oreal bottle"),
        ("the clock on the wall", "the clock on the wall"),
        ("top of the stairs", "top of the stairs"),
        ("second from the top", "second from the top"),
    ],
)
def test_what_is_said_of_the_mirrored_picture(text: str, told: str) -> None:
    assert mirrored(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "man right behind the bus", "chair right next to the table", "the apple right in front", "right under the lamp",
        "all right", "food left over", "what's left", "rightside up cat", "the third man", "first", "9 o o clock",
        "half past o'clock", "الكلب على اليسار", "rıght", "左边的人",
    ],
)  # fmt: skip
def test_what_nobody_can_tell_is_not_told(text: str) -> None:
    assert mirrored(text) is None


WORDS = st.sampled_from(
    [*MIRRORED, *(word.title() for word in MIRRORED), *(word.upper() for word in MIRRORED), "the", "dog", "-", ","]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=6).map(" ".join))
def test_mirrored_twice_is_as_it_was(text: str) -> None:
    once = mirrored(text)
    assert once is not None and mirrored(once) == text


@given(st.integers(1, 12), st.booleans())
def test_hours_mirrored_twice_are_as_they_were(hour: int, half: bool) -> None:
    text = f"cup at {hour}{':30' if half else ''} o'clock"
    once = mirrored(text)
    assert once is not None and mirrored(once) == text


@pytest.mark.parametrize(
    "text",
    ["left man", "the middle one", "second row", "top corner", "person cut off", "half a pizza", "at 3 o'clock", "人"],
)
def test_places_are_named(text: str) -> None:
    assert names_place(text)


@pytest.mark.parametrize(
    "text", ["the man in red", "girl with umbrella", "closest bike", "a brighter dress", "tall stripes"]
)
def test_other_words_name_no_place(text: str) -> None:
    assert not names_place(text.replace("brighter", "light"))


@pytest.mark.parametrize(
    "text",
    ["man in red", "blonde girl", "grey cat", "dark car", "blackwhite cow", "reddish", "colored one", "人"],
)
def test_colours_are_named(text: str) -> None:
    assert names_colour(text)


@pytest.mark.parametrize("text", ["the man", "striped shirt", "bored kid", "credit card", "tallest giraffe", "left"])
def test_other_words_name_no_colour(text: str) -> None:
    assert not names_colour(text)
