"""RefCOCO and its family as collages: the expressions of people, over real objects in the annotated boxes."""

from __future__ import annotations

from copy import copy
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m3att.data.collage.painter import Collages
from m3att.data.refer.source import ReferSource
from m3att.data.source import UNKNOWN
from m3att.errors import DataError


class CollageSource(ReferSource):
    """The images of one split, each box filled with a real object that is cut out of another photo.

    Colours that an expression names are those of the cut-out that stands for its object. Masks are what is seen of
    each object. Crowd regions are not drawn.

    Args:
        root: see ReferSource.
        dataset: see ReferSource.
        split_by: see ReferSource.
        split: see ReferSource.
        collages: what they are drawn from, and how.

    Attributes:
        undrawn: number of referents that are left out, since no cut-out shows their category.

    Raises:
        DataError: as ReferSource does, and where no referent is left.
    """

    def __init__(self, root: Path | str, dataset: str, split_by: str, split: str, collages: Collages) -> None:
        self._collages = collages
        self.undrawn = 0
        super().__init__(root, dataset, split_by, split, "layout")
        self._last: tuple[int, NDArray[np.uint8], NDArray[np.int16]] | None = None

    @property
    def pixels(self) -> str:
        """Always ``collage``."""
        return "collage"

    @property
    def world(self) -> str:
        """Empty: what it shows is photographed."""
        return ""

    def at_epoch(self, epoch: int) -> CollageSource:
        """The same expressions over other collages."""
        anew = copy(self)
        anew._collages, anew._last = self._collages.at_epoch(epoch), None
        return anew

    def read_categories(self, index: int) -> NDArray[np.uint8]:
        """See ReferSource."""
        if not self.category_names:
            return np.full(self._collages.size_of(*self._size(index)), UNKNOWN, dtype=np.uint8)
        return super().read_categories(index)

    def _drawable(self, refs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those whose objects are of categories that a cut-out shows."""
        shown = [id_ for id_, name in self.categories.items() if name in self._collages.library.of_category]
        drawn = np.isin(self._objects.store["object_categories"], shown) & ~self._objects.crowd
        kept = refs[[bool(drawn[list(self._referents.targets(int(ref)))].all()) for ref in refs]]
        if len(kept) == 0:
            raise DataError(f"{self._place}: data.cutouts show no category of split {self.split!r}")
        self.undrawn = len(refs) - len(kept)
        return kept

    def _paint(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        """See ReferSource."""
        # The map of categories is asked for right after the pixels; a collage costs more than all else that is read.
        if self._last is None or self._last[0] != index:
            height, width = self._size(index)
            annotations = self._objects.of_image(int(self._images[index]))
            said = self._said(index)
            drawn = self._collages.paint(height, width, annotations, self.categories, said, self.image_ids[index])
            self._last = (index, *drawn)
        return self._last[1].copy(), self._last[2]

    def _said(self, index: int) -> dict[int, list[str]]:
        """All expressions of each object of an image, by the object's place among its annotations."""
        said: dict[int, list[str]] = {}
        first = self._rows(index).start
        for place in range(int(self._image_starts[index]), int(self._image_starts[index + 1])):
            for row in self._referents.targets(int(self._refs[place])):
                said.setdefault(row - first, []).append(self._referents.texts[int(self._sentences[place])])
        return said
