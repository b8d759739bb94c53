"""What ShapeRef's phrases mean: which objects of a scene each is surely true of, and which it might be true of.

Every phrase has two sets of objects, as bit masks: `certain` (nobody would object) and `possible` (somebody might
agree). An expression is clear when both sets of the whole come down to the same single object, so no tie and no
borderline case can slip through, however the phrases are combined.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar, cast

from m3att.data.shaperef.world import PARTS, SIZES, SceneFacts

MIN_VISIBLE_AREA = 45 / (160 * 160)  # fraction of the picture below which nobody points at an object
MIN_VISIBLE_SHARE = 0.25  # of the object's own area
EXTREME_LEAD = 0.06  # of the picture's side, by which the leftmost (highest, ...) object leads
ORDINAL_GAP = 0.05  # between successive objects that are counted off
AREA_LEAD = 1.3  # ratio of areas from which on one object is plainly the larger

Method = TypeVar("Method", bound=Callable[..., Any])


class Extension(NamedTuple):
    """Objects that a phrase is true of, as bit masks over the scene's objects."""

    certain: int
    possible: int

    def __and__(self, other: Extension) -> Extension:
        return Extension(self.certain & other.certain, self.possible & other.possible)

    def is_only(self, index: int) -> bool:
        """Whether the phrase is clearly true of this object and of no other."""
        return self.certain == self.possible == 1 << index

    def is_crisp(self) -> bool:
        """Whether no object is a borderline case."""
        return self.certain == self.possible


def members(mask: int) -> list[int]:
    """Positions of a mask's set bits, ascending."""
    return [index for index in range(mask.bit_length()) if mask >> index & 1]


def remembered(method: Method) -> Method:
    """Answers a question about a scene, put by position, once: drafts ask the same ones over and over."""

    @functools.wraps(method)
    def answer(self: View, *question: Any) -> Any:
        key = (method, question)
        if key not in self.answers:
            self.answers[key] = method(self, *question)
        return self.answers[key]

    return cast(Method, answer)


