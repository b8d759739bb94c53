"""Where a scene's objects stand: their places in the picture, and the relations between two or three of them."""

from __future__ import annotations

import functools
import math
from typing import Any

from m3att.data.shaperef.extension import Extension, bits, members, remembered
from m3att.data.shaperef.world import SceneFacts

MIN_VISIBLE_AREA = 45 / (160 * 160)  # fraction of the picture below which nobody points at an object
MIN_VISIBLE_SHARE = 0.25  # of the object's own area


class Places:
    """What can be seen of each object, and where.

    Args:
        facts: the scene.
    """

    def __init__(self, facts: SceneFacts) -> None:
        self.count = len(facts.objects)
        width, height = facts.width, facts.height
        least_area = MIN_VISIBLE_AREA * width * height
        self.share = [thing.visible_area / max(thing.full_area, 1) for thing in facts.objects]
        self.seen = bits(
            index
            for index, thing in enumerate(facts.objects)
            if thing.visible_area >= least_area and self.share[index] >= MIN_VISIBLE_SHARE
        )
        # Boxes and positions as fractions of the picture. A position is an interval, since an object that is partly
        # hidden has two middles: that of what is seen of it, and that of the whole.
        self.boxes = [
            (thing.box[0] / width, thing.box[1] / height, thing.box[2] / width, thing.box[3] / height)
            for thing in facts.objects
        ]
        self.low: list[tuple[float, float]] = []
        self.high: list[tuple[float, float]] = []
        for thing, box in zip(facts.objects, self.boxes, strict=True):
            x, y = thing.centre[0] / width, thing.centre[1] / height
            seen_x, seen_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            self.low.append((min(x, seen_x), min(y, seen_y)))
            self.high.append((max(x, seen_x), max(y, seen_y)))

    def middle(self, index: int) -> tuple[float, float]:
        """Middle of an object, as (x, y) in fractions of the picture."""
        (x0, y0), (x1, y1) = self.low[index], self.high[index]
        return (x0 + x1) / 2, (y0 + y1) / 2

    @functools.cached_property
    def gaps(self) -> list[list[float]]:
        """Distance between the boxes of any two objects, in fractions of the picture; 0 where they touch."""
        found = [[0.0] * self.count for _ in range(self.count)]
        for first, a in enumerate(self.boxes):
            for second in range(first):
                b = self.boxes[second]
                gap = math.hypot(max(a[0] - b[2], b[0] - a[2], 0.0), max(a[1] - b[3], b[1] - a[3], 0.0))
                found[first][second] = found[second][first] = gap
        return found

    def spread(self, first: int, second: int) -> float:
        """Distance between the middles of two objects, in fractions of the picture."""
        return math.dist(self.middle(first), self.middle(second))


class Relations:
    """How objects stand to each other: "left of", "behind", "near", "between".

    Args:
        facts: the scene.
        places: of its objects.
    """

    def __init__(self, facts: SceneFacts, places: Places) -> None:
        self.answers: dict[tuple[object, ...], Any] = {}
        self.depths = [thing.depth for thing in facts.objects]
        self.places = places

    def is_closest(self, base: Extension, target: int, anchor: int) -> bool:
        """Whether the target is clearly nearer to the anchor than all others of a set.

        Args:
            base: the set.
            target: number of the object.
            anchor: number of the object that it is near to.
        """
        reach, far = self.places.gaps[target][anchor], self.places.spread(target, anchor)
        for index in members(base.possible & ~(1 << target) & ~(1 << anchor)):
            if self.places.gaps[index][anchor] - reach < 0.1 or self.places.spread(index, anchor) - far < 0.1:
                return False
        return base.is_crisp() and reach <= 0.35

    def related(self, relation: str, anchor: int) -> Extension:
        """Objects that stand in a relation ("left", "above", "near", "behind", ...) to an anchor object."""
        return self._table[relation][anchor]

    def holds(self, relation: str, index: int, anchor: int) -> bool:
        """Whether one object that can be seen surely stands in a relation to another.

        Args:
            relation: its name.
            index: number of the object.
            anchor: number of the object that it stands in relation to.
        """
        return bool(self._table[relation][anchor].certain >> index & 1)

    @functools.cached_property
    def _table(self) -> dict[str, list[Extension]]:
        """By relation and anchor, the objects that stand so."""
        related: dict[str, list[Extension]] = {}
        for (relation, inverse), stands in (
            (("left", "right"), functools.partial(self._is_aside, axis=0)),
            (("above", "below"), functools.partial(self._is_aside, axis=1)),
            (("behind", "front"), self._is_behind),
            (("near", "near"), self._is_near),
        ):
            certain, possible, inverse_certain, inverse_possible = ([0] * self.places.count for _ in range(4))
            for index in range(self.places.count):
                for anchor in range(self.places.count):
                    if index != anchor:
                        sure, maybe = stands(index, anchor)
                        certain[anchor] |= sure << index
                        possible[anchor] |= (sure or maybe) << index
                        inverse_certain[index] |= sure << anchor
                        inverse_possible[index] |= (sure or maybe) << anchor
            for name, sure_bits, maybe_bits in (
                (relation, certain, possible),
                (inverse, inverse_certain, inverse_possible),
            ):
                related[name] = [
                    Extension(one & self.places.seen, other) for one, other in zip(sure_bits, maybe_bits, strict=True)
                ]
        return related

    def _is_near(self, first: int, second: int) -> tuple[bool, bool]:
        gap = self.places.gaps[first][second]
        return gap <= 0.07, gap <= 0.2

    def _is_behind(self, hinder: int, nearer: int) -> tuple[bool, bool]:
        maybe = self.depths[hinder] < self.depths[nearer] and self.places.gaps[hinder][nearer] <= 0.12
        return maybe and self._hides(nearer, hinder), maybe

    def _is_aside(self, first: int, second: int, axis: int) -> tuple[bool, bool]:
        """Whether an object is to the left of another (``axis`` 0), or above it (1)."""
        start, end = self.places.low[second], self.places.high[first]
        # Beside it rather than off in a corner, and past its middle with the whole box.
        sure = (
            start[axis] - end[axis] >= 0.09
            and abs(self.places.low[first][1 - axis] - start[1 - axis]) <= 0.24
            and self.places.boxes[first][axis + 2] <= start[axis]
            and self.places.boxes[second][axis] >= end[axis]
        )
        return sure, self.places.low[first][axis] - self.places.high[second][axis] <= 0.02

    def _hides(self, nearer: int, hinder: int) -> bool:
        """Whether one object hides a piece of another, and nothing else can have hidden it."""
        if self.places.share[hinder] > 0.93 or self.places.gaps[nearer][hinder] > 0.02:
            return False
        return not any(
            self.depths[index] > self.depths[hinder] and self.places.gaps[index][hinder] <= 0.03
            for index in range(self.places.count)
            if index not in (nearer, hinder)
        )

    @remembered
    def between(self, first: int, second: int) -> Extension:
        """Objects that stand between two others."""
        certain = possible = 0
        (ax, ay), (bx, by) = self.places.middle(first), self.places.middle(second)
        length = math.hypot(bx - ax, by - ay)
        for index in range(self.places.count):
            if index in (first, second) or length < 0.25:
                continue
            x, y = self.places.middle(index)
            along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length**2
            aside = abs((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / length
            certain |= (0.25 <= along <= 0.75 and aside <= 0.08) << index
            possible |= (-0.1 <= along <= 1.1 and aside <= 0.25) << index
        return Extension(certain & self.places.seen, possible)
