"""The mask logits of an expression at its image's own pixels: which pixels are the mask, and what they say about it.

Evaluation and prediction both decide here, so users get the masks that are scored. One map of numbers exists at a time,
and most of the work is done inside a box: outside it no pixel can be over the threshold, as the few cells of the
network's output show. PyTorch is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from m3att.calibration import Calibration, Evidence, score_of
from m3att.data.transforms import Resize, to_probability
from m3att.regions import peak_region

Box = tuple[slice, slice]
"""Rows and columns of a part of an image."""

FARTHEST = 200.0  # a logit whose probability is 1 in float32, and whose negative has 0
LEAST = 0.1  # probability; pixels with less are looked at only for thresholds below it
ROUNDING = 1e-3  # part by which an interpolated logit may exceed all cells that it is made of; it is far less


@dataclass(frozen=True, eq=False)
class MaskMap:
    """The mask logits of one expression at its image's own pixels.

    Args:
        logits_HW: float32, as `Resize.invert` gives them.
        cells_HW: the network's output that they were made of.
        resize: how the image lies in the network's square.
        stride: pixels of that square between the centres of two neighbouring cells.
        spare_HW: float32 of the image's size, for passing values.
    """

    logits_HW: NDArray[np.float32]
    cells_HW: NDArray[np.float32]
    resize: Resize
    stride: float
    spare_HW: NDArray[np.float32]
    _boxes: dict[float, Box] = field(default_factory=dict)
    _masks: dict[tuple[float, str], tuple[Box, NDArray[np.bool_]]] = field(default_factory=dict)

    def box(self, threshold: float) -> Box:
        """A part of the image outside which no probability is over a threshold; not the smallest, and empty if none is.

        A pixel's logit is a mean of the cells around it. So only pixels near a cell that is over the limit matter.
        """
        if threshold < LEAST:
            return slice(None), slice(None)
        if threshold not in self._boxes:
            limit = logit_of(threshold)
            over_HW: NDArray[np.bool_] = self.cells_HW > limit - ROUNDING * abs(limit)
            top, left, height, width = self.resize.content
            x, y, across, down = cv2.boundingRect(over_HW.view(np.uint8))
            rows = pixels_near(y, down, self.stride, top, self.resize.height / height, self.resize.height)
            columns = pixels_near(x, across, self.stride, left, self.resize.width / width, self.resize.width)
            self._boxes[threshold] = rows, columns
        return self._boxes[threshold]

    def mask_in_box(self, threshold: float, region: str = "all") -> tuple[Box, NDArray[np.bool_]]:
        """The mask, and the part of the image that it lies in.

        Args:
            threshold: probability over which a pixel belongs to the mask, in [0, 1).
            region: see `EvaluateConfig.region`.

        Returns:
            The box, and the mask inside it, bool of the box's size.
        """
        if (threshold, region) not in self._masks:
            box = self.box(threshold)
            mask_HW: NDArray[np.bool_] = self.logits_HW[box] > logit_of(threshold)
            if region == "peak" and mask_HW.size:
                # By probabilities, because those near 1 are equal in float32, and then the largest region is taken.
                mask_HW = peak_region(mask_HW, to_probability(self.logits_HW[box].copy()))
            self._masks[threshold, region] = box, mask_HW
        return self._masks[threshold, region]

    def mask(self, threshold: float, region: str = "all") -> NDArray[np.bool_]:
        """The mask at the image's own size, bool (H, W). See `mask_in_box`."""
        box, part_HW = self.mask_in_box(threshold, region)
        mask_HW = np.zeros(self.logits_HW.shape, dtype=np.bool_)
        mask_HW[box] = part_HW
        return mask_HW

    def score(self, threshold: float, region: str = "all", calibration: Calibration | None = None) -> float:
        """The score of the mask; see `score_of`. Without a calibration only pixels inside the mask are looked at.

        Args:
            threshold: see `mask_in_box`.
            region: see `mask_in_box`.
            calibration: of the model's scores.
        """
        if calibration is not None:
            return score_of(self.evidence(threshold, region), calibration)
        return self.mean_inside(threshold, region) or 0.0

    def mean_inside(self, threshold: float, region: str = "all") -> float | None:
        """The mean probability inside the mask; None for an empty mask. See `mask_in_box`."""
        box, mask_HW = self.mask_in_box(threshold, region)
        logits = self.logits_HW[box][mask_HW]
        return float(near_probability(logits).sum(dtype=np.float64)) / logits.size if logits.size else None

    def evidence(self, threshold: float, region: str = "all") -> Evidence | None:
        """What the map says about its mask; None for an empty mask. See `mask_in_box`."""
        inside = self.mean_inside(threshold, region)
        if inside is None:
            return None
        box, mask_HW = self.mask_in_box(threshold, region)
        area = int(np.count_nonzero(mask_HW))
        # The higher threshold lies half-way to 1, the lower one half-way to 0.
        high = np.count_nonzero((self.logits_HW[box] > logit_of((1 + threshold) / 2)) & mask_HW)
        low = np.count_nonzero(self.logits_HW[self.box(threshold / 2)] > logit_of(threshold / 2))
        np.copyto(self.spare_HW, self.logits_HW)
        everywhere = float(cv2.sumElems(near_probability(self.spare_HW))[0])
        expected = inside * area / (area + max(0.0, everywhere - inside * area))
        return Evidence(inside, expected, high / low, area / self.logits_HW.size)


