"""Hundreds of thousands of small values in one block of memory, which forked workers share without copying."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np


class Packed:
    """Values that JSON can hold, by number.

    A list of Python objects is copied into every worker that reads it, because reading changes reference counts. Bytes
    are not copied.

    Args:
        values: kept in their order.
    """

    def __init__(self, values: Iterable[Any]) -> None:
        pieces = [json.dumps(value).encode() for value in values]
        self._bytes = b"".join(pieces)
        self._ends = np.cumsum([0, *map(len, pieces)])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> Any:
        return json.loads(self._bytes[int(self._ends[number]) : int(self._ends[number + 1])])
