"""The form in which every data source returns an image with some of its expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from m3att.data.masks import Mask, draw
from m3att.errors import DataError


@dataclass(frozen=True, slots=True)
class Sample:
    """One image, the masks of its referents and N expressions that name them.

    Expressions of the same referent share one mask.

    Args:
        image_HWC: RGB, uint8 in [0, 255].
        masks: M masks, one for each different referent, at the image's own size.
        mask_index_N: for each expression the number of the mask that it names.
        expressions: the N texts as written.
        expression_ids: the N sentence ids of the data set.
        image_id: the image's id in the data set.
        skills: for each expression the tags that reports are split by; empty tuples where a data set has none.
        categories_HW: uint8, the map of categories of `Source.read_categories`; None if it is not needed.
        boxed: for each mask whether it is no outline but the filled box around its referent, which is all that is
            known of it. Empty: all are outlines.

    Raises:
        DataError: where the shapes or lengths do not agree.
    """

    image_HWC: NDArray[np.uint8]
    masks: tuple[Mask, ...]
    mask_index_N: tuple[int, ...]
    expressions: tuple[str, ...]
    expression_ids: tuple[int, ...]
    image_id: int
    skills: tuple[tuple[str, ...], ...]
    categories_HW: NDArray[np.uint8] | None = None
    boxed: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.expressions)
        if not len(self.mask_index_N) == len(self.expression_ids) == len(self.skills) == count:
            raise DataError(f"image {self.image_id}: {count} expressions, but masks, ids or skills of another number")
        if self.image_HWC.ndim != 3 or self.image_HWC.shape[2] != 3 or self.image_HWC.dtype != np.uint8:
            raise DataError(f"image {self.image_id}: needs RGB uint8 (H, W, 3), not {self.image_HWC.shape}")
        if self.boxed and len(self.boxed) != len(self.masks):
            raise DataError(f"image {self.image_id}: {len(self.masks)} masks, but {len(self.boxed)} say if boxes")
        for mask in self.masks:
            if mask.shape != self.image_HWC.shape[:2]:
                raise DataError(
                    f"image {self.image_id}: a mask {mask.shape} and the image {self.image_HWC.shape[:2]} differ"
                )

    def only(self, chosen: Sequence[int]) -> Sample:
        """The same image with some of its expressions, by their numbers here; all masks stay."""
        return replace(
            self,
            mask_index_N=tuple(self.mask_index_N[at] for at in chosen),
            expressions=tuple(self.expressions[at] for at in chosen),
            expression_ids=tuple(self.expression_ids[at] for at in chosen),
            skills=tuple(self.skills[at] for at in chosen),
        )

    @property
    def boxed_M(self) -> tuple[bool, ...]:
        """Of each mask whether it is only a filled box."""
        return self.boxed or (False,) * len(self.masks)

    @property
    def masks_MHW(self) -> NDArray[np.bool_]:
        """(M, H, W), the masks as pixels, drawn at each call."""
        drawn_MHW = np.empty((len(self.masks), *self.image_HWC.shape[:2]), dtype=np.bool_)
        for number, mask in enumerate(self.masks):
            drawn_MHW[number] = draw(mask)
        return drawn_MHW