class View:
    """A scene as a speaker sees it: each phrase of the language looked up in it gives an `Extension`.

    Args:
        facts: the scene.
    """

    def __init__(self, facts: SceneFacts) -> None:
        self.answers: dict[tuple[object, ...], Any] = {}
        self.objects = facts.objects
        self.count = len(facts.objects)
        self.everyone = (1 << self.count) - 1
        width, height = facts.width, facts.height
        least_area = MIN_VISIBLE_AREA * width * height
        self.share = [thing.visible_area / max(thing.full_area, 1) for thing in facts.objects]
        self.seen = self._bits(
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
        self.all = Extension(self.seen, self.everyone)

    @staticmethod
    def _bits(indices: Iterable[int]) -> int:
        mask = 0
        for index in indices:
            mask |= 1 << index
        return mask

    def negate(self, extension: Extension) -> Extension:
        """Extension of "not ...": certain where the phrase is surely false."""
        return Extension(self.seen & ~extension.possible, self.everyone & ~extension.certain)

    @remembered
    def kinds(self, kinds: frozenset[str], possible: frozenset[str]) -> Extension:
        """Objects of these kinds, of which some only might be called by the noun."""
        certain_bits = self._bits(index for index, thing in enumerate(self.objects) if thing.kind in kinds)
        possible_bits = self._bits(index for index, thing in enumerate(self.objects) if thing.kind in possible)
        return Extension(certain_bits & self.seen, possible_bits)

    @remembered
    def colour(self, colour: str) -> Extension:
        """Objects of this main colour; a person's trousers may be taken for it."""
        certain = possible = 0
        for index, thing in enumerate(self.objects):
            if thing.colour == colour:
                certain |= 1 << index
            elif thing.part_colour == colour and thing.kind == "person":
                possible |= 1 << index
        return Extension(certain & self.seen, certain | possible)

    def wearing(self, colour: str) -> Extension:
        """Persons "in" this colour."""
        persons = self.kinds(frozenset({"person"}), frozenset({"person"}))
        return persons & self.colour(colour)

    def shirt(self, colour: str) -> Extension:
        """Persons whose shirt has this colour."""
        mask = self._bits(
            i for i, thing in enumerate(self.objects) if thing.kind == "person" and thing.colour == colour
        )
        return Extension(mask & self.seen, mask)

    def part(self, part: str, colour: str) -> Extension:
        """Objects whose named part has this colour; a certain case shows most of itself."""
        certain = possible = 0
        for index, thing in enumerate(self.objects):
            if thing.part_colour == colour and PARTS[thing.kind] == part:
                possible |= 1 << index
                if self.share[index] >= 0.6:
                    certain |= 1 << index
        return Extension(certain & self.seen, possible)

    def texture(self, texture: str) -> Extension:
        """Objects with this texture."""
        mask = self._bits(index for index, thing in enumerate(self.objects) if thing.texture == texture)
        return Extension(mask & self.seen, mask)

    def size(self, size: str, target: int, mixed: bool) -> Extension:
        """Objects that are "big" (large) or "small" for what they are.

        Args:
            size: "large" or "small".
            target: the object that is to be called so.
            mixed: whether objects of several kinds are compared, where plain area could count as size too.

        Returns:
            its extension; a medium object is possible where no object of its kind is of the named size.
        """
        certain = possible = 0
        area = self.objects[target].full_area
        plain_kinds = {thing.kind for thing in self.objects if thing.size == size}
        for index, thing in enumerate(self.objects):
            if thing.size == size:
                possible |= 1 << index
                if self.share[index] >= 0.6:
                    certain |= 1 << index
            else:
                medium = thing.size == "medium" and thing.kind not in plain_kinds
                alike = thing.full_area > 0.7 * area if size == "large" else thing.full_area < 1.4 * area
                possible |= (medium or (mixed and alike)) << index
        return Extension(certain & self.seen, possible)

    def is_size_extreme(self, size: str, base: Extension, target: int, mixed: bool) -> bool:
        """Whether the target is plainly the largest (or smallest) of a set, by its whole and by what is seen of it."""
        thing = self.objects[target]
        rank, factor = SIZES.index(thing.size), AREA_LEAD + (0.3 if mixed else 0)
        if self.share[target] < 0.6 or not base.is_crisp():
            return False
        for index in members(base.possible & ~(1 << target)):
            other = self.objects[index]
            smaller, larger = (other, thing) if size == "large" else (thing, other)
            ahead = SIZES.index(other.size) - rank if size == "small" else rank - SIZES.index(other.size)
            if ahead < (0 if mixed else 1):
                return False
            if larger.full_area < factor * smaller.full_area or larger.visible_area < 1.1 * smaller.visible_area:
                return False
        return True

    @remembered
    def zone(self, zone: str) -> Extension:
        """Objects in a named zone of the picture: a half, a corner or the middle."""
        certain = possible = 0
        for index in range(self.count):
            (x0, y0), (x1, y1) = self.low[index], self.high[index]
            if zone == "middle":
                sure = x0 >= 0.38 and x1 <= 0.62 and y0 >= 0.32 and y1 <= 0.68
                maybe = x1 > 0.25 and x0 < 0.75
            else:
                sure = maybe = True
                if "left" in zone:
                    sure, maybe = sure and x1 <= 0.4, maybe and x0 < 0.52
                if "right" in zone:
                    sure, maybe = sure and x0 >= 0.6, maybe and x1 > 0.48
                if "top" in zone:
                    sure, maybe = sure and y1 <= 0.4, maybe and y0 < 0.52
                if "bottom" in zone:
                    sure, maybe = sure and y0 >= 0.6, maybe and y1 > 0.48
            certain |= sure << index
            possible |= maybe << index
        return Extension(certain & self.seen, possible)

    def ranking(self, direction: str, base: Extension) -> list[int]:
        """Objects of a set counted off from one side.

        Args:
            direction: "left", "right", "top" or "bottom", the side where the count starts.
            base: the set; it must be crisp.

        Returns:
            its objects in order, up to the first that does not clearly come before all after it.
        """
        axis = 0 if direction in ("left", "right") else 1
        indices = members(base.possible)
        if direction in ("left", "top"):
            spans = sorted((self.low[index][axis], self.high[index][axis], index) for index in indices)
        else:
            spans = sorted((-self.high[index][axis], -self.low[index][axis], index) for index in indices)
        ranked: list[int] = []
        for position, (_, end, index) in enumerate(spans):
            if any(later[0] - end < ORDINAL_GAP for later in spans[position + 1 :]):
                break
            ranked.append(index)
        return ranked

    def is_extreme(self, direction: str, base: Extension, target: int) -> bool:
        """Whether the target is clearly the leftmost (rightmost, ...) of a set, by middle and by edge."""
        axis = 0 if direction in ("left", "right") else 1
        low_side = direction in ("left", "top")
        for index in members(base.possible & ~(1 << target)):
            if low_side:
                lead = self.low[index][axis] - self.high[target][axis]
                edge = self.boxes[index][axis] - self.boxes[target][axis]
            else:
                lead = self.low[target][axis] - self.high[index][axis]
                edge = self.boxes[target][axis + 2] - self.boxes[index][axis + 2]
            if lead < EXTREME_LEAD or edge < 0:
                return False
        return base.is_crisp()

    @remembered
    def gap(self, first: int, second: int) -> float:
        """Distance between the boxes of two objects, in fractions of the picture; 0 where they touch."""
        a, b = self.boxes[first], self.boxes[second]
        return math.hypot(max(a[0] - b[2], b[0] - a[2], 0.0), max(a[1] - b[3], b[1] - a[3], 0.0))

    def is_closest(self, base: Extension, target: int, anchor: int) -> bool:
        """Whether the target is clearly nearer to the anchor than all others of a set."""
        reach, far = self.gap(target, anchor), self._spread(target, anchor)
        for index in members(base.possible & ~(1 << target) & ~(1 << anchor)):
            if self.gap(index, anchor) - reach < 0.1 or self._spread(index, anchor) - far < 0.1:
                return False
        return base.is_crisp() and reach <= 0.35

    def _spread(self, first: int, second: int) -> float:
        return math.dist(self._middle(first), self._middle(second))

    def relation(self, relation: str, anchor: int) -> Extension:
        """Objects that stand in a relation ("left", "above", "near", "behind", ...) to an anchor object."""
        return self._related[relation][anchor]

    def holds(self, relation: str, index: int, anchor: int) -> bool:
        """Whether one object that can be seen surely stands in a relation to another."""
        return bool(self._related[relation][anchor].certain >> index & 1)

    @functools.cached_property
    def _related(self) -> dict[str, list[Extension]]:
        """By relation and anchor, the objects that stand so."""
        related: dict[str, list[Extension]] = {}
        for (relation, inverse), stands in (
            (("left", "right"), functools.partial(self._is_aside, axis=0)),
            (("above", "below"), functools.partial(self._is_aside, axis=1)),
            (("behind", "front"), self._is_behind),
            (("near", "near"), self._is_near),
        ):
            certain, possible, inverse_certain, inverse_possible = ([0] * self.count for _ in range(4))
            for index in range(self.count):
                for anchor in range(self.count):
                    if index != anchor:
                        sure, maybe = stands(index, anchor)
                        certain[anchor] |= sure << index
                        possible[anchor] |= (sure or maybe) << index
                        inverse_certain[index] |= sure << anchor
                        inverse_possible[index] |= (sure or maybe) << anchor
            for name, bits, more in (
                (relation, certain, possible),
                (inverse, inverse_certain, inverse_possible),
            ):
                related[name] = [Extension(one & self.seen, other) for one, other in zip(bits, more, strict=True)]
        return related

    def _is_near(self, first: int, second: int) -> tuple[bool, bool]:
        gap = self.gap(first, second)
        return gap <= 0.07, gap <= 0.2

    def _is_behind(self, hinder: int, nearer: int) -> tuple[bool, bool]:
        maybe = self.objects[hinder].depth < self.objects[nearer].depth and self.gap(hinder, nearer) <= 0.12
        return maybe and self._hides(nearer, hinder), maybe

    def _is_aside(self, first: int, second: int, axis: int) -> tuple[bool, bool]:
        """Whether an object is to the left of another (``axis`` 0), or above it (1)."""
        start, end = self.low[second], self.high[first]
        # Beside it rather than off in a corner, and past its middle with the whole box.
        sure = (
            start[axis] - end[axis] >= 0.09
            and abs(self.low[first][1 - axis] - start[1 - axis]) <= 0.24
            and self.boxes[first][axis + 2] <= start[axis]
            and self.boxes[second][axis] >= end[axis]
        )
        return sure, self.low[first][axis] - self.high[second][axis] <= 0.02

    def _hides(self, nearer: int, hinder: int) -> bool:
        """Whether one object hides a piece of another, and nothing else can have hidden it."""
        if self.share[hinder] > 0.93 or self.gap(nearer, hinder) > 0.02:
            return False
        return not any(
            self.objects[index].depth > self.objects[hinder].depth and self.gap(index, hinder) <= 0.03
            for index in range(self.count)
            if index not in (nearer, hinder)
        )

    @remembered
    def between(self, first: int, second: int) -> Extension:
        """Objects that stand between two others."""
        certain = possible = 0
        (ax, ay), (bx, by) = self._middle(first), self._middle(second)
        length = math.hypot(bx - ax, by - ay)
        for index in range(self.count):
            if index in (first, second) or length < 0.25:
                continue
            x, y = self._middle(index)
            along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length**2
            aside = abs((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / length
            certain |= (0.25 <= along <= 0.75 and aside <= 0.08) << index
            possible |= (-0.1 <= along <= 1.1 and aside <= 0.25) << index
        return Extension(certain & self.seen, possible)

    def _middle(self, index: int) -> tuple[float, float]:
        (x0, y0), (x1, y1) = self.low[index], self.high[index]
        return (x0 + x1) / 2, (y0 + y1) / 2
