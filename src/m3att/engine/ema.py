"""The exponential moving average (EMA) of the weights of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from m3att.model.network import M3AttNet


class WeightAverage:
    """The network that is validated and saved: the average of the trained one, or the trained one itself.

    After n steps the average moves by 1 - min(decay, (1 + n) / (10 + n)) of the way to the weights. So a short training
    does not keep its first weights. Running statistics of BatchNorm are averaged like weights. Whole numbers, such as
    counts and tables of positions, are copied: PyTorch's own rule rounds them down, and some of them drift.

    Args:
        network: that is trained; on its device.
        decay: largest share of the average that a step keeps. 0: there is no average.
    """

    def __init__(self, network: M3AttNet, decay: float) -> None:
        self.trained, self.decay = network, decay
        self.averaged = AveragedModel(network, multi_avg_fn=self.move, use_buffers=True) if decay else None

    @property
    def network(self) -> M3AttNet:
        """The network that is validated and saved."""
        return self.trained if self.averaged is None else cast(M3AttNet, self.averaged.module)

    def update(self) -> None:
        """Follow the trained network by one step."""
        if self.averaged is not None:
            self.averaged.update_parameters(self.trained)

    def move(self, averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        """Move tensors of one kind toward those of the trained network, in place.

        Args:
            averaged: of the average.
            current: of the trained network, in the same order.
            count: steps that the average has followed.
        """
        if not averaged[0].is_floating_point():
            for value, newest in zip(averaged, current, strict=True):
                value.copy_(newest)
            return
        decay = min(self.decay, (1 + int(count)) / (10 + int(count)))
        get_ema_multi_avg_fn(decay)(list(averaged), list(current), count)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of the average; empty without one."""
        return {} if self.averaged is None else self.averaged.state_dict()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave.

        Raises:
            KeyError: where it is of a training without an average.
            RuntimeError: where it is of another network.
        """
        if self.averaged is None:
            return
        if not state:
            raise KeyError("it holds no moving average")
        self.averaged.load_state_dict(dict(state))
