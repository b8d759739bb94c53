"""The figures, by hand and by property."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3att.calibration import Evidence
from m3att.data.faults import Fault
from m3att.engine.scores import Scores
from m3att.metrics import Expression, MaskCounts, count_masks, figures, precision_at, share
from m3att.protocols import ORIGINAL, PROTOCOLS, TENTHS, Protocol

Areas = tuple[int, int, int]  # intersection, prediction, truth
NOTHING = Expression(0, has_target=False)
ASKED = (ORIGINAL, PROTOCOLS["mcn"], PROTOCOLS["cris-val"], PROTOCOLS["rela"])


@st.composite
def areas(draw: st.DrawFn) -> Areas:
    predicted, truth = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6))
    return draw(st.integers(0, min(predicted, truth))), predicted, truth


SHARE = st.floats(0, 1)  # scores and evidence are probabilities and shares; without it, floats of any size are drawn
EXPRESSION = st.builds(
    Expression,
    image=st.integers(0, 5),
    skills=st.lists(st.sampled_from(["kind", "colour", "place"]), unique=True).map(tuple),
    first=st.booleans(),
    has_target=st.booleans(),
    score=st.none() | SHARE,
    evidence=st.none() | st.builds(Evidence, *[SHARE] * len(Evidence._fields)),
)
COUNTED = st.lists(st.tuples(areas(), EXPRESSION), max_size=12)


def counts_of(entries: list[Areas], protocol: Protocol = ORIGINAL) -> MaskCounts:
    counts = MaskCounts()
    for entry in entries:
        counts.add(*entry, protocol.least_pixels)
    return counts


def figures_of(*entries: Areas, protocol: Protocol = ORIGINAL) -> dict[str, Any]:
    return figures(protocol, counts_of(list(entries), protocol), [Expression(0) for _ in entries])


def scores_of(entries: list[tuple[Areas, Expression]], about: str = "val", cut: int = 0) -> Scores:
    counts = {protocol: counts_of([entry for entry, _ in entries], protocol) for protocol in ASKED}
    return Scores(counts, ORIGINAL, ASKED, [expression for _, expression in entries], {"split": about}, cut)


def test_figures_by_hand() -> None:
    found = figures_of((1, 2, 1), (90, 90, 100), (0, 3, 5), (10, 10, 10))
    assert found["overall_iou"] == 101 / 120
    assert found["mean_iou"] == pytest.approx((0.5 + 0.9 + 0 + 1) / 4, abs=1e-15)
    # 0.5 is not higher than 0.5, and 0.9 is not higher than 0.9.
    assert found["precision"] == {"0.5": 0.5, "0.6": 0.5, "0.7": 0.5, "0.8": 0.5, "0.9": 0.25}
    assert found["expressions"] == 4
    assert "no_target_accuracy" not in found


def test_overall_iou_weighs_pixels_and_mean_iou_expressions() -> None:
    found = figures_of((9000, 9000, 10000), (1, 1, 10))
    assert found["overall_iou"] == 9001 / 10010
    assert found["mean_iou"] == 0.5


@pytest.mark.parametrize("at", TENTHS)
def test_precision_counts_what_is_higher_than_the_threshold(at: float) -> None:
    just = np.array([at, np.nextafter(at, 1), np.nextafter(at, 0)])
    assert precision_at(just, at) == 1 / 3
    assert precision_at(just, at, at_least=True) == 2 / 3
    assert share(np.array([], dtype=bool)) == 0.0


def test_nothing_counted_is_zero_and_no_error() -> None:
    for protocol in PROTOCOLS.values():
        found = figures(protocol, MaskCounts(), [])
        assert (found["overall_iou"], found["mean_iou"], found["expressions"]) == (0.0, 0.0, 0)
        assert set(found["precision"].values()) == {0.0}
    assert scores_of([]).mean_iou == 0.0
    assert scores_of([]).to_dict()["images"] == 0


def test_a_prediction_of_too_few_pixels_is_emptied() -> None:
    counts = counts_of([(49, 49, 60), (50, 50, 60)], PROTOCOLS["rela"])
    assert counts.predicted.tolist() == [0, 50]
    assert counts.intersections.tolist() == [0, 50]
    assert counts.unions.tolist() == [60, 60]


def test_an_expression_counts_for_each_of_its_skills() -> None:
    scores = scores_of(
        [((1, 1, 1), Expression(0, ("kind", "colour"))), ((0, 1, 0), Expression(0, ("colour",))), ((1, 1, 2), NOTHING)]
    )
    by_skill = scores.by_skill()
    assert list(by_skill) == ["colour", "kind"]
    assert (by_skill["colour"]["mean_iou"], by_skill["colour"]["expressions"]) == (0.5, 2)
    assert (by_skill["kind"]["mean_iou"], by_skill["kind"]["expressions"]) == (1.0, 1)


@settings(max_examples=30, deadline=None)
@given(COUNTED, st.integers(1, 5), st.randoms(use_true_random=False))
def test_any_sharding_gives_the_very_same_figures(
    entries: list[tuple[Areas, Expression]], shards: int, chance: random.Random
) -> None:
    whole = scores_of(entries, cut=len(entries))
    parts: list[list[tuple[Areas, Expression]]] = [[] for _ in range(shards)]
    for entry in entries:
        chance.choice(parts).append(entry)
    chance.shuffle(parts)
    first, *others = (scores_of(part, cut=len(part)) for part in parts)
    merged = first
    for other in others:
        merged = merged.merge(other)
    assert len(merged.expressions) == len(entries)
    assert merged.to_dict() == whole.to_dict()  # exactly: no figure may differ in its last bit


@settings(max_examples=30, deadline=None)
@given(COUNTED)
def test_mean_iou_is_the_exact_mean_rounded(entries: list[tuple[Areas, Expression]]) -> None:
    found = scores_of(entries).to_dict()
    ious = []
    for (intersection, predicted, truth), expression in entries:
        union = predicted + truth - intersection
        # Each quotient is a double; their sum is not rounded before it is divided.
        ious.append(Fraction(intersection / union) if union else Fraction(not expression.has_target))
    exact = sum(ious, Fraction(0)) / max(1, len(ious))
    assert found["mean_iou"] == pytest.approx(float(exact), rel=3e-16)
    assert 0 <= found["overall_iou"] <= 1 and 0 <= found["mean_iou"] <= 1
    precision = list(found["precision"].values())
    assert precision == sorted(precision, reverse=True)


def test_what_was_left_out_at_the_opening_counts_once() -> None:
    opening, own = Fault("o", entries=2), Fault("p", 3, (1,))
    first = replace(scores_of([((1, 2, 3), NOTHING)]), left_out=(opening,))
    second = replace(scores_of([((1, 2, 3), NOTHING)]), left_out=(opening, own))
    for merged in (first.merge(second), second.merge(first)):
        assert merged.to_dict()["left_out"] == {"expressions": 3, "reasons": ["o", "p"]}


def test_only_shards_of_one_evaluation_merge() -> None:
    scores = scores_of([((1, 2, 3), NOTHING)])
    for other in (scores_of([], about="testA"), replace(scores, headline=PROTOCOLS["mcn"])):
        with pytest.raises(ValueError, match="only shards of one evaluation"):
            scores.merge(other)


def test_merging_leaves_the_shards_as_they_are() -> None:
    first, second = scores_of([((1, 2, 1), NOTHING)]), scores_of([((3, 4, 3), Expression(7, ("kind",)))])
    merged = first.merge(second)
    merged.expressions.clear()
    merged.counts[ORIGINAL].add(5, 6, 7)
    assert (len(first.expressions), len(first.counts[ORIGINAL])) == (1, 1)
    assert second.counts[ORIGINAL].intersections.tolist() == [3]


def test_masks_are_counted_pixel_by_pixel() -> None:
    chance = np.random.default_rng(2)
    predicted_NHW, truth_NHW = chance.random((2, 5, 9, 7)) < 0.4
    predicted_NHW[3] = truth_NHW[3]
    predicted_NHW[4] = False
    counts = count_masks(predicted_NHW, truth_NHW)
    for n in range(5):
        pairs = list(zip(predicted_NHW[n].ravel().tolist(), truth_NHW[n].ravel().tolist(), strict=True))
        assert counts.intersections[n] == sum(one and other for one, other in pairs)
        assert counts.unions[n] == sum(one or other for one, other in pairs)
        assert counts.predicted[n] == sum(one for one, _ in pairs)
    assert counts.iou_N(ORIGINAL, [Expression(0)] * 5)[3:].tolist() == [1.0, 0.0]
    assert count_masks(predicted_NHW, truth_NHW, least_pixels=64).predicted.tolist() == [0] * 5
    with pytest.raises(ValueError, match="true masks of shape"):
        count_masks(predicted_NHW, truth_NHW[:4])


def test_scores_give_every_threshold_and_the_headline_by_skill() -> None:
    loose, strict, lavt = ORIGINAL, replace(ORIGINAL, threshold=0.5), PROTOCOLS["lavt"]
    counts = {loose: counts_of([(3, 3, 4)]), strict: counts_of([(1, 1, 4)]), lavt: counts_of([(2, 2, 4)])}
    scores = Scores(counts, lavt, (loose, lavt), [Expression(3, ("kind",))], {"split": "val"})
    found = scores.to_dict()
    assert scores.mean_iou == found["mean_iou"] == found["by_skill"]["kind"]["mean_iou"] == 0.5
    assert {at: part["mean_iou"] for at, part in found["at"].items()} == {"0.35": 0.75, "0.5": 0.25}
    assert {name: part["mean_iou"] for name, part in found["protocols"].items()} == {"original": 0.75, "lavt": 0.5}
    assert (found["protocol"], found["threshold"], found["split"], found["images"]) == ("lavt", 0.5, "val", 1)
    assert found["protocols"]["lavt"]["headline"] == "overall_iou"
    assert scores.shown == loose and scores.iou_N(scores.shown).tolist() == [0.75]


def test_the_mean_is_rounded_once() -> None:
    shares: list[Areas] = [(n % 7, 7, n % 7 + n % 5) for n in range(1000)]
    forward = figures_of(*shares)["mean_iou"]
    assert forward == figures_of(*reversed(shares))["mean_iou"]
    assert forward == math.fsum(i / (p + t - i) for i, p, t in shares) / 1000
