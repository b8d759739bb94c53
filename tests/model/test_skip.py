"""Skip connections: against loops, and what is read once an image."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

from m3att.model.build import build_network
from m3att.model.grid import Grid
from m3att.model.network import M3AttNet
from m3att.model.skip import SkipConnection

from .inputs import WORDS, ask, settled, small_config, woken


def literal_convolution(convolution: nn.Conv2d, maps_CHW: Tensor) -> Tensor:
    """A 3x3 convolution with zeros around the map, number by number."""
    rows, columns = maps_CHW.shape[1:]
    made = torch.zeros(convolution.out_channels, rows, columns, dtype=maps_CHW.dtype)
    for out in range(convolution.out_channels):
        for row in range(rows):
            for column in range(columns):
                total = 0.0 if convolution.bias is None else float(convolution.bias[out])
                for channel in range(maps_CHW.shape[0]):
                    for down in range(3):
                        for right in range(3):
                            y, x = row + down - 1, column + right - 1
                            if 0 <= y < rows and 0 <= x < columns:
                                weight = float(convolution.weight[out, channel, down, right])
                                total += weight * float(maps_CHW[channel, y, x])
                made[out, row, column] = total
    return made


@torch.no_grad()
def test_a_connection_is_what_loops_give() -> None:
    module = settled(SkipConnection(channels=3, map_channels=2, width=4))
    maps_NCHW = torch.randn(3, 3, 4, 6, dtype=torch.float64)
    map_BCHW = torch.randn(2, 2, 4, 6, dtype=torch.float64)
    owners = [1, 0, 1]
    found_NCHW = module(maps_NCHW, module.read(map_BCHW, Grid(4, 6, 2)), torch.tensor(owners))
    norm, output = module.norm, module.output
    assert norm.running_mean is not None and norm.running_var is not None and output.bias is not None
    for n, owner in enumerate(owners):
        inner = literal_convolution(module.maps, maps_NCHW[n]) + literal_convolution(module.image, map_BCHW[owner])
        for row in range(4):
            for column in range(6):
                active = []
                for channel in range(4):
                    scale = norm.weight[channel] / (norm.running_var[channel] + norm.eps) ** 0.5
                    value = (inner[channel, row, column] - norm.running_mean[channel]) * scale + norm.bias[channel]
                    active.append(max(0.0, float(value)))
                for channel in range(3):
                    addend = float(output.bias[channel])
                    addend += sum(float(output.weight[channel, k, 0, 0]) * active[k] for k in range(4))
                    expected = float(maps_NCHW[n, channel, row, column]) + addend
                    assert float(found_NCHW[n, channel, row, column]) == pytest.approx(expected, abs=1e-9)


def test_every_weight_learns() -> None:
    module = woken(SkipConnection(channels=3, map_channels=2, width=4)).double()
    read_BCHW = module.read(torch.randn(1, 2, 4, 4, dtype=torch.float64), Grid(4, 4, 2))
    made_NCHW = module(torch.randn(2, 3, 4, 4, dtype=torch.float64), read_BCHW, torch.tensor([0, 0]))
    (made_NCHW * torch.randn_like(made_NCHW)).sum().backward()
    # A bias before BN would get no gradient.
    assert all(weight.grad is not None and weight.grad.abs().max() > 1e-9 for weight in module.parameters())


def test_a_fresh_connection_changes_nothing() -> None:
    module = SkipConnection(channels=3, map_channels=2, width=4)
    maps_NCHW = torch.randn(2, 3, 4, 4)
    assert torch.equal(
        module(maps_NCHW, module.read(torch.randn(1, 2, 4, 4), Grid(4, 4, 2)), torch.tensor([0, 0])), maps_NCHW
    )


@torch.no_grad()
def test_the_last_row_and_column_are_repeated_where_the_image_ends_within_a_cell() -> None:
    module = SkipConnection(channels=3, map_channels=1, width=1, enlargement=4)
    module.image.weight.zero_()
    module.image.weight[0, 0, 1, 1] = 1.0
    map_BCHW = torch.arange(6.0).reshape(1, 1, 2, 3)
    first, last = [0, 1, 2, 2], [3, 4, 5, 5]
    assert module.read(map_BCHW, Grid(8, 12, 16)).tolist() == [[[first, last, last, last]]]  # 4 rows from one
    whole_BCHW = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert torch.equal(module.read(whole_BCHW, Grid(16, 16, 16)), whole_BCHW)


@pytest.fixture
def network() -> M3AttNet:
    config = small_config(
        vision={"encoder": "efficientnet-lite0"}, mask={"skip_strides": (8, 4), "upsamplings": 2, "kernel": 3}
    )
    return settled(build_network(config, 64, WORDS))


@torch.no_grad()
def test_an_image_is_read_once_for_all_its_expressions(network: M3AttNet) -> None:
    question = ask(size=70)
    together_NHW = network(*question.arguments).mask_logits_NHW
    assert together_NHW.shape == (4, 20, 20)  # cells of 4 pixels: 5 of 16 pixels, divided twice
    encoded = network.encode(question.pixels_BCHW)
    with patch.object(SkipConnection, "read", side_effect=AssertionError("an expression read the image")):
        again_NHW = network.segment(encoded, *question.arguments[1:]).mask_logits_NHW
    assert torch.equal(again_NHW, together_NHW)
    for n in range(4):  # the map of its own image, whoever else asks
        alone_NHW = network(*question.only([n]).arguments).mask_logits_NHW
        torch.testing.assert_close(alone_NHW[0], together_NHW[n])


@torch.no_grad()
def test_a_mask_depends_on_the_finer_maps(network: M3AttNet) -> None:
    question = ask(size=64)
    encoded = network.encode(question.pixels_BCHW)
    expected_NHW = network.segment(encoded, *question.arguments[1:]).mask_logits_NHW
    for number in range(2):
        skips = [read_BCHW + (number == at) for at, read_BCHW in enumerate(encoded.skips)]
        other = type(encoded)(encoded.vis_BPC, encoded.grid, tuple(skips))
        assert not torch.allclose(network.segment(other, *question.arguments[1:]).mask_logits_NHW, expected_NHW)


@torch.no_grad()
def test_early_fusion_reads_the_same_maps() -> None:
    config = small_config(
        vision={"encoder": "efficientnet-lite0", "early_fusion": True}, mask={"skip_strides": (8,), "kernel": 3}
    )
    network = settled(build_network(config, 64, WORDS))
    question = ask(size=64)
    encoded = network.encode(question.pixels_BCHW)
    with patch.object(SkipConnection, "read", side_effect=AssertionError("an expression read the image")):
        before_NHW = network.segment(encoded, *question.arguments[1:]).mask_logits_NHW
    assert torch.equal(network(*question.arguments).mask_logits_NHW, before_NHW)
    network.mask_decoder.skips[0].output.weight.zero_()
    network.mask_decoder.skips[0].output.bias.zero_()
    assert not torch.allclose(network(*question.arguments).mask_logits_NHW, before_NHW)
