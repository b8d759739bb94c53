"""A source in memory that has as many expressions as a test says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from m3att.data.sample import Sample
from m3att.data.source import Source

Groups = tuple[tuple[int, ...], ...]


class CountedSource(Source):
    """Images with as many referents and expressions as the test says; expression p of image i says "image i p"."""

    pixels = "drawn"

    def __init__(self, images: Sequence[Sequence[int]]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def expression_groups(self, index: int) -> Groups:
        ends = np.cumsum([0, *self.images[index]]).tolist()
        return tuple(tuple(range(start, end)) for start, end in pairwise(ends))

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        groups = self.expression_groups(index)
        referent_of = {at: number for number, group in enumerate(groups) for at in group}
        positions = list(referent_of) if expressions is None else list(expressions)
        referents = list(dict.fromkeys(referent_of[at] for at in positions))
        height, width = 12 + index, 20
        masks_MHW = np.zeros((len(referents), height, width), dtype=bool)
        for row, referent in enumerate(referents):
            masks_MHW[row, :, referent : referent + 2] = True
        return Sample(
            image_HWC=np.full((height, width, 3), 10 * index, dtype=np.uint8),
            masks=tuple(masks_MHW),
            mask_index_N=tuple(referents.index(referent_of[at]) for at in positions),
            expressions=tuple(f"image {index} {at} left" for at in positions),
            expression_ids=tuple(100 * index + at for at in positions),
            image_id=index,
            skills=((),) * len(positions),
        )

    def texts(self) -> Iterator[str]:
        return (text for index in range(len(self)) for text in self.read(index).expressions)
