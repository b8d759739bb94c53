"""Outlines that ShapeRef's designs are made of, as lists of corners; angles in degrees, clockwise from the right."""

from __future__ import annotations

import math

Points = list[tuple[float, float]]
Shape = tuple[Points, str]
"""An outline and its paint; see `kinds`."""


def ellipse(x: float, y: float, rx: float, ry: float | None = None, turn: float = 0.0, corners: int = 26) -> Points:
    """A full ellipse; a circle where only one radius is given.

    Args:
        x: of its middle.
        y: of its middle.
        rx: radius across.
        ry: radius upright; None: a circle.
        turn: degrees, clockwise in a picture.
        corners: of its polygon.
    """
    ry = rx if ry is None else ry
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    angles = [2 * math.pi * k / corners for k in range(corners)]
    return [(x + rx * math.cos(a) * cos - ry * math.sin(a) * sin, y + rx * math.cos(a) * sin + ry * math.sin(a) * cos)
            for a in angles]  # fmt: skip


def rect(x0: float, y0: float, x1: float, y1: float, radius: float = 0.0) -> Points:
    """An upright rectangle, with round corners on demand.

    Args:
        x0: left edge.
        y0: upper edge.
        x1: right edge.
        y1: lower edge.
        radius: of its corners.
    """
    if radius == 0.0:
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    points: Points = []
    for x, y, start in (
        (x1 - radius, y0 + radius, 270), (x1 - radius, y1 - radius, 0), (x0 + radius, y1 - radius, 90),
        (x0 + radius, y0 + radius, 180),
    ):  # fmt: skip
        points += arc(x, y, radius, radius, start, start + 90, 5)
    return points


def arc(x: float, y: float, rx: float, ry: float, start: float, stop: float, corners: int = 14) -> Points:
    """A piece of an ellipse's outline.

    Args:
        x: of the middle.
        y: of the middle.
        rx: radius across.
        ry: radius upright.
        start: angle in degrees.
        stop: angle in degrees.
        corners: of the polygon.
    """
    angles = [math.radians(start + (stop - start) * k / (corners - 1)) for k in range(corners)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def stroke(x0: float, y0: float, x1: float, y1: float, width: float) -> Points:
    """A straight bar with round ends.

    Args:
        x0: of one end.
        y0: of one end.
        x1: of the other.
        y1: of the other.
        width: of the bar.
    """
    angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
    r = width / 2
    return arc(x0, y0, r, r, angle + 90, angle + 270, 7) + arc(x1, y1, r, r, angle - 90, angle + 90, 7)


def crescent(x: float, y: float, rx: float, ry: float, start: float, stop: float, width: float) -> Points:
    """A band along an ellipse, from one angle to another.

    Args:
        x: of the middle.
        y: of the middle.
        rx: outer radius across.
        ry: outer radius upright.
        start: angle in degrees.
        stop: angle in degrees.
        width: of the band.
    """
    return arc(x, y, rx, ry, start, stop) + arc(x, y, rx - width, ry - width, stop, start)
