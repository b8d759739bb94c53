"""How sure a difference between two rows is: an interval over seeds (Student's t), seed by seed.

Two rows with the same seed saw the same data in the same order, so their difference leaves out what is equally hard for
both. With three seeds an interval is 2.5 times as wide as the spread, as three runs tell little.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

SURE = 0.95


def paired_interval(differences: Sequence[float], sure: float = SURE) -> tuple[float, float] | None:
    """The ends of the interval of a mean difference, or None where there are fewer than two.

    Args:
        differences: one for each seed.
        sure: how much of its distribution the interval holds.
    """
    count = len(differences)
    if count < 2:
        return None
    reach = student_quantile(count - 1, sure) * statistics.stdev(differences) / math.sqrt(count)
    mean = statistics.mean(differences)
    return mean - reach, mean + reach


def student_quantile(freedom: int, sure: float = SURE) -> float:
    """t with P(|T| <= t) = ``sure``, for Student's t with a whole number of degrees of freedom.

    Args:
        freedom: degrees of freedom, 1 or more.
        sure: a probability.
    """
    low, high = 0.0, 1.0
    while student_within(freedom, high) < sure:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if student_within(freedom, middle) < sure else (low, middle)
    return high


def student_within(freedom: int, reach: float) -> float:
    """P(|T| <= ``reach``), a finite sum (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4).

    Args:
        freedom: degrees of freedom, 1 or more.
        reach: 0 or more.
    """
    angle = math.atan(reach / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    total, term = 0.0, cosine if freedom % 2 else 1.0
    for number in range(2 + freedom % 2, freedom + 1, 2):
        total += term
        term *= cosine * cosine * (number - 1) / number
    if freedom % 2 == 0:
        return sine * total
    return 2 / math.pi * (angle + sine * total)
