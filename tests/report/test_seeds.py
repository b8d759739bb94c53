"""Intervals over seeds, against the printed table of Student's t and against hand-made figures."""

from __future__ import annotations

import math

import pytest

from m3att.report.seeds import paired_interval, student_quantile, student_within

# Two-sided 95 per cent, as every statistics book prints it.
PRINTED = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 29: 2.045, 120: 1.980}


@pytest.mark.parametrize(("freedom", "printed"), PRINTED.items())
def test_quantiles_are_the_printed_ones(freedom: int, printed: float) -> None:
    assert student_quantile(freedom) == pytest.approx(printed, abs=6e-4)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 8])
def test_the_probability_is_the_integral_of_the_density(freedom: int) -> None:
    density = math.gamma((freedom + 1) / 2) / (math.sqrt(freedom * math.pi) * math.gamma(freedom / 2))
    steps, reach = 4000, 1.7
    middles = [(number + 0.5) * reach / steps for number in range(steps)]
    area = sum((1 + x * x / freedom) ** (-(freedom + 1) / 2) for x in middles) * reach / steps
    assert student_within(freedom, reach) == pytest.approx(2 * density * area, abs=1e-6)


def test_an_interval_by_hand() -> None:
    # -0.10, -0.09, -0.08: mean -0.09, deviation 0.01, standard error 0.01 / sqrt(3), t with two degrees 4.3027.
    reach = 4.3027 * 0.01 / math.sqrt(3)
    assert paired_interval([-0.10, -0.09, -0.08]) == pytest.approx((-0.09 - reach, -0.09 + reach), abs=1e-6)
    assert paired_interval([0.3]) is None and paired_interval([]) is None
    assert paired_interval([0.2, 0.2]) == pytest.approx((0.2, 0.2))
