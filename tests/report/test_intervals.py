"""Intervals over images, against what is known of them by thought alone."""

from __future__ import annotations

import numpy as np
import pytest

from m3att.report import intervals
from m3att.report.intervals import difference_interval, draw_sums, mean_interval, ratio_interval


def test_the_interval_of_equal_images_is_a_point_and_wider_for_unlike_ones() -> None:
    assert mean_interval([1.0, 0.0, 1.0, 0.0], np.array([3, 3, 7, 7])) == (0.5, 0.5, 0.5)
    assert mean_interval([1.0, 1.0, 0.0, 0.0], np.array([3, 3, 7, 7])) == (0.5, 0.0, 1.0)


def test_an_interval_has_the_width_of_theory() -> None:
    """The mean of n independent values of deviation s lies within 1.96 s / sqrt(n) of the truth."""
    values = np.random.default_rng(1).normal(size=400)
    value, low, high = mean_interval(values, np.arange(400))
    assert value == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.05)


def test_overall_iou_is_a_ratio_of_sums() -> None:
    over, under = np.array([1.0, 9.0]), np.array([10.0, 10.0])
    assert ratio_interval(over, under, np.array([0, 1])) == (0.5, 0.1, 0.9)


def test_models_are_compared_on_the_same_images() -> None:
    """One is better by a tenth everywhere: the images differ widely, the difference does not."""
    first, ones, images = np.linspace(0.2, 0.9, 30), np.ones(30), np.arange(30)
    found = difference_interval((first, ones), (first - 0.1, ones), images)
    assert found == pytest.approx((0.1, 0.1, 0.1)) and found.sure
    assert not difference_interval((first, ones), (first[::-1], ones), images).sure


def test_drawing_in_parts_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    columns, images = np.random.default_rng(2).random((50, 2)), np.arange(50) // 2
    whole = draw_sums(columns, images, 97)
    assert whole.shape == (97, 2)
    monkeypatch.setattr(intervals, "_AT_ONCE", 130)
    np.testing.assert_array_equal(draw_sums(columns, images, 97), whole)
