"""What a vision backbone gives, whatever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn


class VisionBackbone(nn.Module, ABC):
    """Pixels in, one grid of features out. It knows no language, so an image passes through it once.

    One that merges several scales keeps all that comes before the merge in a module ``trunk``, and overrides
    `trunk_features` and `merge_features`. What is pretrained, and may be frozen, is the trunk.

    Attributes:
        channels: channels of its features.
        stride: pixels of the input between two neighbours of the grid.
        coarse_channels: channels of its coarsest scale, where it has several.
        architecture: plain values that rebuild it where the settings do not say enough; a model folder keeps them.
    """

    channels: int
    stride: int
    coarse_channels: int | None = None
    architecture: Mapping[str, Any] | None = None

    @abstractmethod
    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Features of normalised RGB pixels.

        Args:
            pixels_BCHW: float, mean 0 and deviation 1 by the network's constants.

        Returns:
            (B, channels, ceil(H / stride), ceil(W / stride)).
        """

    def trunk_features(self, pixels_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Features before they are merged, finest scale first; here the one scale that there is.

        Args:
            pixels_BCHW: as for `forward`.

        Returns:
            A map (B, C_i, H_i, W_i) for each scale.
        """
        return (self(pixels_BCHW),)

    def merge_features(self, scales: Sequence[Tensor]) -> Tensor:
        """The rest of `forward`, from what `trunk_features` gave.

        Args:
            scales: (B, C_i, H_i, W_i) each, finest first.

        Returns:
            (B, channels, ceil(H / stride), ceil(W / stride)).
        """
        return scales[-1]
