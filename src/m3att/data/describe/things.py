"""The annotated objects of one image, with what can be said of them for certain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from m3att.data.annotation import read_segmentation
from m3att.data.collage.colours import COLOURS, PARTS, Part, colour_shares
from m3att.data.collage.people import PERSON, person_of
from m3att.errors import DataError

PLAIN = 0.5  # share of a part that makes it plainly of a colour
ABSENT = 0.12  # share under which it plainly is not
MEASURED = 0.008  # share of the image from which on an object's colours are measured


@dataclass(frozen=True)
class Thing:
    """One object.

    Args:
        row: its place among the annotations of its image.
        category: name of its category.
        box: left, top, right and lower edge, as shares of the image's width and height.
        area: share of the image that it covers.
        is_crowd: whether it stands for many objects.
        shares: see `colour_shares`; None where they are not known.
        person: who it is, if that is known; see `person_of`.
    """

    row: int
    category: str
    box: tuple[float, float, float, float]
    area: float
    is_crowd: bool = False
    shares: NDArray[np.float32] | None = None
    person: str = ""

    @property
    def across(self) -> float:
        """Its centre's place between the left edge, 0, and the right edge, 1."""
        return (self.box[0] + self.box[2]) / 2

    @property
    def down(self) -> float:
        """Its centre's place between the upper edge, 0, and the lower edge, 1."""
        return (self.box[1] + self.box[3]) / 2

    def has_colour(self, colour: str) -> bool | None:
        """Whether it has a colour, a person on the upper part; None where nobody could say for certain."""
        if self.shares is None:
            return None
        part: Part = "upper" if self.category == PERSON else "whole"
        shares = self.shares[PARTS.index(part)]
        if shares.sum() == 0:
            return None
        share = float(shares[COLOURS.index(colour)])
        return True if share >= PLAIN else False if share <= ABSENT else None


def read_things(
    image_HWC: NDArray[np.uint8], annotations: Sequence[Mapping[str, Any]], categories: Mapping[int, str]
) -> list[Thing]:
    """The objects of an image.

    Args:
        image_HWC: its pixels.
        annotations: as a COCO file has them; colours are measured of those with an outline.
        categories: name of each category id.

    Raises:
        DataError: where an annotation has neither a box nor an outline, no known category, or a person that
            `person_of` does not know.
    """
    height, width = image_HWC.shape[:2]
    things: list[Thing] = []
    for row, entry in enumerate(annotations):
        name = categories.get(entry.get("category_id", -1))
        if name is None:
            raise DataError(f"annotation {entry.get('id')} has no known category")
        is_crowd, shares = bool(entry.get("iscrowd", 0)), None
        if entry.get("segmentation"):
            mask_HW = read_segmentation(entry["segmentation"], height, width).draw()
            x, y, w, h = cv2.boundingRect(mask_HW.view(np.uint8))
            area = float(mask_HW.mean())
            if area >= MEASURED and not is_crowd:
                inside = np.s_[y : y + h, x : x + w]
                shares = colour_shares(image_HWC[inside], mask_HW[inside], cut_below=y + h >= height - 1)
        elif isinstance(entry.get("bbox"), list) and len(entry["bbox"]) == 4:
            x, y, w, h = entry["bbox"]
            area = w * h / (height * width)
        else:
            raise DataError(f"annotation {entry.get('id')} has neither an outline nor a box")
        box = (x / width, y / height, (x + w) / width, (y + h) / height)
        things.append(Thing(row, name, box, area, is_crowd, shares, person_of(entry)))
    return things
