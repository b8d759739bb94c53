"""Paints what lies behind the objects: skies and meadows, rooms, tiles, wallpaper, planks, cloudy paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from m3att.data.shaperef.draw import Rgb, as_uint8, brightness, mix, pick, veil

# Muted tones, so that the objects stay the strongest colours of a picture.
_PASTELS: tuple[Rgb, ...] = (
    (238, 226, 208), (214, 228, 236), (222, 236, 220), (240, 218, 220), (228, 220, 240), (248, 238, 212),
    (206, 214, 222), (198, 220, 216), (232, 232, 230), (186, 200, 214), (204, 190, 176), (176, 188, 172),
)  # fmt: skip
_DEEP: tuple[Rgb, ...] = (
    (72, 88, 108), (92, 80, 98), (80, 100, 92), (104, 92, 84), (62, 70, 84), (112, 108, 120),
)  # fmt: skip
_SKIES: tuple[tuple[Rgb, Rgb], ...] = (
    ((150, 200, 236), (224, 240, 246)), ((250, 206, 170), (252, 234, 210)), ((178, 190, 208), (226, 230, 232)),
    ((168, 160, 210), (244, 212, 216)), ((44, 54, 92), (112, 110, 150)), ((186, 226, 226), (240, 246, 232)),
)  # fmt: skip
_GROUNDS: tuple[Rgb, ...] = (
    (168, 204, 136), (196, 212, 146), (224, 204, 160), (234, 222, 196), (150, 184, 150), (206, 198, 190),
    (232, 236, 242), (190, 168, 138),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """A background.

    Args:
        image_HWC: RGB uint8.
        horizon: pixels from the top to where the ground begins; None where the picture has no ground.
    """

    image_HWC: NDArray[np.uint8]
    horizon: int | None


def backdrop(rng: np.random.Generator, size: int) -> Backdrop:
    """Draws a background of ``size`` by ``size`` pixels."""
    kind = rng.random()
    if kind < 0.34:
        return _landscape(rng, size)
    if kind < 0.52:
        return _room(rng, size)
    ground = pick(rng, _PASTELS) if rng.random() < 0.82 else pick(rng, _DEEP)
    image = _gradient(ground, mix(ground, pick(rng, _PASTELS), 0.5), size)
    if kind < 0.64:
        _wallpaper(rng, image, ground)
    elif kind < 0.76:
        _tiles(rng, image, ground, 0)
    elif kind < 0.86:
        _planks(rng, image, ground, 0)
    else:
        image = _cloudy(rng, image)
    return Backdrop(image, None)


def _gradient(top: Rgb, bottom: Rgb, size: int, height: int | None = None) -> NDArray[np.uint8]:
    height = size if height is None else height
    ends = np.array([[top], [bottom]], dtype=np.float32)
    column = as_uint8(cv2.resize(ends, (1, height), interpolation=cv2.INTER_LINEAR).round())
    return as_uint8(cv2.resize(column, (size, height), interpolation=cv2.INTER_NEAREST))


def _landscape(rng: np.random.Generator, size: int) -> Backdrop:
    horizon = round(size * (0.22 + 0.26 * rng.random()))
    top, low = pick(rng, _SKIES)
    ground = pick(rng, _GROUNDS)
    if top[0] < 100:  # night
        ground = mix(ground, (40, 50, 90), 0.5)
    image = np.empty((size, size, 3), dtype=np.uint8)
    image[:horizon] = _gradient(top, low, size, horizon)
    image[horizon:] = _gradient(mix(ground, low, 0.25), mix(ground, (60, 70, 60), 0.1), size, size - horizon)
    if rng.random() < 0.6:  # clouds
        for _ in range(1 + int(3 * rng.random())):
            x, y = rng.random() * size, rng.random() * horizon * 0.7
            for dx, r in ((-0.06, 0.035), (0.0, 0.05), (0.065, 0.03)):
                centre = (round((x + dx * size) * 16), round(y * 16))
                radii = (round(r * size * 24), round(r * size * 11))
                cv2.ellipse(image, centre, radii, 0, 0, 360, mix(low, (255, 255, 255), 0.45), -1, cv2.LINE_AA, 4)
    if rng.random() < 0.6:  # hills
        for step in range(1 + int(2 * rng.random())):
            tone = mix(mix(ground, low, 0.45 - 0.2 * step), (90, 130, 120), 0.12)
            phase, wave = rng.random() * 6.3, (1.0 + 1.6 * rng.random()) * 2 * math.pi
            lift = size * (0.05 + 0.04 * rng.random()) * (1.4 - 0.5 * step)
            xs = np.linspace(0, 1, 24)
            ys = horizon - lift * (0.55 + 0.45 * np.sin(wave * xs + phase))
            edge = np.column_stack([xs * size, ys])
            hill = np.vstack([edge, [[size, horizon + 1], [0, horizon + 1]]])
            cv2.fillPoly(image, [np.round(hill * 16).astype(np.int32)], tone, cv2.LINE_AA, 4)
    if rng.random() < 0.5:  # tufts, pebbles, or waves
        tone = mix(ground, (30, 50, 30), 0.16)
        for x, y in rng.random((14, 2)).tolist():
            row = horizon + y * (size - horizon)
            start = (round(x * size * 16), round(row * 16))
            end = (start[0] + round(size * 0.35), start[1] + round(size * 0.08 * (x - 0.5)))
            cv2.line(image, start, end, tone, 1, cv2.LINE_AA, 4)
    return Backdrop(image, horizon)


def _room(rng: np.random.Generator, size: int) -> Backdrop:
    horizon = round(size * (0.3 + 0.22 * rng.random()))
    wall, floor = pick(rng, _PASTELS), mix(pick(rng, _PASTELS), (150, 118, 92), 0.25 + 0.3 * rng.random())
    image = np.empty((size, size, 3), dtype=np.uint8)
    image[:horizon] = _gradient(mix(wall, (255, 255, 255), 0.15), wall, size, horizon)
    image[horizon:] = _gradient(mix(floor, (0, 0, 0), 0.12), mix(floor, (255, 255, 255), 0.12), size, size - horizon)
    if rng.random() < 0.6:
        _wallpaper(rng, image[:horizon], wall)
    if rng.random() < 0.6:
        (_planks if rng.random() < 0.5 else _tiles)(rng, image, floor, horizon)
    skirting = max(2, round(0.025 * size))
    image[horizon - skirting : horizon] = np.round(mix(wall, (255, 255, 255), 0.6)).astype(np.uint8)
    image[horizon : horizon + 1] = np.round(mix(floor, (0, 0, 0), 0.35)).astype(np.uint8)
    return Backdrop(image, horizon)


def _wallpaper(rng: np.random.Generator, image_HWC: NDArray[np.uint8], ground: Rgb) -> None:
    """Prints a faint repeating motif, in place."""
    height, width = image_HWC.shape[:2]
    number = int(len(_MOTIFS) * rng.random())
    zoom = width / 160 * (0.7 + 0.8 * rng.random())
    motif = _motif(number)
    y, x = int(32 * rng.random()), int(32 * rng.random())
    rows, columns = math.ceil(height / zoom), math.ceil(width / zoom)
    strength = 0.1 + 0.12 * rng.random()
    towards = (255.0, 255.0, 255.0) if rng.random() < 0.5 and brightness(ground) < 225 else (70.0, 64.0, 80.0)
    ink = cv2.resize(motif[y : y + rows, x : x + columns], (width, height), interpolation=cv2.INTER_LINEAR)
    veil(image_HWC, as_uint8(cv2.convertScaleAbs(ink, alpha=strength)), towards)


def _tiles(rng: np.random.Generator, image_HWC: NDArray[np.uint8], ground: Rgb, top: int) -> None:
    """Lays a chequered floor, or one with joints, below row ``top``, in place."""
    size = image_HWC.shape[1]
    side = size * (0.08 + 0.1 * rng.random())
    offset = rng.random() * side
    depth = image_HWC.shape[0] - top
    rows = np.floor((np.arange(depth) + offset) / side).astype(np.int32)
    columns = np.floor((np.arange(size) + offset) / side).astype(np.int32)
    if rng.random() < 0.6:
        on = ((rows[:, None] + columns[None, :]) & 1).astype(np.uint8)
    else:
        gap = max(1.5, 0.008 * size)
        on = (((np.arange(depth) + offset) % side < gap)[:, None] | ((np.arange(size) + offset) % side < gap)).astype(
            np.uint8
        )
    veil(image_HWC[top:], on * np.uint8(24 + 26 * rng.random()), mix(ground, (40, 40, 60), 0.8))


def _planks(rng: np.random.Generator, image_HWC: NDArray[np.uint8], ground: Rgb, top: int) -> None:
    """Lays boards below row ``top``, in place."""
    size = image_HWC.shape[1]
    depth = image_HWC.shape[0] - top
    board = size * (0.07 + 0.07 * rng.random())
    rows = np.arange(depth) / board
    tones = (rng.random(64) * 34).astype(np.uint8)[np.floor(rows).astype(np.int32)]
    tones[(rows % 1) * board < max(1.0, size / 160)] = 70
    ink = np.ascontiguousarray(np.broadcast_to(tones[:, None], (depth, size)))
    for number in range(int(depth / board) + 1):
        x = int(rng.random() * size)
        ink[round(number * board) : round((number + 1) * board), x : x + max(1, size // 160)] = 70
    veil(image_HWC[top:], ink, mix(ground, (70, 44, 30), 0.8))


def _cloudy(rng: np.random.Generator, image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Watercolour paper: slow changes of tone."""
    size = image_HWC.shape[0]
    cells = 4 + int(6 * rng.random())
    noise = (rng.random((cells, cells, 3)) * 40).astype(np.uint8)
    cloud = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return as_uint8(cv2.addWeighted(image_HWC, 0.95, cloud, 0.7, -8))


def _stripes(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(columns % 16 < 7)


def _diagonals(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray((columns + rows) % 16 < 5)


def _spots(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    shifted = columns + 8 * ((rows // 16) % 2)
    return np.asarray((shifted % 16 - 7.5) ** 2 + (rows % 16 - 7.5) ** 2 < 9)


def _lozenges(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(columns % 16 - 7.5) + np.abs(rows % 32 / 2 - 7.5) < 4.5)


def _zigzag(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray((rows + np.abs(columns % 16 - 8)) % 16 < 5)


def _grid(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray((rows % 16 < 2) | (columns % 16 < 2))


_MOTIFS = (_stripes, _diagonals, _spots, _lozenges, _zigzag, _grid)


@cache
def _motif(number: int) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[0:320, 0:320]
    on = np.where(_MOTIFS[number](rows, columns), 255, 0).astype(np.uint8)
    return as_uint8(cv2.GaussianBlur(on, (3, 3), 0))
