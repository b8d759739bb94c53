"""Paints one object: from kind, colours, size and texture to a small picture with a soft edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from m3att.data.shaperef.designs import design_of
from m3att.data.shaperef.kinds import DESIGNS

Rgb = tuple[float, float, float]
Polygon = NDArray[np.int32]
T = TypeVar("T")

PALETTE: dict[str, Rgb] = {
    "red": (222, 38, 42), "orange": (246, 134, 22), "yellow": (250, 216, 36), "green": (58, 160, 66),
    "blue": (40, 88, 208), "purple": (132, 58, 176), "pink": (250, 138, 190), "brown": (122, 74, 40),
    "black": (34, 34, 38), "white": (244, 244, 242), "grey": (142, 145, 150), "cyan": (40, 204, 222),
}  # fmt: skip
_FIXED: dict[str, Rgb] = {
    "ink": (36, 34, 40), "snow": (250, 250, 250), "glass": (196, 226, 240), "steel": (170, 174, 180),
    "lemon": (255, 232, 130), "amber": (244, 166, 40), "brick": (150, 88, 74), "coffee": (92, 62, 48),
    "leaf": (76, 148, 70),
}  # fmt: skip
_SKINS: tuple[Rgb, ...] = ((250, 214, 184), (232, 184, 146), (190, 134, 96), (128, 84, 58))
_HAIRS: tuple[Rgb, ...] = ((52, 38, 32), (104, 66, 38), (214, 168, 88), (158, 84, 44))
_WOODS: tuple[Rgb, ...] = ((122, 80, 48), (140, 94, 58), (104, 70, 46))
# Side of a square as large as the silhouette, as a share of the picture's side.
SIDES: dict[str, float] = {"small": 0.112, "medium": 0.176, "large": 0.272}
# Kinds without a proper way up may lie at any angle.
_TURNING = frozenset({"ball", "ring"})
_OVERSAMPLE = 2
_SHIFT = 4


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A painted object without background.

    Args:
        paint_HW3: colour times coverage, uint8.
        coverage_HW: 0 to 255, the rim included.
        rim_HW: 0 to 255, how much of each pixel is the rim around the silhouette.
        mask_HW: uint8 0 or 1, the pixels that belong to the object.
        area: pixels of the mask.
        tone: the main colour as painted.
        outlines: the polygons with their paints, in drawing order.
    """

    paint_HW3: NDArray[np.uint8]
    coverage_HW: NDArray[np.uint8]
    rim_HW: NDArray[np.uint8]
    mask_HW: NDArray[np.uint8]
    area: int
    tone: Rgb
    outlines: tuple[tuple[Polygon, str], ...]

    def tones_HW(self) -> NDArray[np.uint8]:
        """(H, W): 1 where the main colour shows, 2 where the part's colour does, 0 elsewhere."""
        found = np.zeros(self.mask_HW.shape, dtype=np.uint8)
        for polygon, name in self.outlines:
            tone = 1.0 if name.startswith("main") else 2.0 if name == "part" else 0.0
            # One bit more of fraction reads the doubled coordinates as single ones.
            cv2.fillPoly(found, [polygon], (tone,), cv2.LINE_8, _SHIFT + 1)
        return found


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options; far quicker than ``Generator.choice``."""
    return options[int(rng.random() * len(options))]


def jitter(rng: np.random.Generator, name: str) -> Rgb:
    """A colour that anyone would still call ``name``."""
    light = 0.95 + 0.1 * rng.random()
    # A tint that no one sees on red makes a grey green.
    reach = 4.0 if name in ("black", "white", "grey") else 14.0
    red, green, blue = PALETTE[name]
    return (
        min(255.0, max(0.0, red * light + reach * (rng.random() - 0.5))),
        min(255.0, max(0.0, green * light + reach * (rng.random() - 0.5))),
        min(255.0, max(0.0, blue * light + reach * (rng.random() - 0.5))),
    )


def mix(colour: Rgb, other: Rgb, share: float) -> Rgb:
    """``colour`` with a share of ``other``.

    Args:
        colour: RGB.
        other: RGB.
        share: of the other, in [0, 1].
    """
    return (
        colour[0] + (other[0] - colour[0]) * share,
        colour[1] + (other[1] - colour[1]) * share,
        colour[2] + (other[2] - colour[2]) * share,
    )


def brightness(colour: Rgb) -> float:
    """Perceived lightness, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def tinted(ink_HW: NDArray[np.uint8], *levels: float) -> NDArray[np.uint8]:
    """One channel a level, each the ink (0 to 255) times level / 255."""
    return as_uint8(cv2.merge([cv2.convertScaleAbs(ink_HW, alpha=level / 255) for level in levels]))


