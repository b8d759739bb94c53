"""Decides what stands in a scene, before anything is painted: kinds, colours, sizes, textures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from m3att.data.shaperef.draw import pick
from m3att.data.shaperef.world import COLOURS, HELD_OUT, KINDS, PARTS, SIZES

# What train, val and testA may show, and what only testB shows.
_ALLOWED: dict[str, tuple[str, ...]] = {
    kind: tuple(colour for colour in COLOURS if (kind, colour) not in HELD_OUT) for kind in KINDS
}
_NEW: tuple[tuple[str, str], ...] = tuple(sorted(HELD_OUT))


@dataclass(frozen=True, slots=True)
class Plan:
    """An object to be painted; fields as in ``world.SceneObject``."""

    kind: str
    colour: str
    part_colour: str | None
    size: str
    texture: str


def plan_scene(rng: np.random.Generator, split: str) -> list[Plan]:
    """Draws 3 to 9 objects, in no order.

    Most scenes repeat a kind with other colours, sizes or parts, so that its name alone does not tell the object.
    A quarter are crowds of at least three of a kind, and all of ``testA`` with seven objects or more. Scenes of
    ``testB`` show combinations of kind and colour out of ``HELD_OUT``, the other splits never do.
    """
    mode = rng.random()
    if split == "testA":
        count, repeats = 7 + int(3 * rng.random()), 3 + int(3 * rng.random())
    elif mode < 0.27:  # a crowd
        count, repeats = 4 + int(5.5 * rng.random()), 3 + int(2.5 * rng.random())
    elif mode < 0.8:  # a pair, or two pairs
        count, repeats = 3 + int(5 * rng.random()), 2
    else:
        count, repeats = 3 + int(4 * rng.random()), 1
    repeats = min(repeats, count)
    size = pick(rng, SIZES) if rng.random() < 0.25 else None
    objects: list[Plan] = []
    if split == "testB":
        kind, colour = pick(rng, _NEW)
        first = _dress(rng, kind, colour, size)
        if rng.random() < 0.7:
            other_kind, other_colour = pick(rng, [pair for pair in _NEW if pair[0] != kind])
            objects.append(_dress(rng, other_kind, other_colour, None))
    else:
        kind = pick(rng, KINDS)
        first = _dress(rng, kind, pick(rng, _ALLOWED[kind]), size)
    objects.append(first)
    for _ in range(repeats - 1):
        objects.append(_sibling(rng, first, split))
    while len(objects) < count:
        if repeats == 2 and len(objects) + 1 < count and rng.random() < 0.3:
            objects.append(_stranger(rng, objects))
            objects.append(_sibling(rng, objects[-1], split))
        else:
            objects.append(_stranger(rng, objects))
    return objects


def _dress(rng: np.random.Generator, kind: str, colour: str, size: str | None) -> Plan:
    texture = rng.random()
    return Plan(
        kind=kind,
        colour=colour,
        part_colour=_other(rng, colour) if PARTS[kind] is not None else None,
        size=size or pick(rng, SIZES),
        texture="plain" if texture < 0.7 else "striped" if texture < 0.85 else "dotted",
    )


def _other(rng: np.random.Generator, *colours: str | None) -> str:
    return pick(rng, [colour for colour in COLOURS if colour not in colours])


def _sibling(rng: np.random.Generator, first: Plan, split: str) -> Plan:
    """One of the same kind: often with a single difference, sometimes with all new looks, seldom a twin."""
    allowed = _ALLOWED[first.kind]
    difference = rng.random()
    if difference < 0.08 and (split == "testB" or first.colour in allowed):
        return first
    if difference < 0.24 and (split == "testB" or first.colour in allowed):
        return replace(first, size=pick(rng, [size for size in SIZES if size != first.size]))
    if difference < 0.42 and first.part_colour and (split == "testB" or first.colour in allowed):
        return replace(first, part_colour=_other(rng, first.colour, first.part_colour))
    colour = pick(rng, [colour for colour in allowed if colour != first.colour])
    if difference < 0.7:
        part = _other(rng, colour) if first.part_colour == colour else first.part_colour
        return replace(first, colour=colour, part_colour=part)
    return _dress(rng, first.kind, colour, None)


def _stranger(rng: np.random.Generator, objects: list[Plan]) -> Plan:
    """One of a kind not yet in the scene, now and then in a colour that is."""
    present = {thing.kind for thing in objects}
    kind = pick(rng, [kind for kind in KINDS if kind not in present])
    colour = pick(rng, objects).colour
    if rng.random() < 0.55 or colour not in _ALLOWED[kind]:
        colour = pick(rng, _ALLOWED[kind])
    return _dress(rng, kind, colour, None)
