"""Expressions are true of one object alone, which a reader of its own confirms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3att.data.collage.colours import COLOURS, PARTS
from m3att.data.collage.people import PEOPLE
from m3att.data.describe.say import MAKERS, STYLES, expressions_of
from m3att.data.describe.things import Thing
from m3att.data.describe.words import KINDS, SYNONYMS, may_mean, meanings, words_for, words_of

from .meaning import read


def thing(
    row: int,
    category: str,
    left: float,
    top: float = 0.4,
    side: float = 0.1,
    colour: str = "",
    crowd: bool = False,
    person: str = "",
) -> Thing:
    shares = None
    if colour:
        shares = np.zeros((len(PARTS), len(COLOURS)), dtype=np.float32)
        shares[:, COLOURS.index(colour)] = 1
    return Thing(row, category, (left, top, left + side, top + side), side * side, crowd, shares, person)


def said_of(things: list[Thing], row: int, seeds: int = 12) -> set[str]:
    """All wordings for one object that some seeds find."""
    return {
        said.text
        for seed in range(seeds)
        for said in expressions_of(things, np.random.default_rng(seed))
        if said.row == row
    }


@st.composite
def scenes(draw: Any) -> list[Thing]:
    """Some objects of few kinds, in few colours or none, or half in each of two."""
    found = []
    for row in range(draw(st.integers(1, 6))):
        width, height = draw(st.floats(0.02, 0.5)), draw(st.floats(0.02, 0.5))
        left, top = draw(st.floats(0, 1)) * (1 - width), draw(st.floats(0, 1)) * (1 - height)
        shares = None
        if draw(st.booleans()):
            shares = np.zeros((len(PARTS), len(COLOURS)), dtype=np.float32)
            mixed = draw(st.floats(0, 1))
            one, other = draw(st.sampled_from([0, 3, 7])), draw(st.sampled_from([0, 3, 7]))
            shares[:, one] += mixed
            shares[:, other] += 1 - mixed
        category = draw(st.sampled_from(["person", "car", "dog", "cup", "wine glass", "teddy bear", "motorcycle"]))
        crowd = draw(st.integers(0, 9)) == 0
        box = (left, top, left + width, top + height)
        person = draw(st.sampled_from(PEOPLE)) if category == "person" else ""
        found.append(Thing(row, category, box, width * height * draw(st.floats(0.3, 1)), crowd, shares, person))
    return found


@settings(max_examples=200, deadline=None)
@given(things=scenes(), seed=st.integers(0, 9))
def test_every_expression_fits_its_object_and_no_other(things: list[Thing], seed: int) -> None:
    alone = [one for one in things if not one.is_crowd]
    for said in expressions_of(things, np.random.default_rng(seed)):
        assert [one.row for one in read(said.text, alone)] == [said.row], said.text
        assert said.skills and set(said.styles) <= set(STYLES)


@pytest.mark.parametrize(
    ("things", "row", "expected", "never"),
    [
        ([thing(0, "dog", 0.1), thing(1, "cat", 0.6)], 0, {"dog", "the dog"}, {"animal"}),
        ([thing(0, "dog", 0.1), thing(1, "dog", 0.6)], 0, {"left dog", "the dog on the left"}, {"dog", "leftmost dog"}),
        ([thing(0, "dog", 0.1), thing(1, "dog", 0.12)], 0, set(), {"left dog"}),
        ([thing(0, "car", 0.1), thing(1, "car", 0.45), thing(2, "car", 0.8)], 1, {"middle car"}, {"left car"}),
        (
            [thing(number, "car", 0.1 + 0.2 * number) for number in range(4)],
            1,
            {"second car from left", "the third car from the right"},
            {"middle car"},
        ),
        ([thing(0, "cup", 0.1, side=0.3), thing(1, "cup", 0.6)], 0, {"biggest cup"}, {"smallest cup"}),
        ([thing(0, "cup", 0.1, side=0.12), thing(1, "cup", 0.6)], 0, set(), {"biggest cup", "big cup"}),
        (
            [thing(0, "car", 0.1, colour="red"), thing(1, "car", 0.6, colour="blue")],
            0,
            {"red car", "car that is not blue"},
            {"blue car"},
        ),
        ([thing(0, "car", 0.1, colour="red"), thing(1, "car", 0.6)], 0, set(), {"red car"}),
        (
            [thing(0, "person", 0.1, colour="white"), thing(1, "person", 0.6, colour="black")],
            0,
            {"person in white", "white shirt", "the person not in black"},
            {"white person"},
        ),
        (
            [thing(0, "dog", 0.1), thing(1, "dog", 0.8), thing(2, "car", 0.22)],
            0,
            {"dog next to car", "dog left of car"},
            set(),
        ),
        ([thing(0, "dog", 0.1), thing(1, "dog", 0.6, crowd=True)], 0, set(), {"dog", "left dog"}),
        ([thing(0, "motorcycle", 0.1), thing(1, "bicycle", 0.6)], 0, {"motorbike", "left bike"}, {"bike"}),
        (
            [thing(0, "person", 0.1, person="man"), thing(1, "person", 0.6, person="woman")],
            0,
            {"man", "guy", "the man", "left person"},
            {"person", "woman", "left man", "boy"},
        ),
        ([thing(0, "person", 0.1, person="man"), thing(1, "person", 0.6)], 0, {"left man", "left guy"}, {"man"}),
        ([thing(0, "person", 0.1, person="adult"), thing(1, "dog", 0.6)], 0, {"person"}, {"man", "woman", "kid"}),
        (
            [thing(0, "person", 0.1, person="boy"), thing(1, "person", 0.6, person="man")],
            0,
            {"kid", "left boy"},
            {"boy", "man", "left man"},
        ),
        (
            [
                thing(0, "person", 0.1, person="man", colour="red"),
                thing(1, "person", 0.5, person="man", colour="blue"),
                thing(2, "person", 0.8, person="woman", colour="red"),
            ],
            0,
            {"man in red", "left man", "man not in blue"},
            {"red shirt", "person in red"},
        ),
        (
            [thing(0, "dog", 0.1), thing(1, "dog", 0.7), thing(2, "person", 0.22, person="woman")],
            0,
            {"dog next to woman", "dog by the person"},
            set(),
        ),
    ],
)
def test_what_is_said_and_what_is_not(things: list[Thing], row: int, expected: set[str], never: set[str]) -> None:
    found = said_of(things, row)
    assert expected <= found
    assert not never & found


def test_what_is_too_small_to_be_named_still_counts_against_others() -> None:
    things = [thing(0, "dog", 0.1), thing(1, "dog", 0.6, side=0.02)]
    assert "dog" not in said_of(things, 0)
    assert not said_of(things, 1)


def test_styles_keep_their_words() -> None:
    things = [thing(0, "car", 0.1, colour="red"), thing(1, "car", 0.6, side=0.3, colour="blue"), thing(2, "dog", 0.2)]
    places = {"left", "right", "top", "bottom", "middle", "center", "second", "third"}
    for said in expressions_of(things, np.random.default_rng(0)):
        if "refcoco+" in said.styles:
            assert not places & set(said.text.replace("most", "").split()), said.text
        if said.styles == ("refcocog",):
            assert said.text.startswith("the ")


def test_all_ways_of_telling_occur() -> None:
    assert len(MAKERS) == 5
    cars = [thing(0, "car", 0.0, side=0.2, colour="red"), thing(1, "car", 0.4, side=0.4, colour="blue")]
    things = [*cars, thing(2, "dog", 0.22)]
    skills = {skill for said in expressions_of(things, np.random.default_rng(0)) for skill in said.skills}
    assert skills == {"kind", "place", "size", "colour", "negation", "relation"}


def test_words_mean_the_categories_that_they_are_made_for() -> None:
    assert meanings("sofa") == ("couch",) and meanings("kite") == ("kite",)
    assert meanings("bear") == ("bear", "teddy bear")
    assert words_for("bear") == ("bear", "animal")
    for category in {*SYNONYMS, *(name for names in KINDS.values() for name in names)}:
        words = words_for(category)
        assert words and len(set(words)) == len(words)
        assert all(category in meanings(word) for word in words)


def test_words_for_people_are_said_of_those_who_surely_are_so() -> None:
    for person in PEOPLE:
        words = words_of(thing(0, "person", 0.1, person=person))
        assert words[0] == "person"
        assert all(may_mean(word, thing(0, "person", 0.1, person=person)) for word in words)
    assert words_of(thing(0, "person", 0.1, person="woman")) == ("person", "woman", "lady")
    assert words_of(thing(0, "person", 0.1, person="adult")) == ("person",)
    assert words_of(thing(0, "dog", 0.1)) == words_for("dog")
    assert not may_mean("woman", thing(0, "person", 0.1, person="man"))
    assert not may_mean("woman", thing(0, "dog", 0.1))
