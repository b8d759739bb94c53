"""A mask drawn on its image."""

from __future__ import annotations

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
    field_HW = mask_field(mask, (shown_HWC.shape[0], shown_HWC.shape[1]))
    picture = Image.fromarray(paint(shown_HWC, field_HW))
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


def mask_field(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float32]:
    """Signed distance to the mask's outline in shown pixels, positive inside, at ``FINEST`` times the shown size.

    The outline is smoothed. This also removes specks of a pixel or two beside a larger mask. A mask that consists only
    of such specks is kept unchanged.

    Args:
        mask: (H, W), at the image's own size.
        size: (height, width) at which it is shown.

    Returns:
        (FINEST * height, FINEST * width). If the mask has no outline, every value is infinite.
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
    if inside_HW.all() or not inside_HW.any():
        return np.full(fine, np.inf if inside_HW.any() else -np.inf, dtype=np.float32)
    to_outside_HW, to_inside_HW = (
        cv2.distanceTransform(side_HW, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for side_HW in (inside_HW, 1 - inside_HW)
    )
    distance_HW = np.where(inside_HW > 0, to_outside_HW - 0.5, 0.5 - to_inside_HW) / FINEST
    return np.asarray(distance_HW, dtype=np.float32)


def paint(shown_HWC: NDArray[np.uint8], field_HW: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Dim the outside, tint the inside, and draw the outline with a dark border.

    Args:
        shown_HWC: RGB at the shown size.
        field_HW: of `mask_field`.

    Returns:
        RGB, (H, W, 3).
    """
    size = shown_HWC.shape[:2]
    half = max(1.0, max(size) / 640)  # half of the outline's width
    inside_HW1 = soft(field_HW, size)
    line_HW1 = soft(half - np.abs(field_HW), size)
    casing_HW1 = soft(2.0 * half - np.abs(field_HW), size) * 0.45
    picture_HWC = shown_HWC.astype(np.float32)
    accent_C = np.asarray(pick_accent(picture_HWC, inside_HW1), dtype=np.float32)
    grey_HW1 = cv2.cvtColor(shown_HWC, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    # If the mask is empty, the picture is not dimmed.
    outside_HWC = DIM * (picture_HWC + GREY_SHARE * (grey_HW1 - picture_HWC)) if inside_HW1.any() else picture_HWC
    tinted_HWC = picture_HWC + TINT * (accent_C - picture_HWC)
    painted_HWC = outside_HWC + inside_HW1 * (tinted_HWC - outside_HWC)
    painted_HWC *= 1 - casing_HW1
    painted_HWC += line_HW1 * (accent_C - painted_HWC)
    return np.asarray(painted_HWC.round().clip(0, 255), dtype=np.uint8)


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
