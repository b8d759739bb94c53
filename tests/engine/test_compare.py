"""How each protocol makes masks of maps, by hand and beside the libraries that the public evaluators call."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from m3att.data.transforms import Resize
from m3att.engine.compare import compare, compare_masks, decide, mask_scores, true_masks
from m3att.metrics import MaskCounts
from m3att.protocols import PROTOCOLS

SIZE = 16
NAMES = tuple(PROTOCOLS)
INPUT = ("lavt", "rela")
WIDE = Resize(8, 24, SIZE, "letterbox")
STRETCHED = Resize(8, 24, SIZE, "stretch")


def logits(resize: Resize, seed: int = 0) -> Tensor:
    """Smooth maps at half the size of the input."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(3, 1, 4, 4, generator=generator)
    side = resize.size // 2
    return 3 * F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False).squeeze(1)


def masks(name: str, maps_NHW: Tensor, resize: Resize) -> NDArray[np.bool_]:
    protocol = PROTOCOLS[name]
    found: NDArray[np.bool_] = decide(
        mask_scores(maps_NHW, resize.size / maps_NHW.shape[1], resize, protocol), protocol
    ).numpy()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_tie_is_background(name: str) -> None:
    threshold = PROTOCOLS[name].threshold
    for bias, positive in ((0.0, False), (1e-3, True), (-1e-3, False)):
        maps_NHW = torch.full((1, SIZE, SIZE), math.log(threshold / (1 - threshold)) + bias)
        if bias == 0 and threshold != 0.5:  # the rounding of log and exp would decide: decide on the threshold itself
            assert not decide(torch.full((1, 1, 1), threshold), PROTOCOLS[name]).any()
            continue
        found = masks(name, maps_NHW, STRETCHED)[:, 1:-1, 2:-2]  # CRIS mixes nothing in at the border
        assert found.all() == found.any() == positive


