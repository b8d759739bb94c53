"""What a model found: one mask an expression, in every form that other programs read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m3att.data.masks import Polygon, encode_rle, mask_box, trace
from m3att.data.transforms import Resize
from m3att.extras import require
from m3att.overlay import draw_overlay

if TYPE_CHECKING:
    from pandas import DataFrame
    from supervision import Detections


@dataclass(frozen=True, eq=False)
class Prediction:
    """The mask of one expression's referent.

    Args:
        expression: the expression as given.
        mask: bool (H, W) at the image's own size, True = the referent.
        score: the IoU to expect, if the model's scores are calibrated; otherwise the mean probability inside the mask.
            In [0, 1]; 0 if the mask is empty.
        threshold: probability over which a pixel belongs to the mask.
        image: the image, RGB uint8 (H, W, 3); all predictions of a scene share it.
        mask_logits: float32 (h, w), the output of the network over its square input.
        resize: how the image lies in that square.
        mask_stride: pixels of that square between the centres of two neighbouring logits; the first logit begins at
            the upper left corner.
        unknown_words: words that the model does not know, nor a spelling near them; it read each as the unknown word.
        words_cut: number of words beyond the model's word limit, which it did not read.
        read_as: words that the model does not know as they were typed, each with the nearest known spelling that it
            was read as.

    Raises:
        ValueError: if the fields do not fit together.
    """

    expression: str
    mask: NDArray[np.bool_] = field(repr=False)
    score: float
    threshold: float
    image: NDArray[np.uint8] = field(repr=False)
    mask_logits: NDArray[np.float32] = field(repr=False)
    resize: Resize = field(repr=False)
    mask_stride: float = field(repr=False)
    unknown_words: tuple[str, ...] = ()
    words_cut: int = 0
    read_as: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"image is {self.image.dtype} {self.image.shape}, not RGB uint8 (H, W, 3)")
        size = self.image.shape[:2]
        if self.mask.dtype != np.bool_ or self.mask.shape != size:
            raise ValueError(f"mask is {self.mask.dtype} {self.mask.shape}, not bool {size}, the size of the image")
        if (self.resize.height, self.resize.width) != size or self.mask_logits.ndim != 2:
            raise ValueError(f"mask_logits {self.mask_logits.shape} and resize are not of an image of size {size}")
        if min(self.mask_logits.shape) * self.mask_stride < self.resize.size:
            raise ValueError(f"mask_logits {self.mask_logits.shape} of mask_stride {self.mask_stride} are too few")
        if not 0.0 <= self.score <= 1.0 or not 0.0 <= self.threshold < 1.0:
            raise ValueError(f"score {self.score} or threshold {self.threshold} is no probability")
        if self.words_cut < 0:
            raise ValueError(f"words_cut is {self.words_cut}")

    @cached_property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def box(self) -> tuple[int, int, int, int] | None:
        """The smallest box around the mask, XYXY in pixels, lower right corner exclusive; None for an empty mask."""
        return mask_box(self.mask) if self.area else None

    @property
    def polygons(self) -> list[Polygon]:
        """The outlines of the mask's parts along the edges of pixels, with their holes.

        Filled, they give the mask again. COCO's polygons know no holes, so give COCO tools the `rle`.
        """
        return trace(self.mask)

    @cached_property
    def rle(self) -> dict[str, Any]:
        """The mask as COCO's compressed run lengths, ready for JSON."""
        return encode_rle(self.mask)

    @property
    def probability(self) -> NDArray[np.float32]:
        """Probability of each pixel, float32 (H, W). It is large, so it is computed at each access and not kept."""
        probability_HW: NDArray[np.float32] = self.resize.probability(self.mask_logits[None], self.mask_stride)[0]
        return probability_HW

    def to_dict(self) -> dict[str, Any]:
        """The prediction for JSON: expression, segmentation (COCO RLE), box (XYXY), score, area and notes."""
        return {
            "expression": self.expression,
            "segmentation": self.rle,
            "box": None if self.box is None else list(self.box),
            "score": self.score,
            "area": self.area,
            "unknown_words": list(self.unknown_words),
            "read_as": dict(self.read_as),
            "words_cut": self.words_cut,
        }

    def mask_picture(self) -> Image.Image:
        """The mask as a grey picture, 255 = the referent and 0 = the rest, to be saved as PNG.

        Some libraries save a bool array as a picture of 0 and 1, which looks black.
        """
        return Image.fromarray(self.mask.view(np.uint8) * np.uint8(255))

    def overlay(self) -> Image.Image:
        """A picture of the mask on its image, with the expression beneath; see `m3att.overlay.draw_overlay`."""
        share = 100 * self.area / self.mask.size
        note = f"score {self.score:.2f}, {share:.1f} % of the image" if self.area else "nothing found"
        return draw_overlay(self.image, self.mask, self.expression, note)


