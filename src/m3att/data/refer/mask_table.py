"""The masks of a split's referents as run lengths: rasterised once, kept in the cache, shared by all processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.data.annotation import read_segmentation
from m3att.data.masks import RunLengths
from m3att.data.refer.objects import ObjectTable
from m3att.data.refer.referents import ReferentTable
from m3att.data.refer.store import Arrays, Store, joined_key, kept
from m3att.errors import DataError, ImageError


class MaskTable:
    """Run lengths by row of an `ObjectTable`.

    Args:
        store: made by `rasterise`.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def find(self, row: int, height: int, width: int) -> RunLengths | None:
        """The mask of a row; None where it is not here, or of another size than the image has.

        Args:
            row: of the table of objects.
            height: image height in pixels.
            width: image width in pixels.
        """
        rows = self.store["rows"]
        place = int(np.searchsorted(rows, row))
        if place == len(rows) or rows[place] != row or self.store["sizes"][place].tolist() != [height, width]:
            return None
        starts = self.store["starts"]
        return RunLengths(height, width, self.store["counts"][int(starts[place]) : int(starts[place + 1])].tobytes())


def open_masks(objects: ObjectTable, referents: ReferentTable, refs: NDArray[Any], split: str) -> MaskTable:
    """The masks of a split's referents, from the cache or drawn now.

    Args:
        objects: the annotations.
        referents: of all splits.
        refs: numbers of the split's referents.
        split: its name.
    """
    targets = [referents.targets(int(ref)) for ref in np.unique(refs)]
    rows = np.unique(np.array([row for some in targets for row in some], dtype=np.int64))
    key = joined_key(f"masks {split}", (objects.store, referents.store))
    return MaskTable(Store(*rasterise(objects, rows)) if key is None else kept(key, lambda: rasterise(objects, rows)))


def rasterise(objects: ObjectTable, rows: NDArray[np.int64]) -> tuple[Arrays, Mapping[str, Any]]:
    """Draws the masks of some rows at the sizes that the file states.

    What cannot be drawn, or has no size that an image can have, is left to be told when it is read.
    """
    images = np.searchsorted(objects.starts, rows, side="right") - 1
    sizes = objects.image_sizes[images]
    drawn: list[int] = []
    counts: list[bytes] = []
    for number, (row, (height, width)) in enumerate(zip(rows.tolist(), sizes.tolist(), strict=True)):
        if height == 0 or width == 0:
            continue
        try:
            counts.append(read_segmentation(objects.segmentation(row), height, width).counts)
        except (DataError, ImageError):
            continue
        drawn.append(number)
    arrays: dict[str, NDArray[Any]] = {
        "rows": rows[drawn],
        "sizes": sizes[drawn],
        "counts": np.frombuffer(b"".join(counts), dtype=np.uint8),
        "starts": np.concatenate([[0], np.cumsum([len(one) for one in counts])]).astype(np.int64),
    }
    return arrays, {}
