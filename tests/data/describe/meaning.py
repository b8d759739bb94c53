"""A reader of expressions that shares nothing with the code that makes them: which objects does a text fit?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from m3att.data.collage.colours import COLOURS
from m3att.data.describe.things import Thing

NOUNS = {
    "person": {"person"}, "car": {"car"}, "dog": {"dog"}, "cat": {"cat"}, "cup": {"cup"},
    "couch": {"couch"}, "sofa": {"couch"}, "bicycle": {"bicycle"}, "motorcycle": {"motorcycle"},
    "motorbike": {"motorcycle"}, "wine glass": {"wine glass"}, "teddy bear": {"teddy bear"},
    "animal": {"dog", "cat", "bear"}, "vehicle": {"car", "motorcycle"}, "bike": {"bicycle", "motorcycle"},
    "glass": {"wine glass", "cup"}, "bear": {"bear", "teddy bear"},
}  # fmt: skip
# Whom somebody may mean by a word; the empty text is a person of whom nothing is known.
PEOPLE = {
    "man": {"man", "boy", "adult", "part", ""}, "guy": {"man", "boy", "adult", "part", ""},
    "woman": {"woman", "girl", "adult", "part", ""}, "lady": {"woman", "girl", "adult", "part", ""},
    "boy": {"boy", "man", "child", "part", ""}, "girl": {"girl", "woman", "child", "adult", "part", ""},
    "kid": {"boy", "girl", "child", "adult", "part", ""}, "child": {"boy", "girl", "child", "adult", "part", ""},
}  # fmt: skip
NOUN = "(?P<noun>" + "|".join(sorted([*NOUNS, *PEOPLE], key=len, reverse=True)) + ")"
ANCHOR = NOUN.replace("noun", "anchor")
COLOUR = "(?P<colour>" + "|".join(COLOURS) + ")"
SIDE = "(?P<side>left|right|top|bottom)"


def across(thing: Thing) -> float:
    return thing.box[0] / 2 + thing.box[2] / 2


def down(thing: Thing) -> float:
    return thing.box[1] / 2 + thing.box[3] / 2


def is_coloured(thing: Thing, colour: str) -> bool:
    """Whether people might well say so: a third of the part that counts is enough."""
    if thing.shares is None:
        return False
    return float(thing.shares[1 if thing.category == "person" else 0, COLOURS.index(colour)]) > 0.33


def distance(one: Thing, other: Thing) -> float:
    x = max(0.0, one.box[0] - other.box[2], other.box[0] - one.box[2])
    y = max(0.0, one.box[1] - other.box[3], other.box[1] - one.box[3])
    return max(x, y)


def read(text: str, things: Sequence[Thing]) -> list[Thing]:
    """The objects that a text fits.

    Raises:
        AssertionError: where the text is none that the reader knows.
    """
    text = re.sub(r"\bthe\b ?", "", text)

    def named(found: re.Match[str], group: str = "noun") -> list[Thing]:
        if (word := found[group]) in PEOPLE:
            return [thing for thing in things if thing.category == "person" and thing.person in PEOPLE[word]]
        return [thing for thing in things if thing.category in NOUNS[word]]

    if found := re.fullmatch(NOUN, text):
        return named(found)
    if found := re.fullmatch(f"(?:far )?{SIDE}(?:most)? {NOUN}|", text) or re.fullmatch(
        f"{NOUN} (?:(?:on|at) )?(?:far )?{SIDE}", text
    ):
        of = {"left": across, "right": lambda one: -across(one), "top": down, "bottom": lambda one: -down(one)}
        return [min(named(found), key=of[found["side"]])]
    if found := re.fullmatch(f"(?:middle|center) {NOUN}", text) or re.fullmatch(f"{NOUN} in middle", text):
        return sorted(named(found), key=across)[1:-1]
    if found := re.fullmatch(f"(?P<order>second|third) (?:{NOUN} )?from {SIDE}", text):
        ones = named(found) if found["noun"] else list(things)
        row = sorted(ones, key=across, reverse=found["side"] == "right")
        return [row[1 if found["order"] == "second" else 2]]
    if found := re.fullmatch(f"(?P<size>biggest|big|largest|smallest|small|tiny) {NOUN}", text):
        chosen = max if found["size"] in ("biggest", "big", "largest") else min
        return [chosen(named(found), key=lambda one: one.area)]
    if found := re.fullmatch(f"{NOUN} not in {COLOUR}", text) or re.fullmatch(f"{NOUN} that is not {COLOUR}", text):
        return [one for one in named(found) if not is_coloured(one, found["colour"])]
    if found := re.fullmatch(f"{COLOUR} shirt", text):
        return [one for one in things if one.category == "person" and is_coloured(one, found["colour"])]
    for pattern in (
        f"{COLOUR} {NOUN}", f"{NOUN} that is {COLOUR}", f"{NOUN} in {COLOUR}(?: shirt)?", f"{NOUN} wearing {COLOUR}",
    ):  # fmt: skip
        if found := re.fullmatch(pattern, text):
            return [one for one in named(found) if is_coloured(one, found["colour"])]
    if found := re.fullmatch(f"{NOUN} (?:next to|by|near) {ANCHOR}", text):
        (anchor,) = named(found, "anchor")
        return [one for one in named(found) if distance(one, anchor) < 0.08]
    if found := re.fullmatch(f"{NOUN} (?:to )?(?:left|right) of {ANCHOR}", text):
        (anchor,) = named(found, "anchor")
        sign = 1 if "left" in text else -1
        return [one for one in named(found) if sign * across(one) < sign * across(anchor)]
    raise AssertionError(f"nobody knows what {text!r} means")
