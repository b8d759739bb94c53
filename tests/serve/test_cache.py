"""The cache of bounded size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from m3att.serve.cache import BoundedCache, bytes_of


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 7)), max_size=60))
def test_it_keeps_what_was_used_last_within_its_bytes(steps: list[tuple[bool, int, int]]) -> None:
    cache: BoundedCache[int, int] = BoundedCache(12)
    kept: list[tuple[int, int]] = []  # key and size, used last at the end
    for put, key, size in steps:
        found = [one for one in kept if one[0] == key]
        if put:
            cache.put(key, size, size)
            kept = [one for one in kept if one[0] != key] + ([(key, size)] if size <= 12 else [])
            while sum(bytes_ for _, bytes_ in kept) > 12:
                kept.pop(0)
        else:
            assert cache.get(key) == (found[0][1] if found else None)
            kept = [one for one in kept if one[0] != key] + found
        assert cache.bytes == sum(bytes_ for _, bytes_ in kept) <= 12
        assert len(cache) == len(kept)


def test_bytes_of_nested_arrays() -> None:
    @dataclass
    class Pair:
        maps: tuple[np.ndarray, ...]
        grid: str

    pair = Pair((np.zeros((2, 3), np.float32), np.zeros(5, np.uint8)), "grid")
    assert bytes_of(pair) == 29
    assert bytes_of({"a": [pair, b"xyz"]}) == 32
