"""The evaluator of expressions itself: it must see what a text means, and near ties as ties."""

from __future__ import annotations

import pytest

from m3att.data.shaperef.lexicon import vocabulary

from .evaluator import Evaluator, Unreadable
from .evaluator_words import DICTIONARY, PHRASES, known_words
from .random_facts import facts, thing

SCENE = facts(
    thing("car", "red", 20, 30, part_colour="black", size="small"),  # 0
    thing("car", "blue", 80, 32, size="large", depth=1),  # 1
    thing("car", "red", 140, 30, part_colour="yellow", texture="striped"),  # 2
    thing("tree", "green", 80, 120, size="large"),  # 3
    thing("person", "red", 120, 118, part_colour="blue"),  # 4
    thing("ball", "yellow", 25, 130),  # 5
)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("the tree", {3}),
        ("Teh tre.", {3}),
        ("red car", {0, 2}),
        ("the red one", {0, 2, 4}),
        ("blue", {1, 4}),  # a listener may think of the trousers
        ("the person in red", {4}),
        ("guy with blue pants", {4}),
        ("guy in blue", {4}),
        ("guy in a blue shirt", set()),
        ("car with a black roof", {0}),
        ("auto whose roof is yellow", {2}),
        ("car without a black roof", {1, 2}),
        ("the stripy car", {2}),
        ("car that is not striped", {0, 1}),
        ("biggest car", {1}),
        ("tiny car", {0}),
        ("the car that isn't small", {1, 2}),
        ("red car, not the small one", {2}),
        ("not the striped one, the other red car", {0}),
        ("the car that is neither blue nor yellow", {0, 2}),
        ("the red one that isn't a car", {4}),
        ("leftmost car", {0}),
        ("second car from the left", {1}),
        ("2nd from the right car", {1}),
        ("middle car", {1}),
        ("the leftmost of the two red cars", {0}),
        ("the leftmost of the three red cars", set()),
        ("car on the left", {0}),
        ("top right corner", {2}),
        ("bottom left", {5}),
        ("the car that isn't on the left", {1, 2}),
        ("vehicle above the tree", {0, 1, 2}),
        ("thing next to the person", {3}),
        ("red car closest to the ball", {0}),
        ("car between the red car with the yellow roof and the red car with a black roof", {1}),
        ("thing between the blue car and the tree", set()),
        ("red car to the left of the blue car", {0}),
        ("a tree standing left of a guy below the car that is blue, and there is a yellow ball left of it", {3}),
        ("a tree standing left of a guy, and there is a yellow ball right of it", set()),
    ],
)
def test_meaning(text: str, meant: set[int]) -> None:
    assert Evaluator(SCENE).read(text).objects == meant


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ((40, 80), (43, 80), "leftmost star"),
        ((40, 80), (43, 20), "second star from the left"),
        ((70, 80), (78, 80), "star on the left"),
        ((60, 80), (100, 80), "star next to the heart"),
        ((66, 60), (94, 60), "star closest to the heart"),
        ((80, 40), (80, 36), "highest star"),
    ],
)
def test_near_ties_are_two_objects(first: tuple[float, float], second: tuple[float, float], text: str) -> None:
    scene = facts(
        thing("heart", "pink", 80, 80, size="small"),
        thing("star", "red", *first, size="small"),
        thing("star", "blue", *second, size="small"),
    )
    assert Evaluator(scene).read(text).objects == {1, 2}


@pytest.mark.parametrize("text", ["the zebra", "ball next to the red car", "ball near a boat", "the ball that is not"])
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        Evaluator(SCENE).read(text)


def test_no_phrase_of_the_dictionary_has_two_meanings() -> None:
    assert len(PHRASES) == sum(phrases.count("|") + 1 for group in DICTIONARY.values() for phrases in group.values())


def test_the_dictionary_knows_every_word_of_the_generator_and_none_beside() -> None:
    assert known_words() == set(vocabulary())
