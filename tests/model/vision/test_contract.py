"""What every vision backbone must keep, whatever it is; a new one joins by a line in BACKBONES."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from m3att.encoders import VISION
from m3att.errors import ConfigError
from m3att.model.vision.auto_backbone import HuggingFaceBackbone
from m3att.model.vision.contract import VisionBackbone, check_backbone
from m3att.model.vision.darknet53 import Darknet53
from m3att.model.vision.efficientnet_lite import EfficientNetLite
from m3att.model.vision.tiny import TinyConvNet

from ..architectures import VISION as VISION_SIZES

# Small ones of each kind; what stands before the colon is the kind's name in VISION.
BACKBONES: dict[str, Callable[[], VisionBackbone]] = {
    "tiny": lambda: TinyConvNet((4, 8, 12), (0, 1, 1)),
    "darknet53": lambda: Darknet53((4, 4, 8, 8, 12, 16), (1, 0, 2, 1, 1)),
    "efficientnet-lite0": EfficientNetLite,
    "efficientnet-lite0:four maps": lambda: EfficientNetLite("lite0", (4, 8, 16, 32)),
    "efficientnet-lite1:fine maps": lambda: EfficientNetLite("lite1", (2, 4, 8)),
    "efficientnet-lite2": lambda: EfficientNetLite("lite2", (16,)),
    **{f"huggingface:{name}": partial(HuggingFaceBackbone, values) for name, values in VISION_SIZES.items()},
}
SIZES = [(32, 32), (64, 32), (33, 47), (8, 8)]


@pytest.fixture(params=BACKBONES)
def backbone(request: pytest.FixtureRequest) -> VisionBackbone:
    return BACKBONES[request.param]()


def test_every_backbone_is_held_to_the_contract() -> None:
    assert {name.partition(":")[0] for name in BACKBONES} == set(VISION)


def test_it_says_what_it_gives(backbone: VisionBackbone) -> None:
    assert len(backbone.channels) == len(backbone.strides) >= 1
    assert all(coarse == 2 * fine for fine, coarse in pairwise(backbone.strides))
    assert len(backbone.pixel_mean) == len(backbone.pixel_std) == 3
    assert all(0 <= mean <= 255 for mean in backbone.pixel_mean)
    assert all(1 <= deviation <= 255 for deviation in backbone.pixel_std)


def test_the_check_accepts_it(backbone: VisionBackbone) -> None:
    check_backbone(backbone)


class Newcomer(VisionBackbone):
    """A backbone with the given attributes."""

    def __init__(self, **attributes: object) -> None:
        super().__init__()
        for key, value in attributes.items():
            setattr(self, key, value)

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, ...]:
        return (pixels_BCHW,)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "Newcomer: set self.channels"),
        ({"channels": (3,)}, "Newcomer: set self.strides"),
        ({"channels": (), "strides": ()}, "Newcomer: set self.channels"),
        ({"channels": (3, 4), "strides": (4,)}, "give one of each for each map"),
        ({"channels": (3, 4), "strides": (8, 4)}, "finest map first"),
        ({"channels": (3,), "strides": (4,), "pixel_mean": (127.5,)}, "three numbers, for red, green and blue"),
        ({"channels": (3,), "strides": (4,), "pixel_std": (0.23, 0.22, 0.22)}, "for pixels from 0 to 255"),
    ],
)
def test_a_backbone_that_breaks_the_contract_is_named(attributes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_backbone(Newcomer(**attributes))


def test_what_is_no_backbone_is_named() -> None:
    with pytest.raises(ConfigError, match="Linear: a backbone must be a subclass of VisionBackbone"):
        check_backbone(nn.Linear(1, 1))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_each_grid_is_the_size_over_the_stride_rounded_up(backbone: VisionBackbone, size: tuple[int, int]) -> None:
    maps = backbone.eval()(torch.randn(2, 3, *size))
    assert isinstance(maps, tuple)
    for map_BCHW, channels, stride in zip(maps, backbone.channels, backbone.strides, strict=True):
        assert map_BCHW.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        assert map_BCHW.dtype == torch.float32
        assert map_BCHW.isfinite().all()


def test_an_images_features_do_not_hang_on_its_batch(backbone: VisionBackbone) -> None:
    pixels_BCHW = torch.randn(3, 3, 32, 32)
    together = backbone.eval()(pixels_BCHW)
    for number, alone_CHW in enumerate(pixels_BCHW):
        for alone_BCHW, map_BCHW in zip(backbone(alone_CHW[None]), together, strict=True):
            torch.testing.assert_close(alone_BCHW[0], map_BCHW[number], rtol=1e-4, atol=1e-5)


def test_evaluation_repeats_itself_and_changes_no_statistic(backbone: VisionBackbone) -> None:
    pixels_BCHW = torch.randn(2, 3, 32, 32)
    backbone.eval()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    assert same(backbone(pixels_BCHW), backbone(pixels_BCHW))
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_the_place_of_things_is_kept(backbone: VisionBackbone) -> None:
    """A patch changes each map where it is more than in other corners, at the grid's own rows and columns."""
    side = 8 * backbone.strides[-1]
    pixels_BCHW = torch.randn(1, 3, side, side)
    patched_BCHW = pixels_BCHW.clone()
    patched_BCHW[:, :, : side // 4, -side // 4 :] += 3  # top right
    backbone.eval().requires_grad_(False)
    for stride, after_BCHW, before_BCHW in zip(
        backbone.strides, backbone(patched_BCHW), backbone(pixels_BCHW), strict=True
    ):
        change_HW = (after_BCHW - before_BCHW).abs().sum(dim=(0, 1))
        cells = side // stride // 4
        corners = {"top right": change_HW[:cells, -cells:], "bottom left": change_HW[-cells:, :cells],
                   "top left": change_HW[:cells, :cells], "bottom right": change_HW[-cells:, -cells:]}  # fmt: skip
        means = {name: float(corner.mean()) for name, corner in corners.items()}
        assert max(means, key=means.__getitem__) == "top right"


def test_every_weight_learns(backbone: VisionBackbone) -> None:
    maps = backbone.double().train()(torch.randn(2, 3, 64, 64, dtype=torch.float64))
    sum((map_BCHW * torch.randn_like(map_BCHW)).sum() for map_BCHW in maps).backward()
    dead = [name for name, weight in backbone.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert dead == []


def test_the_layout_of_pixels_in_memory_does_not_matter(backbone: VisionBackbone) -> None:
    pixels_BCHW = torch.randn(2, 3, 32, 32)
    found = backbone.eval()(pixels_BCHW.contiguous(memory_format=torch.channels_last))
    for map_BCHW, expected_BCHW in zip(found, backbone(pixels_BCHW), strict=True):
        torch.testing.assert_close(map_BCHW, expected_BCHW)


def test_a_state_dict_makes_the_same_backbone_again(backbone: VisionBackbone, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["backbone"]
    with torch.no_grad():
        backbone.train()(torch.randn(4, 3, 64, 64))  # moves BatchNorm's statistics
    copy = BACKBONES[name]()
    copy.load_state_dict(backbone.state_dict())
    pixels_BCHW = torch.randn(1, 3, 32, 32)
    assert same(copy.eval()(pixels_BCHW), backbone.eval()(pixels_BCHW))


def same(maps: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Equal to the last bit, map by map."""
    return all(torch.equal(one, other) for one, other in zip(maps, others, strict=True))


@pytest.mark.parametrize("size", [(330, 330), (331, 345)], ids=str)
def test_a_cell_lies_at_its_number_times_the_stride_whatever_the_size(
    backbone: VisionBackbone, size: tuple[int, int]
) -> None:
    """An input that no stride divides has the cells of a larger one that all strides divide, none of them stretched.

    Padding may show near the edges that it lies at: in a convolution's own padding there is no shift of BatchNorm.
    """
    backbone.eval().requires_grad_(False)
    pixels_BCHW = torch.randn(1, 3, *size)
    below, right = (-side % backbone.strides[-1] for side in size)
    padded_BCHW = nn.functional.pad(pixels_BCHW, (0, right, 0, below))
    for map_BCHW, whole_BCHW in zip(backbone(pixels_BCHW), backbone(padded_BCHW), strict=True):
        rows, columns = map_BCHW.shape[2] // 4, map_BCHW.shape[3] // 4
        torch.testing.assert_close(map_BCHW[:, :, :rows, :columns], whole_BCHW[:, :, :rows, :columns])


def test_a_cell_sees_what_lies_around_its_own_pixels(backbone: VisionBackbone) -> None:
    """Of the pixels that a cell in the middle depends on, the centre lies within a stride of the cell's own centre."""
    backbone.double().eval()
    pixels_BCHW = torch.randn(1, 3, 330, 345, dtype=torch.float64, requires_grad=True)
    for map_BCHW, stride in zip(backbone(pixels_BCHW), backbone.strides, strict=True):
        row, column = map_BCHW.shape[2] // 2, map_BCHW.shape[3] // 2
        value = (map_BCHW[0, :, row, column] * torch.randn(map_BCHW.shape[1])).sum()
        (gradient_BCHW,) = torch.autograd.grad(value, pixels_BCHW, retain_graph=True)
        weight_HW = gradient_BCHW.square().sum(dim=(0, 1))
        for number, weights in ((row, weight_HW.sum(dim=1)), (column, weight_HW.sum(dim=0))):
            centre = float((weights * (torch.arange(len(weights)) + 0.5)).sum() / weights.sum())
            assert abs(centre - (number + 0.5) * stride) < stride
