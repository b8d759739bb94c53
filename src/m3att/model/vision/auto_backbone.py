"""Any backbone that transformers' AutoBackbone knows: the Swin of the paper's Transformer form, and its peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from m3att.errors import ConfigError
from m3att.model.architectures import (
    Architecture,
    known_architecture,
    make_config,
    plain_architecture,
    require_transformers,
)
from m3att.model.vision.contract import VisionBackbone, crop_to_grid, pad_to_stride

# Published sizes, as their checkpoints' config.json have them; what is not said is the library's default.
ARCHITECTURES: dict[str, Architecture] = {
    # Window 12 at 384 pixels, pretrained on ImageNet-22k: what LAVT and the paper start from.
    "swin-b": {
        "model_type": "swin", "embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32],
        "window_size": 12, "image_size": 384,
    },
    "swin-t": {
        "model_type": "swin", "embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24],
        "window_size": 7, "image_size": 224,
    },
    "convnext-t": {"model_type": "convnext", "depths": [3, 3, 9, 3], "hidden_sizes": [96, 192, 384, 768]},
    "convnext-b": {"model_type": "convnext", "depths": [3, 3, 27, 3], "hidden_sizes": [128, 256, 512, 1024]},
    "resnet-50": {
        "model_type": "resnet", "layer_type": "bottleneck", "depths": [3, 4, 6, 3],
        "hidden_sizes": [256, 512, 1024, 2048],
    },
    "resnet-101": {
        "model_type": "resnet", "layer_type": "bottleneck", "depths": [3, 4, 23, 3],
        "hidden_sizes": [256, 512, 1024, 2048],
    },
    "dinov2-s": {
        "model_type": "dinov2", "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6,
        "patch_size": 14, "image_size": 518,
    },
    "dinov2-b": {
        "model_type": "dinov2", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "patch_size": 14, "image_size": 518,
    },
}  # fmt: skip

SCALES = (8, 16, 32)
PIXELS = ("image_mean", "image_std")  # as preprocessor_config.json names them
PROBE = 224  # side that every stride in use divides: 4, 7, 8, 14, 16, 28, 32
# Parts that a backbone of this kind has and never uses, or that only another use of it has.
UNUSED = {"swin": "swin.layernorm"}
OPTIONS = {"dinov2": {"use_mask_token": False}, "dinov2_with_registers": {"use_mask_token": False}}


class HuggingFaceBackbone(VisionBackbone):
    """An AutoBackbone's maps of strides 8, 16 and 32, or a plain ViT's last map.

    Images whose sides are no multiples of the coarsest stride are padded to the right and below by zeros, which is the
    mean colour, and the maps are cropped; what a Swin needs for its windows, or a ViT for its positions, the library
    does itself.

    Paper: Sec. IV-A, "480×480 for Transformer backbone"; Table IV names Swin-B.

    Args:
        architecture: values of the backbone's transformers config, and ``image_mean`` and ``image_std`` of its pixels
            in [0, 1] where they are not ImageNet's.

    Raises:
        ConfigError: where transformers is missing, or the architecture is none of a backbone that fits here.
    """

    architecture: Architecture

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        values = dict(architecture)
        pixels = {key: values.pop(key) for key in PIXELS if values.get(key) is not None}
        kind = str(values.get("model_type"))
        config = make_config({**values, **OPTIONS.get(kind, {})})
        stages, self.strides, self.channels = choose_stages(config)
        self.trunk = make_trunk(config, stages)
        self.architecture = {**plain_architecture(self.trunk.config), **pixels}
        mean, std = (pixels.get(key) for key in PIXELS)
        if mean is not None:
            self.pixel_mean = (255 * mean[0], 255 * mean[1], 255 * mean[2])
        if std is not None:
            self.pixel_std = (255 * std[0], 255 * std[1], 255 * std[2])
        if kind in UNUSED:
            self.trunk.set_submodule(UNUSED[kind], nn.Identity())

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, ...]:
        """See VisionBackbone."""
        maps = self.trunk(pad_to_stride(pixels_BCHW, self.strides[-1])).feature_maps
        return crop_to_grid(maps, self.strides, (pixels_BCHW.shape[2], pixels_BCHW.shape[3]))


def find_architecture(name: str | None) -> Architecture:
    """A known architecture by its name; see `known_architecture`."""
    return known_architecture("vision", ARCHITECTURES, name)


def make_trunk(config: Any, stages: Sequence[str]) -> nn.Module:
    """The backbone with fresh weights, giving the maps of the named stages.

    Raises:
        ConfigError: where its kind is no backbone.
    """
    library = require_transformers()
    config.out_features = list(stages)
    try:
        trunk: nn.Module = library.AutoBackbone.from_config(config)
    except (ValueError, TypeError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"architecture {config.model_type!r}: no backbone can be made of it ({reason})") from error
    return trunk


def choose_stages(config: Any) -> tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]:
    """Stages of strides 8, 16 and 32, each the last of its stride, or the last stage alone where a model has only one.

    Returns:
        Names, strides and channels of the stages, finest first.

    Raises:
        ConfigError: where the kind is no backbone.
    """
    names = getattr(config, "stage_names", None)
    if names is None:
        raise ConfigError(
            f"architecture {config.model_type!r}: is no vision backbone of transformers, such as swin, convnext, "
            "dinov2 and resnet are"
        )
    with torch.device("meta"):  # shapes only: no memory, no arithmetic
        trunk = make_trunk(config, names).eval()
        try:
            maps = trunk(torch.empty(1, 3, PROBE, PROBE)).feature_maps
            trunk(torch.empty(1, 3, 2 * PROBE, PROBE))
        except (RuntimeError, ValueError) as error:
            raise ConfigError(
                f"architecture {config.model_type!r}: takes images of one size only ({config.image_size}), and so does "
                "not fit here"
            ) from error
    strides = [PROBE // found.shape[2] for found in maps]
    last = {stride: number for number, stride in enumerate(strides)}
    chosen = [last[scale] for scale in SCALES] if all(scale in last for scale in SCALES) else [len(maps) - 1]
    return (
        tuple(names[number] for number in chosen),
        tuple(strides[number] for number in chosen),
        tuple(maps[number].shape[1] for number in chosen),
    )


def build(architecture: Architecture | str | None) -> HuggingFaceBackbone:
    """The backbone for the settings of a run.

    Args:
        architecture: its values, or what the setting names.

    Raises:
        ConfigError: where nothing of that name can be built.
    """
    if architecture is None or isinstance(architecture, str):
        architecture = find_architecture(architecture)
    return HuggingFaceBackbone(architecture)
