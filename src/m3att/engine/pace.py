"""How a training spends its time, and how much memory it takes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch

from m3att.device import peak_resident

Item = TypeVar("Item")


class Pace:
    """Measures what share of the time a training waits for its data.

    Args:
        device: of the network.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.waited, self.since = 0.0, time.monotonic()

    def watched(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; the time that each takes to come is counted as waiting."""
        waiting = iter(items)
        while True:
            asked = time.monotonic()
            try:
                item = next(waiting)
            except StopIteration:
                return
            self.waited += time.monotonic() - asked
            yield item

    def figures(self) -> dict[str, float]:
        """The share of the time since the last call that was spent waiting, and the most memory so far in GiB."""
        now = time.monotonic()
        found = {"data_wait": self.waited / max(now - self.since, 1e-9)}
        self.waited, self.since = 0.0, now
        memory = peak_memory(self.device)
        return found if memory is None else {**found, "memory_gib": memory / 2**30}


def peak_memory(device: torch.device) -> int | None:
    """Most bytes in use so far: of PyTorch on a GPU, of this process on Unix; None elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_resident()
