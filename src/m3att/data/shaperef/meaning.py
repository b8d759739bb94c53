"""What ShapeRef's phrases mean: which objects of a scene each is surely true of, and which it might be true of.

Every phrase has two sets of objects, as bit masks: `certain` (nobody would object) and `possible` (somebody might
agree). An expression is clear when both sets of the whole come down to the same single object, so no tie and no
borderline case can slip through, however the phrases are combined.
"""

from __future__ import annotations

from typing import Any

from m3att.data.shaperef.extension import Extension, bits, members, remembered
from m3att.data.shaperef.relations import Places, Relations
from m3att.data.shaperef.world import PARTS, SIZES, SceneFacts

EXTREME_LEAD = 0.06  # of the picture's side, by which the leftmost (highest, ...) object leads
ORDINAL_GAP = 0.05  # between successive objects that are counted off
AREA_LEAD = 1.3  # ratio of areas from which on one object is plainly the larger


class View:
    """A scene as a speaker sees it: each phrase of the language looked up in it gives an `Extension`.

    Args:
        facts: the scene.
    """

    def __init__(self, facts: SceneFacts) -> None:
        self.answers: dict[tuple[object, ...], Any] = {}
        self.objects = facts.objects
        self.places = Places(facts)
        self.relations = Relations(facts, self.places)
        self.seen = self.places.seen
        self.everyone = (1 << len(self.objects)) - 1
        self.all = Extension(self.seen, self.everyone)

    def negate(self, extension: Extension) -> Extension:
        """Extension of "not ...": certain where the phrase is surely false."""
        return Extension(self.seen & ~extension.possible, self.everyone & ~extension.certain)

    @remembered
    def kinds(self, kinds: frozenset[str], possible: frozenset[str]) -> Extension:
        """Objects of these kinds, of which some only might be called by the noun."""
        certain_bits = bits(index for index, thing in enumerate(self.objects) if thing.kind in kinds)
        possible_bits = bits(index for index, thing in enumerate(self.objects) if thing.kind in possible)
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
        mask = bits(i for i, thing in enumerate(self.objects) if thing.kind == "person" and thing.colour == colour)
        return Extension(mask & self.seen, mask)

    def part(self, part: str, colour: str) -> Extension:
        """Objects whose named part has this colour; a certain case shows most of itself."""
        certain = possible = 0
        for index, thing in enumerate(self.objects):
            if thing.part_colour == colour and PARTS[thing.kind] == part:
                possible |= 1 << index
                if self.places.share[index] >= 0.6:
                    certain |= 1 << index
        return Extension(certain & self.seen, possible)

    def texture(self, texture: str) -> Extension:
        """Objects with this texture."""
        mask = bits(index for index, thing in enumerate(self.objects) if thing.texture == texture)
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
                if self.places.share[index] >= 0.6:
                    certain |= 1 << index
            else:
                medium = thing.size == "medium" and thing.kind not in plain_kinds
                alike = thing.full_area > 0.7 * area if size == "large" else thing.full_area < 1.4 * area
                possible |= (medium or (mixed and alike)) << index
        return Extension(certain & self.seen, possible)

    def is_size_extreme(self, size: str, base: Extension, target: int, mixed: bool) -> bool:
        """Whether the target is plainly the largest (or smallest) of a set, by its whole and by what is seen of it.

        Args:
            size: of SIZES.
            base: the set.
            target: number of the object.
            mixed: whether the set holds several kinds, of which one must lead by more.
        """
        thing = self.objects[target]
        rank, factor = SIZES.index(thing.size), AREA_LEAD + (0.3 if mixed else 0)
        if self.places.share[target] < 0.6 or not base.is_crisp():
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
        for index in range(len(self.objects)):
            (x0, y0), (x1, y1) = self.places.low[index], self.places.high[index]
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
            spans = sorted((self.places.low[index][axis], self.places.high[index][axis], index) for index in indices)
        else:
            spans = sorted((-self.places.high[index][axis], -self.places.low[index][axis], index) for index in indices)
        ranked: list[int] = []
        for position, (_, end, index) in enumerate(spans):
            if any(later[0] - end < ORDINAL_GAP for later in spans[position + 1 :]):
                break
            ranked.append(index)
        return ranked

    def is_extreme(self, direction: str, base: Extension, target: int) -> bool:
        """Whether the target is clearly the leftmost (rightmost, ...) of a set, by middle and by edge.

        Args:
            direction: left, right, top or bottom.
            base: the set.
            target: number of the object.
        """
        axis = 0 if direction in ("left", "right") else 1
        low_side = direction in ("left", "top")
        for index in members(base.possible & ~(1 << target)):
            if low_side:
                lead = self.places.low[index][axis] - self.places.high[target][axis]
                edge = self.places.boxes[index][axis] - self.places.boxes[target][axis]
            else:
                lead = self.places.low[target][axis] - self.places.high[index][axis]
                edge = self.places.boxes[target][axis + 2] - self.places.boxes[index][axis + 2]
            if lead < EXTREME_LEAD or edge < 0:
                return False
        return base.is_crisp()
