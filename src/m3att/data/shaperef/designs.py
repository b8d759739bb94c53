"""The designs of all kinds, ready to be painted: as arrays, and scaled to one and the same area.

So "large" means the same for a lamp and for a house.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from m3att.data.shaperef.kinds import BUILDERS
from m3att.data.shaperef.outlines import Points


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A kind's polygons, scaled so that the silhouette has area 1.

    Args:
        points_R2: corners of all polygons, one after the other.
        ends: for each polygon the position after its last corner.
        paints: for each polygon its paint.
    """

    points_R2: NDArray[np.float32]
    ends: tuple[int, ...]
    paints: tuple[str, ...]


@cache
def design_of(kind: str, number: int) -> Design:
    """The ``number``-th design (below ``DESIGNS``) of a kind."""
    shapes = BUILDERS[kind](number)
    points = np.array([point for corners, _ in shapes for point in corners], dtype=np.float32)
    area = _silhouette_area([corners for corners, _ in shapes], [paint for _, paint in shapes])
    ends = np.cumsum([len(corners) for corners, _ in shapes])
    return Design(points / np.float32(math.sqrt(area)), tuple(ends.tolist()), tuple(paint for _, paint in shapes))


def _silhouette_area(polygons: Sequence[Points], paints: Sequence[str]) -> float:
    canvas = np.zeros((600, 600), dtype=np.uint8)
    for corners, paint in zip(polygons, paints, strict=True):
        pixels = np.round((np.array(corners) * 400 + 300) * 16).astype(np.int32)
        cv2.fillPoly(canvas, [pixels], (0.0 if paint == "clear" else 1.0,), shift=4)
    return float(canvas.sum()) / 400**2
