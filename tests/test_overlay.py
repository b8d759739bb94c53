"""Overlays and contact sheets: what is drawn where, at every size, with any caption."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageFont

from m3att.overlay import LARGEST, NARROWEST, SMALLEST, draw_overlay, fitting, mask_field, wrap


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    return np.full((600, 800, 3), (160, 120, 90), dtype=np.uint8)


@pytest.fixture
def disc() -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:600, :800]
    inside_HW: NDArray[np.bool_] = (rows - 300) ** 2 + (columns - 400) ** 2 < 150**2
    return inside_HW


def test_inside_is_tinted_outside_dimmed_and_between_is_the_outline(
    photo: NDArray[np.uint8], disc: NDArray[np.bool_]
) -> None:
    drawn = np.asarray(draw_overlay(photo, disc)).astype(int)
    assert drawn.shape == photo.shape  # an ordinary image keeps its size, and no caption leaves no strip
    centre, corner, edge = drawn[300, 400], drawn[10, 10], drawn[300, 250]
    assert (corner < photo[10, 10]).all()
    assert np.ptp(corner) < np.ptp(photo[10, 10].astype(int))  # less coloured
    assert centre.sum() > 1.3 * corner.sum()
    assert np.abs(edge - corner).sum() > 100 and np.abs(edge - centre).sum() > 100
    assert np.array_equal(drawn[300, 400], drawn[350, 450])


def test_the_outline_is_smooth(photo: NDArray[np.uint8], disc: NDArray[np.bool_]) -> None:
    drawn = np.asarray(draw_overlay(photo, disc)).astype(int)
    ring = drawn[200:260, 250:320].reshape(-1, 3)
    assert len(np.unique(ring, axis=0)) > 25  # many steps between line and ground, not two


def test_the_outline_runs_where_the_mask_ends(photo: NDArray[np.uint8]) -> None:
    mask = np.zeros((600, 800), dtype=np.bool_)
    mask[:, 400:] = True
    row = np.asarray(draw_overlay(photo, mask))[300].astype(int)
    changed = np.flatnonzero(np.abs(row - row[100]).sum(axis=1) > 0)
    left = changed.min()
    line = np.flatnonzero(np.abs(row - row[700]).sum(axis=1) > 0)
    assert abs((left + line.max()) / 2 - 399.5) <= 0.5
    assert line.max() - left < 12


def test_an_empty_mask_leaves_the_picture_as_it_is(photo: NDArray[np.uint8]) -> None:
    drawn = draw_overlay(photo, np.zeros((600, 800), dtype=np.bool_))
    assert np.array_equal(np.asarray(drawn), photo)


def test_a_mask_of_everything_has_no_outline(photo: NDArray[np.uint8]) -> None:
    drawn = np.asarray(draw_overlay(photo, np.ones((600, 800), dtype=np.bool_)))
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (7, 5), (160, 160), (900, 2)])
def test_a_single_pixel_is_seen_at_every_size(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 100, dtype=np.uint8)
    mask = np.zeros(size, dtype=np.bool_)
    mask[size[0] // 2, size[1] // 2] = True
    drawn = draw_overlay(image, mask)
    bare = draw_overlay(image, np.zeros_like(mask))
    assert not np.array_equal(np.asarray(drawn), np.asarray(bare))


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1, 1), (SMALLEST, SMALLEST)),
        ((160, 160), (480, 480)),
        ((100, 200), (300, 600)),
        ((480, 640), (480, 640)),
        ((4096, 2048), (LARGEST, LARGEST // 2)),
    ],
)
def test_tiny_is_enlarged_by_a_whole_number_and_huge_is_shrunk(size: tuple[int, int], shown: tuple[int, int]) -> None:
    drawn = draw_overlay(np.zeros((*size, 3), dtype=np.uint8), np.zeros(size, dtype=np.bool_))
    assert (drawn.height, drawn.width) == shown


def test_the_accent_stands_out_from_what_it_covers(photo: NDArray[np.uint8], disc: NDArray[np.bool_]) -> None:
    for colour in ((0, 214, 255), (255, 64, 129), (255, 152, 0), (190, 242, 30), (255, 255, 255), (0, 0, 0)):
        photo[:] = colour
        drawn = np.asarray(draw_overlay(photo, disc)).astype(int)
        assert np.abs(drawn[300, 250] - drawn[300, 400]).sum() > 120  # outline against the inside


def test_the_part_near_a_mask_is_that_of_the_whole_picture(disc: NDArray[np.bool_]) -> None:
    disc[10:20, 700:790] = True
    disc[595:, :5] = True
    for mask in (disc[:, :300], disc[200:, 100:], disc):
        size = (mask.shape[0], mask.shape[1])
        whole_HW, everything = mask_field(mask, size)
        assert whole_HW.shape == (2 * size[0], 2 * size[1]) and everything == (slice(0, size[0]), slice(0, size[1]))
        near_HW, part = mask_field(mask, size, reach=3)
        fine = tuple(slice(2 * side.start, 2 * side.stop) for side in part)
        assert np.allclose(whole_HW[fine], near_HW, rtol=1e-6, atol=0)
        whole_HW[fine] = -np.inf
        assert whole_HW.max() < -3  # all else is further away than the reach
    near_HW, part = mask_field(disc[100:, 100:700], (500, 600), reach=3)
    assert near_HW.size < 4 * 500 * 600 / 2


def test_the_caption_stands_beneath_the_picture(photo: NDArray[np.uint8], disc: NDArray[np.bool_]) -> None:
    bare, captioned = draw_overlay(photo, disc), draw_overlay(photo, disc, "the disc", "score 0.90")
    assert captioned.width == bare.width
    assert np.array_equal(np.asarray(captioned)[:600], np.asarray(bare))
    strip = np.asarray(captioned)[600:]
    assert 20 < len(strip) < 150
    assert strip.max() > 200  # something is written
    assert len(np.asarray(draw_overlay(photo, disc, "the disc " * 30))) > len(np.asarray(captioned))
    assert draw_overlay(photo, disc, " \n").size == bare.size


@pytest.mark.parametrize(
    "caption", ["word " * 10_000, "x" * 10_000, "größte Ähre, Ωmega, 狗 🐶", "a\nb\tc", "\x00\u202e!"]
)
def test_any_caption_can_be_drawn(caption: str) -> None:
    drawn = draw_overlay(np.zeros((40, 4, 3), dtype=np.uint8), np.ones((40, 4), dtype=np.bool_), caption, caption)
    assert drawn.width == NARROWEST
    assert drawn.height < 800  # so long as it may be, it is cut


def test_image_and_mask_of_two_sizes_are_refused(photo: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="600"):
        draw_overlay(photo, np.zeros((800, 600), dtype=np.bool_))


def test_wrapping_loses_no_word_and_no_line_is_too_wide() -> None:
    font = ImageFont.load_default(16)
    text = "the small dog behind Donaudampfschifffahrtsgesellschaftskapitän who isn't in the red boat on the left"
    lines = wrap(text, font, 180, 20)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(font.getlength(line) <= 180 for line in lines)
    assert len(lines) > 3
    cut = wrap(text, font, 180, 2)
    assert len(cut) == 2 and cut[1].endswith("...")
    assert all(font.getlength(line) <= 180 for line in cut)
    assert wrap("", font, 180, 2) == []


def test_fitting_is_the_longest_that_fits() -> None:
    font = ImageFont.load_default(16)
    count = fitting("abcdefghijklmnopqrstuvwxyz", font, 60)
    assert font.getlength("abcdefghijklmnopqrstuvwxyz"[:count]) <= 60
    assert font.getlength("abcdefghijklmnopqrstuvwxyz"[: count + 1]) > 60
    assert fitting("W", font, 1) == 1
