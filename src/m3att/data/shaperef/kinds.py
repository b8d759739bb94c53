"""The shapes of ShapeRef's kinds: each design is a stack of polygons in unit coordinates, each with a paint.

Coordinates: x to the right, y down, the object roughly inside [-0.5, 0.5].
"""

from __future__ import annotations

import math
from collections.abc import Callable

from m3att.data.shaperef.living import bird, fish, flower, mushroom, person, tree
from m3att.data.shaperef.outlines import Points, Shape, arc, crescent, ellipse, rect

# Designs of each kind.
DESIGNS = 3
# Paints: "main", its lighter and darker forms, and "part" are the object's own colours; "skin", "hair" and "wood" are
# drawn anew for each object; "clear" cuts a hole; the others are the same everywhere.


def face(x: float, y: float, scale: float) -> list[Shape]:
    """Two eyes and a smile around (x, y).

    Args:
        x: of its middle.
        y: of its middle.
        scale: its width.
    """
    return [
        (ellipse(x - 0.10 * scale, y, 0.035 * scale, 0.05 * scale, corners=12), "ink"),
        (ellipse(x + 0.10 * scale, y, 0.035 * scale, 0.05 * scale, corners=12), "ink"),
        (crescent(x, y + 0.04 * scale, 0.075 * scale, 0.075 * scale, 20, 160, 0.035 * scale), "ink"),
    ]


def wheel(x: float, y: float, r: float) -> list[Shape]:
    """A wheel of radius r around (x, y).

    Args:
        x: of its middle.
        y: of its middle.
        r: radius.
    """
    return [(ellipse(x, y, r), "ink"), (ellipse(x, y, 0.5 * r, corners=14), "steel")]


def window(x0: float, y0: float, x1: float, y1: float) -> list[Shape]:
    """A window of two panes.

    Args:
        x0: left edge.
        y0: upper edge.
        x1: right edge.
        y1: lower edge.
    """
    middle = (x0 + x1) / 2
    return [
        (rect(x0, y0, x1, y1), "snow"),
        (rect(x0 + 0.025, y0 + 0.025, middle - 0.01, y1 - 0.025), "glass"),
        (rect(middle + 0.01, y0 + 0.025, x1 - 0.025, y1 - 0.025), "glass"),
    ]


def car(design: int) -> list[Shape]:
    """The shapes of one design of a car, from the back to the front."""
    if design == 0:
        cabin: Points = [(-0.27, 0), (-0.18, -0.22), (0.14, -0.22), (0.28, 0)]
        panes: list[Points] = [[(-0.20, -0.01), (-0.14, -0.15), (-0.03, -0.15), (-0.03, -0.01)],
                               [(0.02, -0.01), (0.02, -0.15), (0.11, -0.15), (0.20, -0.01)]]  # fmt: skip
        body = rect(-0.5, -0.03, 0.5, 0.2, 0.09)
    elif design == 1:  # a van
        cabin = rect(-0.46, -0.33, 0.36, 0.02, 0.08)
        panes = [rect(-0.38, -0.18, -0.17, -0.03), rect(-0.12, -0.18, 0.09, -0.03),
                 [(0.14, -0.18), (0.29, -0.18), (0.34, -0.03), (0.14, -0.03)]]  # fmt: skip
        body = rect(-0.48, -0.06, 0.48, 0.22, 0.07)
    else:  # a round little car
        cabin = arc(-0.02, 0.02, 0.31, 0.32, 180, 360)
        panes = [[*arc(-0.02, 0.0, 0.21, 0.21, 180, 262, 8), (-0.05, 0.0)],
                 [*arc(-0.02, 0.0, 0.21, 0.21, 278, 360, 8), (0.01, 0.0)]]  # fmt: skip
        body = [*arc(0, 0.13, 0.47, 0.19, 180, 360, 20), (0.47, 0.2), (-0.47, 0.2)]
    shapes: list[Shape] = [(cabin, "part")]
    shapes += [(pane, "glass") for pane in panes]
    shapes.append((body, "main"))
    shapes.append((rect(-0.46, 0.12, 0.46, 0.17), "main_dark"))
    shapes.append((ellipse(0.43, 0.07, 0.04, 0.05, corners=14), "lemon"))
    return shapes + wheel(-0.26, 0.2, 0.125) + wheel(0.27, 0.2, 0.125)