def mask_maps(mask_logits_NHW: NDArray[np.float32], resize: Resize, stride: float) -> Iterator[MaskMap]:
    """The maps of N expressions one after the other. A map is valid until the next one is asked for.

    Args:
        mask_logits_NHW: the network's output.
        resize: how the image lies in the network's square.
        stride: the network's `mask_stride`.
    """
    logits_HW, spare_HW = (np.empty((resize.height, resize.width), dtype=np.float32) for _ in range(2))
    for cells_HW in mask_logits_NHW:
        resize.invert_into(cells_HW, stride, logits_HW)
        yield MaskMap(logits_HW, cells_HW, resize, stride, spare_HW)


def near_probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits into probabilities in place, nearly as `to_probability` does but much faster, and return them.

    OpenCV's exponential is ten times as fast as NumPy's tanh. No mask is decided by it, because it rounds otherwise.

    Args:
        logits: contiguous, one or two axes.

    Returns:
        The same array, of its shape (H, W) or (P,).
    """
    np.negative(logits, out=logits)
    cv2.exp(logits, logits)
    logits += np.float32(1)
    return np.divide(np.float32(1), logits, out=logits)


def pixels_near(number: int, count: int, stride: float, start: int, scale: float, length: int) -> slice:
    """The pixels of one axis of an image whose value can depend on some of the network's cells.

    Args:
        number: of the first cell along the axis.
        count: of the cells; may be 0.
        stride: pixels of the square between two cells.
        start: pixel of the square where the image begins.
        scale: pixels of the image to one of the square.
        length: pixels of the image.
    """
    if not count:
        return slice(0, 0)
    # Linear interpolation looks as far as the centre of the next cell, and averaging one pixel of the result further.
    # There are two resizes, so two pixels of the square are added on either side.
    first = ((number - 0.5) * stride - 2 - start) * scale - 1
    last = ((number + count + 0.5) * stride + 2 - start) * scale + 1
    return slice(min(length, max(0, math.floor(first))), min(length, max(0, math.ceil(last))))


@lru_cache(maxsize=64)
def logit_of(threshold: float) -> float:
    """The largest float32 logit whose probability is not over a threshold; a pixel over it belongs to the mask.

    It is found among all float32 numbers with `to_probability` itself, so a mask of logits is that of probabilities.

    Args:
        threshold: in [0, 1).
    """
    low, high = number_of(-FARTHEST), number_of(FARTHEST)  # not over it, and over it
    while high - low > 1:
        middle = (low + high) // 2
        if to_probability(np.array([float32_of(middle)], dtype=np.float32))[0] > np.float32(threshold):
            high = middle
        else:
            low = middle
    return float(float32_of(low))


def number_of(value: float) -> int:
    """Where a float32 stands among all of them: those of neighbours differ by 1."""
    bits = int(np.float32(value).view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def float32_of(number: int) -> np.float32:
    """The float32 of a number of `number_of`."""
    value: np.float32 = np.int32(abs(number)).view(np.float32)
    return value if number >= 0 else np.float32(-value)
