"""Collages show what is annotated, and masks what is seen of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from m3att.data.collage.colours import Demands
from m3att.data.collage.compose import compose_collage
from m3att.data.collage.cutouts import CutoutLibrary
from m3att.data.layout.paint import Annotation

from .conftest import CATEGORIES, COLOURS


def draw(
    library: CutoutLibrary,
    boxes: list[tuple[int, tuple[float, float, float, float]]],
    demands: dict[int, Demands] | None = None,
    seed: int = 0,
    size: tuple[int, int] = (120, 160),
    called: dict[int, dict[str, float]] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    annotations = [Annotation(number, category, box) for number, (category, box) in enumerate(boxes)]
    chance = np.random.default_rng(seed)
    return compose_collage(
        *size, annotations, {**CATEGORIES, 99: "unicorn"}, demands or {}, called or {}, library, chance
    )


def share_of(image_HWC: NDArray[np.uint8], where_HW: NDArray[np.bool_], colour: str) -> float:
    """Share of some pixels that are about of a colour."""
    return float((np.abs(image_HWC[where_HW].astype(int) - COLOURS[colour]).max(axis=1) < 60).mean())


def test_an_object_fills_its_box(library: CutoutLibrary) -> None:
    image_HWC, owner_HW = draw(library, [(1, (20, 10, 50, 90))])
    rows, columns = np.nonzero(owner_HW == 0)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (10, 90, 20, 50)
    assert image_HWC.shape == (120, 160, 3)
    assert set(np.unique(owner_HW)) == {-1, 0}


def test_the_same_seed_draws_the_same_and_another_another(library: CutoutLibrary) -> None:
    boxes = [(1, (20.0, 10.0, 50.0, 90.0)), (3, (80.0, 50.0, 150.0, 85.0))]
    first, again, other = draw(library, boxes), draw(library, boxes), draw(library, boxes, seed=1)
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_named_colours_are_seen_and_neighbours_have_others(library: CutoutLibrary) -> None:
    boxes = [(1, (10.0, 10.0, 40.0, 90.0)), (1, (60.0, 10.0, 90.0, 90.0)), (1, (110.0, 10.0, 140.0, 90.0))]
    demands: dict[int, Demands] = {1: frozenset({("upper", "yellow")})}
    for seed in range(10):
        image_HWC, owner_HW = draw(library, boxes, demands, seed)
        upper_HW = np.zeros_like(owner_HW, dtype=np.bool_)
        upper_HW[20:45] = True
        assert share_of(image_HWC, (owner_HW == 1) & upper_HW, "yellow") > 0.6
        for other in (0, 2):
            assert share_of(image_HWC, (owner_HW == other) & upper_HW, "yellow") < 0.1


def test_the_lower_stands_in_front_and_the_small_before_the_large(library: CutoutLibrary) -> None:
    _, owner_HW = draw(library, [(1, (30.0, 20.0, 60.0, 100.0)), (1, (45.0, 5.0, 75.0, 85.0))])
    assert (owner_HW[20:85, 45:60] == 0).mean() > 0.8
    _, owner_HW = draw(library, [(1, (50.0, 30.0, 70.0, 80.0)), (3, (10.0, 20.0, 150.0, 90.0))])
    assert (owner_HW[32:78, 52:68] == 0).mean() > 0.9


def test_an_object_that_would_be_hidden_comes_to_the_front(library: CutoutLibrary) -> None:
    _, owner_HW = draw(library, [(1, (50.0, 10.0, 80.0, 88.0)), (1, (49.0, 9.0, 81.0, 90.0))])
    assert (owner_HW == 0).sum() > 100 and (owner_HW == 1).sum() > 100


def test_proportions_stay_nearly_true(library: CutoutLibrary) -> None:
    _, owner_HW = draw(library, [(1, (10.0, 20.0, 150.0, 90.0))])  # people here are 2.7 times as high as wide
    rows, columns = np.nonzero(owner_HW == 0)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert 1.9 < height / width < 3.4
    assert rows.max() + 1 == 90


def test_crowds_and_kinds_without_a_cutout_are_not_drawn(library: CutoutLibrary) -> None:
    annotations = [Annotation(1, 1, (10, 10, 60, 60), is_crowd=True), Annotation(2, 99, (70, 10, 120, 60))]
    _, owner_HW = compose_collage(
        120, 160, annotations, {**CATEGORIES, 99: "unicorn"}, {}, {}, library, np.random.default_rng(0)
    )
    assert (owner_HW == -1).all()


boxes_of_any_kind = st.lists(
    st.tuples(
        st.sampled_from([1, 3, 18, 99]),
        st.tuples(*[st.floats(-300, 300) | st.just(float("nan"))] * 4),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(boxes=boxes_of_any_kind, size=st.tuples(st.integers(1, 90), st.integers(1, 90)), seed=st.integers(0, 99))
def test_any_boxes_can_be_drawn(session_library: CutoutLibrary, boxes: Any, size: tuple[int, int], seed: int) -> None:
    image_HWC, owner_HW = draw(session_library, boxes, seed=seed, size=size)
    assert image_HWC.shape == (*size, 3) and image_HWC.dtype == np.uint8
    assert owner_HW.shape == size
    assert owner_HW.min() >= -1 and owner_HW.max() < max(1, len(boxes))
