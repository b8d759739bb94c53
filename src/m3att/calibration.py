"""How far a score can be trusted: a calibrated score is the IoU to expect of a mask.

A probability map says a few things about its own mask (`Evidence`, which `mask_map` collects). A `Calibration` turns
them into a score by a logistic function that was fitted to the IoU of scored expressions. PyTorch is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3att.errors import ConfigError

LEAST = 1e-4  # shares nearer to 0 or 1 count as this near
RIDGE = 1.0  # weight of the penalty, in expressions
STEPS = 50  # Newton's method needs about seven
BINS = 10
LARGEST = 1e6  # of a fitted number
FEWEST, FEWEST_IMAGES, PARTS = 40, 5, 5  # expressions and images that a fit needs; parts of the cross-validation


class Evidence(NamedTuple):
    """What a probability map says about its own mask, all in [0, 1].

    Args:
        inside: mean probability inside the mask.
        expected: IoU to expect if each pixel were right by its probability, without regard to the others.
        firm: pixels of the mask at a higher threshold, as a share of those at a lower one.
        share: pixels of the mask as a share of the image.
    """

    inside: float
    expected: float
    firm: float
    share: float


@dataclass(frozen=True)
class Calibration:
    """A fitted logistic function from evidence to a score.

    Args:
        bias: of the function.
        weights: one for each value of the evidence: for the log-odds of the first three, for the logarithm of `share`.
        expressions: how many it was fitted to.
        no_target: how many of these name nothing in their image.
        images: how many images these were of.

    Raises:
        ValueError: where the weights are not four, or a number is not one of a fit.
    """

    bias: float
    weights: tuple[float, ...]
    expressions: int
    no_target: int
    images: int

    def __post_init__(self) -> None:
        usable = all(abs(number) < LARGEST for number in (self.bias, *self.weights))  # false for NaN too
        if len(self.weights) != len(Evidence._fields) or not usable:
            raise ValueError(f"bias {self.bias} and weights {self.weights} are not those of a calibration")

    def __call__(self, evidence: Evidence) -> float:
        """The IoU to expect, in [0, 1]."""
        total = self.bias + math.fsum(w * x for w, x in zip(self.weights, numbers_of(evidence), strict=True))
        return 1 / (1 + math.exp(-min(max(total, -700.0), 700.0)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a model's ``config.json``."""
        told = {"expressions": self.expressions, "no_target": self.no_target, "images": self.images}
        return {"bias": self.bias, "weights": dict(zip(Evidence._fields, self.weights, strict=True)), **told}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """What `to_dict` gave.

        Raises:
            ValueError: where it is something else.
        """
        try:
            weights = tuple(float(values["weights"][name]) for name in Evidence._fields)
            counts = (int(values[name]) for name in ("expressions", "no_target", "images"))
            return cls(float(values["bias"]), weights, *counts)
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"not the calibration of a model ({error})") from error


def score_of(evidence: Evidence | None, calibration: Calibration | None) -> float:
    """The score of a mask: calibrated if the model is, else the mean probability inside; 0 for an empty mask."""
    if evidence is None:
        return 0.0
    return evidence.inside if calibration is None else calibration(evidence)


def numbers_of(evidence: Evidence) -> tuple[float, ...]:
    """The evidence as the logistic function takes it: log-odds of the first three values, logarithm of the last."""
    *shares, share = (min(max(value, LEAST), 1 - LEAST) for value in evidence)
    return (*(math.log(value / (1 - value)) for value in shares), math.log(share))


