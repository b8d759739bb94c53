"""Colours by name: those of pixels, and those that an expression asks of the object that it names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

COLOURS = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "tan")
PARTS = ("whole", "upper", "lower")
Part = Literal["whole", "upper", "lower"]
Demands = frozenset[tuple[Part, str]]
"""Colours that an object should have, each with the part of it that should have it."""

_WORDS = {name: name for name in COLOURS} | {
    "gray": "grey", "silver": "grey", "navy": "blue", "maroon": "red", "violet": "purple", "beige": "tan",
    "khaki": "tan", "cream": "tan", "teal": "green", "turquoise": "blue",
}  # fmt: skip
_LOWER_WEAR = frozenset({
    "pants", "pant", "jeans", "shorts", "skirt", "trousers", "leggings", "slacks", "bottoms", "tights", "sweatpants",
})  # fmt: skip
_UPPER_WEAR = frozenset({
    "shirt", "tshirt", "tee", "top", "jacket", "coat", "sweater", "sweatshirt", "hoodie", "blouse", "vest", "jersey",
    "uniform", "suit", "tank", "blazer", "polo", "dress", "outfit", "gown", "robe", "clothes", "clothing", "stripes",
    "striped", "plaid",
})  # fmt: skip
_ON_HEAD = frozenset({
    "hair", "hat", "cap", "helmet", "beard", "glasses", "visor", "bandana", "headband", "mask", "shoes", "shoe",
    "socks", "tie",
})  # fmt: skip
_PEOPLE = frozenset({
    "guy", "man", "woman", "girl", "boy", "lady", "person", "kid", "dude", "player", "child", "male", "female",
})  # fmt: skip
_RELATIONS = frozenset({
    "next", "beside", "behind", "near", "by", "under", "above", "below", "over", "between", "against", "facing",
    "towards", "toward", "holding", "with", "on", "in", "carrying", "riding", "looking", "touching", "closest",
})  # fmt: skip
_WORN = frozenset({"in", "with", "on"})  # relations that may introduce what a person wears
_WEARS = frozenset({"wearing", "wears", "wear"})
_WORD = re.compile(r"[a-z]+")
_LEVELS = 32  # a channel's levels in the table of colour names


def colour_names(pixels_N3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Which of `COLOURS` each pixel has.

    Args:
        pixels_N3: RGB.

    Returns:
        Numbers into `COLOURS`, (N,).
    """
    step = 256 // _LEVELS
    levels_N3 = (pixels_N3 // step).astype(np.int32)
    names_N: NDArray[np.uint8] = _table()[(levels_N3[:, 0] * _LEVELS + levels_N3[:, 1]) * _LEVELS + levels_N3[:, 2]]
    return names_N


@cache
def _table() -> NDArray[np.uint8]:
    """The colour name of each cell of RGB space, red slowest."""
    step = 256 // _LEVELS
    axis = np.arange(_LEVELS) * step + step // 2
    cells_N3 = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(1, -1, 3).astype(np.uint8)
    hsv_N3 = cv2.cvtColor(cells_N3, cv2.COLOR_RGB2HSV_FULL)[0].astype(np.float64)
    hue, saturation, value = hsv_N3[:, 0] * 360 / 256, hsv_N3[:, 1] / 255, hsv_N3[:, 2] / 255
    warm = (hue < 48) | (hue >= 345)
    rules = (  # the first that holds names the colour
        ("black", (value < 0.18) | ((value < 0.3) & (saturation < 0.35))),
        ("white", (saturation < 0.14) & (value > 0.72)),
        ("grey", (saturation < 0.16) | ((saturation < 0.22) & ~warm)),
        ("tan", warm & (hue >= 12) & (hue < 48) & (saturation < 0.5) & (value > 0.55)),
        ("brown", warm & (hue >= 8) & (hue < 48) & (value < 0.62)),
        ("pink", ((hue >= 295) & (hue < 345)) | (((hue >= 345) | (hue < 12)) & (saturation < 0.5) & (value > 0.6))),
        ("brown", ((hue >= 345) | (hue < 8)) & (saturation < 0.45)),
        ("red", (hue >= 345) | (hue < 14)),
        ("orange", hue < 42),
        ("yellow", hue < 68),
        ("green", hue < 168),
        ("blue", hue < 258),
        ("purple", hue < 295),
    )
    names = np.select([rule for _, rule in rules], [COLOURS.index(name) for name, _ in rules])
    return names.astype(np.uint8)


def colour_shares(image_HWC: NDArray[np.uint8], mask_HW: NDArray[np.bool_], cut_below: bool) -> NDArray[np.float32]:
    """How much of each part of an object has each colour.

    Upper and lower part are where a standing person wears a shirt and trousers. Of one who is cut off by the lower
    edge of the photo and as wide as seated people are, only the upper part is seen.

    Args:
        image_HWC: RGB, cut to the object's box.
        mask_HW: the object in it.
        cut_below: whether the photo ends where the object does.

    Returns:
        Shares in [0, 1] as (parts, colours), in the order of `PARTS` and `COLOURS`; all 0 where a part is not seen.
    """
    height, width = mask_HW.shape
    bust = cut_below and height < 1.6 * width
    bands = {"whole": (0.0, 1.0), "upper": (0.45, 1.0) if bust else (0.2, 0.48), "lower": (0.55, 0.85)}
    shares = np.zeros((len(PARTS), len(COLOURS)), dtype=np.float32)
    for number, part in enumerate(PARTS):
        if bust and part == "lower":
            continue
        rows = slice(*(round(share * height) for share in bands[part]))
        pixels_N3 = image_HWC[rows][mask_HW[rows]]
        if len(pixels_N3):
            counts = np.bincount(colour_names(pixels_N3), minlength=len(COLOURS))
            shares[number] = counts / len(pixels_N3)
    return shares


def demanded_colours(expressions: Iterable[str], person: bool) -> Demands:
    """The colours that expressions give to the object that they name, as far as a few rules can tell.

    A colour before trousers or the like is that of the lower part, before hair, hats and shoes that of none that is
    measured, and after a relation ("next to the red car") that of something else. "In red" is what a person wears.

    Args:
        expressions: of one object.
        person: whether the object is a person.
    """
    found: set[tuple[Part, str]] = set()
    for text in expressions:
        words = _WORD.findall(text.lower())
        elsewhere = False
        for at, word in enumerate(words):
            if word in _WEARS or (person and word in _WORN):
                elsewhere = elsewhere and word not in _WEARS
            elif word in _RELATIONS:
                elsewhere = True
            elif word in _WORDS and not elsewhere:
                following = next((other for other in words[at + 1 :] if other not in _WORDS and other != "and"), "")
                before = words[at - 1] if at > 0 else ""
                part = _part_of(following, before, person)
                if part is not None:
                    found.add((part, _WORDS[word]))
    return frozenset(found)


def _part_of(following: str, before: str, person: bool) -> Part | None:
    """The part of an object that has a colour; None where it is none that is measured.

    Args:
        following: the word after the colour.
        before: the word before it.
        person: whether the object is a person.
    """
    if not person:  # "white shirt" for a dog is a mistake or the wrong box; "white" alone is its colour
        return None if following in _UPPER_WEAR | _LOWER_WEAR | _ON_HEAD else "whole"
    if following in _LOWER_WEAR:
        return "lower"
    named_first = before == "" and following in _PEOPLE  # "red guy", "blue girl"
    worn_alone = following == "" and before in {"in", *_WEARS}  # "the man in red"
    return "upper" if following in _UPPER_WEAR or named_first or worn_alone else None
