"""Scenes that no painter would make: anything anywhere, ties, slivers and twins included."""

from __future__ import annotations

import numpy as np

from m3att.data.shaperef.world import COLOURS, KINDS, PARTS, SIZES, TEXTURES, SceneFacts, SceneObject


def thing(kind: str, colour: str, x: float, y: float, **others: object) -> SceneObject:
    """An object around a middle, in a picture of 160 x 160; what is not said is plain, medium and in full view.

    Args:
        kind: its kind.
        colour: its main colour.
        x: column of its middle, pixels.
        y: row of its middle, pixels.
        others: fields of ``SceneObject`` that differ from the usual, and ``side``, the box's side in pixels.
    """
    size = str(others.get("size", "medium"))
    side = float(str(others.get("side", {"small": 18, "medium": 28, "large": 42}[size])))
    full_area = int(side * side * 0.7)
    part_colour = others.get("part_colour", "white" if PARTS[kind] and colour != "white" else None)
    visible = others.get("visible", 1.0)
    assert isinstance(visible, float)
    return SceneObject(
        kind=kind,
        colour=colour,
        part_colour=None if part_colour is None else str(part_colour),
        size=size,
        texture=str(others.get("texture", "plain")),
        box=(x - side / 2, y - side / 2, x + side / 2, y + side * (visible - 0.5)),
        centre=(x, y),
        visible_area=round(full_area * visible),
        full_area=full_area,
        depth=int(str(others.get("depth", 0))),
    )


def facts(*objects: SceneObject) -> SceneFacts:
    """A picture of 160 x 160 with these objects."""
    return SceneFacts(160, 160, objects)


def random_facts(rng: np.random.Generator) -> SceneFacts:
    """3 to 9 objects, mostly with several of a kind."""
    crowd_kind = KINDS[rng.integers(len(KINDS))] if rng.random() < 0.7 else None
    objects = []
    for depth in range(int(rng.integers(3, 10))):
        kind = crowd_kind if crowd_kind and rng.random() < 0.5 else KINDS[rng.integers(len(KINDS))]
        colour, part_colour = (COLOURS[k] for k in rng.permutation(len(COLOURS))[:2])
        x, y = (float(value) for value in rng.uniform(20, 140, 2))
        objects.append(
            thing(
                kind,
                colour,
                x,
                y,
                part_colour=part_colour if PARTS[kind] else None,
                size=SIZES[rng.integers(3)],
                texture=TEXTURES[rng.choice(3, p=(0.5, 0.25, 0.25))],
                visible=1.0 if rng.random() < 0.75 else float(rng.uniform(0.05, 0.95)),
                depth=depth,
            )
        )
    return facts(*objects)
