"""Men, women and children: what is known of an annotated person, and what an expression says of one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from m3att.errors import DataError

PERSON = "person"
PEOPLE = ("", "man", "woman", "boy", "girl", "child", "adult", "part")
"""What ``attributes.person`` of an annotation may say: also an adult or a child of whom nobody could say more, and only
a part of a person. The empty text: nothing is known."""

CALLED: dict[str, tuple[str, ...]] = {
    "man": (
        "man", "guy", "dude", "male", "gentleman", "groom", "father", "dad", "husband", "mans", "guys", "batter",
        "umpire", "catcher", "pitcher", "grandpa", "waiter", "he", "him", "his", "beard",
    ),
    "woman": (
        "woman", "lady", "female", "bride", "mother", "mom", "wife", "gal", "womans", "ladys", "chick", "grandma",
        "waitress", "she", "her", "dress", "skirt", "bikini",
    ),
    "boy": ("boy", "boys", "son"),
    "girl": ("girl", "girls", "daughter"),
    "child": ("child", "kid", "baby", "toddler", "infant", "kids", "childs", "babys"),
}  # fmt: skip
"""The words of expressions by what they say of a person."""

MISFIT: dict[str, dict[str, float]] = {
    "man": {"": 0.3, "man": 0, "woman": 1, "boy": 0.5, "girl": 1, "child": 0.9, "adult": 0.25, "part": 0.4},
    "woman": {"": 0.3, "man": 1, "woman": 0, "boy": 1, "girl": 0.4, "child": 0.9, "adult": 0.3, "part": 0.5},
    "boy": {"": 0.5, "man": 0.35, "woman": 1, "boy": 0, "girl": 0.8, "child": 0.25, "adult": 0.6, "part": 0.6},
    "girl": {"": 0.4, "man": 1, "woman": 0.15, "boy": 0.9, "girl": 0, "child": 0.3, "adult": 0.5, "part": 0.6},
    "child": {"": 0.6, "man": 1, "woman": 1, "boy": 0, "girl": 0, "child": 0, "adult": 1, "part": 0.7},
}
"""How badly a person of whom the inner key is known fits one who is called by the outer one: 0 well, 1 not at all."""

_OF_WORD = {word: said for said, words in CALLED.items() for word in words}
# After these the expression speaks of somebody or something else.
_ELSEWHERE = frozenset({
    "next", "beside", "behind", "near", "by", "under", "above", "below", "over", "between", "against", "facing",
    "towards", "toward", "holding", "with", "in", "on", "to", "of", "carrying", "riding", "looking", "touching",
    "closest", "closer", "from", "at", "not", "no", "isnt",
})  # fmt: skip
_OWN = frozenset({"he", "him", "his", "she", "her", "dress", "skirt", "bikini", "beard"})
_WORD = re.compile(r"[a-z]+")


def person_of(annotation: Mapping[str, Any]) -> str:
    """What an annotation says of its person in ``attributes.person``; one of `PEOPLE`.

    CVAT writes attributes of an object in this place of a COCO json.

    Raises:
        DataError: where it is none of these words.
    """
    attributes = annotation.get("attributes")
    said = attributes.get("person") if isinstance(attributes, Mapping) else None
    if said is None:
        return ""
    if said not in PEOPLE:
        raise DataError(f"attributes.person is {str(said)[:40]!r} and not one of {', '.join(PEOPLE[1:])}")
    return str(said)


def called(text: str) -> str:
    """What an expression calls the person that it names: a key of `CALLED`, or the empty text.

    A word after a relation belongs to somebody else: "kid next to the man" is a child. Where no noun tells, clothes and
    pronouns do: "the one with her back to us".
    """
    worn = ""
    elsewhere = False
    for word in _WORD.findall(text.lower()):
        said = _OF_WORD.get(word, "")
        if said and word in _OWN:
            worn = worn or said
        elif said and not elsewhere:
            return said
        elsewhere = elsewhere or word in _ELSEWHERE
    return worn


def calls(texts: Iterable[str]) -> dict[str, float]:
    """How often several expressions of one person call it what, as shares of those that tell."""
    told = [said for text in texts if (said := called(text))]
    return {said: told.count(said) / len(told) for said in dict.fromkeys(told)}
