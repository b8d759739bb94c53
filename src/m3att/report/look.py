"""Where the words look, as pictures: LAV of each word over the positions, and VAL of each position over the words."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m3att.attention import WordAttention
from m3att.overlay import resize_picture

COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (160, 160, 160),
)
"""Colours of words, which colour-blind people can tell apart (Okabe and Ito)."""
DARKEST = 0.35  # of the image, where a word does not look
SOFTEN = 0.5  # power of the weights; most words look at few cells, and their surroundings would be black


def colour_of(word: int) -> tuple[int, int, int]:
    """RGB of a word by its number; the colours repeat after eight words."""
    return COLOURS[word % len(COLOURS)]


def lav_picture(image_HWC: NDArray[np.uint8], attention: WordAttention, word: int, side: int) -> Image.Image:
    """The image, bright where a word looks.

    Paper: Eq. 2a, the weights of one word over all positions. Shown are the roots of their shares of the largest.

    Args:
        image_HWC: RGB uint8.
        attention: of an expression on this image.
        word: number of the word.
        side: longer side of the picture, pixels.
    """
    shown_HWC = shrink(image_HWC, side)
    weight_HW = spread(attention.lav[word], attention.region, shown_HWC.shape[:2])
    weight_HW1 = (weight_HW / max(float(weight_HW.max()), 1e-12))[..., None] ** SOFTEN
    grey_HW1 = cv2.cvtColor(shown_HWC, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    dark_HWC = DARKEST * grey_HW1 + (1 - DARKEST) * weight_HW1 * shown_HWC
    warm_HWC = dark_HWC + 0.45 * weight_HW1 * (np.array([255, 170, 0], dtype=np.float32) - dark_HWC)
    return Image.fromarray(warm_HWC.round().clip(0, 255).astype(np.uint8))


def val_picture(image_HWC: NDArray[np.uint8], attention: WordAttention, side: int) -> Image.Image:
    """The image, each position in the colour of the word that it gives most weight to, stronger the more it leads.

    Paper: Eq. 2b, the weights of each position over all words.

    Args:
        image_HWC: RGB uint8.
        attention: of an expression on this image.
        side: longer side of the picture, pixels.
    """
    shown_HWC = shrink(image_HWC, side)
    weights_LHW = np.stack([spread(map_HW, attention.region, shown_HWC.shape[:2]) for map_HW in attention.val])
    leader_HW = weights_LHW.argmax(axis=0)
    total_HW = np.maximum(weights_LHW.sum(axis=0), 1e-12)
    even = 1 / len(weights_LHW)
    lead_HW = weights_LHW.max(axis=0) / total_HW
    lead_HW = np.ones_like(lead_HW) if even == 1 else (lead_HW - even) / (1 - even)
    colour_HWC = np.array([colour_of(word) for word in range(len(weights_LHW))], dtype=np.float32)[leader_HW]
    grey_HW1 = cv2.cvtColor(shown_HWC, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    share_HW1 = (0.15 + 0.65 * lead_HW.clip(0, 1))[..., None]
    mixed_HWC = grey_HW1 + share_HW1 * (colour_HWC - grey_HW1)
    return Image.fromarray(mixed_HWC.round().clip(0, 255).astype(np.uint8))


def shrink(image_HWC: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """RGB (H, W, 3) with the longer side as given."""
    height, width = image_HWC.shape[:2]
    scale = side / max(height, width)
    return resize_picture(image_HWC, (max(1, round(height * scale)), max(1, round(width * scale))))


def spread(cells_HW: NDArray[np.float32], region: Sequence[float], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Values of a grid's cells at the pixels of a picture of the image, smoothly: float32 (height, width).

    Args:
        cells_HW: a value a cell.
        region: left, top, width and height of the image in the grid, in cells.
        size: height and width of the picture.
    """
    left, top, across, down = region
    # The centre of a cell is at its number plus a half; remap counts from centres.
    columns = left + (np.arange(size[1], dtype=np.float32) + 0.5) / size[1] * across - 0.5
    rows = top + (np.arange(size[0], dtype=np.float32) + 0.5) / size[0] * down - 0.5
    x_HW, y_HW = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    found_HW = cv2.remap(cells_HW, x_HW, y_HW, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found_HW, dtype=np.float32)
