"""Composes a scene: background, objects in depth order, noise, JPEG, and everything that is true of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from m3att.data.shaperef.backdrop import backdrop
from m3att.data.shaperef.draw import Rgb, Sprite, as_uint8, brightness, mix, paint, tinted
from m3att.data.shaperef.plan import Plan, plan_scene
from m3att.data.shaperef.world import HELD_OUT, SceneFacts, SceneObject

# An object of which less than this shows is put elsewhere.
MIN_VISIBLE_FRACTION = 0.35
# Pixels an object shows at least, at 160 x 160.
MIN_VISIBLE_PIXELS = 60
# Each scene has an object that is at least so visible, and alone in its kind and colour.
WELL_VISIBLE_FRACTION = 0.65
# Share of its main colour, and of its part, that must show: a house whose walls are hidden has no colour to name.
MIN_VISIBLE_TONE = 0.3
_NOBODY = 255


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture with everything that is known of it.

    Args:
        image_HWC: RGB uint8, as decoded from ``jpeg``.
        masks_OHW: bool, the visible part of each object, in drawing order; no two overlap.
        facts: the objects in the same order.
        jpeg: the file's bytes.
    """

    image_HWC: NDArray[np.uint8]
    masks_OHW: NDArray[np.bool_]
    facts: SceneFacts
    jpeg: bytes


@dataclass(slots=True)
class _Placed:
    plan: Plan
    sprite: Sprite
    x: int
    y: int
    visible: int
    tones_HW: NDArray[np.uint8] | None = None  # the sprite's, once something has hidden a piece of it


def compose(rng: np.random.Generator, split: str, size: int = 160) -> Scene:
    """Draws one scene.

    Args:
        rng: all that the scene depends on beside ``split`` and ``size``.
        split: one of ``world.SPLITS``.
        size: height and width in pixels.
    """
    behind = backdrop(rng, size)
    while True:
        labels_HW, placed = _arrange(rng, plan_scene(rng, split), behind.horizon, size)
        if _has_something_to_name(placed, split):
            break
    image = behind.image_HWC
    shadow = 0.16 + 0.2 * rng.random()
    light = 2 * rng.random() - 1
    for thing in placed:
        _shade(image, thing, behind.horizon is not None, shadow, light)
        _lay(image, thing)
    image = _develop(rng, image)
    jpeg = encode_jpeg(image, 60 + int(36 * rng.random()))
    masks_OHW = labels_HW[None] == np.arange(len(placed), dtype=np.uint8)[:, None, None]
    objects = tuple(_fact(placed[depth], mask_HW, depth) for depth, mask_HW in enumerate(masks_OHW))
    return Scene(decode_jpeg(jpeg), masks_OHW, SceneFacts(size, size, objects), jpeg)


def _arrange(
    rng: np.random.Generator, plans: Sequence[Plan], horizon: int | None, size: int
) -> tuple[NDArray[np.uint8], list[_Placed]]:
    """Paints and places all objects; where they do not fit, all a little smaller."""
    shrink = 0.94 if len(plans) > 6 else 1.0
    while True:
        sprites = [paint(rng, p.kind, p.colour, p.part_colour, p.size, p.texture, size, shrink) for p in plans]
        labels_HW, placed = _place(rng, plans, sprites, horizon, size)
        if len(placed) == len(plans):
            return labels_HW, placed
        shrink *= 0.93


def _has_something_to_name(placed: Sequence[_Placed], split: str) -> bool:
    """Whether some object is well visible and the only one of its kind and colour: any variant can describe that."""
    combinations = Counter((thing.plan.kind, thing.plan.colour) for thing in placed)
    return any(
        combinations[thing.plan.kind, thing.plan.colour] == 1
        and thing.visible >= WELL_VISIBLE_FRACTION * thing.sprite.area
        and (split != "testB" or (thing.plan.kind, thing.plan.colour) in HELD_OUT)
        for thing in placed
    )


