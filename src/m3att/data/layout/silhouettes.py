"""The outlines in which a layout draws its objects: parts in the unit square of the box, painted in order.

Shapes are kept plump, so that they survive being shrunk for a small network.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

BODY, ACCENT, DARK, LIGHT, SKIN = range(5)

Part = tuple[int, NDArray[np.float32]]
"""Tone and polygon (points, 2), x and y in units of the box."""


@cache
def silhouette(name: str, is_wide: bool) -> tuple[Part, ...]:
    """The parts of a silhouette.

    Args:
        name: one of the names that ``looks`` uses.
        is_wide: whether the box is clearly wider than high; people are then shown as a bust, sticks lie down.
    """
    if name == "person":
        return _BUST if is_wide else _STANDING
    if name in ("stick", "board", "racket", "wedge"):
        upright = _SILHOUETTES[name]
        return tuple((tone, points[:, ::-1].copy()) for tone, points in upright) if is_wide else upright
    return _SILHOUETTES[name]


def _oval(left: float, top: float, right: float, bottom: float, points: int = 20) -> NDArray[np.float32]:
    angles = np.arange(points) * (2 * math.pi / points)
    x = (left + right) / 2 + np.cos(angles) * (right - left) / 2
    y = (top + bottom) / 2 + np.sin(angles) * (bottom - top) / 2
    return np.stack([x, y], axis=1).astype(np.float32)


def _box(left: float, top: float, right: float, bottom: float, cut: float = 0.0) -> NDArray[np.float32]:
    """A rectangle, its corners cut off by ``cut``."""
    if cut == 0.0:
        return _path(left, top, right, top, right, bottom, left, bottom)
    return _path(
        left + cut, top, right - cut, top, right, top + cut, right, bottom - cut,
        right - cut, bottom, left + cut, bottom, left, bottom - cut, left, top + cut,
    )  # fmt: skip


def _path(*coordinates: float) -> NDArray[np.float32]:
    return np.array(coordinates, dtype=np.float32).reshape(-1, 2)


_STANDING: tuple[Part, ...] = (
    (DARK, _path(0.22, 0.55, 0.78, 0.55, 0.84, 1.0, 0.56, 1.0, 0.5, 0.7, 0.44, 1.0, 0.16, 1.0)),
    (BODY, _path(0.3, 0.2, 0.7, 0.2, 0.95, 0.3, 1.0, 0.56, 0.84, 0.58, 0.78, 0.62, 0.22, 0.62, 0.16, 0.58, 0.0, 0.56,
                 0.05, 0.3)),
    (SKIN, _oval(0.28, 0.0, 0.72, 0.24)),
    (DARK, _path(0.28, 0.1, 0.36, 0.02, 0.5, 0.0, 0.64, 0.02, 0.72, 0.1)),
)  # fmt: skip
_BUST: tuple[Part, ...] = (
    (BODY, _path(0.3, 0.42, 0.7, 0.42, 0.92, 0.52, 1.0, 0.75, 1.0, 1.0, 0.0, 1.0, 0.0, 0.75, 0.08, 0.52)),
    (SKIN, _oval(0.3, 0.0, 0.7, 0.52)),
    (DARK, _path(0.3, 0.2, 0.38, 0.05, 0.5, 0.0, 0.62, 0.05, 0.7, 0.2)),
)


def _legs(*lefts: float, top: float = 0.6, width: float = 0.13) -> tuple[Part, ...]:
    return tuple((BODY, _box(left, top, left + width, 1.0)) for left in lefts)


_SILHOUETTES: dict[str, tuple[Part, ...]] = {
    # vehicles
    "cycle": (
        (BODY, _path(0.2, 0.6, 0.3, 0.25, 0.2, 0.0, 0.5, 0.2, 0.85, 0.15, 0.9, 0.6, 0.5, 0.85)),
        (DARK, _oval(0.0, 0.42, 0.44, 1.0)),
        (DARK, _oval(0.56, 0.42, 1.0, 1.0)),
        (LIGHT, _oval(0.12, 0.58, 0.32, 0.84)),
        (LIGHT, _oval(0.68, 0.58, 0.88, 0.84)),
    ),
    "car": (
        (BODY, _path(0.0, 0.45, 0.15, 0.4, 0.3, 0.0, 0.75, 0.0, 0.88, 0.4, 1.0, 0.5, 1.0, 0.85, 0.0, 0.85)),
        (LIGHT, _path(0.25, 0.38, 0.34, 0.1, 0.7, 0.1, 0.78, 0.38)),
        (DARK, _oval(0.1, 0.65, 0.34, 1.0)),
        (DARK, _oval(0.66, 0.65, 0.9, 1.0)),
    ),
    "bus": (
        (BODY, _box(0.0, 0.0, 1.0, 0.9, 0.06)),
        (LIGHT, _box(0.08, 0.15, 0.92, 0.45)),
        (DARK, _oval(0.12, 0.75, 0.32, 1.0)),
        (DARK, _oval(0.68, 0.75, 0.88, 1.0)),
    ),
    "train": (
        (BODY, _path(0.15, 0.0, 0.85, 0.0, 1.0, 0.25, 1.0, 1.0, 0.0, 1.0, 0.0, 0.25)),
        (LIGHT, _box(0.15, 0.2, 0.45, 0.45)),
        (LIGHT, _box(0.55, 0.2, 0.85, 0.45)),
        (ACCENT, _box(0.0, 0.65, 1.0, 0.8)),
    ),
    "truck": (
        (BODY, _path(0.0, 0.0, 0.62, 0.0, 0.62, 0.25, 0.88, 0.25, 1.0, 0.55, 1.0, 0.88, 0.0, 0.88)),
        (LIGHT, _path(0.66, 0.32, 0.84, 0.32, 0.92, 0.55, 0.66, 0.55)),
        (DARK, _oval(0.08, 0.72, 0.3, 1.0)),
        (DARK, _oval(0.68, 0.72, 0.9, 1.0)),
    ),
    "plane": (
        (ACCENT, _path(0.4, 0.5, 0.2, 1.0, 0.4, 1.0, 0.7, 0.5, 0.45, 0.05, 0.3, 0.05)),
        (BODY, _path(0.0, 0.5, 0.02, 0.1, 0.14, 0.1, 0.22, 0.36, 0.85, 0.36, 1.0, 0.52, 0.85, 0.66, 0.12, 0.66)),
    ),
    "boat": (
        (LIGHT, _path(0.5, 0.0, 0.9, 0.62, 0.12, 0.62)),
        (BODY, _path(0.0, 0.6, 1.0, 0.6, 0.82, 1.0, 0.18, 1.0)),
    ),
    # street
    "post": (
        (DARK, _box(0.38, 0.6, 0.62, 1.0)),
        (BODY, _box(0.1, 0.0, 0.9, 0.68, 0.1)),
        (LIGHT, _oval(0.32, 0.1, 0.68, 0.3)),
        (ACCENT, _oval(0.32, 0.38, 0.68, 0.58)),
    ),
    "hydrant": (
        (BODY, _path(0.3, 0.1, 0.5, 0.0, 0.7, 0.1, 0.75, 0.35, 1.0, 0.38, 1.0, 0.58, 0.75, 0.6, 0.78, 0.9, 0.9, 1.0,
                     0.1, 1.0, 0.22, 0.9, 0.25, 0.6, 0.0, 0.58, 0.0, 0.38, 0.25, 0.35)),
    ),
    "sign": (
        (BODY, _box(0.0, 0.0, 1.0, 1.0, 0.29)),
        (LIGHT, _box(0.15, 0.4, 0.85, 0.6)),
    ),
    "bench": (
        (BODY, _box(0.0, 0.0, 1.0, 0.35)),
        (BODY, _box(0.0, 0.45, 1.0, 0.65)),
        (DARK, _box(0.06, 0.3, 0.2, 1.0)),
        (DARK, _box(0.8, 0.3, 0.94, 1.0)),
    ),
    # animals
    "bird": (
        (ACCENT, _path(0.0, 0.5, 0.3, 0.45, 0.3, 0.75, 0.02, 0.85)),
        (BODY, _oval(0.12, 0.25, 0.85, 1.0)),
        (BODY, _oval(0.55, 0.0, 0.95, 0.5)),
        (DARK, _path(0.9, 0.18, 1.0, 0.28, 0.9, 0.36)),
        (ACCENT, _path(0.25, 0.45, 0.65, 0.5, 0.4, 0.85)),
    ),
    "cat": (
        (BODY, _oval(0.0, 0.35, 1.0, 1.0)),
        (BODY, _path(0.5, 0.0, 0.62, 0.14, 0.82, 0.14, 0.95, 0.0, 0.98, 0.4, 0.72, 0.55, 0.48, 0.4)),
        (DARK, _oval(0.56, 0.2, 0.66, 0.32)),
        (DARK, _oval(0.78, 0.2, 0.88, 0.32)),
    ),
    "dog": (
        *_legs(0.06, 0.24, 0.5, 0.66),
        (BODY, _path(0.0, 0.2, 0.12, 0.35, 0.6, 0.35, 0.78, 0.5, 0.78, 0.75, 0.06, 0.75)),
        (BODY, _oval(0.55, 0.0, 0.9, 0.5)),
        (BODY, _path(0.8, 0.18, 1.0, 0.28, 1.0, 0.42, 0.8, 0.45)),
        (DARK, _oval(0.52, 0.06, 0.66, 0.46)),
    ),
    "horse": (
        *_legs(0.05, 0.2, 0.52, 0.66),
        (BODY, _path(0.02, 0.3, 0.55, 0.32, 0.72, 0.0, 0.86, 0.0, 1.0, 0.24, 0.95, 0.34, 0.82, 0.28, 0.78, 0.7,
                     0.02, 0.7)),
        (DARK, _path(0.5, 0.32, 0.68, 0.02, 0.76, 0.06, 0.6, 0.4)),
    ),
    "sheep": (
        *_legs(0.14, 0.32, 0.52, 0.68, width=0.12),
        (BODY, _oval(0.0, 0.05, 0.85, 0.82)),
        (DARK, _oval(0.7, 0.1, 1.0, 0.52)),
    ),
    "elephant": (
        *_legs(0.06, 0.3, 0.5, width=0.2),
        (BODY, _oval(0.0, 0.0, 0.78, 0.85)),
        (BODY, _path(0.6, 0.1, 0.9, 0.1, 1.0, 0.35, 1.0, 0.95, 0.88, 0.95, 0.86, 0.55, 0.6, 0.6)),
        (ACCENT, _oval(0.48, 0.12, 0.76, 0.6)),
    ),
    "giraffe": (
        *_legs(0.05, 0.22, 0.46, 0.62, top=0.5),
        (BODY, _path(0.02, 0.45, 0.48, 0.4, 0.66, 0.0, 0.86, 0.0, 1.0, 0.14, 0.84, 0.18, 0.76, 0.7, 0.02, 0.7)),
    ),
    # things to wear and carry
    "pack": (
        (DARK, _path(0.25, 0.3, 0.3, 0.0, 0.7, 0.0, 0.75, 0.3)),
        (BODY, _path(0.12, 0.2, 0.88, 0.2, 1.0, 0.5, 1.0, 1.0, 0.0, 1.0, 0.0, 0.5)),
        (ACCENT, _box(0.2, 0.6, 0.8, 0.9)),
    ),
    "umbrella": (
        (DARK, _box(0.44, 0.3, 0.56, 1.0)),
        (BODY, _path(0.0, 0.55, 0.08, 0.25, 0.3, 0.05, 0.5, 0.0, 0.7, 0.05, 0.92, 0.25, 1.0, 0.55)),
    ),
    "tie": ((BODY, _path(0.25, 0.0, 0.75, 0.0, 0.65, 0.15, 0.95, 0.8, 0.5, 1.0, 0.05, 0.8, 0.35, 0.15)),),
    "case": ((BODY, _box(0.0, 0.0, 1.0, 1.0, 0.06)), (ACCENT, _box(0.1, 0.1, 0.9, 0.25))),
    # sport
    "disc": ((BODY, _oval(0.0, 0.0, 1.0, 1.0, 28)),),
    "stick": ((BODY, _box(0.2, 0.0, 0.8, 1.0, 0.15)), (ACCENT, _box(0.2, 0.7, 0.8, 1.0, 0.1))),
    "board": ((BODY, _oval(0.0, 0.0, 1.0, 1.0)), (ACCENT, _path(0.5, 0.1, 0.6, 0.5, 0.5, 0.9, 0.4, 0.5))),
    "kite": (
        (BODY, _path(0.5, 0.0, 1.0, 0.38, 0.5, 1.0, 0.0, 0.38)),
        (ACCENT, _path(0.5, 0.0, 0.5, 0.38, 0.0, 0.38)),
        (ACCENT, _path(0.5, 1.0, 0.5, 0.38, 1.0, 0.38)),
    ),
    "blob": ((BODY, _path(0.1, 0.2, 0.4, 0.0, 0.8, 0.05, 1.0, 0.4, 0.9, 0.85, 0.5, 1.0, 0.1, 0.85, 0.0, 0.5)),),
    "racket": (
        (DARK, _box(0.36, 0.5, 0.64, 1.0)),
        (BODY, _oval(0.0, 0.0, 1.0, 0.65)),
        (LIGHT, _oval(0.2, 0.12, 0.8, 0.53)),
    ),
    # kitchen and food
    "bottle": (
        (BODY, _path(0.32, 0.0, 0.68, 0.0, 0.68, 0.25, 1.0, 0.42, 1.0, 1.0, 0.0, 1.0, 0.0, 0.42, 0.32, 0.25)),
        (LIGHT, _box(0.1, 0.55, 0.9, 0.8)),
    ),
    "glass": (
        (BODY, _path(0.0, 0.0, 1.0, 0.0, 0.88, 0.45, 0.62, 0.6, 0.62, 0.85, 0.95, 1.0, 0.05, 1.0, 0.38, 0.85, 0.38, 0.6,
                     0.12, 0.45)),
    ),
    "cup": (
        (DARK, _oval(0.5, 0.2, 1.0, 0.75)),
        (BODY, _path(0.0, 0.0, 0.8, 0.0, 0.7, 1.0, 0.1, 1.0)),
        (LIGHT, _oval(0.05, 0.0, 0.75, 0.18)),
    ),
    "bowl": (
        (BODY, _path(0.0, 0.15, 1.0, 0.15, 0.92, 0.6, 0.7, 1.0, 0.3, 1.0, 0.08, 0.6)),
        (LIGHT, _oval(0.0, 0.0, 1.0, 0.34)),
    ),
    "crescent": (
        (BODY, _path(0.0, 0.1, 0.15, 0.0, 0.35, 0.4, 0.65, 0.5, 0.95, 0.35, 1.0, 0.5, 0.8, 0.9, 0.4, 1.0, 0.1, 0.7)),
    ),
    "slab": ((BODY, _box(0.0, 0.0, 1.0, 1.0, 0.12)),),
    "tree": ((DARK, _box(0.36, 0.5, 0.64, 1.0)), (BODY, _oval(0.0, 0.0, 1.0, 0.7))),
    "wedge": ((ACCENT, _box(0.3, 0.0, 0.7, 0.3)), (BODY, _path(0.1, 0.2, 0.9, 0.2, 0.62, 1.0, 0.38, 1.0))),
    "cake": ((BODY, _box(0.0, 0.3, 1.0, 1.0)), (LIGHT, _oval(0.0, 0.0, 1.0, 0.55))),
    # furniture
    "chair": (
        (DARK, _box(0.08, 0.6, 0.24, 1.0)),
        (DARK, _box(0.76, 0.6, 0.92, 1.0)),
        (BODY, _box(0.1, 0.0, 0.9, 0.5, 0.05)),
        (BODY, _box(0.0, 0.5, 1.0, 0.72)),
    ),
    "couch": (
        (BODY, _path(0.15, 0.05, 0.85, 0.05, 0.85, 0.35, 1.0, 0.35, 1.0, 1.0, 0.0, 1.0, 0.0, 0.35, 0.15, 0.35)),
        (ACCENT, _box(0.15, 0.5, 0.85, 0.72)),
    ),
    "plant": (
        (BODY, _path(0.3, 0.7, 0.0, 0.4, 0.2, 0.35, 0.15, 0.08, 0.4, 0.2, 0.5, 0.0, 0.6, 0.2, 0.85, 0.08, 0.8, 0.35,
                     1.0, 0.4, 0.7, 0.7)),
        (DARK, _path(0.2, 0.62, 0.8, 0.62, 0.7, 1.0, 0.3, 1.0)),
    ),
    "bed": (
        (BODY, _path(0.0, 0.1, 0.1, 0.1, 0.1, 0.4, 0.9, 0.4, 1.0, 0.5, 1.0, 1.0, 0.0, 1.0)),
        (LIGHT, _box(0.12, 0.25, 0.4, 0.5)),
    ),
    "table": (
        (DARK, _box(0.1, 0.4, 0.24, 1.0)),
        (DARK, _box(0.76, 0.4, 0.9, 1.0)),
        (BODY, _path(0.12, 0.0, 0.88, 0.0, 1.0, 0.6, 0.0, 0.6)),
    ),
    "toilet": (
        (BODY, _box(0.1, 0.0, 0.9, 0.4)),
        (BODY, _path(0.25, 0.6, 0.75, 0.6, 0.7, 1.0, 0.3, 1.0)),
        (LIGHT, _oval(0.0, 0.35, 1.0, 0.75)),
    ),
    # devices and household
    "screen": ((BODY, _box(0.0, 0.0, 1.0, 1.0, 0.03)), (DARK, _box(0.12, 0.14, 0.88, 0.78))),
    "laptop": (
        (BODY, _box(0.12, 0.0, 0.88, 0.65)),
        (LIGHT, _box(0.2, 0.08, 0.8, 0.55)),
        (BODY, _path(0.12, 0.62, 0.88, 0.62, 1.0, 1.0, 0.0, 1.0)),
    ),
    "fridge": ((BODY, _box(0.0, 0.0, 1.0, 0.38)), (BODY, _box(0.0, 0.38, 1.0, 1.0)), (DARK, _box(0.8, 0.1, 0.9, 0.7))),
    "cross": (
        (BODY, _path(0.0, 0.1, 0.2, 0.0, 1.0, 0.8, 0.8, 1.0)),
        (ACCENT, _path(1.0, 0.1, 0.8, 0.0, 0.0, 0.8, 0.2, 1.0)),
    ),
    "teddy": (
        (BODY, _oval(0.15, 0.0, 0.4, 0.25)),
        (BODY, _oval(0.6, 0.0, 0.85, 0.25)),
        (BODY, _oval(0.0, 0.4, 1.0, 1.0)),
        (BODY, _oval(0.18, 0.05, 0.82, 0.55)),
        (LIGHT, _oval(0.38, 0.28, 0.62, 0.5)),
    ),
}  # fmt: skip
