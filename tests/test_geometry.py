"""Where things lie: what a network says at the true place of its cells comes back on the image's own pixels."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from m3att.data.transforms import Resize
from m3att.model.grid import Grid
from m3att.targets import mask_targets

Mode = Literal["letterbox", "stretch"]
# Stride of F_enc and 2x upsamplings of the mask decoder.
FORMS = {
    "tiny": (8, 2),
    "darknet53": (16, 3),
    "swin": (16, 3),
    "convnext": (16, 3),
    "resnet": (16, 3),
    "dinov2": (14, 3),
}
Range = tuple[float, float]  # a beginning and an end along one axis, pixels


def cells_inside(grid: Grid, upsamplings: int, rows: Range, columns: Range) -> Tensor:
    """Of a network's logits those whose centres lie in a rectangle of its input: (1, H, W) bool.

    The centres are where a backbone has them, which `tests/model/vision/test_contract.py` holds; nothing of the resize
    and of the losses is used. Over padding goes on what lies at the edge.
    """
    inside = []
    for count, side, (start, end) in zip(grid.cells, (grid.height, grid.width), (rows, columns), strict=True):
        centres = ((torch.arange(count * 2**upsamplings) + 0.5) * grid.stride / 2**upsamplings).clamp(max=side - 1e-3)
        inside.append((start <= centres) & (centres < end))
    return (inside[0][:, None] & inside[1])[None]


def pixels_inside(resize: Resize, rows: Range, columns: Range) -> NDArray[np.bool_]:
    """A rectangle of the square, on the image's own pixels: (height, width)."""
    top, left, height, width = resize.content
    inside = []
    for start, inner, side, (first, last) in (
        (top, height, resize.height, rows),
        (left, width, resize.width, columns),
    ):
        centres = start + (np.arange(side) + 0.5) * inner / side
        inside.append((first <= centres) & (centres < last))
    mask_HW: NDArray[np.bool_] = inside[0][:, None] & inside[1]
    return mask_HW


def iou(one_HW: NDArray[np.bool_], other_HW: NDArray[np.bool_]) -> float:
    return float((one_HW & other_HW).sum() / (one_HW | other_HW).sum())