class Predictions(list[Prediction]):
    """The predictions of one image, a list in the order of the expressions. All have the same size."""

    def to_coco(self, image_id: int | str, category_id: int = 1) -> list[dict[str, Any]]:
        """The masks as COCO results, one an expression, for `pycocotools.coco.COCO.loadRes`.

        Masks are run lengths, which keep holes and parts. There is no `bbox`: beside one, pycocotools takes an object's
        area from it and not from the mask. `expression` is an entry that COCO's own tools pass over.

        Args:
            image_id: of the image in the annotation file.
            category_id: of all objects.

        Returns:
            Entries for JSON.
        """
        return [
            {
                "image_id": image_id,
                "category_id": category_id,
                "segmentation": prediction.rle,
                "score": prediction.score,
                "expression": prediction.expression,
            }
            for prediction in self
        ]

    def to_supervision(self) -> Detections:
        """The masks as `supervision.Detections`; expressions for which nothing was found are left out.

        `class_id` is the number of the expression in this list, and ``data["class_name"]`` the expression itself.

        Raises:
            ConfigError: if the library supervision is not installed.
        """
        detections: type[Detections] = require("supervision", "supervision", "to_supervision").Detections
        found = [(number, prediction) for number, prediction in enumerate(self) if prediction.box is not None]
        if not found:
            return detections.empty()
        return detections(
            xyxy=np.array([prediction.box for _, prediction in found], dtype=np.float32),
            mask=np.stack([prediction.mask for _, prediction in found]),
            confidence=np.array([prediction.score for _, prediction in found], dtype=np.float32),
            class_id=np.array([number for number, _ in found]),
            data={"class_name": np.array([prediction.expression for _, prediction in found])},
        )

    def to_pandas(self) -> DataFrame:
        """A table with a row an expression: expression, score, area, box, run lengths (COCO's, as text) and notes.

        Raises:
            ConfigError: if the library pandas is not installed.
        """
        pandas = require("pandas", "tables", "to_pandas")
        table: DataFrame = pandas.DataFrame([table_row(prediction) for prediction in self], columns=list(COLUMNS))
        return table


COLUMNS = (
    "expression", "score", "area", "left", "top", "right", "bottom", "height", "width", "rle_counts", "unknown_words",
    "words_cut", "read_as",
)  # fmt: skip
"""Of the table of `Predictions.to_pandas`."""


def table_row(prediction: Prediction) -> dict[str, Any]:
    """A prediction as a row of plain values under `COLUMNS`; the box of an empty mask is four zeros."""
    height, width = prediction.mask.shape
    box = prediction.box or (0, 0, 0, 0)
    values = (
        prediction.expression, prediction.score, prediction.area, *box, height, width, prediction.rle["counts"],
        list(prediction.unknown_words), prediction.words_cut,
        [f"{word} as {known}" for word, known in prediction.read_as],
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def xywh(box: Sequence[int] | None) -> tuple[int, int, int, int]:
    """A box XYXY as COCO writes it: left, top, width, height; zeros for None."""
    left, top, right, bottom = box or (0, 0, 0, 0)
    return left, top, right - left, bottom - top
