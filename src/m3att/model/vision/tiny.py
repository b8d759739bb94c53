"""A small residual conv net without public weights: the vision backbone of the bundled models."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from m3att.model.vision.contract import VisionBackbone


def convolution(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution with BN and ReLU.

    Args:
        channels_in: C of what comes in.
        channels_out: C of what goes out.
        stride: of the convolution.
    """
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around which the input is added, as in ResNet's basic block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) in and out."""
        return torch.relu(features_BCHW + self.second(self.first(features_BCHW)))


class TinyConvNet(VisionBackbone):
    """One stage a width: a convolution of stride 2, then residual blocks.

    Its last stage's map is the only one that it gives.

    Args:
        widths: channels of the stages; their number makes the stride, 2 to its power.
        blocks: residual blocks of each stage.
    """

    def __init__(self, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        if len(widths) != len(blocks) or not widths:
            raise ValueError(f"{len(widths)} widths and {len(blocks)} block counts: give one of each a stage")
        stages: list[nn.Module] = []
        for channels_in, channels_out, count in zip((3, *widths[:-1]), widths, blocks, strict=True):
            stages.append(convolution(channels_in, channels_out, stride=2))
            stages += [ResidualBlock(channels_out) for _ in range(count)]
        self.stages = nn.Sequential(*stages)
        self.channels, self.strides = (widths[-1],), (2 ** len(widths),)

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, ...]:
        """See VisionBackbone."""
        return (self.stages(pixels_BCHW.contiguous(memory_format=torch.channels_last)),)
