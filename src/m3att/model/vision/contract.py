"""The interface of every vision backbone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

# Mean and standard deviation of ImageNet's pixels by channel: RGB in [0, 255].
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


class VisionBackbone(nn.Module, ABC):
    """Computes a list of feature maps from pixels. It gets no language, so an image passes through it once.

    It may be pretrained, and it may be frozen as a whole. The encoder merges the maps.

    Attributes:
        channels: channels of each map, finest map first.
        strides: pixels of the input between two neighbouring cells of each map; each stride is twice the one before.
        pixel_mean: RGB in [0, 255]; the encoder subtracts it from the pixels.
        pixel_std: RGB in [0, 255]; the encoder divides by it after that.
        architecture: plain values to build it again, if the settings do not suffice. A model folder keeps them.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    pixel_mean: tuple[float, float, float] = IMAGENET_MEAN
    pixel_std: tuple[float, float, float] = IMAGENET_STD
    architecture: Mapping[str, Any] | None = None

    @abstractmethod
    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Feature maps of normalised RGB pixels.

        Args:
            pixels_BCHW: float, (RGB in [0, 255] - pixel_mean) / pixel_std.

        Returns:
            A map (B, channels[i], ceil(H / strides[i]), ceil(W / strides[i])) for each stride, finest first.
        """
