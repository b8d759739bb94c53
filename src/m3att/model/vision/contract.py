"""The interface of every vision backbone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from m3att.errors import ConfigError

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
            A map (B, channels[i], ceil(H / strides[i]), ceil(W / strides[i])) for each stride, finest first. Cell n of
            an axis stands for the pixels from n * strides[i] on, and its centre lies at (n + 0.5) * strides[i] pixels,
            whatever the size of the input: what the last cell lacks is padding. No map is stretched to fit the input.
        """

    def layer_order(self) -> Sequence[nn.Module] | None:
        """The stages from input to output, for learning rates that fall from stage to stage.

        None: the outermost list of modules; see `model.layers.ordered_layers`.
        """
        return None


def check_backbone(backbone: object) -> None:
    """Refuse a backbone whose attributes break the contract, before a network is built on it.

    Args:
        backbone: what the builder of a row of the table `VISION` returned.

    Raises:
        ConfigError: names its class, and the attribute that is missing or wrong.
    """
    name = type(backbone).__name__
    if not isinstance(backbone, VisionBackbone):
        raise ConfigError(f"{name}: a backbone must be a subclass of VisionBackbone (model/vision/contract.py)")
    for key in ("channels", "strides"):
        if not getattr(backbone, key, None):
            raise ConfigError(f"{name}: set self.{key}, one number for each map")
    channels, strides = list(backbone.channels), list(backbone.strides)
    if len(channels) != len(strides):
        raise ConfigError(f"{name}: channels {channels} and strides {strides}; give one of each for each map")
    if any(coarse != 2 * fine for fine, coarse in pairwise(strides)):
        raise ConfigError(f"{name}: strides {strides}; give the finest map first, each stride twice the one before")
    pixels: dict[str, Sequence[float]] = {"pixel_mean": backbone.pixel_mean, "pixel_std": backbone.pixel_std}
    for key, numbers in pixels.items():
        if len(numbers) != 3:
            raise ConfigError(f"{name}: {key} {list(numbers)}; give three numbers, for red, green and blue")
    # Shares of 1 are the usual mistake, because other libraries scale pixels to [0, 1] first.
    if max(backbone.pixel_std) <= 1:
        raise ConfigError(f"{name}: pixel_std {list(backbone.pixel_std)}; give it for pixels from 0 to 255")


def pad_to_stride(pixels_BCHW: Tensor, stride: int) -> Tensor:
    """Add zeros below pixels and on their right, so that a stride divides height and width.

    Args:
        pixels_BCHW: normalised, so that zero is the mean colour.
        stride: pixels per cell of the coarsest map.

    Returns:
        (B, C, H, W), H and W the next multiples of the stride.
    """
    below, right = (-side % stride for side in pixels_BCHW.shape[2:])
    return functional.pad(pixels_BCHW, (0, right, 0, below)) if below or right else pixels_BCHW


def crop_to_grid(maps: Sequence[Tensor], strides: Sequence[int], size: tuple[int, int]) -> tuple[Tensor, ...]:
    """Maps without the cells that lie wholly on what `pad_to_stride` added.

    Args:
        maps: (B, C_i, H_i, W_i) of each stride.
        strides: pixels per cell of each map.
        size: (height, width) of the pixels before they were padded.

    Returns:
        (B, C_i, ceil(height / stride), ceil(width / stride)) for each stride.
    """
    return tuple(
        map_BCHW[:, :, : (size[0] + stride - 1) // stride, : (size[1] + stride - 1) // stride]
        for map_BCHW, stride in zip(maps, strides, strict=True)
    )
