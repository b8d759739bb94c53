"""EfficientNet-Lite's published sizes, and its forward against sums over single taps.

What it shares with every backbone is in test_contract.py, its files are in tests/weights/test_efficientnet.py.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from m3att.model.build import build_network
from m3att.model.grid import Grid
from m3att.model.vision.efficientnet_lite import ALL_STRIDES, EfficientNetLite, round_channels, same_padding
from m3att.model.vision.encoder import VisionEncoder
from m3att.model.vision.folding import FoldedConvolution

from ..inputs import WORDS, ask, small_config
from ..literal_efficientnet import literal_maps, random_state

SIZES = ("lite0", "lite1", "lite2")


@pytest.mark.parametrize(("size", "weights"), [("lite0", 4_652_008), ("lite1", 5_416_680), ("lite2", 6_092_072)])
def test_it_has_the_published_weights(size: str, weights: int) -> None:
    """TensorFlow's table has 4.7, 5.4 and 6.1 M with the classifier of 1,000 classes over 1,280 channels."""
    with torch.device("meta"):
        backbone = EfficientNetLite(size)
    head = backbone.channels[-1] * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert sum(weight.numel() for weight in backbone.parameters()) + head == weights


@pytest.mark.parametrize(("size", "side", "millions"), [("lite0", 224, 407), ("lite1", 240, 631), ("lite2", 260, 899)])
def test_it_has_the_published_operations(size: str, side: int, millions: int) -> None:
    """TensorFlow's table has these multiply-adds, at each size's own side, norms and activations among them.

    Those are what is left of them here: 4 to 6 per cent.
    """
    with torch.device("meta"):
        backbone = EfficientNetLite(size).eval()
        operations = 0

        def count(part: nn.Module, _: object, made_BCHW: Tensor) -> None:
            nonlocal operations
            operations += part.conv.weight.numel() * made_BCHW.shape[2] * made_BCHW.shape[3]

        for part in backbone.modules():
            if hasattr(part, "conv"):
                part.register_forward_hook(count)
        coarse_BCHW = backbone.unpadded_maps(torch.empty(1, 3, side, side))[-1]
    operations += coarse_BCHW[0].numel() * 1280 + 1280 * 1000
    assert 0.94 < operations / 1e6 / millions < 0.96


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sides", [(64, 64), (37, 50), (33, 31)])
def test_the_forward_is_the_sum_over_taps(size: str, sides: tuple[int, int]) -> None:
    backbone = EfficientNetLite(size, ALL_STRIDES).double().eval().requires_grad_(False)
    backbone.load_state_dict(random_state(backbone))
    pixels_BCHW = torch.randn(1, 3, *sides, dtype=torch.float64)
    expected = literal_maps(size, backbone.state_dict(), pixels_BCHW)
    for found_BCHW, expected_BCHW in zip(backbone.unpadded_maps(pixels_BCHW), expected, strict=True):
        assert expected_BCHW.std() > 1e-3
        torch.testing.assert_close(found_BCHW, expected_BCHW, rtol=1e-9, atol=1e-9)


def test_folded_and_plain_are_equal_to_rounding() -> None:
    backbone = EfficientNetLite().eval()
    backbone.load_state_dict(random_state(backbone))
    pixels_BCHW = torch.randn(2, 3, 65, 96)
    plain = backbone(pixels_BCHW)  # weights that may learn are not folded
    folded = backbone.requires_grad_(False)(pixels_BCHW)
    assert plain[0].requires_grad and not folded[0].requires_grad
    for one_BCHW, other_BCHW in zip(plain, folded, strict=True):
        scale = float(one_BCHW.detach().std())
        torch.testing.assert_close(one_BCHW.detach() / scale, other_BCHW / scale, rtol=1e-4, atol=1e-4)


