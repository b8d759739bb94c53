"""Small values by the hundred thousand in one piece of memory, which forked workers share and never copy."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np


class Packed:
    """Values that JSON can hold, by number.

    A list of Python objects is copied into every worker that merely looks at it, since each look changes a reference
    count; bytes are not.

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
