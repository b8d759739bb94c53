"""Darknet-53's sizes, arithmetic and habits; its files are in tests/weights/test_darknet.py."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from m3att.model.grid import Grid
from m3att.model.vision.darknet53 import Convolution, Darknet53, DarknetTrunk
from m3att.model.vision.encoder import VisionEncoder

WIDTHS, BLOCKS = (4, 4, 8, 8, 12, 16), (1, 2, 2, 1, 1)


def small() -> Darknet53:
    return Darknet53(WIDTHS, BLOCKS)


def encoder(freeze: bool) -> VisionEncoder:
    return VisionEncoder(small(), 8, Grid(32, 32, 16), layers=0, freeze=freeze)


@pytest.fixture(scope="module")
def full() -> DarknetTrunk:
    """The true sizes, without memory for the weights."""
    with torch.device("meta"):
        return DarknetTrunk().eval()


def test_it_has_the_published_weights(full: DarknetTrunk) -> None:
    """timm publishes 41.61 M parameters for darknet53 with its classifier of 1,000 classes."""
    trunk = sum(weight.numel() for weight in full.parameters())
    classifier = 1024 * 1000 + 1000
    assert trunk == 40_584_928
    assert round((trunk + classifier) / 1e6, 2) == 41.61
    convolutions = [part for part in full.modules() if isinstance(part, nn.Conv2d)]
    assert len(convolutions) + 1 == 53  # the classifier is the 53rd
    assert len(full.convolutions()) == len(convolutions)


def test_it_has_the_published_operations(full: DarknetTrunk) -> None:
    """Darknet's own table: 18.57 Bn for an image of 256 x 256, a multiply-add counted as two."""
    operations = 2 * 1024 * 1000  # the classifier

    def count(part: Convolution, _: object, made_BCHW: Tensor) -> None:
        nonlocal operations
        operations += 2 * part.conv.weight.numel() * made_BCHW.shape[2] * made_BCHW.shape[3]

    hooks = [part.register_forward_hook(count) for _, part in full.convolutions()]
    scales = full(torch.empty(1, 3, 256, 256, device="meta"))
    for hook in hooks:
        hook.remove()
    assert round(operations / 1e9, 2) == 18.57
    assert [tuple(scale.shape) for scale in scales] == [(1, 256, 32, 32), (1, 512, 16, 16), (1, 1024, 8, 8)]


def test_the_paper_merges_at_stride_16() -> None:
    with torch.device("meta"):
        backbone = Darknet53().eval()
        assert (backbone.strides, backbone.channels) == ((8, 16, 32), (256, 512, 1024))
        made = VisionEncoder(backbone, 8, Grid(416, 416, 16), layers=0).eval()
        assert made.stride == 16 and made.merge is not None
        assert made.merge(made.backbone_maps(torch.empty(1, 3, 416, 416))).shape == (1, 512, 26, 26)


@pytest.mark.parametrize("size", [(8, 8), (33, 47), (64, 40), (100, 31), (1, 1)])
def test_any_size_of_image(size: tuple[int, int]) -> None:
    maps = small().eval()(torch.randn(2, 3, *size))
    for map_BCHW, channels, stride in zip(maps, (8, 12, 16), (8, 16, 32), strict=True):
        assert map_BCHW.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))


def test_its_leaky_relu_has_darknets_slope() -> None:
    trunk = DarknetTrunk(WIDTHS, BLOCKS).double().eval()
    _, layer = trunk.convolutions()[0]
    features_BCHW = torch.randn(1, 3, 5, 5, dtype=torch.float64)
    normed_BCHW = layer.norm(nn.functional.conv2d(features_BCHW, layer.conv.weight, padding=1))
    expected_BCHW = torch.where(normed_BCHW > 0, normed_BCHW, 0.1 * normed_BCHW)
    torch.testing.assert_close(layer(features_BCHW, trunk.slope_1), expected_BCHW, rtol=1e-6, atol=1e-8)


def test_freezing_fixes_the_trunk_and_leaves_the_merge() -> None:
    made = encoder(freeze=True)
    trunk = made.backbone.trunk
    for mode in (made, made.train(), made.eval().train()):
        assert not any(part.training for part in trunk.modules())
        assert all(part.training for part in mode.merge.modules())
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    seen: list[Tensor] = []
    trunk.register_forward_hook(lambda _, __, scales: seen.extend(scales))
    vis_BPC, _, _ = made(torch.randn(4, 3, 64, 64))
    (vis_BPC * torch.randn_like(vis_BPC)).sum().backward()
    assert [scale.requires_grad for scale in seen] == [False] * 3  # no graph behind them
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items())
    assert all(weight.grad is None for weight in trunk.parameters())
    assert all(weight.grad is not None and weight.grad.any() for weight in made.merge.parameters())


def test_a_free_trunk_learns_and_its_statistics_move() -> None:
    made = encoder(freeze=False)
    before = made.backbone.trunk.stem.norm.running_mean.clone()
    vis_BPC, _, _ = made(torch.randn(4, 3, 64, 64))
    (vis_BPC * torch.randn_like(vis_BPC)).sum().backward()
    assert all(weight.grad is not None for weight in made.backbone.parameters())
    assert not torch.equal(made.backbone.trunk.stem.norm.running_mean, before)


def test_habits_of_the_weights_travel_with_them() -> None:
    """Slope and pixel scale are in the state dict, so that a model's folder is enough."""
    first, second = small().eval(), small().eval()
    first.trunk.slope_1.fill_(0.5)
    first.trunk.pixel_scale_3.copy_(torch.tensor([0.5, 1.0, 2.0]))
    first.trunk.pixel_shift_3.copy_(torch.tensor([0.1, -0.2, 0.3]))
    second.load_state_dict(first.state_dict())
    pixels_BCHW = torch.randn(1, 3, 32, 32)
    assert torch.equal(second(pixels_BCHW)[-1], first(pixels_BCHW)[-1])
    second.trunk.slope_1.fill_(0.1)
    assert not torch.equal(second(pixels_BCHW)[-1], first(pixels_BCHW)[-1])


def test_bfloat16_runs_through() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert small().eval()(torch.randn(1, 3, 32, 32))[-1].dtype == torch.bfloat16


@pytest.mark.parametrize(("widths", "blocks"), [((4, 4, 4), (1, 1)), ((4, 4, 4, 4), (1, 1)), ((4, 4, 4), (1, 1, 1))])
def test_widths_and_blocks_go_together(widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"{len(widths)} widths and {len(blocks)} block counts"):
        DarknetTrunk(widths, blocks)
