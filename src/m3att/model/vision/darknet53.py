"""Darknet-53 of the YOLOv3 paper: the vision backbone of the paper's CNN form."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from m3att.model.vision.contract import VisionBackbone
from m3att.model.vision.folding import FoldedConvolution

WIDTHS = (32, 64, 128, 256, 512, 1024)  # of the first convolution and of the five stages
BLOCKS = (1, 2, 8, 8, 4)  # residual blocks of the stages


class Convolution(FoldedConvolution):
    """Convolution, BN, leaky ReLU: Darknet's only layer with weights."""

    def forward(self, features_BCHW: Tensor, slope_1: Tensor) -> Tensor:  # type: ignore[override]
        """Convolve to (B, channels_out, ceil(H / stride), ceil(W / stride)); ``slope_1`` is the leaky ReLU's."""
        rim = self.conv.kernel_size[0] // 2
        normed_BCHW = self.convolve(features_BCHW, (rim, rim))
        return functional.prelu(normed_BCHW, slope_1.to(normed_BCHW.dtype))


class Block(nn.Module):
    """A 1x1 convolution to half the width and a 3x3 back, added to their input with nothing after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce, self.expand = Convolution(channels, channels // 2, 1), Convolution(channels // 2, channels, 3)

    def forward(self, features_BCHW: Tensor, slope_1: Tensor) -> Tensor:
        """(B, C, H, W) in and out."""
        return features_BCHW + self.expand(self.reduce(features_BCHW, slope_1), slope_1)


class Stage(nn.Module):
    """A convolution of stride 2, then residual blocks."""

    def __init__(self, channels_in: int, channels_out: int, blocks: int) -> None:
        super().__init__()
        self.down = Convolution(channels_in, channels_out, 3, stride=2)
        self.blocks = nn.ModuleList(Block(channels_out) for _ in range(blocks))

    def forward(self, features_BCHW: Tensor, slope_1: Tensor) -> Tensor:
        """(B, channels_out, ceil(H / 2), ceil(W / 2)) of what comes in."""
        features_BCHW = self.down(features_BCHW, slope_1)
        for block in self.blocks:
            features_BCHW = block(features_BCHW, slope_1)
        return features_BCHW


class DarknetTrunk(nn.Module):
    """Darknet-53 without its classifier: 52 convolutions.

    Public weights were trained in two ways. Darknet's own need RGB in [0, 1] and a slope of 0.1. timm's need normalised
    pixels and PyTorch's slope of 0.01. Both values are buffers and are saved with the weights, so a model folder needs
    no other file.

    Args:
        widths: channels of the first convolution and of each stage.
        blocks: residual blocks of each stage.
    """

    slope_1: Tensor
    pixel_scale_3: Tensor
    pixel_shift_3: Tensor

    def __init__(self, widths: Sequence[int] = WIDTHS, blocks: Sequence[int] = BLOCKS) -> None:
        super().__init__()
        if len(widths) != len(blocks) + 1 or len(blocks) < 3:
            raise ValueError(f"{len(widths)} widths and {len(blocks)} block counts: give one more width, three or more")
        self.stem = Convolution(3, widths[0], 3)
        self.stages = nn.ModuleList(
            Stage(channels_in, channels_out, count)
            for channels_in, channels_out, count in zip(widths, widths[1:], blocks, strict=False)
        )
        self.channels = tuple(widths[-3:])
        self.register_buffer("slope_1", torch.tensor([0.1]))
        self.register_buffer("pixel_scale_3", torch.ones(3))
        self.register_buffer("pixel_shift_3", torch.zeros(3))

    def convolutions(self) -> list[tuple[str, Convolution]]:
        """All convolutions by name, in the order in which an image, and a Darknet file, meets them."""
        return [(name, part) for name, part in self.named_modules() if isinstance(part, Convolution)]

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The features of the last three stages, (B, C_i, H_i, W_i) each, finest first."""
        pixels_BCHW = pixels_BCHW * self.pixel_scale_3.view(3, 1, 1) + self.pixel_shift_3.view(3, 1, 1)
        features_BCHW = self.stem(pixels_BCHW.contiguous(memory_format=torch.channels_last), self.slope_1)
        scales: list[Tensor] = []
        for stage in self.stages:
            features_BCHW = stage(features_BCHW, self.slope_1)
            scales.append(features_BCHW)
        return scales[-3], scales[-2], scales[-1]


class Darknet53(VisionBackbone):
    """Darknet-53's maps of strides 8, 16 and 32.

    Paper: Sec. IV-A, "the image features are extracted by a Darknet-53 backbone".

    Args:
        widths: see DarknetTrunk.
        blocks: see DarknetTrunk.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS, blocks: Sequence[int] = BLOCKS) -> None:
        super().__init__()
        self.trunk = DarknetTrunk(widths, blocks)
        self.channels = self.trunk.channels
        stages = len(blocks)
        self.strides = (2 ** (stages - 2), 2 ** (stages - 1), 2**stages)

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, ...]:
        """See VisionBackbone."""
        maps: tuple[Tensor, ...] = self.trunk(pixels_BCHW)
        return maps
