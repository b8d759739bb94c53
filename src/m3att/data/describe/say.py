"""Expressions that are plainly true of one object of an image and plainly false of all others that a word may mean.

Each kind of expression tells an object from the others by one property. Where it is not certain whether some object has
the property, the expression is not made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from m3att.data.collage.colours import COLOURS
from m3att.data.collage.people import PERSON
from m3att.data.describe.things import Thing
from m3att.data.describe.words import may_mean, words_for, words_of

Style = Literal["refcoco", "refcoco+", "refcocog"]
STYLES: tuple[Style, ...] = get_args(Style)
"""Short, short without words of place, and whole phrases."""

APART = 0.06  # share of the image by which centres must differ for left and right, above and below
CENTRE = 0.12  # greatest distance of an object in the middle from the middle
LARGER = 1.7  # how many times larger than all others the largest one is
BESIDE, AWAY = 0.03, 0.12  # gaps, as shares of the image, of what is next to a thing and of what plainly is not
LEAST = 0.006  # share of the image that an object must cover to be named


@dataclass(frozen=True, slots=True)
class Said:
    """One expression.

    Args:
        row: of the object, among the annotations of its image.
        text: the expression.
        skills: what it tells the object by.
        styles: those that it may stand in.
    """

    row: int
    text: str
    skills: tuple[str, ...]
    styles: tuple[Style, ...] = STYLES


def expressions_of(things: Sequence[Thing], chance: np.random.Generator) -> list[Said]:
    """All expressions that can be made of an image's objects, one wording each.

    Args:
        things: all objects, crowd regions among them.
        chance: chooses wordings.
    """
    found: list[Said] = []
    for thing in things:
        if thing.is_crowd or thing.area < LEAST:
            continue
        for word in words_of(thing):
            others = [one for one in things if one is not thing and may_mean(word, one)]
            if any(one.is_crowd for one in others):
                continue  # what stands in a crowd may be anything
            for maker in MAKERS:
                found.extend(maker(word, thing, others, things, chance))
    return found


def by_kind(
    word: str, thing: Thing, others: Sequence[Thing], things: Sequence[Thing], chance: np.random.Generator
) -> Iterator[Said]:
    """Expressions by the kind alone, where there is one of it: "dog".

    Args:
        word: what the object is called.
        thing: the object.
        others: all other objects that the word may mean.
        things: all objects of the image.
        chance: chooses wordings.
    """
    if not others:
        yield Said(thing.row, word, ("kind",), ("refcoco", "refcoco+"))
        yield Said(thing.row, f"the {word}", ("kind",), ("refcocog",))


def by_place(
    word: str, thing: Thing, others: Sequence[Thing], things: Sequence[Thing], chance: np.random.Generator
) -> Iterator[Said]:
    """Expressions by place and order: "left dog", "dog in the middle", "second dog from the left". See `by_kind`."""
    if not others:
        return
    sides: tuple[tuple[str, Callable[[Thing], float]], ...] = (
        ("left", lambda one: one.across), ("right", lambda one: -one.across),
        ("top", lambda one: one.down), ("bottom", lambda one: -one.down),
    )  # fmt: skip
    for side, measure in sides:
        if all(measure(thing) + APART < measure(other) for other in others):
            short = [f"{side} {word}", f"{word} on {side}", f"{word} {side}"]
            if len(others) > 1 and side in ("left", "right"):
                short += [f"{side}most {word}", f"far {side} {word}", f"{word} on far {side}"]
            whole = f"the {word} on the {side}" if side in ("left", "right") else f"the {word} at the {side}"
            yield Said(thing.row, pick(short, chance), ("place",), ("refcoco",))
            yield Said(thing.row, whole, ("place",), ("refcocog",))
    in_a_row = sorted((thing, *others), key=lambda one: one.across)
    gaps = [right.across - left.across for left, right in pairwise(in_a_row)]
    if min(gaps) <= APART:
        return
    number = in_a_row.index(thing)
    if len(in_a_row) == 3 and number == 1 and abs(thing.across - 0.5) < CENTRE:
        short = [f"middle {word}", f"{word} in middle", f"center {word}", f"{word} in the middle"]
        yield Said(thing.row, pick(short, chance), ("place",), ("refcoco",))
        yield Said(thing.row, f"the {word} in the middle", ("place",), ("refcocog",))
    for side, place in (("left", number), ("right", len(in_a_row) - 1 - number)):
        if len(in_a_row) > 2 and place in (1, 2) and place < len(in_a_row) - 1:
            order = ("second", "third")[place - 1]
            short = [f"{order} {word} from {side}", f"{order} from {side}" if len(in_a_row) == len(things) else ""]
            yield Said(thing.row, pick([text for text in short if text], chance), ("order",), ("refcoco",))
            yield Said(thing.row, f"the {order} {word} from the {side}", ("order",), ("refcocog",))


def by_size(
    word: str, thing: Thing, others: Sequence[Thing], things: Sequence[Thing], chance: np.random.Generator
) -> Iterator[Said]:
    """Expressions by size: "biggest dog", "small dog". See `by_kind`."""
    if not others:
        return
    if all(thing.area >= LARGER * other.area for other in others):
        short = [f"biggest {word}", f"big {word}", f"largest {word}"]
        yield Said(thing.row, pick(short, chance), ("size",), ("refcoco", "refcoco+"))
        yield Said(thing.row, f"the largest {word}", ("size",), ("refcocog",))
    if all(thing.area * LARGER <= other.area for other in others):
        short = [f"smallest {word}", f"small {word}", f"tiny {word}"]
        yield Said(thing.row, pick(short, chance), ("size",), ("refcoco", "refcoco+"))
        yield Said(thing.row, f"the smallest {word}", ("size",), ("refcocog",))


def by_colour(
    word: str, thing: Thing, others: Sequence[Thing], things: Sequence[Thing], chance: np.random.Generator
) -> Iterator[Said]:
    """Expressions by colour: "red car", "person in red", and of two "car that is not red". See `by_kind`."""
    worn = thing.category == PERSON
    for colour in COLOURS:
        has, of_others = thing.has_colour(colour), [other.has_colour(colour) for other in others]
        if has and all(found is False for found in of_others):
            short = [f"{colour} {word}", f"{word} that is {colour}"]
            if worn:
                short = [f"{word} in {colour}", f"{word} wearing {colour}", f"{word} in {colour} shirt"]
                if word == PERSON:  # anybody's shirt, not only a man's
                    short.append(f"{colour} shirt")
            whole = f"the {word} wearing {colour}" if worn else f"the {colour} {word}"
            yield Said(thing.row, pick(short, chance), ("colour",), ("refcoco", "refcoco+"))
            yield Said(thing.row, whole, ("colour",), ("refcocog",))
        if has is False and of_others == [True]:
            short = [f"{word} not in {colour}"] if worn else [f"{word} that is not {colour}"]
            yield Said(thing.row, pick(short, chance), ("colour", "negation"), ("refcoco", "refcoco+"))
            yield Said(thing.row, f"the {short[0]}", ("colour", "negation"), ("refcocog",))


def by_relation(
    word: str, thing: Thing, others: Sequence[Thing], things: Sequence[Thing], chance: np.random.Generator
) -> Iterator[Said]:
    """Expressions by relation: "dog next to the car", "dog left of the car", where there is one car. See `by_kind`."""
    if not others:
        return
    for anchor, name in ((one, name) for one in things for name in anchor_words(one)):
        alone = sum(may_mean(name, one) for one in things) == 1
        if anchor is thing or anchor.is_crowd or not alone or anchor.area < LEAST or may_mean(word, anchor):
            continue
        if gap(thing, anchor) <= BESIDE and all(gap(other, anchor) >= AWAY for other in others):
            text = pick([f"{word} next to {name}", f"{word} by the {name}", f"{word} near {name}"], chance)
            yield Said(thing.row, text, ("relation",), ("refcoco", "refcoco+"))
            yield Said(thing.row, f"the {word} next to the {name}", ("relation",), ("refcocog",))
        for side, sign in (("left", 1), ("right", -1)):
            beyond = [sign * (anchor.across - one.across) for one in (thing, *others)]
            if beyond[0] > APART and all(other < -APART for other in beyond[1:]):
                yield Said(thing.row, f"{word} {side} of {name}", ("relation", "place"), ("refcoco",))
                yield Said(thing.row, f"the {word} to the {side} of the {name}", ("relation", "place"), ("refcocog",))


def anchor_words(anchor: Thing) -> tuple[str, ...]:
    """What an object is called that tells where another one is: by its category, a person by who it is too."""
    words = words_of(anchor)
    people = [word for word in words if word not in words_for(anchor.category)]
    return (words[0], *people[:1])


def gap(one: Thing, other: Thing) -> float:
    """The gap between two boxes, as a share of the image; 0 where they touch."""
    across = max(one.box[0], other.box[0]) - min(one.box[2], other.box[2])
    down = max(one.box[1], other.box[1]) - min(one.box[3], other.box[3])
    return max(across, down, 0.0)


def pick(texts: Sequence[str], chance: np.random.Generator) -> str:
    """One of some texts."""
    return texts[int(chance.integers(len(texts)))]


MAKERS = (by_kind, by_place, by_size, by_colour, by_relation)
