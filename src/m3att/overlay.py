"""A mask drawn on its image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SMALLEST, LARGEST = 480, 2048
"""Limits of the longer side in pixels: a smaller image is enlarged by a whole number, a larger one is shrunk."""
NARROWEST = 280
"""Least width of a picture with a caption, so that the caption can be read."""

BACKGROUND, TEXT, FAINT = (20, 22, 28), (240, 241, 244), (150, 155, 166)
ACCENTS = ((255, 64, 129), (0, 214, 255), (190, 242, 30), (255, 152, 0))
"""Colours of a mask. The one that differs most from the covered pixels is used."""
TINT, DIM, GREY_SHARE = 0.26, 0.62, 0.5
FINEST = 2  # outlines are drawn at twice the size and shrunk, so that they are smooth


def draw_overlay(image: NDArray[np.uint8], mask: NDArray[np.bool_], caption: str = "", note: str = "") -> Image.Image:
    """Draw a mask on its image: tint the inside, draw the outline, dim the rest, and put a caption beneath.

    Tiny images are enlarged and huge ones shrunk to what a screen can show; all others keep their size.

    Args:
        image: RGB uint8 (H, W, 3).
        mask: bool (H, W).
        caption: text beneath the image. If caption and note are empty, there is no strip for them.
        note: a fainter line under the caption.

    Returns:
        An RGB picture.

    Raises:
        ValueError: if image and mask differ in size.
    """
    if image.shape[:2] != mask.shape:
        raise ValueError(f"an image of {image.shape[:2]} and a mask of {mask.shape}")
    shown_HWC = resize_picture(image, show_size(*mask.shape))
    picture = Image.fromarray(paint(shown_HWC, mask))
    return add_caption(picture, caption, note) if caption.strip() or note.strip() else picture


def show_size(height: int, width: int) -> tuple[int, int]:
    """(H, W) at which an image is shown."""
    longest = max(height, width)
    scale = float(-(-SMALLEST // longest)) if longest < SMALLEST else min(1.0, LARGEST / longest)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize_picture(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An (H, W) or (H, W, 3) picture at another size, averaged where it shrinks and smooth where it grows."""
    if picture.shape[:2] == size:
        return picture
    grows = size[0] * size[1] > picture.shape[0] * picture.shape[1]
    resized = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_CUBIC if grows else cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def mask_field(
    mask: NDArray[np.bool_], size: tuple[int, int], reach: float = math.inf
) -> tuple[NDArray[np.float32], tuple[slice, slice]]:
    """Signed distance to the mask's outline in shown pixels, positive inside, at ``FINEST`` times the shown size.

    The outline is smoothed. This also removes specks of a pixel or two beside a larger mask. A mask that consists only
    of such specks is kept unchanged.

    Args:
        mask: (H, W), at the image's own size.
        size: (height, width) at which it is shown.
        reach: only the part of the picture is computed that is at most so many shown pixels away from the mask's box.

    Returns:
        (FINEST * h, FINEST * w), of the whole picture or of a part of it, and the part: its h rows and w columns of
        shown pixels. If the mask has no outline, every value is infinite.
    """
    fine = (size[0] * FINEST, size[1] * FINEST)
    growth = max(fine[0] / mask.shape[0], fine[1] / mask.shape[1])
    coverage_HW = mask.astype(np.uint8) * np.uint8(255)
    shrinks = growth < 1
    enlarged_HW = cv2.resize(coverage_HW, fine[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    blur = 0.7 * min(max(growth, 1.0), 16.0)  # limited, so that the pixels of a tiny image stay visible
    smooth_HW = cv2.GaussianBlur(enlarged_HW, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)
    if smooth_HW.max() < 128:
        # Only specks: show them unchanged, or at least one pixel.
        smooth_HW = np.where(enlarged_HW >= max(1, int(enlarged_HW.max())), 255, 0)
    inside_HW = (smooth_HW >= 128).astype(np.uint8)
    part = surroundings(cv2.boundingRect(inside_HW), reach, size)
    inside_HW = inside_HW[tuple(slice(FINEST * side.start, FINEST * side.stop) for side in part)]
    if inside_HW.all() or not inside_HW.any():
        return np.full(inside_HW.shape, np.inf if inside_HW.any() else -np.inf, dtype=np.float32), part
    to_outside_HW, to_inside_HW = (
        cv2.distanceTransform(side_HW, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for side_HW in (inside_HW, 1 - inside_HW)
    )
    distance_HW = np.where(inside_HW > 0, to_outside_HW - 0.5, 0.5 - to_inside_HW) / FINEST
    return np.asarray(distance_HW, dtype=np.float32), part


def surroundings(box: Sequence[int], reach: float, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of shown pixels around a box; inside them, all distances to what the box holds are exact.

    Args:
        box: (left, top, width, height), in units of 1 / ``FINEST`` of a shown pixel.
        reach: least distance from the box to the end of the part, in shown pixels, where the picture does not end.
        size: (height, width) of the picture.
    """
    left, top, width, height = box
    if width == 0 or math.isinf(reach):
        return slice(0, size[0]), slice(0, size[1])
    margin = math.ceil(reach) + 1
    rows, columns = (
        slice(max(0, start // FINEST - margin), min(end, -(-(start + length) // FINEST) + margin))
        for start, length, end in ((top, height, size[0]), (left, width, size[1]))
    )
    return rows, columns


def paint(shown_HWC: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Dim the outside, tint the inside, and draw the outline with a dark border.

    Args:
        shown_HWC: RGB at the shown size.
        mask: at any size.

    Returns:
        RGB, (H, W, 3).
    """
    size = (shown_HWC.shape[0], shown_HWC.shape[1])
    half = max(1.0, max(size) / 640)  # half of the outline's width
    field_HW, part = mask_field(mask, size, reach=2.0 * half + 1)
    near = field_HW.shape[0] // FINEST, field_HW.shape[1] // FINEST
    inside_HW1 = soft(field_HW, near)
    if not inside_HW1.any():
        return shown_HWC.copy()  # if the mask is empty, the picture is not dimmed
    line_HW1 = soft(half - np.abs(field_HW), near)
    casing_HW1 = soft(2.0 * half - np.abs(field_HW), near) * 0.45
    picture_HWC = shown_HWC.astype(np.float32)
    grey_HW1 = cv2.cvtColor(shown_HWC, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    painted_HWC = grey_HW1 - picture_HWC  # in place from here on: a new array at each step takes twice as long
    painted_HWC *= GREY_SHARE
    painted_HWC += picture_HWC
    painted_HWC *= DIM
    # Only the part near the mask holds more than the dimmed picture.
    near_HWC, below_HWC = painted_HWC[part], picture_HWC[part]
    accent_C = np.asarray(pick_accent(below_HWC, inside_HW1), dtype=np.float32)
    near_HWC += inside_HW1 * (below_HWC + TINT * (accent_C - below_HWC) - near_HWC)
    near_HWC *= 1 - casing_HW1
    near_HWC += line_HW1 * (accent_C - near_HWC)
    np.rint(painted_HWC, out=painted_HWC)
    np.clip(painted_HWC, 0, 255, out=painted_HWC)
    return painted_HWC.astype(np.uint8)


def soft(distance_HW: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Anti-aliased share of each pixel, (H, W, 1) in [0, 1], where the distance is positive."""
    coverage_HW = np.clip(distance_HW * FINEST + 0.5, 0, 1).astype(np.float32)
    return np.asarray(cv2.resize(coverage_HW, size[1::-1], interpolation=cv2.INTER_AREA), dtype=np.float32)[..., None]


def pick_accent(picture_HWC: NDArray[np.float32], inside_HW1: NDArray[np.float32]) -> tuple[int, int, int]:
    """The accent that differs most from the mean colour of the covered pixels."""
    weight = float(inside_HW1.sum(dtype=np.float64))
    if weight == 0:
        return ACCENTS[0]
    mean_C = (picture_HWC * inside_HW1).sum(axis=(0, 1), dtype=np.float64) / weight
    return max(ACCENTS, key=lambda accent: float(np.linalg.norm(np.asarray(accent) - mean_C)))


def add_caption(picture: Image.Image, caption: str, note: str) -> Image.Image:
    """The picture over a strip with wrapped text.

    Args:
        picture: of any size.
        caption: in large letters.
        note: in small letters beneath.
    """
    width = max(picture.width, NARROWEST)
    side = min(40, max(15, width // 34))
    font, small = ImageFont.load_default(side), ImageFont.load_default(max(12, side * 3 // 4))
    margin = side
    lines = wrap(caption, font, width - 2 * margin, 4)
    notes = wrap(note, small, width - 2 * margin, 2)
    height = 2 * (margin * 2 // 3) + len(lines) * line_height(font) + len(notes) * line_height(small)
    framed = Image.new("RGB", (width, picture.height + height), BACKGROUND)
    framed.paste(picture, ((width - picture.width) // 2, 0))
    pen = ImageDraw.Draw(framed)
    below = write_lines(pen, lines, (margin, picture.height + margin * 2 // 3), font, TEXT)
    write_lines(pen, notes, (margin, below), small, FAINT)
    return framed


def write_lines(
    pen: ImageDraw.ImageDraw,
    lines: Sequence[str],
    corner: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    colour: tuple[int, int, int],
) -> int:
    """Write lines downwards from a corner (x, y), and return the y of the next line.

    Args:
        pen: draws on the picture.
        lines: of text.
        corner: (x, y) of the first line, pixels.
        font: of all lines.
        colour: RGB.
    """
    x, y = corner
    for line in lines:
        pen.text((x, y), line, fill=colour, font=font)
        y += line_height(font)
    return y


def line_height(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    """Pixels from one line to the next."""
    return round((font.getbbox("Ågjy|")[3]) * 1.25)


def wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int, most: int) -> list[str]:
    """A text in at most ``most`` lines of a width in pixels; an ellipsis shows that something was left out.

    Words that are too long for a line are broken. Runs of white space, line ends included, become one space.

    Args:
        text: of any length.
        font: that it is measured in.
        width: of a line, pixels.
        most: lines.
    """
    lines: list[str] = []
    rest = " ".join(text[:4000].split())  # no caption shows more, and measuring long texts takes time
    while rest and len(lines) < most:
        taken = fitting(rest, font, width)
        if taken < len(rest) and rest[taken] != " ":
            space = rest.rfind(" ", 0, taken)
            taken = space if space > 0 else taken
        lines.append(rest[:taken].rstrip())
        rest = rest[taken:].lstrip()
    if rest and lines:
        last = lines[-1]
        lines[-1] = last[: max(0, min(len(last), fitting(last + "...", font, width) - 3))].rstrip() + "..."
    return lines


def fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> int:
    """How many of a text's first characters fit into a width; at least one.

    Args:
        text: of any length.
        font: that it is measured in.
        width: in pixels.
    """
    low, high = 1, min(len(text), 1 + width)  # almost every character is at least a pixel wide
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low
