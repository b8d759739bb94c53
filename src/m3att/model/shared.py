"""A batch that several processes share: sums and statistics over all of them, through which gradients go.

`torch.nn.SyncBatchNorm` does not train on a CPU, and knows neither masks nor processes without a part of the batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Sum(torch.autograd.Function):
    """The sum over all processes; backward, the sum of their gradients."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        """The sum of ``values`` (...), (...)."""
        summed = values.contiguous().clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        """The loss of each process depends on the sum, and so on the part (...) of each process."""
        summed = gradient.contiguous().clone()
        dist.all_reduce(summed)
        return summed


class Normalise(torch.autograd.Function):
    """BatchNorm with given statistics; backward, with the sums over all processes on which they depend.

    Weight and bias get the gradient of this process alone, as all other weights do.
    """

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        weight_C: Tensor,
        bias_C: Tensor,
        number: Tensor,
        mean_C: Tensor,
        variance_C: Tensor,
        eps: float,
        counts: bool,
    ) -> Tensor:
        """Values (R, C, ...) less the mean, over the standard deviation, times the weight, plus the bias.

        Args:
            ctx: keeps what the backward pass needs.
            values: (R, C) or (R, C, ...).
            weight_C: scale.
            bias_C: shift.
            number: of `SharedBatch.moments`, as the next two.
            mean_C: of the whole batch.
            variance_C: of the whole batch.
            eps: added to the variance.
            counts: whether the values have a part in the statistics.
        """
        ctx.save_for_backward(values, weight_C, number, mean_C, variance_C)
        ctx.eps, ctx.counts = eps, counts
        found: Tensor = torch.native_batch_norm(values, weight_C, bias_C, mean_C, variance_C, False, 0.0, eps)[0]
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """As BatchNorm's, with sums (C,) over the whole batch in the place of those over this part."""
        values, weight_C, number, mean_C, variance_C = ctx.saved_tensors
        # With the statistics taken for constants: the direct part, and the two sums that the statistics need.
        direct, by_weight_C, by_bias_C = torch.ops.aten.native_batch_norm_backward(
            gradient, values, weight_C, mean_C, variance_C, None, None, False, ctx.eps, [True, True, True]
        )
        sums_2C = torch.stack([by_weight_C, by_bias_C])
        dist.all_reduce(sums_2C)
        if ctx.counts:
            deviation_C = torch.rsqrt(variance_C + ctx.eps)
            slope_C = -weight_C * deviation_C.square() * sums_2C[0] / number
            level_C = -weight_C * deviation_C * sums_2C[1] / number - slope_C * mean_C
            shape = (-1, *[1] * (values.ndim - 2))
            direct = direct + torch.addcmul(level_C.view(shape), values, slope_C.view(shape)).to(direct.dtype)
        return direct, by_weight_C, by_bias_C, None, None, None, None, None


class SharedBatch:
    """A batch of which each process of the default group has a part.

    Attributes:
        counts: whether this process has a part of the current batch. If not, it computes on a stand-in, which has no
            part in any sum or statistic.
    """

    counts: bool = True

    def summed(self, values: Tensor) -> Tensor:
        """The sum over all processes of ``values`` (...), (...); gradients go back to each of them."""
        found: Tensor = Sum.apply(values if self.counts else values * 0)  # type: ignore[no-untyped-call]
        return found

    @torch.no_grad()
    def moments(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Statistics of the channels of the whole batch, without gradient.

        The parts are joined by their means and variances (Chan et al., 1979). Sums of squares would lose digits.

        Args:
            values: the part of this process, (R, C) or (R, C, ...).

        Returns:
            How many numbers a channel has, a scalar; the mean (C,) and the biased variance (C,), in float32 or better.
        """
        mean_C, variance_C = torch.batch_norm_update_stats(values, None, None, 0.0)
        number = mean_C.new_full((1,), values.numel() // values.shape[1] if self.counts else 0)
        own = torch.cat([number, mean_C, variance_C])
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own)
        number_P1, means_PC, variances_PC = torch.stack(parts).split([1, len(mean_C), len(mean_C)], dim=1)
        share_P1 = number_P1 / number_P1.sum()
        mean_C = (share_P1 * means_PC).sum(dim=0)
        variance_C = (share_P1 * (variances_PC + (means_PC - mean_C).square())).sum(dim=0)
        return number_P1.sum(), mean_C, variance_C

    def normalised(
        self, values: Tensor, weight_C: Tensor, bias_C: Tensor, moments: tuple[Tensor, Tensor, Tensor], eps: float
    ) -> Tensor:
        """Batch normalisation with the statistics of the whole batch; gradients go through the statistics too.

        Args:
            values: (R, C) or (R, C, ...).
            weight_C: scale.
            bias_C: shift.
            moments: of `moments` for the same values.
            eps: added to the variance.

        Returns:
            (R, C) or (R, C, ...).
        """
        found: Tensor = Normalise.apply(  # type: ignore[no-untyped-call]
            values, weight_C, bias_C, *moments, eps, self.counts
        )
        return found
