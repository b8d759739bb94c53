"""What a vision backbone gives, whatever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class VisionBackbone(nn.Module, ABC):
    """Pixels in, one grid of features out. It knows no language, so an image passes through it once.

    Attributes:
        channels: channels of its features.
        stride: pixels of the input between two neighbours of the grid.
    """

    channels: int
    stride: int

    @abstractmethod
    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Features of normalised RGB pixels.

        Args:
            pixels_BCHW: float, mean 0 and deviation 1 by the network's constants.

        Returns:
            (B, channels, ceil(H / stride), ceil(W / stride)).
        """