def _place(
    rng: np.random.Generator, plans: Sequence[Plan], sprites: Sequence[Sprite], horizon: int | None, size: int
) -> tuple[NDArray[np.uint8], list[_Placed]]:
    """Finds a place for each object, hindmost first, so that each stays visible.

    On a ground, what stands lower in the picture is nearer and hides what is behind it; elsewhere chance decides.

    Returns:
        The number of the foremost object at each pixel (255 where there is none), and the objects in drawing order;
        fewer than were asked for where the picture is too full.
    """
    floor_line = 0.0 if horizon is None else float(horizon)
    feet: list[int] = []
    for plan, sprite in zip(plans, sprites, strict=True):
        height = sprite.mask_HW.shape[0]
        # Birds fly, the others stand on the ground where there is one.
        lowest = float(height) if plan.kind == "bird" else max(float(height), floor_line + 0.04 * size)
        feet.append(int(lowest + rng.random() * max(0.0, size - lowest)))
    order = sorted(range(len(plans)), key=feet.__getitem__) if horizon is not None else list(range(len(plans)))
    if horizon is None:
        order = [order[k] for k in rng.permutation(len(order)).tolist()]
    labels = np.full((size, size), _NOBODY, dtype=np.uint8)
    placed: list[_Placed] = []
    boxes: list[tuple[int, int, int, int]] = []
    least = MIN_VISIBLE_PIXELS * (size / 160) ** 2
    for number in order:
        sprite = sprites[number]
        height, width = sprite.mask_HW.shape
        mask = sprite.mask_HW.view(np.bool_)
        tolerant = rng.random() < 0.35
        for attempt in range(28):
            if horizon is None:
                y = int(rng.random() * (size - height + 1))
            else:
                slack = 0 if attempt < 6 else round(0.12 * size * (rng.random() - 0.5))
                y = min(max(feet[number] + slack, height), size) - height
            x = int(rng.random() * (size - width + 1))
            if not tolerant and attempt < 12 and _collides(boxes, x, y, x + width, y + height):
                continue
            under = labels[y : y + height, x : x + width]
            covered = np.bincount(under[mask], minlength=_NOBODY + 1).tolist()
            hidden = sprite.area - covered[_NOBODY]
            if hidden and any(
                covered[k] and thing.visible - covered[k] < max(MIN_VISIBLE_FRACTION * thing.sprite.area, least)
                for k, thing in enumerate(placed)
            ):
                continue
            before = under.copy()
            under[mask] = len(placed)
            if hidden and not all(_shows_colours(labels, k, thing) for k, thing in enumerate(placed) if covered[k]):
                under[:] = before
                continue
            for k, thing in enumerate(placed):
                thing.visible -= covered[k]
            placed.append(_Placed(plans[number], sprite, x, y, sprite.area))
            boxes.append((x, y, x + width, y + height))
            break
        else:
            break
    return labels, placed


def _collides(boxes: Sequence[tuple[int, int, int, int]], left: int, top: int, right: int, bottom: int) -> bool:
    """Whether a box overlaps any of some boxes by more than its corners, which are mostly empty."""
    across, down = 0.12 * (right - left), 0.12 * (bottom - top)
    return any(
        min(right, other_right) - max(left, other_left) > across
        and min(bottom, other_bottom) - max(top, other_top) > down
        for other_left, other_top, other_right, other_bottom in boxes
    )


def _shows_colours(labels_HW: NDArray[np.uint8], number: int, thing: _Placed) -> bool:
    if thing.tones_HW is None:
        thing.tones_HW = thing.sprite.tones_HW()
    tones_HW = thing.tones_HW
    height, width = tones_HW.shape
    shown = labels_HW[thing.y : thing.y + height, thing.x : thing.x + width] == number
    _, main, part = np.bincount(tones_HW.ravel(), minlength=3).tolist()
    _, main_shown, part_shown = np.bincount(tones_HW[shown], minlength=3).tolist()
    return bool(main_shown >= MIN_VISIBLE_TONE * main and part_shown >= MIN_VISIBLE_TONE * part)


