"""How sure a figure is: intervals over images, by drawing whole images with replacement (bootstrap).

The expressions of one image are no independent samples, so whole images are drawn. An interval holds the middle 95 per
cent of what the draws give. Two models that were scored on the same expressions are drawn together, so that the
interval of their difference leaves out what is equally hard for both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
ENDS = (2.5, 97.5)  # per cent
_AT_ONCE = 2**22  # numbers that are drawn at a time


class Interval(NamedTuple):
    """A figure with the ends of its interval."""

    value: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Of a difference: whether 0 lies outside."""
        return self.low > 0 or self.high < 0


def draw_sums(columns: NDArray[np.float64], images: NDArray[np.int64], draws: int = DRAWS) -> NDArray[np.float64]:
    """Sums over drawn images.

    Args:
        columns: (N, X), some numbers of each expression.
        images: (N,), the image of each.
        draws: how often as many images are drawn as there are; a fixed seed draws the same every time.

    Returns:
        (draws, X), for each draw the sum of each column.
    """
    number_N = np.unique(images, return_inverse=True)[1]
    count = int(number_N.max()) + 1
    sums = np.stack([np.bincount(number_N, weights=column) for column in columns.T], axis=1)
    chance = np.random.default_rng(0)
    rows = max(1, _AT_ONCE // count)
    parts = [min(rows, draws - start) for start in range(0, draws, rows)]
    return np.concatenate([sums[chance.integers(count, size=(part, count))].sum(axis=1) for part in parts])


def ratio_interval(
    over: NDArray[np.float64], under: NDArray[np.float64], images: NDArray[np.int64], draws: int = DRAWS
) -> Interval:
    """A ratio of two sums, such as overall IoU, with its interval.

    Args:
        over: (N,), of each expression.
        under: (N,), of each.
        images: (N,), the image of each.
        draws: see `draw_sums`.
    """
    drawn = draw_sums(np.stack([over, under], axis=1).astype(np.float64), images, draws)
    return Interval(float(over.sum() / under.sum()), *_ends(drawn[:, 0] / drawn[:, 1]))


def mean_interval(values: Any, images: NDArray[np.int64], draws: int = DRAWS) -> Interval:
    """A mean over expressions with its interval.

    Args:
        values: (N,), of each expression.
        images: (N,), the image of each.
        draws: see `draw_sums`.
    """
    values_N = np.asarray(values, dtype=np.float64)
    return ratio_interval(values_N, np.ones(len(values_N)), images, draws)._replace(value=float(values_N.mean()))


def difference_interval(
    first: tuple[NDArray[np.float64], NDArray[np.float64]],
    second: tuple[NDArray[np.float64], NDArray[np.float64]],
    images: NDArray[np.int64],
    draws: int = DRAWS,
) -> Interval:
    """The first ratio less the second, both over the same drawn images.

    Args:
        first: (N,) and (N,), as `ratio_interval` takes them.
        second: of the same expressions.
        images: (N,), the image of each.
        draws: see `draw_sums`.
    """
    columns = [np.asarray(column, dtype=np.float64) for column in (*first, *second)]
    drawn = draw_sums(np.stack(columns, axis=1), images, draws)
    value = columns[0].sum() / columns[1].sum() - columns[2].sum() / columns[3].sum()
    return Interval(float(value), *_ends(drawn[:, 0] / drawn[:, 1] - drawn[:, 2] / drawn[:, 3]))


def _ends(drawn: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(drawn, ENDS)
    return float(low), float(high)
