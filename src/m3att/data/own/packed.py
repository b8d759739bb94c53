"""Hundreds of thousands of small values in one block of memory, which forked workers share without copying."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Packed:
    """Values that JSON can hold, by number.

    A list of Python objects is copied into every worker that reads it, because reading changes reference counts. Bytes
    are not copied.

    Args:
        values: kept in their order.
    """

    def __init__(self, values: Iterable[Any]) -> None:
        pieces = [json.dumps(value).encode() for value in values]
        self.content = np.frombuffer(b"".join(pieces), dtype=np.uint8)
        self.ends = np.cumsum([0, *map(len, pieces)])

    @classmethod
    def of(cls, content: NDArray[np.uint8], ends: NDArray[np.int64]) -> Packed:
        """The values whose JSON stands in ``content``, value i from ``ends[i]`` to ``ends[i + 1]``."""
        packed = cls(())
        packed.content, packed.ends = content, ends
        return packed

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, number: int) -> Any:
        return json.loads(self.content[int(self.ends[number]) : int(self.ends[number + 1])].tobytes())