def worst(resize: Resize, form: str, rows: Range, columns: Range) -> float:
    """The lowest IoU of a rectangle with what comes back of it: as sure logits, and as the shares that are trained."""
    stride, upsamplings = FORMS[form]
    grid = Grid(resize.size, resize.size, stride)
    mask_stride = stride / 2**upsamplings
    true_HW = pixels_inside(resize, rows, columns)
    sure_NHW = cells_inside(grid, upsamplings, rows, columns)
    backs = [resize.probability(sure_NHW * 40.0 - 20, mask_stride)[0] > 0.5]
    squares_MHW = torch.from_numpy(resize.mask(true_HW))[None]
    size = (sure_NHW.shape[1], sure_NHW.shape[2])
    shares_NHW = mask_targets(squares_MHW, torch.tensor([0]), size, mask_stride)
    backs.append(resize.invert(shares_NHW, mask_stride)[0] > 0.5)
    return min(iou(back_HW, true_HW) for back_HW in backs)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(list(FORMS)),
    st.integers(64, 640),
    st.floats(-1, 1),
    st.integers(500, 2400),
    st.sampled_from(["letterbox", "stretch"]),
    st.tuples(*[st.floats(0, 0.2)] * 4),
)
@example("dinov2", 480, 0.0, 480, "stretch", (0.2, 0.0, 0.2, 0.0))
@example("dinov2", 480, -0.23, 1280, "letterbox", (0.2, 0.2, 0.2, 0.0))
@example("tiny", 100, 0.0, 640, "stretch", (0.2, 0.0, 0.2, 0.0))
@example("tiny", 100, 0.6, 3000, "letterbox", (0.0, 0.2, 0.0, 0.0))
@example("tiny", 66, -0.5, 3600, "letterbox", (0.0, 0.0, 0.0, 0.0))
@example("tiny", 65, 0.0, 500, "letterbox", (0.0, 0.0, 0.0, 0.0))
@example("swin", 609, -1.0, 1600, "stretch", (0.0, 0.0, 0.1, 0.2))
def test_what_a_network_says_at_its_cells_comes_back_at_their_place(
    form: str, size: int, turn: float, longer: int, mode: Mode, cut: tuple[float, float, float, float]
) -> None:
    """Images from 1:6 to 6:1.

    A rectangle is drawn whose edges lie on edges of logits or of the picture, so that the grid can hold it but for its
    corners, which bilinear interpolation rounds off by a tenth of a cell each. Where the image's own pixels do not lie
    so, each edge moves by up to 1.5 of them. Only rectangles are tried that keep an IoU of 0.992 under
    both, and whose edges lie on the picture's own or a pixel of the square away from them: nearer edges fall together.
    """
    shorter = max(1, round(longer / 6 ** abs(turn)))
    height, width = (longer, shorter) if turn > 0 else (shorter, longer)
    resize = Resize(height, width, size, mode)
    mask_stride = FORMS[form][0] / 2 ** FORMS[form][1]
    top, left, inner_height, inner_width = resize.content
    ranges: list[Range] = []
    lost, cells = 0.0, 1.0
    for start, inner, side, (before, after) in (
        (top, inner_height, height, cut[:2]),
        (left, inner_width, width, cut[2:]),
    ):
        first, last = start + before * inner, start + inner - after * inner
        moving = 0  # edges that are not the picture's
        if before > 0 or start > 0:
            first, moving = mask_stride * -(-(first + 1) // mask_stride), 1
        if after > 0 or start + inner < size:
            last, moving = mask_stride * ((last - 1) // mask_stride), moving + 1
        assume(last > first)
        lost += 1.5 * moving * inner / side / (last - first)
        ranges.append((first, last))
        cells *= (last - first) / mask_stride
    assume(lost + 0.4 / cells < 0.008)
    assert worst(resize, form, ranges[0], ranges[1]) > 0.99


@pytest.mark.parametrize(
    ("form", "size", "rows", "columns"),
    [
        # 35 cells of 14 pixels reach to 490. Over 480 pixels the last logit would lie 9.7 pixels from its place.
        ("dinov2", 480, (315, 476), (315, 476)),
        # 13 cells of 8 pixels reach to 104.
        ("tiny", 100, (70, 94), (70, 94)),
        ("tiny", 100, (40, 100), (40, 100)),
        ("darknet53", 250, (180, 240), (180, 250)),
        ("swin", 500, (300, 500), (420, 490)),
    ],
)
def test_an_object_in_the_lower_right_corner_stays_there(form: str, size: int, rows: Range, columns: Range) -> None:
    resize = Resize(size, size, size, "stretch")
    assert worst(resize, form, rows, columns) > 0.99
    # The grid taken to span no more than the input, as it must not be: a perfect network would lose much.
    stride, upsamplings = FORMS[form]
    grid = Grid(size, size, stride)
    squeezed = size / grid.cells[0] / 2**upsamplings
    logits_NHW = cells_inside(grid, upsamplings, rows, columns) * 40.0 - 20
    found_HW = resize.probability(logits_NHW, squeezed)[0] > 0.5
    assert iou(found_HW, pixels_inside(resize, rows, columns)) < 0.95


def test_where_the_stride_divides_the_size_the_grid_spans_the_input() -> None:
    """Then a pitch is what is left of dividing the size by the cells. Interpolation is PyTorch's but for rounding."""
    for form, (stride, upsamplings) in FORMS.items():
        size = 40 * stride
        logits_NHW = torch.randn(2, 40 * 2**upsamplings, 40 * 2**upsamplings)
        found_NHW = Resize(size, size, size, "stretch").invert(logits_NHW, stride / 2**upsamplings)
        expected_N1HW = torch.nn.functional.interpolate(logits_NHW[:, None], size=(size, size), mode="bilinear")
        assert np.allclose(found_NHW, expected_N1HW.squeeze(1), rtol=0, atol=1e-3), form
