"""The figures, by hand and by property."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3att.metrics import PRECISION_AT, MaskCounts, Scores, count_masks, precision_at

PAIR = st.integers(0, 10**7).flatmap(lambda union: st.tuples(st.integers(0, union), st.just(union)))
TAGS = st.lists(st.sampled_from(["kind", "colour", "place"]), unique=True).map(tuple)
COUNTED = st.lists(st.tuples(PAIR, TAGS), max_size=40)


def counts_of(entries: list[tuple[tuple[int, int], tuple[str, ...]]]) -> MaskCounts:
    counts = MaskCounts()
    for (intersection, union), tags in entries:
        counts.add(intersection, union, tags)
    return counts


def test_figures_by_hand() -> None:
    counts = counts_of([((1, 2), ()), ((90, 100), ()), ((0, 8), ()), ((10, 10), ())])
    figures = counts.figures()
    assert figures["overall_iou"] == 101 / 120
    assert figures["mean_iou"] == pytest.approx((0.5 + 0.9 + 0 + 1) / 4, abs=1e-15)
    # 0.5 is not higher than 0.5, and 0.9 is not higher than 0.9.
    assert figures["precision"] == {"0.5": 0.5, "0.6": 0.5, "0.7": 0.5, "0.8": 0.5, "0.9": 0.25}
    assert figures["expressions"] == 4


def test_overall_iou_weighs_pixels_and_mean_iou_expressions() -> None:
    figures = counts_of([((9000, 10000), ()), ((1, 10), ())]).figures()
    assert figures["overall_iou"] == 9001 / 10010
    assert figures["mean_iou"] == 0.5


@pytest.mark.parametrize("at", PRECISION_AT)
def test_precision_counts_what_is_higher_than_the_threshold(at: float) -> None:
    just = np.array([at, np.nextafter(at, 1), np.nextafter(at, 0)])
    assert precision_at(just, at) == 1 / 3
    tenths = round(at * 10)
    assert counts_of([((tenths, 10), ())]).figures()["precision"][str(at)] == 0.0
    assert counts_of([((tenths * 10 + 1, 100), ())]).figures()["precision"][str(at)] == 1.0


def test_nothing_predicted_where_nothing_is_true_counts_as_wrong() -> None:
    counts = counts_of([((0, 0), ()), ((4, 4), ())])
    assert counts.iou_N().tolist() == [0.0, 1.0]
    assert counts.figures()["mean_iou"] == 0.5
    assert counts.figures()["overall_iou"] == 1.0


def test_nothing_counted_is_zero_and_no_error() -> None:
    figures = MaskCounts().figures()
    assert figures == {
        "overall_iou": 0.0, "mean_iou": 0.0, "precision": dict.fromkeys(map(str, PRECISION_AT), 0.0), "expressions": 0
    }  # fmt: skip
    assert MaskCounts().by_skill() == {}
    assert Scores({0.5: MaskCounts()}, 0.5, {}).mean_iou == 0.0


def test_an_expression_counts_for_each_of_its_skills() -> None:
    counts = counts_of([((1, 1), ("kind", "colour")), ((0, 1), ("colour",)), ((1, 2), ())])
    by_skill = counts.by_skill()
    assert list(by_skill) == ["colour", "kind"]
    assert (by_skill["colour"]["mean_iou"], by_skill["colour"]["expressions"]) == (0.5, 2)
    assert (by_skill["kind"]["mean_iou"], by_skill["kind"]["expressions"]) == (1.0, 1)


@settings(max_examples=80, deadline=None)
@given(COUNTED, st.integers(1, 5), st.randoms(use_true_random=False))
def test_any_sharding_gives_the_very_same_figures(
    entries: list[tuple[tuple[int, int], tuple[str, ...]]], shards: int, chance: random.Random
) -> None:
    whole = counts_of(entries)
    parts = [counts_of([]) for _ in range(shards)]
    for (intersection, union), tags in entries:
        chance.choice(parts).add(intersection, union, tags)
    chance.shuffle(parts)
    joined = MaskCounts()
    for part in parts:
        joined.extend(part)
    assert len(joined) == len(entries)
    assert joined.figures() == whole.figures()
    assert joined.by_skill() == whole.by_skill()


@settings(max_examples=60, deadline=None)
@given(COUNTED)
def test_figures_are_shares(entries: list[tuple[tuple[int, int], tuple[str, ...]]]) -> None:
    figures = counts_of(entries).figures()
    assert 0 <= figures["overall_iou"] <= 1 and 0 <= figures["mean_iou"] <= 1
    precision = list(figures["precision"].values())
    assert precision == sorted(precision, reverse=True)


def test_extending_leaves_the_other_as_it_is() -> None:
    first, second = counts_of([((1, 2), ())]), counts_of([((3, 4), ("kind",))])
    first.extend(second)
    first.add(5, 6)
    assert (second.intersections, second.unions, second.skills) == ([3], [4], [("kind",)])
    assert first.subset([1]).skills == [("kind",)]


def test_masks_are_counted_pixel_by_pixel() -> None:
    chance = np.random.default_rng(2)
    predicted_NHW, truth_NHW = chance.random((2, 5, 9, 7)) < 0.4
    predicted_NHW[3] = truth_NHW[3]
    predicted_NHW[4] = False
    counts = MaskCounts()
    count_masks(predicted_NHW, truth_NHW, [("kind",)] * 5, counts)
    for n in range(5):
        pairs = list(zip(predicted_NHW[n].ravel().tolist(), truth_NHW[n].ravel().tolist(), strict=True))
        assert counts.intersections[n] == sum(one and other for one, other in pairs)
        assert counts.unions[n] == sum(one or other for one, other in pairs)
    assert counts.iou_N()[3:].tolist() == [1.0, 0.0]
    assert all(type(value) is int for value in counts.intersections + counts.unions)
    with pytest.raises(ValueError, match="shorter"):
        count_masks(predicted_NHW, truth_NHW, [()] * 4, counts)


def test_scores_give_every_threshold_and_the_headline_by_skill() -> None:
    low, high = counts_of([((3, 4), ("kind",))]), counts_of([((1, 4), ("kind",))])
    scores = Scores({0.5: high, 0.35: low}, 0.35, {"split": "val"})
    found = scores.to_dict()
    assert scores.mean_iou == found["mean_iou"] == found["by_skill"]["kind"]["mean_iou"] == 0.75
    assert list(found["at"]) == ["0.35", "0.5"]
    assert found["at"]["0.5"]["mean_iou"] == 0.25
    assert (found["threshold"], found["split"], found["expressions"]) == (0.35, "val", 1)


def test_the_mean_is_rounded_once() -> None:
    shares = [(n % 7, 7 + n % 5) for n in range(1000)]
    forward = counts_of([(pair, ()) for pair in shares]).figures()["mean_iou"]
    assert forward == counts_of([(pair, ()) for pair in reversed(shares)]).figures()["mean_iou"]
    assert forward == math.fsum(i / u for i, u in shares) / 1000
