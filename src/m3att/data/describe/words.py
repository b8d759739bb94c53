"""What people call the objects of COCO's categories."""

from __future__ import annotations

from m3att.data.collage.people import PERSON
from m3att.data.describe.things import Thing

SYNONYMS: dict[str, tuple[str, ...]] = {
    "airplane": ("plane", "airplane"),
    "cell phone": ("phone", "cell phone"),
    "couch": ("couch", "sofa"),
    "dining table": ("table",),
    "donut": ("donut", "doughnut"),
    "motorcycle": ("motorcycle", "motorbike"),
    "potted plant": ("plant", "potted plant"),
    "refrigerator": ("fridge", "refrigerator"),
    "remote": ("remote", "remote control"),
    "sports ball": ("ball",),
    "tennis racket": ("racket", "tennis racket"),
    "tv": ("tv", "screen", "television"),
}
"""Words for a category that mean no other one; the category's own name where it is not listed."""

KINDS: dict[str, tuple[str, ...]] = {
    "animal": (
        "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe",
    ),
    "vehicle": ("car", "motorcycle", "bus", "train", "truck"),
    "bike": ("bicycle", "motorcycle"),
    "bear": ("bear", "teddy bear"),
    "glass": ("wine glass", "cup"),
}  # fmt: skip
"""Words that mean several categories."""


def meanings(word: str) -> tuple[str, ...]:
    """The categories whose objects a word may mean."""
    if word in KINDS:
        return KINDS[word]
    return tuple(name for name, words in SYNONYMS.items() if word in words) or (word,)


def words_for(category: str) -> tuple[str, ...]:
    """The words that may mean an object of a category, those of its own first."""
    own = SYNONYMS.get(category, (category,))
    wider = tuple(word for word, names in KINDS.items() if category in names and word != category)
    # "bear" for a bear is a wider word, since a teddy bear may be meant too.
    return tuple(word for word in own if word not in KINDS) + tuple(
        dict.fromkeys((*(word for word in own if word in KINDS), *wider))
    )


_SURELY: dict[str, tuple[str, ...]] = {
    "man": ("man",),
    "guy": ("man",),
    "woman": ("woman",),
    "lady": ("woman",),
    "boy": ("boy",),
    "girl": ("girl",),
    "kid": ("boy", "girl", "child"),
    "child": ("boy", "girl", "child"),
}
_PERHAPS: dict[str, tuple[str, ...]] = {
    "man": ("boy", "adult"),
    "guy": ("boy", "adult"),
    "woman": ("girl", "adult"),
    "lady": ("girl", "adult"),
    "boy": ("man", "child"),
    "girl": ("woman", "child", "adult"),
    "kid": ("adult",),
    "child": ("adult",),
}
_UNKNOWN = ("", "part")  # somebody of whom these are known may be anybody


def words_of(thing: Thing) -> tuple[str, ...]:
    """The words that may mean an object: those of its category, and those that fit the person that it is."""
    people = tuple(word for word, known in _SURELY.items() if thing.category == PERSON and thing.person in known)
    return words_for(thing.category) + people


def may_mean(word: str, thing: Thing) -> bool:
    """Whether somebody who says a word might mean an object, however unlikely."""
    if word in _SURELY:
        return thing.category == PERSON and thing.person in (*_SURELY[word], *_PERHAPS[word], *_UNKNOWN)
    return thing.category in meanings(word)
