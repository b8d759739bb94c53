"""The tiny conv net; what it shares with every backbone is in test_contract.py."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from m3att.model.vision.tiny import ResidualBlock, TinyConvNet


@pytest.mark.parametrize("widths", [(4,), (4, 8), (4, 8, 16, 32)])
def test_each_stage_halves_the_grid(widths: tuple[int, ...]) -> None:
    backbone = TinyConvNet(widths, (0,) * len(widths))
    assert (backbone.channels, backbone.strides) == ((widths[-1],), (2 ** len(widths),))
    (map_BCHW,) = backbone(torch.randn(2, 3, 32, 32))
    assert map_BCHW.shape[2] == 32 // 2 ** len(widths)
    strides = [part.stride for part in backbone.modules() if isinstance(part, nn.Conv2d)]
    assert strides == [(2, 2)] * len(widths)


def test_blocks_stand_in_their_stage() -> None:
    backbone = TinyConvNet((4, 8), (2, 1))
    kinds = [part.second[0].in_channels if isinstance(part, ResidualBlock) else "down" for part in backbone.stages]
    assert kinds == ["down", 4, 4, "down", 8]


def test_a_residual_block_adds_its_input() -> None:
    block = ResidualBlock(4).eval()
    features_BCHW = torch.randn(1, 4, 5, 5)
    nn.init.zeros_(block.second[0].weight)
    assert torch.equal(block(features_BCHW), features_BCHW.relu())


@pytest.mark.parametrize(("widths", "blocks"), [((4, 8), (1,)), ((4,), (1, 1)), ((), ())])
def test_widths_and_blocks_go_together(widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"{len(widths)} widths and {len(blocks)} block counts"):
        TinyConvNet(widths, blocks)