def veil(image_HWC: NDArray[np.uint8], ink_HW: NDArray[np.uint8], colour: tuple[float, ...]) -> None:
    """Blends a colour into a picture by a strength for each pixel (0 to 255), in place.

    Args:
        image_HWC: uint8, changed in place.
        ink_HW: uint8, 0 leaves a pixel as it is, 255 gives it the colour.
        colour: RGB in [0, 255].
    """
    keep = cv2.merge([cv2.bitwise_not(ink_HW)] * image_HWC.shape[2])
    cv2.add(cv2.multiply(image_HWC, keep, scale=1 / 255), tinted(ink_HW, *colour), dst=image_HWC)


def as_uint8(array: object) -> NDArray[np.uint8]:
    """What OpenCV returns, by the type that it has (any shape)."""
    return np.asarray(array, dtype=np.uint8)


def paint(
    rng: np.random.Generator,
    kind: str,
    colour: str,
    part_colour: str | None,
    size: str,
    texture: str,
    picture: int,
    shrink: float = 1.0,
) -> Sprite:
    """Paints one object.

    Args:
        rng: draws design, tilt, mirroring, tones.
        kind, colour, part_colour, size, texture: as in ``world.SceneObject``.
        picture: side of the picture in pixels, which sizes are a share of.
        shrink: factor on the size, for crowded pictures; the same for all objects of a picture.
    """
    design = design_of(kind, int(rng.random() * DESIGNS))
    side = SIDES[size] * picture * shrink * (0.95 + 0.1 * rng.random())
    angle = rng.random() * 2 * math.pi if kind in _TURNING else math.radians(16 * rng.random() - 8)
    stretch = math.sqrt(0.9 + 0.2 * rng.random())
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    cos, sin = math.cos(angle) * side, math.sin(angle) * side
    matrix = np.array(
        [[cos * stretch * mirror, sin * stretch * mirror], [-sin / stretch, cos / stretch]], dtype=np.float32
    )
    points = design.points_R2 @ matrix
    low, high = points.min(axis=0), points.max(axis=0)
    margin = _rim_width(picture) + 1
    width = math.ceil(float(high[0] - low[0])) + 2 * margin
    height = math.ceil(float(high[1] - low[1])) + 2 * margin
    scale = _OVERSAMPLE * 2**_SHIFT
    # Half a pixel less: OpenCV's coordinates name pixel centres.
    corners = np.round((points - low + margin) * scale - scale / 4).astype(np.int32)

    main = jitter(rng, colour)
    paints = _paints(rng, main, jitter(rng, part_colour) if part_colour else main)
    canvas = np.zeros((height * _OVERSAMPLE, width * _OVERSAMPLE, 4), dtype=np.uint8)
    start = 0
    polygons = []
    for end in design.ends:
        polygons.append(corners[start:end])
        start = end
    for polygon, name in zip(polygons, design.paints, strict=True):
        cv2.fillPoly(canvas, [polygon], paints[name], cv2.LINE_AA, _SHIFT)
    small = as_uint8(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA))
    if texture != "plain":
        _weave(rng, small, polygons, design.paints, main, texture, side)
    small = as_uint8(cv2.multiply(small, cv2.resize(_light(), (width, height)), scale=1 / 200))
    silhouette = small[:, :, 3]
    coverage = as_uint8(cv2.dilate(silhouette, _brush(_rim_width(picture))))
    mask = as_uint8(cv2.threshold(coverage, 127, 1, cv2.THRESH_BINARY)[1])
    return Sprite(
        paint_HW3=small[:, :, :3],
        coverage_HW=coverage,
        rim_HW=as_uint8(cv2.subtract(coverage, silhouette)),
        mask_HW=mask,
        area=cv2.countNonZero(mask),
        tone=main,
        outlines=tuple(zip(polygons, design.paints, strict=True)),
    )


