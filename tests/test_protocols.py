"""Each protocol's arithmetic on cases worked out by hand; how it makes masks is tested in engine/test_compare.py."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch

from m3att.config import EvaluateConfig
from m3att.metrics import Expression, MaskCounts, figures
from m3att.protocols import ORIGINAL, PROTOCOLS, SINGLE_TENTHS, STEPPED_TENTHS, chosen_protocols

SOMETHING, NOTHING = Expression(0), Expression(0, has_target=False)
NAMES = tuple(PROTOCOLS)


def scored(name: str, *entries: tuple[int, int, int], expressions: list[Expression] | None = None) -> dict[str, Any]:
    """Figures of (intersection, prediction, truth) in pixels, each of an expression that means something."""
    counts = MaskCounts()
    for entry in entries:
        counts.add(*entry, PROTOCOLS[name].least_pixels)
    return figures(PROTOCOLS[name], counts, expressions or [SOMETHING] * len(entries))


def test_the_setting_offers_every_protocol_and_all() -> None:
    assert get_args(get_type_hints(EvaluateConfig)["protocol"]) == (*NAMES, "all")
    assert chosen_protocols("all") == tuple(PROTOCOLS.values())
    assert chosen_protocols("all")[0] is ORIGINAL is PROTOCOLS[EvaluateConfig().protocol]
    assert ORIGINAL.threshold == EvaluateConfig().threshold
    assert chosen_protocols("cris") == (PROTOCOLS["cris"],)


def test_the_steps_are_those_of_numpy_and_torch() -> None:
    assert tuple(np.arange(0.5, 1, 0.05).tolist()[::2]) == STEPPED_TENTHS
    assert tuple(torch.arange(0.5, 1.0, 0.1).tolist()) == SINGLE_TENTHS


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("original", 0.0),  # higher than
        ("lavt", 1.0),  # at least
        ("mcn", 1.0),  # higher than, but 1e-10 on both sides of the fraction lifts a half over a half
        ("vlt", 1.0),
        ("cris", 0.0),  # higher than, and 1e-6 under the fraction
        ("cris-val", 0.0),
        ("refer", 1.0),
    ],
)
def test_an_iou_of_exactly_a_half(name: str, right: float) -> None:
    assert scored(name, (500, 500, 1000))["precision"]["0.5"] == right


@pytest.mark.parametrize(
    ("name", "right"),
    [
        # 0.6, 0.7, 0.8 and 0.9 exactly, of a union of 1,000 pixels.
        ("original", (0, 0, 0, 0)),
        ("lavt", (1, 1, 1, 1)),
        ("refer", (1, 1, 1, 1)),
        ("mcn", (1, 1, 1, 1)),  # the 1e-10 lifts the IoU over NumPy's 0.6000000000000001
        ("cris", (0, 1, 0, 1)),  # float32's 0.7 and 0.9 are less than 0.7 and 0.9
    ],
)
def test_an_iou_of_exactly_a_tenth(name: str, right: tuple[int, ...]) -> None:
    found = [scored(name, (tenth * 100, tenth * 100, 1000))["precision"][f"0.{tenth}"] for tenth in (6, 7, 8, 9)]
    assert tuple(found) == right


def test_what_is_added_shows_in_small_masks_alone() -> None:
    assert scored("mcn", (60_000, 60_000, 100_000))["precision"]["0.6"] == 1.0
    assert scored("mcn", (600_000, 600_000, 1_000_000))["precision"]["0.6"] == 0.0


def test_rela_reports_three_precisions_of_the_targets() -> None:
    entries = [(700, 700, 1000), (900, 900, 1000), (0, 0, 0)]
    found = scored("rela", *entries, expressions=[SOMETHING, SOMETHING, NOTHING])
    assert found["precision"] == {"0.7": 1.0, "0.8": 0.5, "0.9": 0.5}  # at least, of the two that mean something


@pytest.mark.parametrize(
    ("name", "iou"),
    [("original", 1.0), ("lavt", 0.0), ("mcn", 1.0), ("vlt", 1.0), ("cris", 0.0), ("refer", 0.0), ("rela", 1.0)],
)
def test_an_empty_mask_where_nothing_is_meant(name: str, iou: float) -> None:
    found = scored(name, (0, 0, 0), (100, 100, 100), expressions=[NOTHING, SOMETHING])
    assert found["mean_iou"] == pytest.approx((iou + 1) / 2, abs=1e-8)  # CRIS's 1e-6 under the fraction shows
    assert found["overall_iou"] == 1.0  # no pixel was added to either sum
    assert found["no_target_accuracy"] == found["target_accuracy"] == 1.0
    if name != "rela":
        assert found["precision"]["0.9"] == (iou + 1) / 2


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_where_nothing_is_meant(name: str) -> None:
    found = scored(name, (0, 300, 0), (100, 100, 100), expressions=[NOTHING, SOMETHING])
    assert found["mean_iou"] == pytest.approx(0.5, abs=1e-8)
    assert found["overall_iou"] == 100 / 400  # what was predicted of nothing counts in the union
    assert (found["no_target_accuracy"], found["target_accuracy"]) == (0.0, 1.0)
    assert found["no_target_expressions"] == 1


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_mask_where_something_is_meant(name: str) -> None:
    found = scored(name, (0, 0, 100), (0, 0, 0), expressions=[SOMETHING, NOTHING])
    assert found["overall_iou"] == 0.0
    assert (found["no_target_accuracy"], found["target_accuracy"]) == (1.0, 0.0)


@pytest.mark.parametrize("name", ["lavt", "rela"])
def test_a_target_too_small_for_the_frame_is_missed_by_an_empty_mask(name: str) -> None:
    assert scored(name, (0, 0, 0))["mean_iou"] == 0.0


def test_generalized_figures_by_hand() -> None:
    """Three that mean nothing, two of them answered so (one by 49 pixels); two that mean something, one missed."""
    entries = [(0, 0, 0), (0, 49, 0), (0, 50, 0), (60, 80, 100), (40, 40, 200)]
    found = scored("rela", *entries, expressions=[NOTHING] * 3 + [SOMETHING] * 2)
    assert found["no_target_expressions"] == 3
    assert found["no_target_accuracy"] == 2 / 3
    assert found["target_accuracy"] == 1 / 2  # 40 pixels are no answer
    assert found["mean_iou"] == (1 + 1 + 0 + 60 / 120 + 0) / 5  # gIoU
    assert found["overall_iou"] == 60 / (50 + 120 + 200)  # cIoU
    # Ours keeps every pixel.
    found = scored("original", *entries, expressions=[NOTHING] * 3 + [SOMETHING] * 2)
    assert (found["no_target_accuracy"], found["target_accuracy"]) == (1 / 3, 1.0)
    assert found["overall_iou"] == 100 / (49 + 50 + 120 + 200)


def test_the_first_sentence_of_each_referent() -> None:
    expressions = [Expression(0, first=first) for first in (True, False, False, True)]
    entries = [(10, 10, 10), (0, 10, 10), (0, 10, 10), (0, 10, 10)]
    assert scored("cris", *entries, expressions=expressions)["expressions"] == 4
    found = scored("cris-val", *entries, expressions=expressions)
    assert (found["expressions"], found["overall_iou"]) == (2, 10 / 30)
    assert found["precision"]["0.9"] == 0.5
