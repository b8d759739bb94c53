"""Shapes that annotation tools draw beside polygons, as polygons."""

from __future__ import annotations

import math

import numpy as np

_CORNERS = 72  # of the polygon that stands for an ellipse; it covers 99.9 per cent of its area


def rectangle(left: float, top: float, width: float, height: float, degrees: float = 0.0) -> list[float]:
    """A rectangle that is turned around its top left corner.

    Args:
        left: x of that corner, pixels.
        top: y of that corner, pixels.
        width: pixels.
        height: pixels.
        degrees: clockwise.

    Returns:
        x and y of its corners in turn.
    """
    corners_42 = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)
    return _turned(corners_42, left, top, degrees)


def turned_rectangle(left: float, top: float, width: float, height: float, degrees: float = 0.0) -> list[float]:
    """A rectangle that is turned around its middle.

    Args:
        left: x of its left edge before that, pixels.
        top: y of its upper edge before that, pixels.
        width: pixels.
        height: pixels.
        degrees: clockwise.

    Returns:
        x and y of its corners in turn.
    """
    corners_42 = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float64) * (width / 2, height / 2)
    return _turned(corners_42, left + width / 2, top + height / 2, degrees)


def ellipse(x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0.0) -> list[float]:
    """An ellipse that is turned around its centre.

    Args:
        x: of the centre, pixels.
        y: of the centre, pixels.
        radius_x: pixels.
        radius_y: pixels.
        degrees: clockwise.

    Returns:
        x and y of points on it in turn.
    """
    angles = np.linspace(0, 2 * math.pi, _CORNERS, endpoint=False)
    return _turned(np.stack([radius_x * np.cos(angles), radius_y * np.sin(angles)], axis=1), x, y, degrees)


def _turned(points_P2: np.ndarray, x: float, y: float, degrees: float) -> list[float]:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned_P2 = points_P2 @ np.array([(cosine, sine), (-sine, cosine)]) + (x, y)
    return [float(side) for side in turned_P2.ravel()]