def _paints(rng: np.random.Generator, main: Rgb, part: Rgb) -> dict[str, tuple[float, float, float, float]]:
    dark_tone = brightness(main) < 70
    mixed = {
        "main": main,
        "main_dark": mix(main, (0, 0, 0), 0.22) if not dark_tone else mix(main, (255, 255, 255), 0.1),
        "main_soft": mix(main, (255, 255, 255), 0.16) if brightness(main) < 225 else mix(main, (90, 100, 120), 0.12),
        "main_light": mix(main, (255, 255, 255), 0.42) if brightness(main) < 225 else mix(main, (110, 120, 140), 0.16),
        "part": part,
        "skin": pick(rng, _SKINS),
        "hair": pick(rng, _HAIRS),
        "wood": pick(rng, _WOODS),
        **_FIXED,
    }
    paints = {name: (*tone, 255.0) for name, tone in mixed.items()}
    paints["clear"] = (0.0, 0.0, 0.0, 0.0)
    return paints


def _weave(
    rng: np.random.Generator,
    paint_HW4: NDArray[np.uint8],
    polygons: Sequence[Polygon],
    names: Sequence[str],
    main: Rgb,
    texture: str,
    side: float,
) -> None:
    """Lays stripes or dots of a lighter or darker tone over what shows of the main colour, in place."""
    height, width = paint_HW4.shape[:2]
    main_HW = np.zeros((height, width), dtype=np.uint8)
    for polygon, name in zip(polygons, names, strict=True):
        ink = 255.0 if name in ("main", "main_soft") else 0.0
        cv2.fillPoly(main_HW, [polygon], (ink,), cv2.LINE_AA, _SHIFT + 1)
    # The pattern's own period is 32 pixels; its phase is free.
    zoom = max(4.0, 0.27 * side) / 32
    y, x = int(32 * rng.random()), int(32 * rng.random())
    pattern_HW = _pattern(texture, rng.random() < 0.5)
    window_HW = pattern_HW[y : y + math.ceil(height / zoom), x : x + math.ceil(width / zoom)]
    weave_HW = as_uint8(cv2.resize(window_HW, (width, height), interpolation=cv2.INTER_AREA))
    weave_HW = as_uint8(cv2.multiply(weave_HW, cv2.min(main_HW, paint_HW4[:, :, 3]), scale=1 / 255))
    thread = mix(main, (255, 255, 255), 0.5) if brightness(main) < 165 else mix(main, (70, 60, 60), 0.38)
    veil(paint_HW4, weave_HW, (*thread, 255.0))


@cache
def _pattern(texture: str, other: bool) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[0:768, 0:768]
    if texture == "striped":
        on = (rows + columns) % 32 < 13 if other else rows % 32 < 13
    else:
        shifted = columns + 16 * ((rows // 32) % 2) * other
        on = (shifted % 32 - 15.5) ** 2 + (rows % 32 - 15.5) ** 2 < 9**2
    return np.where(on, 255, 0).astype(np.uint8)


@cache
def _light() -> NDArray[np.uint8]:
    """Soft light from the upper left: 200 leaves a tone as it is."""
    rows, columns = np.mgrid[0:48, 0:48] / 47.0
    distance = np.hypot(columns - 0.3, rows - 0.22)
    tone = 214 - 44 * np.clip(distance, 0, 1) ** 1.4
    return np.dstack([tone, tone, tone, np.full_like(tone, 200)]).round().astype(np.uint8)


@cache
def _brush(width: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1)), dtype=np.uint8)


def _rim_width(picture: int) -> int:
    return max(1, round(picture / 160))
