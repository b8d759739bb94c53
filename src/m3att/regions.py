"""Which of the pixels over a threshold are the mask: all of them, or the connected region around the likeliest one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

REGIONS = ("all", "peak")
"""The choices of `EvaluateConfig.region`."""


def mask_over(score_HW: NDArray[np.float32], threshold: float, region: str) -> NDArray[np.bool_]:
    """The mask that a map of scores makes, (H, W) bool.

    Args:
        score_HW: probabilities or logits.
        threshold: a score that equals it is background.
        region: `all` pixels over the threshold, or their region around the `peak`; see `peak_region`.
    """
    mask_HW: NDArray[np.bool_] = score_HW > threshold
    return peak_region(mask_HW, score_HW) if region == "peak" else mask_HW


def peak_region(mask_HW: NDArray[np.bool_], score_HW: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The connected region of a mask that holds its highest score, (H, W) bool.

    Pixels that touch at a corner are connected. Where several regions hold the highest score, the largest is taken.

    Args:
        mask_HW: may be empty.
        score_HW: of each pixel.
    """
    count, labels_HW, figures, _ = cv2.connectedComponentsWithStats(mask_HW.view(np.uint8), connectivity=8)
    if count <= 2:  # the background and one region
        return mask_HW
    inside = score_HW[mask_HW]
    tied = np.unique(labels_HW[mask_HW][inside == inside.max()])
    chosen: NDArray[np.bool_] = labels_HW == tied[figures[tied, cv2.CC_STAT_AREA].argmax()]
    return chosen
