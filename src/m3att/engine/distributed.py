"""Several processes that train or evaluate one network together, as `torchrun` or `accelerate launch` start them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The processes of one training or evaluation, as one of them sees them.

    Args:
        rank: number of this process; 0 alone writes and speaks.
        count: how many there are.
        accelerator: of the library accelerate; None for a process that is alone.
    """

    rank: int = 0
    count: int = 1
    accelerator: Accelerator | None = None

    def summed(self, values: Tensor) -> Tensor:
        """The sum over all processes of a tensor (...) that each of them has, (...); no gradient goes through it."""
        if self.count == 1:
            return values
        values = values.detach().clone()
        torch.distributed.all_reduce(values)
        return values

    def joined(self, values: list[T]) -> list[T]:
        """The lists of all processes as one, in the order of their ranks; every process gets it."""
        if self.count == 1:
            return values
        lists: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(lists, values)
        return [value for found in lists for value in found]

    @contextmanager
    def micro_batch(self, forward: Any, counts: bool, is_last: bool) -> Iterator[None]:
        """Forward and backward of one micro-batch of a step.

        Args:
            forward: what `wrap` made of the network.
            counts: whether this process has a part of the micro-batch.
            is_last: whether the gradients are then whole, so that they are added up over the processes.
        """
        with nullcontext() if is_last or self.accelerator is None else self.accelerator.no_sync(forward):
            yield


ALONE = Processes()