def test_masks_of_a_frozen_backbone_are_equal_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    vision = {"encoder": "efficientnet-lite0", "freeze": True}
    network = build_network(small_config(vision=vision), 64, WORDS).eval()
    network.vision.backbone.load_state_dict(random_state(network.vision.backbone))
    question = ask(size=64)
    folded_NHW = network(*question.arguments).mask_logits_NHW
    monkeypatch.setattr(FoldedConvolution, "may_fold", lambda _: False)
    plain_NHW = network(*question.arguments).mask_logits_NHW
    assert not torch.equal(folded_NHW, plain_NHW)  # two ways
    torch.testing.assert_close(folded_NHW, plain_NHW, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "zeros"),
    # TensorFlow: before and after are halves of these, the odd one comes after.
    [
        (224, 3, 2, 1), (225, 3, 2, 2), (112, 5, 2, 3), (113, 5, 2, 4), (56, 3, 1, 2), (1, 5, 2, 4), (1, 3, 2, 2),
        (8, 1, 1, 0),
    ],
)  # fmt: skip
def test_padding_is_tensorflows(side: int, kernel: int, stride: int, zeros: int) -> None:
    assert same_padding(side, kernel, stride) == zeros
    assert (side + zeros - kernel) // stride + 1 == -(-side // stride)


def test_channels_are_rounded_as_in_the_original() -> None:
    assert [round_channels(channels, 1.1) for channels in (16, 24, 40, 80, 112, 192, 320)] == [
        16, 24, 48, 88, 120, 208, 352
    ]  # fmt: skip
    assert round_channels(16, 0.1) == 8


def test_maps_are_chosen_by_their_stride_and_blocks_after_them_are_not_built() -> None:
    whole = EfficientNetLite("lite0", ALL_STRIDES).eval()
    some = EfficientNetLite("lite0", (4, 8, 16)).eval()
    assert (whole.channels, some.channels) == ((16, 24, 40, 112, 320), (24, 40, 112))
    assert (len(whole.blocks), len(some.blocks)) == (16, 11)
    own = some.state_dict()
    some.load_state_dict({name: value for name, value in whole.state_dict().items() if name in own})
    pixels_BCHW = torch.randn(1, 3, 64, 64)
    for mine_BCHW, his_BCHW in zip(some(pixels_BCHW), whole(pixels_BCHW)[1:4], strict=True):
        assert torch.equal(mine_BCHW, his_BCHW)


def test_its_pixels_are_centred_on_127() -> None:
    encoder = VisionEncoder(EfficientNetLite(), 8, Grid(64, 64, 16), layers=0)
    seen: list[Tensor] = []
    encoder.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    encoder.eval().backbone_maps(torch.tensor([0, 127, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 32, 32))
    assert seen[0][0, :, 5, 5].tolist() == [-127 / 128, 0, 1]


def test_a_frozen_one_keeps_its_statistics_in_training() -> None:
    encoder = VisionEncoder(EfficientNetLite(), 8, Grid(64, 64, 16), layers=0, freeze=True).train()
    before = {name: value.clone() for name, value in encoder.backbone.state_dict().items()}
    vis_BPC, _, _ = encoder(torch.randint(0, 256, (2, 3, 64, 64)))
    (vis_BPC * torch.randn_like(vis_BPC)).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in encoder.backbone.state_dict().items())
    assert all(weight.grad is None for weight in encoder.backbone.parameters())
    assert encoder.merge is not None
    assert all(weight.grad is not None and weight.grad.any() for weight in encoder.merge.parameters())


def test_bfloat16_is_near() -> None:
    backbone = EfficientNetLite().eval().requires_grad_(False)
    backbone.load_state_dict(random_state(backbone))
    pixels_BCHW = torch.randn(1, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        found = backbone(pixels_BCHW)
    for half_BCHW, full_BCHW in zip(found, backbone(pixels_BCHW), strict=True):
        assert half_BCHW.dtype == torch.bfloat16
        assert (half_BCHW.float() - full_BCHW).abs().mean() < 0.05 * full_BCHW.std()
