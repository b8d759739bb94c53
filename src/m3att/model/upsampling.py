"""The convolutions of the mask decoder, with 2x upsampling between them (Fig. 6)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from m3att.model.norm import SharedBatchNorm2d, update_running_statistics
from m3att.model.shared import SharedBatch

# Numbers of an enlarged map that exist at once in training: 32 MiB in float32.
NUMBERS_AT_ONCE = 2**23


class UpsamplingStack(nn.Sequential):
    """Convolutions with BN, ReLU and 2x upsampling, and a last convolution that gives the logits (Fig. 6).

    A 1x1 convolution and the upsampling before it may change places: one mixes channels, the other neighbouring cells,
    and the weights of a bilinear sum add up to 1, so that a bias stays what it is. The convolution then runs on a
    quarter of the cells. BN's statistics stay those of the enlarged map.

    In training, BN changes places with the upsampling too: it is affine, and `enlarged_moments` computes the statistics
    of the enlarged map from the small one. Enlarged maps are then made for a few expressions at a time, and are made
    again in the backward pass instead of being kept.

    Args:
        channels_in: number of input maps.
        channels: width of the first convolution.
        upsamplings: number of 2x upsamplings; there is one convolution more.
        kernel: kernel size: 1 as in Fig. 6, or 3.
        narrowing: factor by which the width falls after each upsampling; in the paper it stays the same (1).
        unit_convolutions: convolutions before each upsampling, each with BN and ReLU. Only a stack of single ones
            changes places as said above.

    Attributes:
        enlarged: channels after each upsampling.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        upsamplings: int,
        kernel: int,
        narrowing: int = 1,
        unit_convolutions: int = 1,
    ) -> None:
        parts: list[nn.Module] = []
        enlarged: list[int] = []
        for _ in range(upsamplings):
            for _ in range(unit_convolutions):
                parts += [
                    nn.Conv2d(channels_in, channels, kernel, padding=kernel // 2, bias=False),
                    nn.BatchNorm2d(channels),
                    nn.ReLU(inplace=True),
                ]
                channels_in = channels
            parts.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
            enlarged.append(channels_in)
            channels = max(channels // narrowing, 1)
        parts.append(nn.Conv2d(channels_in, 1, kernel, padding=kernel // 2))
        super().__init__(*parts)
        self.enlarged = tuple(enlarged)
        self.commutes = kernel == 1 and unit_convolutions == 1

    def forward(self, maps_NFHW: Tensor, refine: Callable[[int, Tensor], Tensor] | None = None) -> Tensor:
        """Logits of maps.

        Args:
            maps_NFHW: (N, channels_in, H, W).
            refine: changes the maps after each upsampling, whose number it gets, from 0; None: nothing does. With it,
                convolutions and upsamplings do not change places.

        Returns:
            (N, 1, H * 2^upsamplings, W * 2^upsamplings).
        """
        if not self.commutes or refine is not None:
            number = 0
            for part in self:
                maps_NFHW = part(maps_NFHW)
                if refine is not None and isinstance(part, nn.Upsample):
                    maps_NFHW = refine(number, maps_NFHW)
                    number += 1
            return maps_NFHW
        first, *others = (part for part in self if isinstance(part, nn.Conv2d))
        norms: list[nn.BatchNorm2d | None] = [part for part in self if isinstance(part, nn.BatchNorm2d)]
        enlargements = [part for part in self if isinstance(part, nn.Upsample)]
        if not others:
            return convolved(maps_NFHW, first, None)
        norms.append(None)  # after the last convolution
        maps_NFHW = convolved(maps_NFHW, first, norms[0])
        if norms[0] is not None and norms[0].training:
            maps_NFHW = norms[0](maps_NFHW)
        maps_NFHW = convolved(functional.relu(maps_NFHW, inplace=True), others[0], norms[1])
        for enlarge, convolution, norm, following in zip(enlargements, others[1:], norms[1:], norms[2:], strict=False):
            if norm is not None and norm.training:
                maps_NFHW = enlarged_training(maps_NFHW, norm, enlarge, convolution)
            else:
                maps_NFHW = convolved(functional.relu(enlarge(maps_NFHW), inplace=True), convolution, following)
        return enlargements[-1](maps_NFHW)


def convolved(maps_NCHW: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d | None) -> Tensor:
    """A convolution and, in evaluation, the BatchNorm after it.

    Args:
        maps_NCHW: its input.
        convolution: the convolution.
        norm: the BatchNorm after it, which is left out if it is in training mode; None: there is none.

    Returns:
        (N, C_out, H, W).
    """
    if norm is None or norm.training:
        result: Tensor = convolution(maps_NCHW)
        return result
    return functional.conv2d(maps_NCHW, *folded(convolution, norm))


def enlarged_training(maps_NCHW: Tensor, norm: nn.BatchNorm2d, enlarge: nn.Module, convolution: nn.Conv2d) -> Tensor:
    """In training: upsampling, BatchNorm, ReLU and the next convolution, without keeping an enlarged map.

    Args:
        maps_NCHW: small maps.
        norm: in training mode. Its running statistics are updated.
        enlarge: 2x bilinear upsampling.
        convolution: 1x1.

    Returns:
        (N, C_out, 2 H, 2 W), as if the maps were first enlarged, then normalised, and so on.
    """
    shared = norm.shared if isinstance(norm, SharedBatchNorm2d) else None
    count, centred_NCHW, mean_C, variance_C = enlarged_moments(maps_NCHW, shared)
    update_running_statistics(norm, count, mean_C, variance_C)
    scale_C11 = (norm.weight * torch.rsqrt(variance_C + norm.eps)).view(-1, 1, 1)
    shift_C11 = norm.bias.view(-1, 1, 1)

    def convolve(part_NCHW: Tensor, scale_C11: Tensor, shift_C11: Tensor) -> Tensor:
        normal_NCHW = torch.addcmul(shift_C11, part_NCHW, scale_C11).to(maps_NCHW.dtype)
        result: Tensor = convolution(functional.relu(enlarge(normal_NCHW), inplace=True))
        return result

    together = max(1, NUMBERS_AT_ONCE // (4 * maps_NCHW[0].numel()))
    parts = [
        checkpoint(convolve, part_NCHW, scale_C11, shift_C11, use_reentrant=False, preserve_rng_state=False)
        for part_NCHW in centred_NCHW.split(together)
    ]
    return torch.cat(parts)


def enlarged_moments(
    maps_NCHW: Tensor, shared: SharedBatch | None = None
) -> tuple[Tensor | int, Tensor, Tensor, Tensor]:
    """Statistics of maps after 2x bilinear upsampling, computed from the small maps.

    Along an axis, upsampling gives 0.25 a + 0.75 b and 0.75 b + 0.25 c for a cell b between a and c; a cell at the edge
    has itself as its missing neighbour. So every cell adds as much to the sum as every other, and the mean stays the
    same. The sum of squares is the product of the map and `1.25 b + 0.375 (a + c)`, along both axes in turn.

    Args:
        maps_NCHW: small maps.
        shared: the batch of which they are a part, whose statistics are wanted; None: they are the whole batch.

    Returns:
        How many numbers a channel of the enlarged maps has; the maps less their mean (N, C, H, W), the mean (C,) and
        the biased variance (C,) of the enlarged maps, in float32 or better.
    """
    maps_NCHW = maps_NCHW.to(torch.promote_types(maps_NCHW.dtype, torch.float32))
    own = maps_NCHW.numel() // maps_NCHW.shape[1]
    count: Tensor | int = own
    if shared is None:
        mean_C = maps_NCHW.mean(dim=(0, 2, 3))
    else:
        summed_C = maps_NCHW.sum(dim=(0, 2, 3))
        sums = shared.summed(torch.cat([summed_C, summed_C.new_full((1,), own)]))
        count = sums[-1].detach()
        mean_C = sums[:-1] / count
    centred_NCHW = maps_NCHW - mean_C.view(-1, 1, 1)
    weighed_NCHW = centred_NCHW
    for axis in (2, 3):
        last = weighed_NCHW.shape[axis] - 1
        before = torch.cat([weighed_NCHW.narrow(axis, 0, 1), weighed_NCHW.narrow(axis, 0, last)], dim=axis)
        after = torch.cat([weighed_NCHW.narrow(axis, 1, last), weighed_NCHW.narrow(axis, last, 1)], dim=axis)
        weighed_NCHW = 1.25 * weighed_NCHW + 0.375 * (before + after)
    if shared is None:
        variance_C = (centred_NCHW * weighed_NCHW).mean(dim=(0, 2, 3)) / 4
    else:
        variance_C = shared.summed((centred_NCHW * weighed_NCHW).sum(dim=(0, 2, 3))) / (4 * count)
    return 4 * count, centred_NCHW, mean_C, variance_C


def folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A convolution and the BatchNorm after it as one.

    Args:
        convolution: without bias.
        norm: with its running statistics.

    Returns:
        Weight (C_out, C_in, 1, 1) and bias (C_out,).
    """
    assert norm.running_mean is not None and norm.running_var is not None
    scale_C = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return convolution.weight * scale_C.view(-1, 1, 1, 1), norm.bias - norm.running_mean * scale_C
