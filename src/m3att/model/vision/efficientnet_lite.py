"""EfficientNet-Lite 0 to 2: backbones that are fast on a CPU, with public ImageNet weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from m3att.model.vision.contract import VisionBackbone, crop_to_grid, pad_to_stride
from m3att.model.vision.folding import FoldedConvolution


@dataclass(frozen=True)
class Stage:
    """A row of EfficientNet-B0's table, from which all sizes are made.

    Args:
        repeats: blocks; the first of them has the stride.
        kernel: side of the depthwise kernels.
        stride: of the first block.
        expansion: how many times as wide a block is inside.
        channels: of the output.
    """

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
# Width and depth coefficients of the sizes. In Lite, stem, first and last stage are as deep in all of them.
SIZES = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
ALL_STRIDES, DEFAULT_STRIDES = (2, 4, 8, 16, 32), (8, 16, 32)
EPS, MOMENTUM = 1e-3, 0.01  # of BatchNorm, as TensorFlow's 0.99


def round_channels(channels: int, width: float) -> int:
    """Channels times the width coefficient, to a multiple of 8 that is not more than a tenth smaller."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


class SameConvolution(FoldedConvolution):
    """A convolution with TensorFlow's padding SAME, and BatchNorm.

    SAME gives ceil(side / stride) cells. Where the zeros that it needs are odd in number, it puts one more below and on
    the right than above and on the left, so that the place of a stride's kernels depends on whether the side is even.
    Here the zeros are even, and the kernel gets a row or column of zeros instead: the sums are the same, and no map is
    copied to make room.

    Args:
        channels_in: of the input.
        channels_out: of the output.
        kernel: side.
        stride: of the convolution.
        groups: of the convolution.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, groups, EPS, MOMENTUM)
        fan_out = kernel * kernel * channels_out // groups
        nn.init.normal_(self.conv.weight, std=math.sqrt(2 / fan_out))
        self.kernel, self.stride = kernel, stride

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """(B, channels_out, ceil(H / stride), ceil(W / stride)) of (B, channels_in, H, W)."""
        # Plain numbers also while an export looks on: of sides that the stride divides, all need the same padding.
        down, right = (same_padding(int(side), self.kernel, self.stride) for side in features_BCHW.shape[2:])
        lead = (down % 2, right % 2)
        return self.convolve(features_BCHW, ((down + lead[0]) // 2, (right + lead[1]) // 2), lead)


def same_padding(side: int, kernel: int, stride: int) -> int:
    """Zeros that TensorFlow's SAME adds to a side in all.

    Args:
        side: of the image in cells.
        kernel: side of the kernel.
        stride: of the convolution.
    """
    return max(0, (-(-side // stride) - 1) * stride + kernel - side)


class InvertedBottleneck(nn.Module):
    """1x1 convolution to the inner width, depthwise convolution, 1x1 convolution back without an activation.

    Its input is added where it has the shape of the output.

    Args:
        channels_in: of the input.
        channels_out: of the output.
        kernel: side of the depthwise kernels.
        stride: of the depthwise convolution.
        expansion: how many times the input's width the inner one is; 1: no first convolution.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expand = SameConvolution(channels_in, inner, 1) if expansion > 1 else None
        self.depthwise = SameConvolution(inner, inner, kernel, stride, groups=inner)
        self.project = SameConvolution(inner, channels_out, 1)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """(B, channels_out, ceil(H / stride), ceil(W / stride)) of (B, channels_in, H, W)."""
        # In place: on a CPU, room for a map of this size is as dear as the arithmetic.
        inner_BCHW = features_BCHW
        if self.expand is not None:
            inner_BCHW = functional.relu6(self.expand(inner_BCHW), inplace=True)
        inner_BCHW = functional.relu6(self.depthwise(inner_BCHW), inplace=True)
        made_BCHW: Tensor = self.project(inner_BCHW)
        return made_BCHW.add_(features_BCHW) if self.residual else made_BCHW


class EfficientNetLite(VisionBackbone):
    """EfficientNet-Lite: EfficientNet with ReLU6 and without squeeze-and-excitation, classifier left out.

    Departs: no drop connect in training; pixels are padded until the coarsest stride divides their sides.

    Args:
        size: `lite0`, `lite1` or `lite2`.
        strides: of the maps, each twice the one before; blocks after the coarsest of them are not built.
    """

    pixel_mean = (127.0, 127.0, 127.0)
    pixel_std = (128.0, 128.0, 128.0)

    def __init__(self, size: str = "lite0", strides: Sequence[int] = DEFAULT_STRIDES) -> None:
        super().__init__()
        width, depth = SIZES[size]
        self.size, self.strides = size, tuple(strides)
        self.stem = SameConvolution(3, STEM_CHANNELS, 3, stride=2)
        blocks: list[InvertedBottleneck] = []
        ends: dict[int, int] = {}  # stride -> number of blocks up to the last one of it
        self.starts: list[int] = []  # number of the first block of each stage
        channels, stride = STEM_CHANNELS, 2
        for number, stage in enumerate(STAGES):
            if stride * stage.stride > self.strides[-1]:
                break
            self.starts.append(len(blocks))
            repeats = stage.repeats if number in (0, len(STAGES) - 1) else math.ceil(stage.repeats * depth)
            for repeat in range(repeats):
                step, channels_out = stage.stride if repeat == 0 else 1, round_channels(stage.channels, width)
                blocks.append(InvertedBottleneck(channels, channels_out, stage.kernel, step, stage.expansion))
                channels = channels_out
            stride *= stage.stride
            ends[stride] = len(blocks)
        self.blocks = nn.ModuleList(blocks)
        self.ends = tuple(ends[stride] for stride in self.strides)
        self.channels = tuple(blocks[end - 1].project.conv.out_channels for end in self.ends)

    def layer_order(self) -> Sequence[nn.Module]:
        """The rows of EfficientNet's table."""
        ends = [*self.starts[1:], len(self.blocks)]
        return [self.blocks[start:end] for start, end in zip(self.starts, ends, strict=True)]

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, ...]:
        """See VisionBackbone."""
        # The place of SAME's kernels depends on whether a side is even. After this all are, and cells stay in place.
        maps = self.unpadded_maps(pad_to_stride(pixels_BCHW, self.strides[-1]))
        return crop_to_grid(maps, self.strides, (pixels_BCHW.shape[2], pixels_BCHW.shape[3]))

    def unpadded_maps(self, pixels_BCHW: Tensor) -> tuple[Tensor, ...]:
        """The maps as the published network makes them at any size, finest first: (B, C_i, H_i, W_i) each."""
        pixels_BCHW = pixels_BCHW.contiguous(memory_format=torch.channels_last)
        features_BCHW = functional.relu6(self.stem(pixels_BCHW), inplace=True)
        maps: list[Tensor] = []
        for number, block in enumerate(self.blocks, start=1):
            features_BCHW = block(features_BCHW)
            if number in self.ends:
                maps.append(features_BCHW)
        return tuple(maps)


def build(size: str, map_strides: Sequence[int]) -> EfficientNetLite:
    """The network for the settings of a run.

    Args:
        size: see EfficientNetLite.
        map_strides: see EfficientNetLite; empty: 8, 16 and 32.
    """
    return EfficientNetLite(size, map_strides or DEFAULT_STRIDES)
