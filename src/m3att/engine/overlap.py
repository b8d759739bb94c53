"""Reads the next item and finishes the one before in a second thread, while the calling thread computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def overlapped(items: Iterator[T], compute: Callable[[T], R], finish: Callable[[T, R], None]) -> None:
    """Compute items one after the other.

    Everything stays in order, and at most two items exist at once. ``items`` and ``finish`` are only used by the second
    thread, so they may share what no two threads may use. Libraries that compute outside Python's lock run at the same
    time as the network, if there is a second core; otherwise nothing is gained or lost.

    Args:
        items: read in the second thread.
        compute: runs in the calling thread.
        finish: takes an item and what was computed of it, in the second thread.

    Raises:
        Exception: what any of the three raised. Later items are not computed then.
    """
    with ThreadPoolExecutor(1) as second:
        finished: Future[None] | None = None
        coming = second.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = second.submit(next, items, None)
            result = compute(item)
            if finished is not None:
                finished.result()  # raises what it raised
            finished = second.submit(finish, item, result)
        if finished is not None:
            finished.result()
