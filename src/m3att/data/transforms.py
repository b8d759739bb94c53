"""The resize from an image's own pixels to the network's square input, and its exact inverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from m3att.data.coverage import cover_box, cover_runs
from m3att.data.masks import Mask, RunLengths, draw

GREY = 128  # the grey around a letterboxed image
LARGE_BOX = 0.2  # share of the image from which on a mask is shrunk faster whole than by its box


@dataclass(frozen=True, slots=True)
class Resize:
    """The place of an image in the network's square input.

    Pixels are squares of side 1 on both sides: the centre of the first one lies at (0.5, 0.5), and an edge of the
    picture at 0 or at its length.

    Args:
        height: of the image, pixels.
        width: of the image, pixels.
        size: side of the square input, pixels.
        mode: `letterbox` keeps proportions and centres the image on grey, `stretch` fills the square.
    """

    height: int
    width: int
    size: int
    mode: Literal["letterbox", "stretch"]

    @property
    def content(self) -> tuple[int, int, int, int]:
        """(top, left, height, width) of the image inside the square."""
        if self.mode == "stretch":
            return 0, 0, self.size, self.size
        scale = self.size / max(self.height, self.width)
        height, width = (max(1, round(side * scale)) for side in (self.height, self.width))
        return (self.size - height) // 2, (self.size - width) // 2, height, width

    @property
    def shrunk(self) -> tuple[int, int]:
        """(height, width) of the image once each side that the square makes smaller has shrunk, and before any grows.

        Each axis follows its own rule: one that shrinks is averaged, one that grows is interpolated.
        """
        _, _, height, width = self.content
        return min(height, self.height), min(width, self.width)

    def image(self, image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The network's input (size, size, 3)."""
        top, left, height, width = self.content
        resized_HWC = fit(fit(image_HWC, self.shrunk, cv2.INTER_AREA), (height, width), cv2.INTER_LINEAR)
        if (height, width) == (self.size, self.size):
            return resized_HWC
        square_HWC = np.full((self.size, self.size, 3), GREY, dtype=np.uint8)
        square_HWC[top : top + height, left : left + width] = resized_HWC
        return square_HWC

    def mask(self, mask: Mask) -> NDArray[np.uint8]:
        """A mask in the square, as coverage in [0, 255]: (size, size)."""
        square: NDArray[np.uint8] = self.masks([mask])[0]
        return square

    def masks(self, masks: Sequence[Mask]) -> NDArray[np.uint8]:
        """Masks of the image in the square, as coverage in [0, 255]: (M, size, size)."""
        top, left, height, width = self.content
        squares = np.zeros((len(masks), self.size, self.size), dtype=np.uint8)
        inner_MHW = squares[:, top : top + height, left : left + width]
        grows = self.shrunk != (height, width)
        shrunk_MHW = np.zeros((len(masks), *self.shrunk), dtype=np.uint8) if grows else inner_MHW
        self.cover(masks, shrunk_MHW)
        if grows:
            for number, shrunk_HW in enumerate(shrunk_MHW):
                inner_MHW[number] = fit(shrunk_HW, (height, width), cv2.INTER_LINEAR)
        return squares

    def cover(self, masks: Sequence[Mask], out_MHW: NDArray[np.uint8]) -> None:
        """Write masks of the image at the size `shrunk`.

        Args:
            masks: M masks, (height, width) each.
            out_MHW: zeros; receives coverage in [0, 255].
        """
        shrinks = self.shrunk != (self.height, self.width)
        if shrinks and len(masks) > 0 and all(isinstance(mask, RunLengths) for mask in masks):
            cover_runs([mask for mask in masks if isinstance(mask, RunLengths)], out_MHW)
            return
        for number, mask in enumerate(masks):
            mask_HW = draw(mask)
            box = cv2.boundingRect(mask_HW.view(np.uint8))
            if not shrinks or box[2] * box[3] > LARGE_BOX * mask_HW.size:
                out_MHW[number] = fit(mask_HW.view(np.uint8) * np.uint8(255), self.shrunk, cv2.INTER_AREA)
            else:
                cover_box(mask_HW, box, out_MHW[number])

    def categories(self, categories_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A map of categories in the square, each pixel that of the nearest one; 0, nothing, around the image.

        Args:
            categories_HW: of the image.

        Returns:
            (size, size).
        """
        top, left, height, width = self.content
        square = np.zeros((self.size, self.size), dtype=np.uint8)
        square[top : top + height, left : left + width] = cv2.resize(
            categories_HW, (width, height), interpolation=cv2.INTER_NEAREST_EXACT
        )
        return square

    def covered(self, cells: Sequence[int], stride: float) -> tuple[int, int]:
        """How many pixels of the square a map covers, with the padding on which its last cells lie.

        Args:
            cells: rows and columns of the map; the first cell begins at the square's upper left corner.
            stride: pixels of the square between the centres of two neighbouring cells.

        Returns:
            (height, width), each the square's side or more.

        Raises:
            ValueError: where the map does not cover the square.
        """
        height, width = (round(count * stride) for count in cells)
        if min(height, width) < self.size:
            named = " x ".join(map(str, cells))
            raise ValueError(f"a map of {named} cells of {stride} pixels does not cover a square of {self.size}")
        return height, width

    def invert(self, maps_NHW: ArrayLike, stride: float) -> NDArray[np.float32]:
        """Maps over the square back on the image's own pixels.

        Args:
            maps_NHW: over the square; the first cell begins at its upper left corner, and the last may reach over the
                opposite edges, onto padding. An array or a tensor of the CPU.
            stride: pixels of the square between the centres of two neighbouring cells.

        Returns:
            (N, height, width).

        Raises:
            ValueError: where the maps do not cover the square.
        """
        cells_NHW = np.asarray(maps_NHW, dtype=np.float32)
        image_NHW = np.empty((len(cells_NHW), self.height, self.width), dtype=np.float32)
        for cells_HW, image_HW in zip(cells_NHW, image_NHW, strict=True):
            self.invert_into(cells_HW, stride, image_HW)
        return image_NHW

    def invert_into(self, cells_HW: NDArray[np.float32], stride: float, out_HW: NDArray[np.float32]) -> None:
        """As `invert`, for one map.

        Args:
            cells_HW: over the square.
            stride: see `invert`.
            out_HW: (height, width); receives the map on the image's own pixels.

        Raises:
            ValueError: where the map does not cover the square.
        """
        top, left, height, width = self.content
        square_HW = scale_map(cells_HW, self.covered(cells_HW.shape, stride))
        # An axis on which the image is smaller than the square is averaged, as the adjoint of the enlargement.
        scale_map(square_HW[top : top + height, left : left + width], (self.height, self.width), out_HW)

    def probability(self, mask_logits_NHW: ArrayLike, stride: float) -> NDArray[np.float32]:
        """Mask logits as probabilities at the image's own pixels.

        Evaluation and prediction both compute their masks from this, so users get the masks that are scored.

        Args:
            mask_logits_NHW: as for `invert`.
            stride: as for `invert`; the network's `mask_stride`.

        Returns:
            (N, height, width).

        Raises:
            ValueError: where the logits do not cover the square.
        """
        return to_probability(self.invert(mask_logits_NHW, stride))


def to_probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits (of any shape) into probabilities in place, because maps are large, and return them."""
    # A tanh does not overflow, where exp(-logit) would.
    logits *= np.float32(0.5)
    np.tanh(logits, out=logits)
    logits += np.float32(1)
    logits *= np.float32(0.5)
    return logits


def scale_map(
    map_HW: NDArray[np.float32], size: tuple[int, int], out_HW: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """A map at another size: an axis that grows is interpolated linearly, one that shrinks is averaged by triangles.

    This is PyTorch's bilinear interpolation with antialiasing, without PyTorch. To a single column PyTorch 2.13
    antialiases wrongly.

    Args:
        map_HW: is not changed.
        size: (height, width) wanted.
        out_HW: receives the result; None: the result is a new array, or the map itself if it has that size.

    Returns:
        (height, width).
    """
    height, width = size
    if height < map_HW.shape[0]:
        map_HW = triangles(map_HW.shape[0], height) @ map_HW
    if width < map_HW.shape[1]:
        map_HW = map_HW @ triangles(map_HW.shape[1], width).T
    if map_HW.shape != size:
        scaled = cv2.resize(map_HW, (width, height), dst=out_HW, interpolation=cv2.INTER_LINEAR)
        return np.asarray(scaled, dtype=np.float32)
    if out_HW is None:
        return map_HW
    out_HW[:] = map_HW
    return out_HW


@lru_cache(maxsize=16)
def triangles(cells: int, fewer: int) -> NDArray[np.float32]:
    """Weights by which a row of cells shrinks: each wanted one looks at a triangle around its centre.

    Args:
        cells: how many there are.
        fewer: how many are wanted.

    Returns:
        (fewer, cells); each row sums to 1.
    """
    scale = cells / fewer
    centres_R1 = (np.arange(fewer)[:, None] + 0.5) * scale
    weights_RC = np.maximum(0.0, 1.0 - np.abs(np.arange(cells) + 0.5 - centres_R1) / scale)
    shares_RC = np.asarray(weights_RC / weights_RC.sum(axis=1, keepdims=True), dtype=np.float32)
    shares_RC.setflags(write=False)  # it is kept, and handed out again
    return shares_RC


def fit(picture: NDArray[np.uint8], size: tuple[int, int], interpolation: int) -> NDArray[np.uint8]:
    """A picture (H, W) or (H, W, 3) at a size (height, width), by an interpolation of OpenCV.

    Args:
        picture: uint8.
        size: (height, width) wanted.
        interpolation: of OpenCV, such as ``cv2.INTER_AREA``.
    """
    if picture.shape[:2] == size:
        return picture
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=interpolation), dtype=np.uint8)
