"""Expressions whose referents have a box and no mask are scored by their boxes, and by nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from m3att.config import DataConfig, EvaluateConfig
from m3att.data.sample import Sample
from m3att.data.transforms import Resize
from m3att.engine.compare import compare_boxes, contains, shared_pixels
from m3att.engine.evaluate import evaluate_largest
from m3att.metrics import BoxScore, box_figures
from m3att.report.tables import boxes_table, scores_heading

from .test_evaluate import EVERY, STRETCH, PaintedSource, area, score

corners = st.tuples(*[st.integers(0, 9)] * 4).map(lambda c: (c[0], c[1], c[0] + c[2], c[1] + c[3]))


class Boxes(PaintedSource):
    """As its parent, where the last expression of each image names an outline, and the others the same as a box."""

    has_every_object = True

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        sample = super().read(index, expressions)
        last = len(self.images[index][2]) - 1
        rows = tuple(int(at == last) for at in sample.expression_ids)
        return replace(sample, masks=(sample.masks[0], sample.masks[0]), boxed=(True, False), mask_index_N=rows)

    def read_largest(self, index: int) -> NDArray[np.bool_]:
        return self.images[index][0]


class Bare(Boxes):
    """All its expressions name boxes."""

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        sample = super().read(index, expressions)
        return replace(sample, mask_index_N=(0,) * len(sample.expressions))


def pair() -> Boxes:
    """On 16 x 16 pixels the network sees the upper half. The truth is the left half of the first image, and what is
    seen of the second."""
    upper, left = area(16, 16, slice(8), EVERY), area(16, 16, EVERY, slice(8))
    return Boxes([(upper, left, ("seen a", "seen b", "seen c")), (upper, upper, ("never a", "seen b"))])


def test_boxes_are_counted_apart_from_masks() -> None:
    scores = score(pair(), protocol="all")
    found = scores.to_dict()
    assert found["expressions"] == 2 and found["images"] == 2
    assert found["mean_iou"] == pytest.approx((1 / 3 + 1) / 2)  # of the two outlines
    boxes = found["boxes"]
    assert boxes["expressions"] == 3 and boxes["threshold"] == 0.5
    assert boxes["mean_box_iou"] == pytest.approx((1 / 3 + 1 / 3 + 0) / 3) and boxes["box_iou_over_0.5"] == 0
    assert set(boxes["by_skill"]) == {"seen", "never"} and boxes["by_skill"]["never"]["mean_box_iou"] == 0
    assert scores.agreement == pytest.approx((1 / 3 + 1 + 2 / 3) / 5)
    assert "5 expressions on 2 images (2 scored by masks, 3 by boxes)" in scores_heading(found)
    table = boxes_table(found)
    assert table is not None and [len(table.columns), table.row_count] == [5, 3]
    assert {"val/mean_iou", "val/mean_box_iou"} < scores.validation().keys()


def test_the_outlines_score_as_they_do_alone() -> None:
    alone = score(PaintedSource([(red, truth, texts[-1:]) for red, truth, texts in pair().images]))
    one, other = score(pair()).to_dict(), alone.to_dict()
    assert "boxes" not in other and boxes_table(other) is None
    counted = other.keys() - {"unknown_words"}  # of all expressions
    assert {key: one[key] for key in counted} == {key: other[key] for key in counted}
    assert not any("box" in key for key in alone.validation())
    assert alone.agreement == alone.mean_iou


def test_boxes_alone_are_a_score_too() -> None:
    scores = score(Bare(pair().images))
    assert not scores.expressions and len(scores.boxes) == 5
    assert scores.agreement == pytest.approx((3 / 3 + 0 + 1) / 5)
    assert not any("iou" in key and "box" not in key for key in scores.validation())
    halves = [score(Bare([image])) for image in pair().images]
    assert len(halves[0].merge(halves[1]).boxes) == 5


def test_the_largest_object_is_scored_by_its_box() -> None:
    scores = evaluate_largest(pair(), STRETCH, EvaluateConfig(), DataConfig())
    assert [box.box_iou for box in scores.boxes] == [pytest.approx(1 / 3), pytest.approx(1 / 3), 1.0]
    assert [box.pointed for box in scores.boxes] == [False, False, True]  # the middle of the upper half is (8, 4)
    assert len(scores.expressions) == 2
    nothing = area(16, 16, slice(0), EVERY)
    corner = Bare([(nothing, area(16, 16, slice(4), slice(4)), ("a",))])
    found = evaluate_largest(corner, STRETCH, EvaluateConfig(), DataConfig())
    assert [(box.intersection, box.union, box.pointed) for box in found.boxes] == [(0, 16, False)]


def test_masks_become_boxes_at_the_images_own_size() -> None:
    """A letterbox: 4 x 8 pixels of the image fill the middle rows of 8 x 8 cells."""
    resize = Resize(4, 8, 8, "letterbox")
    logits_NHW = torch.full((2, 8, 8), -5.0)
    logits_NHW[0, 2:4, 1:3] = 5
    logits_NHW[0, 5, 6] = 9  # one stray cell, the likeliest, makes the box large
    logits_NHW[0, 0, 0] = 99  # the grey above the image is no part of it
    one, other = compare_boxes(logits_NHW, 1, [(1, 0, 3, 2), (0, 0, 1, 1)], resize, 0.5)
    assert one == (4, 6 * 4, False)
    assert other == (0, 1, True)  # of equal pixels the first is pointed at
    assert compare_boxes(logits_NHW[:1], 1, [(6, 3, 7, 4)], resize, 0.5)[0][2]


@settings(deadline=None)
@given(corners, corners)
def test_pixels_that_boxes_share(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> None:
    first_HW, second_HW = (area(20, 20, slice(box[1], box[3]), slice(box[0], box[2])) for box in (one, other))
    assert shared_pixels(one, other) == ((first_HW & second_HW).sum(), (first_HW | second_HW).sum())
    assert all(contains(one, x, y) == first_HW[y, x] for y, x in ((0, 0), (4, 9), (one[3], one[2]), (one[1], one[0])))


def test_figures_of_boxes() -> None:
    boxes = [BoxScore(0, at, (), hit, 10, hit > 4) for at, hit in enumerate((10, 5, 6, 0))]
    assert box_figures(boxes) == {
        "mean_box_iou": pytest.approx(0.525), "box_iou_over_0.5": 0.5, "pointing_accuracy": 0.75, "expressions": 4,
    }  # fmt: skip
    assert set(box_figures([]).values()) == {0}
