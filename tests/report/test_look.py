"""Pictures of where the words look, of weights that are given here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3att.attention import WordAttention
from m3att.report.look import colour_of, lav_picture, spread, val_picture

GREY = np.full((40, 80, 3), 128, dtype=np.uint8)


def attention(lav: NDArray[np.float32], val: NDArray[np.float32], region: tuple[float, ...]) -> WordAttention:
    left, top, across, down = region
    return WordAttention(("left", "top"), lav, val, np.zeros_like(lav[0]), (left, top, across, down), 0, 1)


def test_a_cell_stands_for_its_part_of_the_image() -> None:
    """A grid of 4 x 4 cells of which the image fills the middle two rows, as a letterbox has it."""
    cells_HW = np.arange(16, dtype=np.float32).reshape(4, 4)
    found_HW = spread(cells_HW, (0, 1, 4, 2), (2, 4))
    np.testing.assert_allclose(found_HW, cells_HW[1:3])
    wide_HW = spread(cells_HW, (0, 1, 4, 2), (20, 40))
    assert wide_HW.shape == (20, 40)
    np.testing.assert_allclose(wide_HW[5, 5], cells_HW[1, 0], atol=0.3)  # the middle of a cell
    np.testing.assert_allclose(wide_HW[15, 35], cells_HW[2, 3], atol=0.3)


def test_the_image_is_bright_where_a_word_looks() -> None:
    lav = np.zeros((2, 2, 4), dtype=np.float32)
    lav[0, :, 0] = 0.5  # the left edge
    picture_HWC = np.asarray(lav_picture(GREY, attention(lav, lav, (0, 0, 4, 2)), 0, 80))
    assert picture_HWC.shape == (40, 80, 3)
    assert picture_HWC[20, 5].mean() > 110 > 60 > picture_HWC[20, 60].mean()


def test_each_position_has_the_colour_of_its_word() -> None:
    val = np.zeros((2, 2, 4), dtype=np.float32)
    val[0, :, :2], val[1, :, 2:] = 0.9, 0.9
    val[1, :, :2], val[0, :, 2:] = 0.1, 0.1
    picture_HWC = np.asarray(val_picture(GREY, attention(val, val, (0, 0, 4, 2)), 80)).astype(int)
    for column, word in ((10, 0), (70, 1)):
        towards = np.array(colour_of(word)) - 128
        assert ((picture_HWC[20, column] - 128) * towards > 0).all()
    assert colour_of(0) == colour_of(8) != colour_of(1)
