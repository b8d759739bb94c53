"""What every data set looks like to training and evaluation, whether it lies on disk or is drawn on the fly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from m3att.data.sample import Sample


class Source(Protocol):
    """Images with expressions, by number. Reading is a pure function of the arguments, so workers can share it.

    Attributes:
        category_names: the categories of its objects, as its annotations name them.
    """

    @property
    def category_names(self) -> tuple[str, ...]:
        """See Attributes."""
        ...

    def __len__(self) -> int:
        """Number of images that carry at least one expression."""
        ...

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        """Positions of image ``index``'s expressions, one tuple a referent (training draws one of each an epoch)."""
        ...

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        """Image ``index`` with the expressions at the given positions, or with all of them."""
        ...

    def read_categories(self, index: int) -> NDArray[np.uint8]:
        """What stands where in image ``index``: 0 nothing, i + 1 category i, 255 unknown; (H, W)."""
        ...

    def texts(self) -> Iterator[str]:
        """Every expression, to build a vocabulary from."""
        ...