def fit(evidence: Sequence[Evidence], iou_N: NDArray[np.float64], no_target: int = 0, images: int = 0) -> Calibration:
    """Fit a calibration: logistic regression on IoU, which gives the IoU to expect, with a small ridge penalty.

    Args:
        evidence: of N masks.
        iou_N: their IoU; 0 where an expression names nothing.
        no_target: for the record.
        images: for the record.

    Returns:
        The calibration with the least cross-entropy.
    """
    x_NC = np.array([numbers_of(one) for one in evidence])
    mean_C, deviation_C = x_NC.mean(axis=0), np.maximum(x_NC.std(axis=0), 1e-9)
    design_NC = np.column_stack([np.ones(len(x_NC)), (x_NC - mean_C) / deviation_C])
    penalty_C = np.array([1e-9, *[RIDGE] * x_NC.shape[1]])  # of the bias only so much that the matrix has an inverse
    weights_C = np.zeros(design_NC.shape[1])
    for _ in range(STEPS):
        p_N = 1 / (1 + np.exp(-design_NC @ weights_C))
        slope_C = design_NC.T @ (p_N - iou_N) + penalty_C * weights_C
        bend_CC = (design_NC.T * (p_N * (1 - p_N))) @ design_NC + np.diag(penalty_C)
        step_C = np.linalg.solve(bend_CC, slope_C)
        weights_C -= step_C / max(1.0, float(np.abs(step_C).max()))  # a longer step can leave the valley
        if np.abs(step_C).max() < 1e-9:
            break
    own_C = weights_C[1:] / deviation_C
    bias = float(weights_C[0] - own_C @ mean_C)
    return Calibration(bias, tuple(map(float, own_C)), len(evidence), no_target, images)


def cross_validated(
    evidence: Sequence[Evidence], iou_N: NDArray[np.float64], image_N: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The score that each mask gets from a fit without the images of its part, (N,).

    Args:
        evidence: of N masks.
        iou_N: their IoU.
        image_N: number of the image of each.

    Raises:
        ConfigError: where there are too few expressions or images to fit and to test.
    """
    images = np.unique(image_N)
    if len(evidence) < FEWEST or len(images) < FEWEST_IMAGES:
        raise ConfigError(
            f"{len(evidence)} masks on {len(images)} images are too few to calibrate scores; "
            f"give {FEWEST} on {FEWEST_IMAGES} or more"
        )
    part_N = np.random.default_rng(0).permutation(len(images))[np.searchsorted(images, image_N)] % PARTS
    found_N = np.empty(len(evidence))
    for part in range(PARTS):
        inside = np.flatnonzero(part_N != part).tolist()
        calibration = fit([evidence[at] for at in inside], iou_N[inside])
        for at in np.flatnonzero(part_N == part).tolist():
            found_N[at] = calibration(evidence[at])
    return found_N


def reliability(score_N: NDArray[np.float64], iou_N: NDArray[np.float64]) -> dict[str, Any]:
    """How well scores agree with the IoU that they promise, for masks that are not empty.

    Args:
        score_N: in [0, 1].
        iou_N: of the same masks.

    Returns:
        ``expressions``, their number; ``expected_calibration_error``, the mean difference between score and IoU over
        ten bins of equal width, weighted by how many fall into each; ``bins``, those that are not empty, each with its
        ends, number, mean score, mean IoU and share of IoUs over 0.5.
    """
    bin_N = np.minimum((score_N * BINS).astype(int), BINS - 1)
    bins = []
    for number in np.unique(bin_N):
        scores, ious = score_N[bin_N == number], iou_N[bin_N == number]
        count = len(scores)
        bins.append(
            {
                "from": int(number) / BINS,
                "to": (int(number) + 1) / BINS,
                "expressions": count,
                "score": math.fsum(scores) / count,  # rounded once, so that no order of the masks can change it
                "mean_iou": math.fsum(ious) / count,
                "over_half": int(np.count_nonzero(ious > 0.5)) / count,
            }
        )
    gaps = (one["expressions"] * abs(one["score"] - one["mean_iou"]) for one in bins)
    error = math.fsum(gaps) / len(score_N) if len(score_N) else 0.0
    return {"expressions": len(score_N), "expected_calibration_error": error, "bins": bins}


def told_apart(high_N: NDArray[np.float64], low_N: NDArray[np.float64]) -> float:
    """How often a score of one kind is higher than one of the other, of all pairs; equal ones count half (AUROC)."""
    ordered = np.sort(low_N)
    below, upto = np.searchsorted(ordered, high_N, "left"), np.searchsorted(ordered, high_N, "right")
    return float((below + upto).sum()) / (2 * len(high_N) * len(low_N))
