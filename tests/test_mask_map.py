"""The mask of a map against its probabilities, pixel by pixel; what it says about its mask against slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from m3att.calibration import Calibration
from m3att.data.transforms import Resize, to_probability
from m3att.mask_map import MaskMap, float32_of, logit_of, mask_maps, near_probability, number_of
from m3att.regions import mask_over

THRESHOLD = 0.35
RESIZES = (
    Resize(40, 60, 32, "letterbox"),
    Resize(40, 60, 32, "stretch"),
    Resize(9, 70, 32, "letterbox"),
    Resize(20, 12, 32, "stretch"),
    Resize(32, 32, 32, "stretch"),
)


def smooth_cells(seed: int, count: int = 3, side: int = 8) -> NDArray[np.float32]:
    """A few hills on a low plain."""
    chance = np.random.default_rng(seed)
    cells_NHW = chance.normal(-4, 2, (count, side, side)).astype(np.float32)
    cells_NHW[:, 2:4, 3:6] += np.float32(6)
    return cells_NHW


def plain_map(logits_HW: NDArray[np.float32]) -> MaskMap:
    """A map whose cells are its pixels."""
    resize = Resize(*logits_HW.shape, max(logits_HW.shape), "stretch")
    (found,) = mask_maps(logits_HW[None], resize, 1.0)
    return found


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("region", ["all", "peak"])
@pytest.mark.parametrize("stride", [4.0, 36 / 8])
def test_masks_are_those_of_the_probabilities(resize: Resize, region: str, stride: float) -> None:
    cells_NHW = smooth_cells(resize.height)
    probability_NHW = resize.probability(cells_NHW, stride)
    for threshold in (0.0, 0.01, 0.1, 0.35, 0.5, 0.9):
        for probability_HW, found in zip(probability_NHW, mask_maps(cells_NHW, resize, stride), strict=True):
            expected_HW = mask_over(probability_HW, threshold, region)
            assert np.array_equal(found.mask(threshold, region), expected_HW)
            box, part_HW = found.mask_in_box(threshold, region)
            assert np.array_equal(part_HW, expected_HW[box])
            assert expected_HW.sum() == part_HW.sum()  # nothing outside the box


def test_a_box_is_smaller_than_the_image_and_empty_where_nothing_is_likely() -> None:
    resize = Resize(80, 120, 32, "stretch")
    cells_NHW = np.full((2, 32, 32), -9, dtype=np.float32)
    cells_NHW[0, 10, 20] = 9
    one, none = ((found.box(0.5), found.mask(0.5)) for found in mask_maps(cells_NHW, resize, 1.0))
    (rows, columns), mask_HW = one
    assert mask_HW.any() and (rows.stop - rows.start) * (columns.stop - columns.start) < mask_HW.size / 4
    assert none[0] == (slice(0, 0), slice(0, 0)) and not none[1].any()
    first = next(mask_maps(cells_NHW, resize, 1.0))
    assert first.box(0.01) == (slice(None), slice(None))  # with so low a threshold, nothing is left out
    wide, narrow = (first.box(threshold)[0] for threshold in (0.1, 0.9))
    assert wide.start <= narrow.start and narrow.stop <= wide.stop


@pytest.mark.parametrize("threshold", [0.0, 0.175, 0.35, 0.5, 0.675, 0.75, 0.999])
def test_the_limit_of_logits_is_that_of_probabilities_to_the_last_bit(threshold: float) -> None:
    limit = number_of(logit_of(threshold))
    logits = np.array([float32_of(number) for number in range(limit - 3000, limit + 3000)], dtype=np.float32)
    assert np.array_equal(logits > logit_of(threshold), to_probability(logits.copy()) > threshold)


@given(st.floats(-200, 200, width=32))
def test_float32_numbers_are_counted(value: float) -> None:
    assert float32_of(number_of(value)) == np.float32(value)
    following = np.nextafter(np.float32(value), np.float32(np.inf))
    assert number_of(float(following)) - number_of(value) in ((0, 1) if value == 0 else (1,))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_what_a_map_says_is_what_slow_loops_find(seed: int) -> None:
    logits_HW = np.random.default_rng(seed).normal(0, 2, (9, 9)).astype(np.float32)
    found = plain_map(logits_HW).evidence(THRESHOLD)
    every = [float(p) for p in to_probability(logits_HW.copy()).ravel()]
    inside = [p for p in every if p > THRESHOLD]
    outside = [p for p in every if not p > THRESHOLD]
    high, low = sum(p > 0.675 for p in inside), sum(p > 0.175 for p in every)
    slow = (sum(inside) / len(inside), sum(inside) / (len(inside) + sum(outside)), high / low, len(inside) / 81)
    assert found == pytest.approx(slow, rel=1e-5)


def test_an_empty_mask_says_nothing_and_scores_zero() -> None:
    found = plain_map(np.full((4, 4), -2, np.float32))
    assert found.evidence(THRESHOLD) is None
    assert found.score(THRESHOLD) == found.score(THRESHOLD, "all", Calibration(3.0, (1.0,) * 4, 9, 0, 2)) == 0.0


def test_a_sure_map_and_an_unsure_one() -> None:
    sure_HW = np.full((4, 4), -100, np.float32)
    sure_HW[:2] = 100
    assert plain_map(sure_HW).evidence(THRESHOLD) == (1.0, 1.0, 1.0, 0.5)
    unsure = plain_map(np.full((4, 4), -0.4, np.float32))
    found = unsure.evidence(THRESHOLD)
    assert found is not None and found.firm == 0.0 and found.inside == pytest.approx(1 / (1 + np.exp(0.4)))
    assert unsure.score(THRESHOLD) == found.inside
    calibration = Calibration(0.5, (1.0, 0.0, 0.0, 0.0), 9, 0, 2)
    assert unsure.score(THRESHOLD, "all", calibration) == calibration(found)


def test_the_fast_probability_is_near_the_exact_one() -> None:
    logits = np.array([*np.linspace(-30, 30, 5001), -200, 200, -1e4, 1e4], dtype=np.float32)
    exact = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -700, 700)))
    np.testing.assert_allclose(near_probability(logits.copy()), exact, rtol=1e-6, atol=1e-38)
