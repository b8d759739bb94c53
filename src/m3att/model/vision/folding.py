"""Convolution and BatchNorm as one convolution, where neither of them learns."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

Kernel = tuple[Tensor, Tensor]  # weight and bias


@dataclass
class Folded:
    """Kernels that were folded, and what they were made of.

    Args:
        sources: the tensors that they were made of.
        state: address and version of each of them, by which a change is noticed.
        kernels: by their type and the zeros before them.
    """

    sources: tuple[Tensor, ...]
    state: tuple[tuple[int, int], ...]
    kernels: dict[tuple[torch.dtype, tuple[int, int]], Kernel] = field(default_factory=dict)


class FoldedConvolution(nn.Module):
    """A convolution without bias, and the BatchNorm after it.

    In evaluation mode and without a gradient both run as one convolution. Its kernel is made once, and again after a
    change of what it was made of. It is no part of the state dict.

    Args:
        channels_in: of the input.
        channels_out: of the output.
        kernel: side.
        stride: of the convolution.
        groups: of the convolution; as many as channels for a depthwise one.
        eps: of BatchNorm.
        momentum: of BatchNorm, as PyTorch counts it: the share of the new statistic.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(channels_out, eps, momentum)
        self.folded: Folded | None = None

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """(B, channels_out, H', W') of (B, channels_in, H, W), convolved without padding and normalised."""
        return self.convolve(features_BCHW)

    def convolve(
        self, features_BCHW: Tensor, padding: tuple[int, int] = (0, 0), lead: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """Convolve and normalise.

        Args:
            features_BCHW: input.
            padding: zeros around it, above and below, and on the left and right.
            lead: rows and columns of zeros that the kernel gets above and on the left.

        Returns:
            (B, channels_out, H', W').
        """
        stride, groups = self.conv.stride, self.conv.groups
        if not self.may_fold():
            weight = lengthen(self.conv.weight, lead)
            made_BCHW = functional.conv2d(features_BCHW, weight, None, stride, padding, groups=groups)
            normed_BCHW: Tensor = self.norm(made_BCHW)
            return normed_BCHW
        device = features_BCHW.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.conv.weight.dtype
        weight, bias = self.fold(dtype, lead)
        return functional.conv2d(features_BCHW, weight, bias, stride, padding, groups=groups)

    def may_fold(self) -> bool:
        """Whether nothing learns here now, and no compiler or exporter looks on, which folds by itself."""
        if self.norm.training or torch.compiler.is_compiling() or self.conv.weight.is_meta:
            return False
        learns = any(weight.requires_grad for weight in self.parameters())
        return not (learns and torch.is_grad_enabled())

    def fold(self, dtype: torch.dtype, lead: tuple[int, int]) -> Kernel:
        """Weight and bias of the folded convolution, made anew only where something has changed."""
        assert self.norm.running_mean is not None and self.norm.running_var is not None
        sources = (self.conv.weight, self.norm.weight, self.norm.bias, self.norm.running_mean, self.norm.running_var)
        if any(source.is_inference() for source in sources):  # these do not tell when they change
            return self.make(dtype, lead)
        state = tuple((source.data_ptr(), source._version) for source in sources)
        kept = self.folded
        # The sources are held, so that no other tensor can come to lie at their addresses.
        if kept is None or kept.state != state or any(map(operator.is_not, kept.sources, sources)):
            kept = self.folded = Folded(sources, state)
        if (dtype, lead) not in kept.kernels:
            kept.kernels[dtype, lead] = self.make(dtype, lead)
        return kept.kernels[dtype, lead]

    @torch.no_grad()
    def make(self, dtype: torch.dtype, lead: tuple[int, int]) -> Kernel:
        """Weight and bias of the folded convolution."""
        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None
        scale_C = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight = lengthen(self.conv.weight * scale_C.view(-1, 1, 1, 1), lead)
        bias_C = norm.bias - norm.running_mean * scale_C
        return weight.to(dtype, memory_format=torch.channels_last), bias_C.to(dtype)


def lengthen(weight: Tensor, lead: tuple[int, int]) -> Tensor:
    """A kernel (C_out, C_in, h, w) with rows and columns of zeros above and on the left."""
    out, into, height, width = weight.shape
    # Not by a pad, after which an export does not know the size of the kernel any more.
    if lead[0]:
        weight = torch.cat([weight.new_zeros(out, into, lead[0], width), weight], dim=2)
    if lead[1]:
        weight = torch.cat([weight.new_zeros(out, into, height + lead[0], lead[1]), weight], dim=3)
    return weight