def _shade(image_HWC: NDArray[np.uint8], thing: _Placed, standing: bool, strength: float, light: float) -> None:
    """Lays the object's soft shadow, in place: at its foot on a ground, behind it on a wall."""
    height, width = thing.sprite.mask_HW.shape
    size = image_HWC.shape[0]
    if standing and thing.plan.kind != "bird":
        wide, high = round(1.25 * width), max(6, round(0.3 * width))
        x, y = thing.x + (width - wide) // 2 + round(0.12 * width * light), thing.y + height - round(0.62 * high)
        soft = cv2.resize(_blob(), (wide, high))
    else:
        pad = max(3, round(size / 40))
        soft = cv2.copyMakeBorder(thing.sprite.coverage_HW, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
        soft = cv2.blur(soft, (pad, pad))
        x, y = thing.x - pad + round(pad * 0.7 * light), thing.y - pad + round(0.7 * pad)
    top, left = max(0, -y), max(0, -x)
    soft = soft[top : size - y, left : size - x]
    region = image_HWC[y + top : y + top + soft.shape[0], x + left : x + left + soft.shape[1]]
    keep = cv2.cvtColor(cv2.convertScaleAbs(soft, alpha=-strength, beta=255), cv2.COLOR_GRAY2RGB)
    cv2.multiply(region, keep, dst=region, scale=1 / 255)


def _lay(image_HWC: NDArray[np.uint8], thing: _Placed) -> None:
    """Lays the object over the picture, in place, with a rim that parts it from what is behind."""
    sprite = thing.sprite
    height, width = sprite.mask_HW.shape
    region = image_HWC[thing.y : thing.y + height, thing.x : thing.x + width]
    ground = cv2.mean(region, sprite.mask_HW)
    distance = math.dist(ground[:3], sprite.tone)
    rim = _rim(sprite.tone, brightness((ground[0], ground[1], ground[2])), distance)
    keep = cv2.multiply(region, cv2.cvtColor(cv2.bitwise_not(sprite.coverage_HW), cv2.COLOR_GRAY2RGB), scale=1 / 255)
    cv2.add(cv2.add(keep, tinted(sprite.rim_HW, *rim)), sprite.paint_HW3, dst=region)


def _rim(tone: Rgb, ground_brightness: float, distance: float) -> Rgb:
    if ground_brightness < 95:  # a light edge on a dark ground
        return mix(tone, (255, 255, 255), 0.55)
    return mix(tone, (20, 16, 30), 0.72 if distance < 110 else 0.5)


@cache
def _blob() -> NDArray[np.uint8]:
    rows, columns = np.mgrid[-1:1:48j, -1:1:48j]
    distance = np.hypot(rows, columns)
    return as_uint8(np.round(255 * np.clip(1.15 - distance, 0, 1) ** 0.8 * (distance < 1)))


def _develop(rng: np.random.Generator, image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Adds a sensor's noise and, now and then, a little blur."""
    size = image_HWC.shape[0]
    if rng.random() < 0.2:
        image_HWC = as_uint8(cv2.GaussianBlur(image_HWC, (3, 3), 0.3 + 0.4 * rng.random()))
    plus, minus = _noise(int(4 * rng.random()), 2 * size)
    y, x = int(size * rng.random()), int(size * rng.random())
    image_HWC = as_uint8(cv2.add(image_HWC, plus[y : y + size, x : x + size]))
    return as_uint8(cv2.subtract(image_HWC, minus[y : y + size, x : x + size]))


@cache
def _noise(level: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A sheet of noise, its positive and its negative half; pictures take their windows out of it."""
    grain = np.random.Generator(np.random.PCG64(level)).normal(0, (1.0, 2.0, 3.5, 5.0)[level], (size, size, 3))
    return np.round(grain).clip(0, 40).astype(np.uint8), np.round(-grain).clip(0, 40).astype(np.uint8)


def _fact(thing: _Placed, mask_HW: NDArray[np.bool_], depth: int) -> SceneObject:
    left, top, width, height = cv2.boundingRect(mask_HW.view(np.uint8))
    full_left, full_top, full_width, full_height = cv2.boundingRect(thing.sprite.mask_HW)
    return SceneObject(
        kind=thing.plan.kind,
        colour=thing.plan.colour,
        part_colour=thing.plan.part_colour,
        size=thing.plan.size,
        texture=thing.plan.texture,
        box=(float(left), float(top), float(left + width), float(top + height)),
        centre=(thing.x + full_left + full_width / 2, thing.y + full_top + full_height / 2),
        visible_area=thing.visible,
        full_area=thing.sprite.area,
        depth=depth,
    )


def encode_jpeg(image_HWC: NDArray[np.uint8], quality: int) -> bytes:
    """The bytes of a JPEG file."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image_HWC, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return data.tobytes()


def decode_jpeg(data: bytes) -> NDArray[np.uint8]:
    """RGB uint8 (H, W, 3) out of a JPEG file's bytes."""
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise RuntimeError("OpenCV could not decode a JPEG of its own")
    return as_uint8(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
