"""The shapes of what lives in ShapeRef's scenes: people, animals and plants; see `kinds`."""

from __future__ import annotations

import math

from m3att.data.shaperef.outlines import Points, Shape, arc, ellipse, rect, stroke


def person(design: int) -> list[Shape]:
    """The shapes of one design of a person, from the back to the front."""
    shapes: list[Shape] = []
    if design == 1:  # long hair behind the shoulders
        shapes.append((rect(-0.15, -0.42, 0.15, -0.14, 0.09), "hair"))
    hands = ((-0.24, 0.10), (0.24, 0.10)) if design != 2 else ((-0.24, 0.10), (0.27, -0.33))
    for x, y in hands:
        shoulder = math.copysign(0.15, x)
        shapes += [(stroke(shoulder, -0.12, x, y, 0.105), "main_dark"), (ellipse(x, y, 0.055, corners=14), "skin")]
    if design == 1:  # wide trousers
        shapes.append(([(-0.14, 0.10), (0.14, 0.10), (0.22, 0.43), (0.03, 0.43), (0, 0.25), (-0.03, 0.43),
                        (-0.22, 0.43)], "part"))  # fmt: skip
    else:
        shapes += [(rect(-0.165, 0.08, -0.015, 0.44), "part"), (rect(0.015, 0.08, 0.165, 0.44), "part")]
        shapes.append((rect(-0.165, 0.08, 0.165, 0.21), "part"))
    shapes += [(rect(-0.20, 0.42, -0.01, 0.50, 0.035), "ink"), (rect(0.01, 0.42, 0.20, 0.50, 0.035), "ink")]
    shapes.append((rect(-0.185, -0.19, 0.185, 0.13, 0.07), "main"))
    shapes.append((rect(-0.05, -0.22, 0.05, -0.15), "skin"))
    shapes.append((ellipse(0, -0.335, 0.125, 0.14), "skin"))
    shapes.append(([*arc(0, -0.35, 0.14, 0.145, 180, 360), (0.07, -0.375), (-0.05, -0.395)], "hair"))
    shapes += [(ellipse(-0.045, -0.33, 0.018, 0.024, corners=8), "ink"),
               (ellipse(0.045, -0.33, 0.018, 0.024, corners=8), "ink")]  # fmt: skip
    return shapes


def fish(design: int) -> list[Shape]:
    """The shapes of one design of a fish, from the back to the front."""
    ry = (0.25, 0.31, 0.21)[design]
    tail: Points = [(-0.20, 0.0), (-0.5, -0.26), (-0.43, 0.0), (-0.5, 0.26)]
    if design == 1:
        tail = [(-0.16, 0.0), (-0.46, -0.22), (-0.5, -0.05), (-0.42, 0.0), (-0.5, 0.05), (-0.46, 0.22)]
    shapes: list[Shape] = [(tail, "part"), ([(-0.08, -ry + 0.04), (0.03, -ry - 0.13), (0.2, -ry + 0.06)], "main_dark")]
    shapes.append((ellipse(0.1, 0, 0.36, ry), "main"))
    if design == 2:
        shapes += [(stroke(x, -0.12, x - 0.02, 0.12, 0.05), "main_dark") for x in (-0.02, 0.1)]
    else:
        shapes.append((ellipse(0.12, 0.11, 0.24, 0.1), "main_light"))
        shapes.append(([(0.0, 0.02), (-0.1, -0.06), (-0.11, 0.13)], "main_dark"))
    shapes += [(ellipse(0.29, -0.06, 0.065, corners=16), "snow"), (ellipse(0.30, -0.06, 0.033, corners=10), "ink")]
    return shapes


def bird(design: int) -> list[Shape]:
    """The shapes of one design of a bird, from the back to the front."""
    shapes: list[Shape] = []
    if design == 0:  # sitting
        shapes += [(stroke(x, 0.3, x, 0.46, 0.035), "amber") for x in (-0.03, 0.1)]
        shapes.append(([(-0.2, 0.1), (-0.5, 0.2), (-0.46, 0.3), (-0.1, 0.28)], "main_dark"))
        shapes += [([(0.36, -0.26), (0.5, -0.18), (0.36, -0.13)], "amber"), (ellipse(0.02, 0.1, 0.29, 0.25), "main")]
        shapes += [(ellipse(0.22, -0.19, 0.19), "main"), (ellipse(-0.06, 0.11, 0.21, 0.135, 12), "part")]
        eye = (0.27, -0.22)
    elif design == 1:  # flying, wing up
        shapes += [([(0.36, -0.04), (0.52, 0.03), (0.36, 0.09)], "amber"),
                   ([(-0.2, 0.1), (-0.52, 0.0), (-0.48, 0.24)], "main_dark")]  # fmt: skip
        shapes += [(ellipse(0.0, 0.14, 0.33, 0.19), "main"), (ellipse(0.25, 0.02, 0.165), "main")]
        shapes.append(([(0.14, 0.12), (-0.02, -0.28), (-0.26, -0.42), (-0.23, -0.14), (-0.16, 0.15)], "part"))
        eye = (0.3, -0.01)
    else:  # a duck
        shapes += [([(0.36, -0.3), (0.53, -0.24), (0.36, -0.18)], "amber"), (rect(0.1, -0.25, 0.29, 0.15), "main")]
        shapes.append(([*arc(0.0, 0.1, 0.33, 0.25, 0, 180), (-0.5, -0.04), (-0.2, 0.04)], "main"))
        shapes += [(ellipse(0.22, -0.26, 0.18), "main"), (ellipse(-0.06, 0.13, 0.22, 0.125), "part")]
        eye = (0.26, -0.29)
    shapes += [(ellipse(*eye, 0.05, corners=14), "snow"), (ellipse(eye[0] + 0.008, eye[1], 0.03, corners=10), "ink")]
    return shapes


