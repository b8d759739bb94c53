"""Hundreds of thousands of small values in one block of memory, which forked workers share without copying."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.data.refer.store import Store


class Packed:
    """Values that JSON can hold, by number; `pack_json` puts them away.

    A list of Python objects is copied into every worker that reads it, because reading changes reference counts. Bytes
    are not copied.

    Args:
        content: the JSON of all values, one after the other, as bytes.
        ends: value i stands from ``ends[i]`` to ``ends[i + 1]``.
    """

    def __init__(self, content: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self.content, self.ends = content, ends

    @classmethod
    def under(cls, name: str, store: Store) -> Packed:
        """The values that `pack_json` put into a store under a name."""
        return cls(store[f"{name}_content"], store[f"{name}_ends"])

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, number: int) -> Any:
        return json.loads(self.content[int(self.ends[number]) : int(self.ends[number + 1])].tobytes())

    def empty_lists(self) -> NDArray[np.bool_]:
        """Of values that are lists, which are empty, (number of values,)."""
        return np.asarray(np.diff(self.ends) == len("[]"))


def pack_json(name: str, values: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Puts values, each of them as JSON in ASCII, into two arrays that `Packed.under` reads."""
    pieces = list(values)
    content = np.frombuffer("".join(pieces).encode("ascii"), dtype=np.uint8)
    return {f"{name}_content": content, f"{name}_ends": np.cumsum([0, *map(len, pieces)])}
