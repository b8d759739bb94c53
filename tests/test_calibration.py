"""Scores: what a map says about its mask, the fit against slow searches, and what a report makes of scores."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from m3att.calibration import (
    BINS,
    RIDGE,
    Calibration,
    Evidence,
    cross_validated,
    fit,
    numbers_of,
    reliability,
    score_of,
    told_apart,
)
from m3att.errors import ConfigError

SHARE = st.floats(0, 1)


def some_evidence(count: int, seed: int = 0) -> tuple[list[Evidence], NDArray[np.float64]]:
    """Evidence and IoU that rises with `expected` and falls with nothing else."""
    chance = np.random.default_rng(seed)
    rows = chance.uniform(0.02, 0.98, (count, 4))
    promised = 1 / (1 + np.exp(-1.5 * np.log(rows[:, 1] / (1 - rows[:, 1]))))
    return [Evidence(*row) for row in rows.tolist()], np.clip(promised + chance.normal(0, 0.1, count), 0, 1)


def test_an_empty_mask_scores_zero() -> None:
    assert score_of(None, None) == score_of(None, Calibration(3.0, (1.0,) * 4, 9, 0, 2)) == 0.0
    assert score_of(Evidence(0.4, 0.3, 0.2, 0.1), None) == 0.4  # the score of a model that is not calibrated


@settings(max_examples=50, deadline=None)
@given(st.tuples(SHARE, SHARE, SHARE, SHARE), st.lists(st.floats(-9e5, 9e5), min_size=5, max_size=5))
def test_every_calibrated_score_is_a_share_and_survives_json(values: tuple[float, ...], numbers: list[float]) -> None:
    calibration = Calibration(numbers[0], tuple(numbers[1:]), 80, 20, 9)
    assert 0.0 <= calibration(Evidence(*values)) <= 1.0
    again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
    assert again == calibration


@pytest.mark.parametrize(
    "values",
    [
        [], {}, {"weights": 3}, {"weights": {}, "bias": 0}, {"bias": math.nan}, {"bias": math.inf}, {"bias": "x"},
        {"expressions": math.inf}, {"weights": {"inside": 0, "expected": 0, "firm": 0, "share": 1e300}},
    ],
)  # fmt: skip
def test_what_is_no_calibration_is_refused(values: object) -> None:
    whole = Calibration(0.5, (1.0, 2.0, 3.0, 4.0), 80, 20, 9).to_dict()
    with pytest.raises(ValueError):
        Calibration.from_dict({**whole, **values} if isinstance(values, dict) and values else values)  # type: ignore[arg-type]


def test_the_fit_has_the_least_penalised_cross_entropy() -> None:
    evidence, iou_N = some_evidence(60)
    x_NC = np.array([numbers_of(one) for one in evidence])
    mean_C, deviation_C = x_NC.mean(0), x_NC.std(0)

    def loss(calibration: Calibration) -> float:
        total = 0.0
        for one, iou in zip(evidence, iou_N, strict=True):
            p = calibration(one)
            total -= iou * math.log(p) + (1 - iou) * math.log(1 - p)
        return total + RIDGE / 2 * sum((w * d) ** 2 for w, d in zip(calibration.weights, deviation_C, strict=True))

    best = fit(evidence, iou_N)
    for at in range(5):
        for step in (-0.02, 0.02):
            weights, bias = list(best.weights), best.bias
            if at < 4:
                weights[at] += step
                bias -= step * mean_C[at]  # about the middle, where the values do not hide behind the bias
            else:
                bias += step
            assert loss(Calibration(bias, tuple(weights), 60, 0, 9)) > loss(best)


def test_the_mean_score_of_a_fit_is_the_mean_iou() -> None:
    evidence, iou_N = some_evidence(200, 1)
    calibration = fit(evidence, iou_N)
    scores_N = np.array([calibration(one) for one in evidence])
    assert scores_N.mean() == pytest.approx(iou_N.mean(), abs=1e-6)
    assert reliability(scores_N, iou_N)["expected_calibration_error"] < 0.05


@pytest.mark.parametrize("iou", [0.0, 1.0])
def test_a_fit_to_masks_that_are_all_alike_ends(iou: float) -> None:
    evidence = [Evidence(0.5, 0.5, 0.5, 0.5)] * 50
    assert fit(evidence, np.full(50, iou))(evidence[0]) == pytest.approx(iou, abs=0.01)


def test_cross_validation_never_scores_an_image_by_its_own_expressions() -> None:
    evidence, iou_N = some_evidence(60, 2)
    image_N = np.repeat(np.arange(10), 6) * 7
    before_N = cross_validated(evidence, iou_N, image_N)
    changed_N = iou_N.copy()
    changed_N[image_N == 21] = 1 - changed_N[image_N == 21]
    after_N = cross_validated(evidence, changed_N, image_N)
    assert (before_N[image_N == 21] == after_N[image_N == 21]).all()
    assert (before_N[image_N != 21] != after_N[image_N != 21]).any()


def test_too_little_to_fit_is_refused() -> None:
    evidence, iou_N = some_evidence(60, 2)
    with pytest.raises(ConfigError, match="60 masks on 2 images are too few"):
        cross_validated(evidence, iou_N, np.arange(60) % 2)
    with pytest.raises(ConfigError, match="39 masks"):
        cross_validated(evidence[:39], iou_N[:39], np.arange(39))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SHARE, SHARE), min_size=1, max_size=40))
def test_reliability_against_slow_loops_and_in_any_order(pairs: list[tuple[float, float]]) -> None:
    found = reliability(*np.array(pairs).T)
    error = 0.0
    for number in range(BINS):
        inside = [pair for pair in pairs if min(int(pair[0] * BINS), BINS - 1) == number]
        if inside:
            error += abs(sum(score for score, _ in inside) - sum(iou for _, iou in inside)) / len(pairs)
    assert found["expected_calibration_error"] == pytest.approx(error, abs=1e-9)
    assert sum(one["expressions"] for one in found["bins"]) == found["expressions"] == len(pairs)
    assert reliability(*np.array(sorted(pairs)).T) == found


def test_pairs_that_are_told_apart() -> None:
    high_N, low_N = np.array([0.9, 0.5, 0.5]), np.array([0.5, 0.1])
    pairs = [1.0 if high > low else 0.5 if high == low else 0.0 for high in high_N for low in low_N]
    assert told_apart(high_N, low_N) == pytest.approx(sum(pairs) / 6)


def test_applying_a_calibration_needs_no_torch() -> None:
    program = "import sys; import m3att.calibration; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