def house(design: int) -> list[Shape]:
    """The shapes of one design of a house, from the back to the front."""
    if design == 0:
        walls, roof = rect(-0.38, -0.08, 0.38, 0.45), [(-0.5, -0.06), (0.0, -0.48), (0.5, -0.06)]
        shapes: list[Shape] = [(rect(0.18, -0.44, 0.29, -0.15), "brick"), (walls, "main"), (roof, "part")]
        shapes += window(-0.30, 0.06, -0.06, 0.28)
        shapes += [(rect(0.07, 0.10, 0.26, 0.45), "wood"), (ellipse(0.22, 0.29, 0.02, corners=8), "lemon")]
    elif design == 1:  # tall, with two floors
        shapes = [(rect(-0.29, -0.16, 0.29, 0.5), "main"), ([(-0.38, -0.14), (0.0, -0.5), (0.38, -0.14)], "part")]
        shapes += window(-0.22, -0.07, -0.03, 0.11) + window(0.04, -0.07, 0.23, 0.11)
        shapes += [*window(-0.22, 0.2, -0.03, 0.38), (rect(0.06, 0.2, 0.22, 0.5), "wood")]
    else:  # a wide cottage with a hipped roof
        shapes = [(rect(-0.45, -0.02, 0.45, 0.36), "main"),
                  ([(-0.53, 0.01), (-0.33, -0.33), (0.33, -0.33), (0.53, 0.01)], "part")]  # fmt: skip
        shapes += window(-0.37, 0.07, -0.14, 0.24) + window(0.14, 0.07, 0.37, 0.24)
        shapes += [(rect(-0.085, 0.06, 0.085, 0.36), "wood")]
    return shapes


def boat(design: int) -> list[Shape]:
    """The shapes of one design of a boat, from the back to the front."""
    hull: Points = [(-0.5, 0.18), (0.5, 0.18), (0.36, 0.42), (-0.34, 0.42)]
    shapes: list[Shape] = [(rect(-0.035, -0.5, 0.015, 0.2), "wood")]
    if design == 0:
        shapes += [([(0.03, -0.46), (0.44, 0.11), (0.03, 0.11)], "part"),
                   ([(-0.06, -0.38), (-0.06, 0.11), (-0.36, 0.11)], "part")]  # fmt: skip
    elif design == 1:
        shapes.append(([(0.02, -0.47), *arc(0.03, -0.17, 0.34, 0.29, 270, 450, 12), (0.02, 0.12)], "part"))
        hull = [(-0.5, 0.14), (-0.3, 0.19), (0.3, 0.19), (0.5, 0.1), (0.34, 0.42), (-0.32, 0.42)]
    else:
        shapes += [([(-0.34, -0.36), (0.32, -0.36), (0.4, 0.08), (-0.42, 0.08)], "part")]
        hull = arc(0, 0.15, 0.5, 0.29, 0, 180, 16)
    shapes.append((hull, "main"))
    shapes.append(([(-0.46, 0.19), (0.46, 0.19), (0.43, 0.245), (-0.43, 0.245)], "main_light"))
    return shapes


def cup(design: int) -> list[Shape]:
    """The shapes of one design of a cup, from the back to the front."""
    if design == 0:  # a mug
        top, bottom, y0, y1 = 0.3, 0.27, -0.36, 0.4
    elif design == 1:  # a wide tea cup
        top, bottom, y0, y1 = 0.36, 0.2, -0.22, 0.3
    else:  # tall
        top, bottom, y0, y1 = 0.27, 0.19, -0.44, 0.44
    middle = (y0 + y1) / 2
    shift = -0.07

    def half_width(y: float) -> float:
        return top + (bottom - top) * (y - y0) / (y1 - y0)

    def slab(a: float, b: float) -> Points:
        return [*arc(shift, a, half_width(a), 0.05, 180, 0, 8), *arc(shift, b, half_width(b), 0.05, 0, 180, 10)]

    handle = 0.42 * (y1 - y0) / 2 + 0.04
    x = shift + half_width(middle) - 0.02
    return [
        (ellipse(x, middle - 0.03, 0.2, handle), "main_dark"),
        (ellipse(x, middle - 0.03, 0.115, handle - 0.085, corners=18), "clear"),
        (slab(y0, y1), "main"),
        (slab(middle - 0.1, middle + 0.12), "part"),
        (ellipse(shift, y0, top, 0.075), "main_light"),
        (ellipse(shift, y0 + 0.012, top - 0.05, 0.05), "coffee"),
    ]


def lamp(design: int) -> list[Shape]:
    """The shapes of one design of a lamp, from the back to the front."""
    if design == 0:  # a table lamp with a round base
        return [(rect(-0.035, -0.1, 0.035, 0.3), "steel"), (ellipse(0, 0.26, 0.2, 0.19), "part"),
                (rect(-0.19, 0.4, 0.19, 0.48, 0.03), "part"),
                ([(-0.19, -0.48), (0.19, -0.48), (0.37, 0.02), (-0.37, 0.02)], "main")]  # fmt: skip
    if design == 1:  # a dome on a stand
        return [(rect(-0.035, -0.1, 0.035, 0.4), "steel"),
                ([(-0.11, 0.26), (0.11, 0.26), (0.29, 0.48), (-0.29, 0.48)], "part"),
                (ellipse(0, -0.06, 0.13, 0.09), "lemon"),
                ([*arc(0, -0.06, 0.36, 0.4, 180, 360, 20)], "main")]  # fmt: skip
    return [(rect(-0.035, -0.1, 0.035, 0.36), "steel"),
            ([*arc(0, 0.46, 0.28, 0.21, 180, 360, 16), (0.28, 0.5), (-0.28, 0.5)], "part"),
            (rect(-0.32, -0.5, 0.32, -0.02, 0.05), "main"), (rect(-0.32, -0.12, 0.32, -0.05), "main_dark"),
            (rect(-0.32, -0.47, 0.32, -0.42), "main_dark")]  # fmt: skip


