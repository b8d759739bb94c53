"""Pictures of what a validation predicted, for the trackers of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m3att.data.sample import Sample
from m3att.overlay import BACKGROUND, add_caption, paint, resize_picture

SIDE = 256  # longer side of a panel in pixels
ROWS = 3  # expressions of an image that are shown
GAP = 6  # pixels between panels


class Snapshots:
    """Collects pictures of the first images of a validation: image, truth and prediction, with the expression beneath.

    Args:
        count: images. 0: none.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.pictures: dict[str, Image.Image] = {}

    def watch(self, image: int, sample: Sample, positions: Sequence[int], masks_NHW: NDArray[np.bool_]) -> None:
        """See the masks of one image; what `evaluate` calls.

        Args:
            image: its number in the source.
            sample: the image with the expressions that are scored.
            positions: of the expressions in the image.
            masks_NHW: predicted, at the size of the image.
        """
        if len(self.pictures) < self.count:
            self.pictures[f"val/image-{sample.image_id}"] = draw_snapshot(sample, masks_NHW)


def draw_snapshot(sample: Sample, masks_NHW: NDArray[np.bool_]) -> Image.Image:
    """The image, the true mask and the predicted one side by side, a row for each of the first expressions.

    Args:
        sample: the image with its expressions.
        masks_NHW: predicted, one for each expression.
    """
    height, width = sample.image_HWC.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    shown_HWC = resize_picture(sample.image_HWC, size)
    truth_MHW = sample.masks_MHW
    rows: list[Image.Image] = []
    for text, number, mask_HW in list(zip(sample.expressions, sample.mask_index_N, masks_NHW, strict=True))[:ROWS]:
        true_HW = truth_MHW[number]
        panels = [shown_HWC, *(paint(shown_HWC, mask) for mask in (true_HW, mask_HW))]
        row = Image.new("RGB", (3 * size[1] + 2 * GAP, size[0]), BACKGROUND)
        for column, panel in enumerate(panels):
            row.paste(Image.fromarray(panel), (column * (size[1] + GAP), 0))
        both, either = int((true_HW & mask_HW).sum()), int((true_HW | mask_HW).sum())
        overlap = both / either if either else 1.0
        rows.append(add_caption(row, text, f"image, truth, prediction; IoU {overlap:.2f}"))
    picture = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), BACKGROUND)
    top = 0
    for row in rows:
        picture.paste(row, (0, top))
        top += row.height
    return picture