def flower(design: int) -> list[Shape]:
    """The shapes of one design of a flower, from the back to the front."""
    y = (-0.17, -0.15, 0.0)[design]
    petals, reach, rx, ry = ((6, 0.2, 0.135, 0.125), (9, 0.2, 0.145, 0.075), (5, 0.25, 0.2, 0.19))[design]
    shapes: list[Shape] = []
    if design != 2:
        shapes += [(stroke(0, y, 0.02, 0.48, 0.05), "leaf"), (ellipse(0.12, 0.33, 0.13, 0.055, -30), "leaf"),
                   (ellipse(-0.1, 0.4, 0.11, 0.05, 30), "leaf")]  # fmt: skip
    for number in range(petals):
        turn = 360 * number / petals - 90
        a = math.radians(turn)
        paint = "main" if number % 2 or petals % 2 else "main_soft"
        shapes.append((ellipse(reach * math.cos(a), y + reach * math.sin(a), rx, ry, turn, 20), paint))
    return [*shapes, (ellipse(0, y, 0.145 if design != 2 else 0.19), "part")]


def mushroom(design: int) -> list[Shape]:
    """The shapes of one design of a mushroom, from the back to the front."""
    if design == 0:
        cap = arc(0, 0.06, 0.47, 0.48, 180, 360, 22) + arc(0, 0.06, 0.47, 0.08, 0, 180, 12)
        spots = [(-0.24, -0.1, 0.07), (0.03, -0.24, 0.085), (0.27, -0.07, 0.06)]
    elif design == 1:  # flat and wide
        cap = arc(0, 0.02, 0.5, 0.36, 180, 360, 22) + arc(0, 0.02, 0.5, 0.12, 0, 180, 12)
        spots = [(-0.3, -0.03, 0.055), (-0.08, -0.18, 0.07), (0.2, -0.12, 0.06), (0.06, 0.02, 0.045)]
    else:  # a bell
        cap = [(-0.38, 0.12), *arc(0, -0.12, 0.27, 0.36, 190, 350, 16), (0.38, 0.12)]
        cap += arc(0, 0.12, 0.36, 0.07, 0, 180, 10)
        spots = [(-0.14, -0.08, 0.06), (0.1, -0.24, 0.07), (0.17, 0.02, 0.055)]
    stem: Points = [(-0.15, 0.0), (0.15, 0.0), (0.2, 0.42), *arc(0, 0.42, 0.2, 0.07, 0, 180, 10), (-0.2, 0.42)]
    shapes: list[Shape] = [(stem, "part"), (cap, "main")]
    return shapes + [(ellipse(x, y, r, 0.85 * r, corners=16), "main_light") for x, y, r in spots]


def tree(design: int) -> list[Shape]:
    """The shapes of one design of a tree, from the back to the front."""
    trunk: Points = [(-0.07, 0.0), (0.07, 0.0), (0.1, 0.5), (-0.1, 0.5)]
    if design == 0:  # leafy
        crown = [(-0.2, 0.0, 0.21), (0.2, 0.0, 0.21), (-0.14, -0.22, 0.2), (0.14, -0.22, 0.2), (0.0, -0.08, 0.26)]
        gloss = [ellipse(-0.13, -0.24, 0.1, 0.08), ellipse(0.13, -0.03, 0.09, 0.06)]
        return [(trunk, "wood"), *((ellipse(x, y, r), "main") for x, y, r in crown),
                *((spot, "main_light") for spot in gloss)]  # fmt: skip
    if design == 1:  # a fir
        return [(trunk, "wood"), ([(-0.4, 0.3), (0.4, 0.3), (0.0, -0.14)], "main_dark"),
                ([(-0.33, 0.08), (0.33, 0.08), (0.0, -0.33)], "main"),
                ([(-0.25, -0.13), (0.25, -0.13), (0.0, -0.5)], "main_soft")]  # fmt: skip
    return [
        (trunk, "wood"),
        (ellipse(0, -0.15, 0.27, 0.35), "main"),
        (stroke(0, 0.28, 0, -0.05, 0.045), "wood"),
        (stroke(0, 0.07, 0.1, -0.03, 0.035), "wood"),
        (ellipse(-0.1, -0.28, 0.08, 0.11, 20), "main_light"),
    ]