def ball(design: int) -> list[Shape]:
    """The shapes of one design of a ball, from the back to the front."""
    shapes: list[Shape] = [(ellipse(0, 0, 0.47, corners=36), "main")]
    if design == 0:
        shapes.append((ellipse(-0.17, -0.19, 0.1, 0.075, -40), "main_light"))
    elif design == 1:
        shapes += [(crescent(-0.5, 0, 0.42, 0.42, -50, 50, 0.05), "main_dark"),
                   (crescent(0.5, 0, 0.42, 0.42, 130, 230, 0.05), "main_dark")]  # fmt: skip
    else:
        shapes += [([(0, 0), *arc(0, 0, 0.47, 0.47, a, a + 60, 8)], "main_soft") for a in (15, 135, 255)]
        shapes.append((ellipse(0, 0, 0.08, corners=16), "main_light"))
    return shapes


def star(design: int) -> list[Shape]:
    """The shapes of one design of a star, from the back to the front."""
    inner = (0.22, 0.26, 0.28)[design]
    points = [((0.5, inner)[k % 2] * math.sin(math.pi * k / 5), -(0.5, inner)[k % 2] * math.cos(math.pi * k / 5))
              for k in range(10)]  # fmt: skip
    shapes: list[Shape] = [(points, "main")]
    if design == 1:
        shapes += [([(0, 0), points[k], points[(k + 1) % 10]], "main_soft") for k in range(0, 10, 2)]
    elif design == 2:
        shapes += face(0, 0.0, 0.9)
    return shapes


def box(design: int) -> list[Shape]:
    """The shapes of one design of a box, from the back to the front."""
    shapes: list[Shape] = [
        (rect(-0.45, -0.2, 0.25, 0.45), "main"),
        ([(-0.45, -0.2), (-0.25, -0.42), (0.45, -0.42), (0.25, -0.2)], "main_light"),
        ([(0.25, -0.2), (0.45, -0.42), (0.45, 0.23), (0.25, 0.45)], "main_dark"),
    ]
    if design == 1:  # tied with a ribbon of its own colour
        shapes += [(rect(-0.16, -0.2, -0.04, 0.45), "main_dark"),
                   ([(-0.16, -0.2), (0.04, -0.42), (0.16, -0.42), (-0.04, -0.2)], "main_dark")]  # fmt: skip
    elif design == 2:  # planks
        shapes += [(rect(-0.45, y, 0.25, y + 0.035), "main_dark") for y in (-0.02, 0.2)]
    return shapes


def heart(design: int) -> list[Shape]:
    """The shapes of one design of a heart, from the back to the front."""
    points: Points = []
    for k in range(40):
        t = 2 * math.pi * k / 40
        y = -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 33
        points.append((0.5 * math.sin(t) ** 3, y - 0.06))
    shapes: list[Shape] = [(points, "main")]
    if design == 0:
        shapes.append((ellipse(-0.24, -0.22, 0.1, 0.065, -40), "main_light"))
    elif design == 1:
        shapes.append((crescent(-0.2, -0.16, 0.2, 0.2, 170, 260, 0.055), "main_light"))
    else:
        shapes += face(0, -0.1, 1.0)
    return shapes


def ring(design: int) -> list[Shape]:
    """The shapes of one design of a ring, from the back to the front."""
    hole = (0.24, 0.28, 0.2)[design]
    shapes: list[Shape] = [(ellipse(0, 0, 0.48, corners=40), "main")]
    if design == 1:
        shapes.append((ellipse(0, 0, 0.38, corners=36), "main_soft"))
    elif design == 2:  # a doughnut's icing, in a lighter tone
        shapes += [(ellipse(0.33 * math.cos(a), 0.33 * math.sin(a), 0.04, corners=10), "main_light")
                   for a in (0.3, 1.4, 2.3, 3.4, 4.3, 5.4)]  # fmt: skip
    else:
        shapes.append((crescent(0, 0, 0.41, 0.41, 190, 280, 0.06), "main_light"))
    return [*shapes, (ellipse(0, 0, hole, corners=30), "clear")]


BUILDERS: dict[str, Callable[[int], list[Shape]]] = {
    "person": person, "car": car, "house": house, "boat": boat, "fish": fish, "bird": bird, "cup": cup,
    "flower": flower, "mushroom": mushroom, "lamp": lamp, "tree": tree, "ball": ball, "star": star, "box": box,
    "heart": heart, "ring": ring,
}  # fmt: skip