@pytest.mark.parametrize("name", NAMES)
def test_the_frame_is_the_image_or_the_square(name: str) -> None:
    for resize in (WIDE, STRETCHED):
        expected = (SIZE, SIZE) if name in INPUT else (8, 24)
        assert masks(name, logits(resize), resize).shape == (3, *expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_a_mask_found_exactly_scores_one(name: str, mode: str) -> None:
    """The left half of an image, found by the network in its own input: no protocol may see it displaced."""
    resize = Resize(32, 64, 64, mode)  # type: ignore[arg-type]
    truth_HW = np.zeros((32, 64), dtype=bool)
    truth_HW[:, :32] = True
    maps_NHW = torch.from_numpy(resize.mask(truth_HW).astype(np.float32)).unsqueeze(0) / 255 * 40 - 20
    counts = {PROTOCOLS[name]: MaskCounts()}
    compare(maps_NHW, 1.0, truth_HW[None], np.array([0]), resize, counts)
    (counted,) = counts.values()
    area = 64 * 32 if name in INPUT else 32 * 32
    # `refer` keeps what it touches, so that the doubling of rows under a letterbox may cost it the seam.
    assert abs(counted.predicted[0] - area) <= (32 if name == "refer" else 0)
    assert counted.unions[0] - counted.intersections[0] <= (32 if name == "refer" else 0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_a_mask_found_by_cells_that_reach_beyond_the_input_scores_one(name: str, mode: str) -> None:
    """60 pixels at stride 14, halved three times: 40 logits, of which the last five lie on padding."""
    resize = Resize(60, 120, 60, mode)  # type: ignore[arg-type]
    stride = 14 / 8
    edge = 28 * stride  # of 60 columns: an edge of a logit near the padding
    truth_HW = np.zeros((60, 120), dtype=bool)
    truth_HW[:, : round(2 * edge)] = True
    centres = (torch.arange(40) + 0.5) * stride
    maps_NHW = torch.where(centres < edge, 20.0, -20.0).expand(1, 40, 40)
    counts = {PROTOCOLS[name]: MaskCounts()}
    compare(maps_NHW, stride, truth_HW[None], np.array([0]), resize, counts)
    (counted,) = counts.values()
    height, width = (60, 60) if name in INPUT else (60, 120)
    assert abs(counted.predicted[0] - 49 / 60 * height * width) <= height * (width / 60)
    # `refer` keeps what it touches, a threshold under a half moves the edge, and CRIS mixes zeros in at the border.
    columns = 0 if PROTOCOLS[name].threshold == 0.5 and name != "refer" else 1
    rows = 1 if PROTOCOLS[name].kernel == "cubic" else 0
    assert counted.unions[0] - counted.intersections[0] <= columns * height + 2 * rows * width


@pytest.mark.parametrize("name", INPUT)
def test_a_letterboxed_network_is_compared_in_the_square_without_its_bars(name: str) -> None:
    """24 x 8 in a square of 16: the image lies in the middle 5 or 6 rows; what is said of the bars is not looked at."""
    top, _, height, _ = WIDE.content
    maps_NHW = torch.full((1, SIZE, SIZE), -5.0)
    maps_NHW[:, top : top + height, 8:] = 5.0
    shouting_NHW = maps_NHW.clone()
    shouting_NHW[:, :top], shouting_NHW[:, top + height :] = 50.0, 50.0
    found = masks(name, shouting_NHW, WIDE)
    assert np.array_equal(found, masks(name, maps_NHW, WIDE))
    assert found[0, :, 8:].all() and not found[0, :, :8].any()


def test_probabilities_and_logits_are_interpolated_apart() -> None:
    """A sure yes on the left, a no on the right, whose weights in eight columns are 0, 0, 1, 3, 5, 7, 8, 8 eighths."""
    maps_NHW = torch.tensor([[[8.0, -10.0]] * 2])
    resize = Resize(8, 8, 2, "stretch")
    columns = {name: masks(name, maps_NHW, resize)[0].any(axis=0).tolist() for name in ("original", "lavt", "vlt")}
    # Three eighths of the way the logit is 1.25, five eighths of the way -3.25: less than that of 0.35.
    assert columns["original"] == [True] * 4 + [False] * 4
    # Three eighths of a probability of one are more than 0.35, one eighth is not.
    assert columns["vlt"] == [True] * 5 + [False] * 3
    assert columns["lavt"] == [True, False]  # in the network's own two columns


@pytest.mark.parametrize("resize", [WIDE, STRETCHED, Resize(40, 30, SIZE, "letterbox"), Resize(7, 5, SIZE, "stretch")])
def test_vlt_does_as_opencv_s_resize(resize: Resize) -> None:
    maps_NHW = logits(resize)
    top, left, height, width = resize.content
    for map_HW, found_HW in zip(
        maps_NHW.sigmoid().numpy(),
        mask_scores(maps_NHW, resize.size / maps_NHW.shape[1], resize, PROTOCOLS["vlt"]),
        strict=True,
    ):
        square_HW = cv2.resize(map_HW, (SIZE, SIZE))
        inner_HW = square_HW[top : top + height, left : left + width]
        assert np.allclose(found_HW.numpy(), cv2.resize(inner_HW, (resize.width, resize.height)), atol=1e-5)


@pytest.mark.parametrize("resize", [WIDE, STRETCHED, Resize(40, 30, SIZE, "letterbox"), Resize(7, 5, SIZE, "stretch")])
def test_cris_samples_bicubically_at_the_image_s_pixels(resize: Resize) -> None:
    maps_NHW = logits(resize)
    top, left, height, width = resize.content
    enlarged = F.interpolate(maps_NHW.sigmoid().unsqueeze(1), size=(SIZE, SIZE), mode="bicubic", align_corners=False)
    rows = (top + (torch.arange(resize.height) + 0.5) * height / resize.height) * 2 / SIZE - 1
    columns = (left + (torch.arange(resize.width) + 0.5) * width / resize.width) * 2 / SIZE - 1
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).expand(3, -1, -1, -1)
    expected = F.grid_sample(enlarged, grid, mode="bicubic", padding_mode="zeros", align_corners=False).squeeze(1)
    found = mask_scores(maps_NHW, resize.size / maps_NHW.shape[1], resize, PROTOCOLS["cris"])
    # OpenCV rounds the place to a 32nd of a pixel.
    assert torch.allclose(found, expected, atol=0.03)


def test_refer_keeps_every_pixel_that_a_mask_touches() -> None:
    maps_NHW = torch.full((1, SIZE, SIZE), -5.0)
    maps_NHW[0, 4, 4] = 5.0
    resize = Resize(SIZE * 4, SIZE * 4, SIZE, "stretch")
    # One cell of four pixels a side, and two pixels beyond it on each side that lie nearer to it than a whole cell.
    assert int(masks("refer", maps_NHW, resize).sum()) == (4 + 2 + 2) ** 2
    assert int(masks("vlt", maps_NHW, resize).sum()) < 8**2


@pytest.mark.parametrize("shape", [(8, 24), (37, 53), (480, 640), (5, 3)])
def test_lavt_s_truth_is_pillow_s_nearest(shape: tuple[int, int]) -> None:
    truth_MHW = np.random.default_rng(0).random((2, *shape)) < 0.5
    found = true_masks(truth_MHW, SIZE, PROTOCOLS["lavt"])
    for truth_HW, found_HW in zip(truth_MHW, found, strict=True):
        nearest = Image.fromarray(truth_HW.astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.NEAREST)
        assert np.array_equal(found_HW, np.asarray(nearest) > 0)


def test_rela_s_truth_is_what_covers_half_a_pixel() -> None:
    truth_HW = np.zeros((32, 32), dtype=bool)
    truth_HW[:, :5] = True  # two columns of the square and half of the third
    truth_HW[0, 20] = True  # a quarter of a pixel
    found = true_masks(truth_HW[None], 16, PROTOCOLS["rela"])[0]
    assert found[:, :3].all() and found.sum() == 16 * 3
    assert np.array_equal(true_masks(truth_HW[None], 16, PROTOCOLS["vlt"])[0], truth_HW)


def test_all_at_once_is_each_alone() -> None:
    truth_MHW = np.random.default_rng(1).random((2, 8, 24)) < 0.5
    index_N = np.array([0, 1, 1])
    together = {
        protocol: MaskCounts() for protocol in (*PROTOCOLS.values(), replace(PROTOCOLS["original"], threshold=0.5))
    }
    compare(logits(WIDE), 2.0, truth_MHW, index_N, WIDE, together)
    for protocol, counted in together.items():
        alone = {protocol: MaskCounts()}
        compare(logits(WIDE), 2.0, truth_MHW, index_N, WIDE, alone)
        assert alone[protocol] == counted and len(counted) == 3
    assert together[PROTOCOLS["mcn"]] == together[PROTOCOLS["vlt"]]
    assert together[PROTOCOLS["mcn"]].predicted is not together[PROTOCOLS["vlt"]].predicted
    assert len({tuple(counted.predicted) for counted in together.values()}) > 4


def test_masks_of_no_network_are_treated_as_the_truth_is() -> None:
    truth_NHW = np.random.default_rng(1).random((3, 8, 24)) < 0.5
    counts = {protocol: MaskCounts() for protocol in PROTOCOLS.values()}
    compare_masks(truth_NHW, truth_NHW, SIZE, counts)
    for protocol, counted in counts.items():
        assert counted.intersections == counted.unions == counted.predicted
        assert len(counted) == 3 and min(counted.unions) > 0, protocol
