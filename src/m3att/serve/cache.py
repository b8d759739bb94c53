"""A cache of bounded size, by content."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from threading import Lock
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Keeps what was used last, up to a number of bytes. Several threads may share it.

    Args:
        limit: bytes in all. What is larger alone is not kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Value | None:
        """What is kept under a key, which counts as used now; None if there is nothing."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keep a value; what was not used for the longest time goes.

        Args:
            key: of the value. An older value goes.
            value: any.
            size: its bytes.
        """
        with self._lock:
            self.bytes -= self._kept.pop(key, (None, 0))[1]
            if size > self.limit:
                return
            self._kept[key] = (value, size)
            self.bytes += size
            while self.bytes > self.limit:
                _, (_, gone) = self._kept.popitem(last=False)
                self.bytes -= gone


def bytes_of(value: Any) -> int:
    """Bytes of the arrays and tensors in a value, those in its sequences, mappings and dataclasses included."""
    if isinstance(value, bytes):
        return len(value)
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    if isinstance(value, dict):
        return sum(map(bytes_of, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(bytes_of, value))
    if is_dataclass(value):
        return sum(bytes_of(getattr(value, field.name)) for field in fields(value))
    return 0
