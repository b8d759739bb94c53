"""ShapeRef's world: the objects of a scene, and the properties by which expressions name them.

Both halves of the generator share only this file: ``draw.py`` paints objects, ``expressions.py`` talks about them.
"""

from __future__ import annotations

from dataclasses import dataclass

# Part of each composite kind that carries a colour of its own, and can be named.
PARTS: dict[str, str | None] = {
    "person": "trousers",  # a person's own colour is that of the shirt: "the person in red"
    "car": "roof",
    "house": "roof",
    "boat": "sail",
    "fish": "tail",
    "bird": "wing",
    "cup": "band",
    "flower": "centre",
    "mushroom": "stem",
    "lamp": "base",
    "tree": None,
    "ball": None,
    "star": None,
    "box": None,
    "heart": None,
    "ring": None,
}
KINDS: tuple[str, ...] = tuple(PARTS)
COLOURS: tuple[str, ...] = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "cyan",
)  # fmt: skip
SIZES: tuple[str, ...] = ("small", "medium", "large")
TEXTURES: tuple[str, ...] = ("plain", "striped", "dotted")

# Combinations of kind and main colour that only testB shows: two colours a kind, each colour held out for some kinds.
HELD_OUT: frozenset[tuple[str, str]] = frozenset(
    (kind, COLOURS[(3 * number + step) % len(COLOURS)]) for number, kind in enumerate(KINDS) for step in (0, 5)
)


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object of a scene, by what a speaker could say of it.

    Args:
        kind: one of ``KINDS``.
        colour: main colour (a person's: the shirt), one of ``COLOURS``.
        part_colour: colour of the part that ``PARTS`` names, never the main colour; None where the kind has none.
        size: one of ``SIZES``; sizes of one scene differ by clear steps, so that no object lies between two words.
        texture: one of ``TEXTURES``.
        box: XYXY in pixels, around the visible part of the object.
        centre: (x, y) in pixels, middle of the object's full box (its hidden part included).
        visible_area: pixels of its mask.
        full_area: pixels it would have with nothing in front of it.
        depth: drawing order, 0 is the hindmost.
    """

    kind: str
    colour: str
    part_colour: str | None
    size: str
    texture: str
    box: tuple[float, float, float, float]
    centre: tuple[float, float]
    visible_area: int
    full_area: int
    depth: int


@dataclass(frozen=True, slots=True)
class SceneFacts:
    """All that can be said of a scene: its size in pixels and its objects, in drawing order."""

    height: int
    width: int
    objects: tuple[SceneObject, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """One expression that is true of exactly one object of its scene.

    Args:
        object_index: which object of ``SceneFacts.objects``.
        text: the words, as a person would type them.
        skills: sorted tags out of ``SKILLS``, what it takes to understand the text.
    """

    object_index: int
    text: str
    skills: tuple[str, ...]


SKILLS: tuple[str, ...] = (
    "kind", "colour", "size", "part", "place", "order", "relation", "negation", "crowd", "long",
)  # fmt: skip
VARIANTS: tuple[str, ...] = ("shaperef", "shaperef+", "shaperefg")
DRAWN_WORLD = "ShapeRef's drawn scenes"  # what a network knows that was trained on them
SPLITS: tuple[str, ...] = ("train", "val", "testA", "testB")
