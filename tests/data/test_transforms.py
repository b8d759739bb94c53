"""The resize and its inverse: where an image lies in the square, and what comes back of it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from m3att.data.annotation import read_segmentation
from m3att.data.masks import encode_rle
from m3att.data.transforms import GREY, Resize

Mode = Literal["letterbox", "stretch"]
SIDES = st.integers(1, 700)
SQUARES = st.integers(8, 160)
MODES = st.sampled_from(["letterbox", "stretch"])
RECTANGLES = st.none() | st.tuples(*[st.integers(0, 400)] * 4)
QUICK = settings(max_examples=60, deadline=None)


@QUICK
@given(SIDES, SIDES, SQUARES)
@example(1, 1, 32)
@example(1, 500, 32)
@example(3000, 40, 416)
def test_a_letterbox_keeps_proportions_and_lies_centred(height: int, width: int, size: int) -> None:
    top, left, inner_height, inner_width = Resize(height, width, size, "letterbox").content
    assert max(inner_height, inner_width) == size
    assert min(inner_height, inner_width) >= 1
    scale = size / max(height, width)
    assert abs(inner_height - height * scale) <= 1
    assert abs(inner_width - width * scale) <= 1
    for start, length in ((top, inner_height), (left, inner_width)):
        assert start >= 0 and start + length <= size
        assert abs(start - (size - start - length)) <= 1


@QUICK
@given(SIDES, SIDES, SQUARES)
def test_a_stretch_fills_the_square(height: int, width: int, size: int) -> None:
    assert Resize(height, width, size, "stretch").content == (0, 0, size, size)


@QUICK
@given(SIDES, SIDES, SQUARES, MODES)
@example(1, 1, 32, "letterbox")
@example(1, 500, 32, "letterbox")
@example(500, 1, 32, "stretch")
@example(3000, 40, 128, "letterbox")
@example(3000, 40, 128, "stretch")
def test_image_and_mask_are_placed_by_the_same_geometry(height: int, width: int, size: int, mode: Mode) -> None:
    resize = Resize(height, width, size, mode)
    mask_HW = np.random.default_rng(height * 701 + width).random((height, width)) < 0.5
    image_HWC = np.repeat(mask_HW[..., None], 3, axis=2).astype(np.uint8) * 255
    placed_HWC, placed_HW = resize.image(image_HWC), resize.mask(mask_HW)
    assert placed_HWC.shape == (size, size, 3) and placed_HW.shape == (size, size)
    assert placed_HWC.dtype == placed_HW.dtype == np.uint8
    top, left, inner_height, inner_width = resize.content
    inside_HW = np.zeros((size, size), dtype=bool)
    inside_HW[top : top + inner_height, left : left + inner_width] = True
    # Three channels and one go through different code of OpenCV, which may round otherwise.
    assert np.abs(placed_HWC[inside_HW].astype(int) - placed_HW[inside_HW, None].astype(int)).max() <= 1
    assert (placed_HWC[~inside_HW] == GREY).all()
    assert (placed_HW[~inside_HW] == 0).all()


def test_coverage_of_a_shrunken_mask_is_the_share_of_each_cell() -> None:
    mask_HW = np.zeros((8, 8), dtype=bool)
    mask_HW[:, :3] = True
    placed_HW = Resize(8, 8, 4, "stretch").mask(mask_HW)
    assert placed_HW.tolist() == [[255, 128, 0, 0]] * 4


def area_weights(size: int, side: int) -> NDArray[np.float64]:
    """(size, side): the share of each larger pixel that each of ``side`` smaller ones makes up."""
    edges = np.arange(size + 1) * side / size
    at = np.arange(side)
    overlap = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    weights: NDArray[np.float64] = overlap.clip(0) * size / side
    return weights


def linear_weights(size: int, side: int) -> NDArray[np.float64]:
    """(size, side): linear interpolation between the centres of ``side`` pixels, the outer ones repeated."""
    weights = np.zeros((size, side))
    for row, at in enumerate(np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)):
        whole = int(at)
        weights[row, whole] += 1 - (at - whole)
        weights[row, min(whole + 1, side - 1)] += at - whole
    return weights


def tent_weights(size: int, side: int) -> NDArray[np.float64]:
    """(size, side), size < side: weights that fall linearly to zero over a larger pixel's width on either side."""
    scale = side / size
    centres = (np.arange(size)[:, None] + 0.5) * scale
    weights = (1 - np.abs(np.arange(side) + 0.5 - centres) / scale).clip(0)
    normal: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return normal


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(8, 200), MODES, st.integers(0, 999))
@example(300, 1600, 480, "stretch", 0)  # grows on one axis and shrinks on the other, larger than the square by area
@example(1600, 300, 480, "stretch", 1)
@example(300, 600, 480, "stretch", 2)  # the same, smaller than the square by area
@example(1, 700, 480, "stretch", 3)
@example(427, 640, 480, "letterbox", 4)
@example(100, 50, 480, "letterbox", 5)
def test_each_axis_is_averaged_where_it_shrinks_and_interpolated_where_it_grows(
    height: int, width: int, size: int, mode: Mode, seed: int
) -> None:
    resize = Resize(height, width, size, mode)
    top, left, inner_height, inner_width = resize.content
    rows, columns = (
        area_weights(inner, side) if inner <= side else linear_weights(inner, side)
        for inner, side in ((inner_height, height), (inner_width, width))
    )
    chance = np.random.default_rng(seed)
    small_HW = np.zeros((height, width), dtype=bool)  # so small that only its box is worked on
    y, x = chance.integers(0, height), chance.integers(0, width)
    small_HW[y : y + max(1, height // 5), x : x + max(1, width // 5)] = True
    ragged_HW = chance.random((height, width)) < 0.5
    drawn = [small_HW, ragged_HW, ~small_HW]
    by_runs = [read_segmentation(encode_rle(mask_HW), height, width) for mask_HW in drawn]
    image_HWC = chance.integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = [255 * rows @ mask_HW @ columns.T for mask_HW in drawn]
    expected_image = [rows @ image_HWC[..., channel] @ columns.T for channel in range(3)]
    inside = slice(top, top + inner_height), slice(left, left + inner_width)
    for squares, wanted in (
        (resize.masks(drawn), expected),
        (resize.masks(by_runs), expected),
        (resize.image(image_HWC).transpose(2, 0, 1), expected_image),
    ):
        for square_HW, wanted_HW in zip(squares, wanted, strict=True):
            # Rounded to whole numbers once an axis.
            assert np.abs(square_HW[inside] - wanted_HW).max() < 2


@QUICK
@given(st.integers(2, 700), st.integers(2, 700), st.integers(8, 200), st.integers(0, 999))
@example(300, 1600, 480, 0)
@example(1600, 300, 480, 1)
@example(300, 600, 480, 2)
def test_the_inverse_too_follows_each_axis(height: int, width: int, size: int, seed: int) -> None:
    maps_HW = torch.randn(size, size, generator=torch.Generator().manual_seed(seed))
    rows, columns = (
        tent_weights(side, size) if side < size else linear_weights(side, size) for side in (height, width)
    )
    found_HW = Resize(height, width, size, "stretch").invert(maps_HW[None], 1)[0]
    np.testing.assert_allclose(found_HW, rows @ maps_HW.numpy() @ columns.T, atol=1e-3)


@QUICK
@given(SIDES, SIDES, SQUARES, MODES, st.sampled_from([(1, 1), (4, 1), (8, 2), (8, 8), (14, 8), (16, 8), (14, 1)]))
@example(1, 1, 32, "letterbox", (4, 1))
@example(1, 500, 32, "letterbox", (1, 1))
@example(3000, 40, 128, "letterbox", (4, 1))
@example(3000, 40, 128, "stretch", (2, 1))
@example(480, 640, 480, "stretch", (14, 8))  # 35 * 8 cells of 14 / 8 pixels: the last five are padding
@example(427, 640, 100, "letterbox", (8, 4))
@example(427, 640, 100, "stretch", (8, 1))
def test_what_is_linear_comes_back_linear(
    height: int, width: int, size: int, mode: Mode, strides: tuple[int, int]
) -> None:
    """A map that says where it is must say the image's own place after the inverse, to a fraction of a pixel of it."""
    resize = Resize(height, width, size, mode)
    top, left, inner_height, inner_width = resize.content
    vision_stride, finer = strides
    cells, stride = finer * -(-size // vision_stride), vision_stride / finer
    # Continuous coordinates of the map's cell centres in the square, and of the image's pixel centres there.
    at = (torch.arange(cells, dtype=torch.float32) + 0.5) * stride
    maps_2HW = torch.stack([at[:, None].expand(cells, cells), at[None].expand(cells, cells)])
    inverted_2HW = resize.invert(maps_2HW, stride)
    assert inverted_2HW.shape == (2, height, width) and inverted_2HW.dtype == np.float32
    back_2HW = torch.from_numpy(inverted_2HW)
    for back_HW, start, inner, side in (
        (back_2HW[0], top, inner_height, height),
        (back_2HW[1].T, left, inner_width, width),
    ):
        true = start + (torch.arange(side, dtype=torch.float32) + 0.5) * inner / side
        # Interpolation has nothing to lean on within a cell of the border; shrinking looks half a step further.
        reach = stride + 1 + max(1.0, inner / side)
        trusted = (true - start > reach) & (start + inner - true > reach)
        error = (back_HW - true[:, None]).abs()
        # Averaging over few cells with weights from a triangle, as shrinking does, is not quite linear.
        tolerance = 0.1 if inner > side else 0.01
        assert error[trusted].numel() == 0 or error[trusted].max() < tolerance
        assert error.max() <= reach


@QUICK
@given(st.integers(1, 400), st.integers(1, 400), st.integers(16, 160), MODES, RECTANGLES)
@example(1, 1, 32, "letterbox", None)
@example(1, 500, 32, "letterbox", None)
@example(500, 1, 32, "stretch", None)
@example(3, 1, 16, "letterbox", (0, 1, 0, 1))
@example(3000, 40, 416, "letterbox", None)
@example(3000, 40, 416, "stretch", None)
def test_a_rectangle_comes_back_to_within_half_a_cell(
    height: int, width: int, size: int, mode: Mode, rectangle: tuple[int, int, int, int] | None
) -> None:
    resize = Resize(height, width, size, mode)
    if rectangle is None:  # the whole image
        top, bottom, left, right = 0, height, 0, width
    else:
        top, bottom = sorted(min(at, height) for at in rectangle[:2])
        left, right = sorted(min(at, width) for at in rectangle[2:])
    mask_HW = np.zeros((height, width), dtype=bool)
    mask_HW[top:bottom, left:right] = True
    back_HW = there_and_back(resize, mask_HW)
    _, _, inner_height, inner_width = resize.content
    # An edge may move by half a cell of the square, or half a pixel, and a thing thinner than a cell may be lost.
    reach_y, reach_x = 1 + height / inner_height, 1 + width / inner_width
    y, x = np.mgrid[:height, :width] + 0.5
    deep = (y - top > reach_y) | (top == 0), (bottom - y > reach_y) | (bottom == height)
    deep += (x - left > reach_x) | (left == 0), (right - x > reach_x) | (right == width)
    thick = bottom - top > 2 * reach_y and right - left > 2 * reach_x
    whole = (bottom - top, right - left) == (height, width)
    if thick or whole:
        assert back_HW[np.logical_and.reduce(deep) & mask_HW].all()
    far = (top - y > reach_y) | (y - bottom > reach_y) | (left - x > reach_x) | (x - right > reach_x)
    assert not back_HW[far].any()


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 500), (500, 1), (3000, 40), (40, 3000), (480, 640), (427, 640), (641, 333), (160, 160), (97, 61)],
)
def test_large_rectangles_come_back_almost_whole(height: int, width: int, mode: Mode) -> None:
    masks = [np.ones((height, width), dtype=bool)]
    if min(height, width) > 50:
        for top, left, bottom, right in ((0.1, 0.1, 0.9, 0.7), (0.0, 0.31, 0.77, 1.0), (0.25, 0.0, 0.8, 0.6)):
            mask_HW = np.zeros((height, width), dtype=bool)
            mask_HW[int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = True
            masks.append(mask_HW)
    backs = [there_and_back(Resize(height, width, 416, mode), mask_HW) for mask_HW in masks]
    intersection = sum(int((mask & back).sum()) for mask, back in zip(masks, backs, strict=True))
    union = sum(int((mask | back).sum()) for mask, back in zip(masks, backs, strict=True))
    assert intersection / union > 0.985


def test_a_pixel_of_a_small_image_is_the_average_of_its_cells() -> None:
    stripes_1HW = torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(8).expand(1, 32, 32)
    assert np.allclose(Resize(4, 4, 32, "stretch").invert(stripes_1HW, 1)[..., 1:3], 0.25, atol=1e-6)


def test_probabilities_are_the_sigmoid_of_the_inverse() -> None:
    resize = Resize(30, 50, 32, "letterbox")
    logits_NHW = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(1)) * 4
    before_NHW = logits_NHW.clone()
    probability_NHW = resize.probability(logits_NHW, 4)
    expected_NHW = 1 / (1 + np.exp(-resize.invert(logits_NHW, 4).astype(np.float64)))
    assert np.allclose(probability_NHW, expected_NHW, rtol=0, atol=1e-6)
    assert torch.equal(logits_NHW, before_NHW)
    assert probability_NHW.shape == (3, 30, 50)


def test_maps_that_do_not_cover_the_square_are_refused() -> None:
    resize = Resize(30, 50, 100, "stretch")
    assert resize.covered((13, 26), 8) == (104, 208)
    with pytest.raises(ValueError, match="a map of 13 x 12 cells of 8 pixels does not cover a square of 100"):
        resize.invert(torch.zeros(1, 13, 12), 8)


def there_and_back(resize: Resize, mask_HW: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask placed in the square, and back by the inverse and the threshold at a half."""
    maps_1HW = torch.from_numpy(resize.mask(mask_HW)).unsqueeze(0)
    back_HW: NDArray[np.bool_] = resize.invert(maps_1HW, 1)[0] > 127.5
    return back_HW
