"""The evaluator's own geometry: looser than the generator's, so that a near tie shows as two objects."""

from __future__ import annotations

import math

from m3att.data.shaperef.world import SceneFacts

MIRRORED = {"right": "left", "below": "above", "front": "behind"}


class Geometry:
    """Sizes, places, order and relations of a scene's objects, all in fractions of the picture.

    Args:
        facts: the scene.
    """

    def __init__(self, facts: SceneFacts) -> None:
        self.facts, self.things = facts, facts.objects

    def middles(self, i: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Middle of the whole object, and of what is seen of it."""
        thing, width, height = self.things[i], self.facts.width, self.facts.height
        x0, y0, x1, y1 = thing.box
        return (thing.centre[0] / width, thing.centre[1] / height), ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height)

    def in_zone(self, i: int, zone: str, strict: bool) -> bool:
        slack = -0.05 if strict else 0.0
        inside = []
        for x, y in self.middles(i):
            if zone == "middle":
                inside.append(abs(x - 0.5) < 0.2 + slack and abs(y - 0.5) < 0.25 + slack)
                continue
            sides = {
                "left": x < 0.5 + slack,
                "right": x > 0.5 - slack,
                "top": y < 0.5 + slack,
                "bottom": y > 0.5 - slack,
            }
            inside.append(all(sides[word] for word in zone.split()))
        return all(inside) if strict else any(inside)

    def sized(self, i: int, size: str, mixed: bool, strict: bool) -> bool:
        thing = self.things[i]
        if thing.size == size or strict:
            return thing.size == size
        if thing.size == "medium" and not any(o.size == size for o in self.things if o.kind == thing.kind):
            return True
        areas = [o.full_area for o in self.things if o.size == size]
        if not mixed or not areas:
            return False
        return thing.full_area > max(areas) if size == "large" else thing.full_area < min(areas)

    def extreme(self, found: list[int], size: str) -> list[int]:
        areas = {i: float(self.things[i].full_area) for i in found}
        if size == "large":
            return [i for i in found if areas[i] > 0.85 * max(areas.values())]
        return [i for i in found if areas[i] < 1.15 * min(areas.values())]

    def counted(self, found: list[int], side: str, rank: int) -> list[int]:
        """Whatever stands at this place of the count, by either middle, or within a hair of it."""
        if rank >= len(found):
            return []
        axis, sign = (0 if side in ("left", "right") else 1), (1 if side in ("left", "top") else -1)
        chosen = set()
        for which in (0, 1):
            at = {i: sign * self.middles(i)[which][axis] for i in found}
            wanted = sorted(at.values())[rank]
            chosen |= {i for i in found if abs(at[i] - wanted) < 0.03}
        return sorted(chosen)

    def gap(self, i: int, j: int) -> float:
        a, b, width, height = self.things[i].box, self.things[j].box, self.facts.width, self.facts.height
        across = max(a[0], b[0]) - min(a[2], b[2])
        down = max(a[1], b[1]) - min(a[3], b[3])
        return math.hypot(max(across, 0) / width, max(down, 0) / height)

    def closest(self, found: list[int], anchor: int) -> list[int]:
        rivals = [i for i in found if i != anchor]
        gaps = {i: self.gap(i, anchor) for i in rivals}
        ways = {i: math.dist(self.middles(i)[1], self.middles(anchor)[1]) for i in rivals}
        return [
            i for i in rivals if gaps[i] < min(gaps.values()) + 0.05 or ways[i] < min(ways.values()) + 0.05
        ]  # fmt: skip

    def relates(self, relation: str, i: int, j: int) -> bool:
        if relation in MIRRORED:
            return self.relates(MIRRORED[relation], j, i)
        if relation == "near":
            return self.gap(i, j) < 0.14
        if relation == "behind":
            return self.things[i].depth < self.things[j].depth and self.gap(i, j) < 0.06
        axis = 0 if relation == "left" else 1
        return any(a[axis] < b[axis] for a, b in zip(self.middles(i), self.middles(j), strict=True))

    def between(self, i: int, j: int, k: int) -> bool:
        """Whether one object lies near the stretch from a second to a third, by either middle."""
        for middle, start, end in zip(self.middles(i), self.middles(j), self.middles(k), strict=True):
            detour = math.dist(start, middle) + math.dist(middle, end) - math.dist(start, end)
            if i not in (j, k) and detour < 0.06 and min(math.dist(start, middle), math.dist(middle, end)) > 0.05:
                return True
        return False
