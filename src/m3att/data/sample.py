"""The one form in which every data source hands over an image with some of its expressions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3att.errors import DataError


@dataclass(frozen=True, slots=True)
class Sample:
    """One image, the masks of its referents and N expressions that name them.

    Expressions of one referent share one mask, so masks are stored once a referent.

    Args:
        image_HWC: RGB, uint8 in [0, 255].
        masks_MHW: bool, one mask a distinct referent, at the image's own size.
        mask_index_N: for each expression the row of ``masks_MHW`` that it names.
        expressions: the N texts as written.
        expression_ids: the N sentence ids of the data set.
        image_id: the image's id in the data set.
        skills: for each expression the tags that reports are split by; empty tuples where a data set has none.
        categories_HW: uint8, what stands where, as `Source.read_categories` gives it; None where it was not asked for.

    Raises:
        DataError: where the shapes or lengths do not agree.
    """

    image_HWC: NDArray[np.uint8]
    masks_MHW: NDArray[np.bool_]
    mask_index_N: tuple[int, ...]
    expressions: tuple[str, ...]
    expression_ids: tuple[int, ...]
    image_id: int
    skills: tuple[tuple[str, ...], ...]
    categories_HW: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        count = len(self.expressions)
        if not len(self.mask_index_N) == len(self.expression_ids) == len(self.skills) == count:
            raise DataError(f"image {self.image_id}: {count} expressions, but masks, ids or skills of another number")
        if self.image_HWC.ndim != 3 or self.image_HWC.shape[2] != 3 or self.image_HWC.dtype != np.uint8:
            raise DataError(f"image {self.image_id}: needs RGB uint8 (H, W, 3), not {self.image_HWC.shape}")
        if self.masks_MHW.shape[1:] != self.image_HWC.shape[:2]:
            raise DataError(
                f"image {self.image_id}: masks {self.masks_MHW.shape[1:]} and image "
                f"{self.image_HWC.shape[:2]} differ in size"
            )
