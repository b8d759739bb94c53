"""Small inputs and networks for the tests of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from m3att.config import DecoderConfig, LanguageConfig, MaskDecoderConfig, ModelConfig, VisionConfig
from m3att.model.build import build_network
from m3att.model.grid import Grid
from m3att.model.grouping import Grouping
from m3att.model.network import M3AttNet
from m3att.model.norm import MaskedBatchNorm

INPUT_SIZE = 32  # of small_network, whose stride is 4: a grid of 8 x 8
WORDS = 20  # vocabulary of small_network; 0 is padding, 1 the unknown word

AnyModule = TypeVar("AnyModule", bound=nn.Module)


@dataclass(frozen=True)
class Inputs:
    """What a decoder part reads: three expressions of 3, 1 and 4 words over two images, one speaks of the second."""

    words_NLC: Tensor
    word_mask_NL: Tensor
    vis_BPC: Tensor
    grouping: Grouping
    grid: Grid

    @property
    def arguments(self) -> tuple[Tensor, Tensor, Tensor, Grouping, Grid]:
        return self.words_NLC, self.word_mask_NL, self.vis_BPC, self.grouping, self.grid


def word_mask(lengths: Sequence[int], words: int) -> Tensor:
    """True at the first ``lengths[n]`` of ``words`` words."""
    return torch.arange(words)[None] < torch.tensor(lengths)[:, None]


def make_inputs(channels: int = 8, grid: tuple[int, int] = (2, 3), words: int = 4) -> Inputs:
    """Random float64 features; what stands at padding is as large as the rest, so that a leak shows."""
    return Inputs(
        torch.randn(3, words, channels, dtype=torch.float64),
        word_mask((3, 1, 4), words),
        torch.randn(2, grid[0] * grid[1], channels, dtype=torch.float64),
        Grouping.of(torch.tensor([1, 0, 1]), 2),
        Grid(*grid, 1),
    )


def woken(module: AnyModule) -> AnyModule:
    """The module with no matrix at zero: residual branches start there, and would hide all that stands before them."""
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim > 1 and not weight.any():
                weight.normal_(std=0.2)
    return module


def settled(module: AnyModule) -> AnyModule:
    """The module in float64 and evaluation mode, no scale, shift, statistic or matrix at its neutral start."""
    woken(module)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, (MaskedBatchNorm, nn.BatchNorm2d, nn.LayerNorm)):
                part.weight.uniform_(0.5, 1.5)
                part.bias.normal_(std=0.3)
            if isinstance(part, (MaskedBatchNorm, nn.BatchNorm2d)):
                assert part.running_mean is not None and part.running_var is not None
                part.running_mean.normal_(std=0.3)
                part.running_var.uniform_(0.5, 2.0)
    return module.double().eval()


def small_config(**sections: dict[str, Any]) -> ModelConfig:
    """A network that trains a step in milliseconds; ``decoder={"layers": 2}`` changes single fields of a section."""
    config = ModelConfig(
        channels=16,
        word_limit=6,
        vision=VisionConfig(widths=(8, 8), blocks=(0, 1), encoder_layers=1),
        language=LanguageConfig(word_channels=8),
        decoder=DecoderConfig(layers=2, heads=2, feedforward=2),
        mask=MaskDecoderConfig(channels=8, upsamplings=1),
    )
    return replace(config, **{name: replace(getattr(config, name), **fields) for name, fields in sections.items()})


def small_network(**sections: dict[str, Any]) -> M3AttNet:
    """The network of `small_config`, in training mode, with its residual branches woken."""
    return woken(build_network(small_config(**sections), INPUT_SIZE, WORDS))


def exact_network(**sections: dict[str, Any]) -> M3AttNet:
    """A small network in float64, where what is zero shows as zero; its logits are steep, so that a change shows."""
    network = small_network(**sections).double()
    with torch.no_grad():
        last = network.mask_decoder.stack[-1]
        assert isinstance(last, nn.Conv2d)
        last.weight.mul_(20)
    return network


@dataclass(frozen=True)
class Question:
    """Images and expressions as M3AttNet takes them."""

    pixels_BCHW: Tensor
    image_index_N: Tensor
    word_ids_NL: Tensor
    word_mask_NL: Tensor

    @property
    def arguments(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.pixels_BCHW, self.image_index_N, self.word_ids_NL, self.word_mask_NL

    def only(self, expressions: Sequence[int]) -> Question:
        """Some expressions in some order, about the same images."""
        chosen = list(expressions)
        return replace(
            self,
            image_index_N=self.image_index_N[chosen],
            word_ids_NL=self.word_ids_NL[chosen],
            word_mask_NL=self.word_mask_NL[chosen],
        )

    def padded(self, more: int) -> Question:
        """The same with ``more`` words of padding at the end of each row."""
        return replace(
            self,
            word_ids_NL=nn.functional.pad(self.word_ids_NL, (0, more)),
            word_mask_NL=nn.functional.pad(self.word_mask_NL, (0, more)),
        )


def ask(
    images: int = 3, image_index: Sequence[int] = (2, 0, 0, 2), lengths: Sequence[int] = (3, 1, 4, 2), size: int = 32
) -> Question:
    """A random question; with the defaults the image in the middle has no expression."""
    word_mask_NL = word_mask(lengths, max(lengths))
    word_ids_NL = torch.randint(2, WORDS, word_mask_NL.shape) * word_mask_NL
    pixels_BCHW = torch.randint(0, 256, (images, 3, size, size), dtype=torch.uint8)
    return Question(pixels_BCHW, torch.tensor(image_index), word_ids_NL, word_mask_NL)
