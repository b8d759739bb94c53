"""What every data set looks like to training and evaluation, whether it lies on disk or is drawn on the fly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from m3att.data.sample import Sample


class Source(Protocol):
    """Images with expressions, by number. Reading is a pure function of the arguments, so workers can share it."""

    def __len__(self) -> int:
        """Number of images that carry at least one expression."""
        ...

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        """Positions of image ``index``'s expressions, one tuple a referent (training draws one of each an epoch)."""
        ...

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        """Image ``index`` with the expressions at the given positions, or with all of them."""
        ...

    def texts(self) -> Iterator[str]:
        """Every expression, to build a vocabulary from."""
        ...
