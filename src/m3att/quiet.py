"""Warnings of libraries that are no news to a user, kept back in any number of threads."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_before = warnings.catch_warnings()


@contextmanager
def no_warnings() -> Iterator[None]:
    """Ignore all warnings until the last thread has left.

    `warnings.catch_warnings` alone is for one thread: of two that overlap, the one that leaves last restores what the
    first one had set, and from then on the whole program would show no warning.
    """
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = warnings.catch_warnings()
            _before.__enter__()
            warnings.simplefilter("ignore")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _before.__exit__(None, None, None)
