"""Drawn layouts: every object is seen, told apart, and the same each time."""

from __future__ import annotations

import time

import numpy as np
import pytest

from m3att.data.layout import paint
from m3att.data.layout.looks import _FAMILIES, look_of
from m3att.data.layout.paint import Annotation, draw_layout, paint_layout

CATEGORIES = {1: "person", 3: "car", 18: "dog", 47: "cup", 67: "dining table", 99: "unheard-of thing"}
NAMES = ["person", *(member.split(":")[0].replace("_", " ") for family in _FAMILIES for member in family[2].split())]


def test_every_coco_category_has_a_look_of_its_own() -> None:
    assert len(NAMES) == len(set(NAMES)) == 80
    looks = [look_of(name) for name in NAMES]
    assert len({look.colour for look in looks}) == 80
    assert len({(look.silhouette, look.pattern, look.colour) for look in looks}) == 80


@pytest.mark.parametrize("name", [*NAMES, "unheard-of thing"])
@pytest.mark.parametrize("box", [(10.0, 5.0, 60.0, 90.0), (10.0, 5.0, 110.0, 45.0), (10.0, 5.0, 16.0, 9.0)])
def test_object_fills_its_box_and_stays_inside(name: str, box: tuple[float, float, float, float]) -> None:
    image, masks = draw_layout(100, 120, [Annotation(7, 1, box)], {1: name})
    empty, _ = draw_layout(100, 120, [], {})
    rows, columns = np.nonzero(masks[0])
    assert columns.min() >= box[0] and columns.max() < box[2]
    assert rows.min() >= box[1] and rows.max() < box[3]
    assert columns.max() - columns.min() + 1 >= 0.55 * (box[2] - box[0])
    assert masks[0].sum() >= 0.3 * (box[2] - box[0]) * (box[3] - box[1])
    assert np.array_equal(image[~masks[0]], empty[~masks[0]])  # nothing is painted beyond the mask
    assert (image[masks[0]] != empty[masks[0]]).any(axis=-1).mean() > 0.5


def test_visible_pixels_are_looked_for_where_all_of_them_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at one box gives the drawing that looking at the whole image gives, also where objects hide others."""
    chance, inside_a_box = np.random.default_rng(4), paint._pixels_seen
    compared = 0

    def everywhere(owner_HW: np.ndarray, number: int, box: tuple[int, int, int, int]) -> int:
        nonlocal compared
        compared += 1
        seen = sum(1 for owner in owner_HW.ravel().tolist() if owner == number)
        assert inside_a_box(owner_HW, number, box) == seen
        return seen

    monkeypatch.setattr(paint, "_pixels_seen", everywhere)
    for _ in range(12):
        corners_A4 = np.sort(chance.uniform(-9, 60, (9, 2, 2)), axis=1).reshape(9, 4)
        corners_A4[3:6] = corners_A4[0]  # several in one place
        annotations = [
            Annotation(number, int(chance.choice(list(CATEGORIES))), tuple(corners.tolist()), number == 8)
            for number, corners in enumerate(corners_A4)
        ]
        paint_layout(40, 50, annotations, CATEGORIES)
    assert compared > 12 * 9  # some came to the front, and were looked at again


def test_masks_are_what_is_seen() -> None:
    annotations = [
        Annotation(1, 67, (0, 40, 120, 100)),
        Annotation(2, 1, (20, 10, 70, 90)),
        Annotation(3, 47, (50, 50, 62, 66)),
    ]
    image, masks = draw_layout(100, 120, annotations, CATEGORIES)
    assert image.shape == (100, 120, 3) and image.dtype == np.uint8
    assert masks.shape == (3, 100, 120) and masks.dtype == np.bool_
    assert masks.sum(axis=0).max() == 1  # no pixel belongs to two objects
    alone = [draw_layout(100, 120, [annotation], CATEGORIES)[1][0] for annotation in annotations]
    assert np.array_equal(masks[2], alone[2])  # the smallest stands in front
    assert np.array_equal(masks[1], alone[1] & ~alone[2])
    assert np.array_equal(masks[0], alone[0] & ~alone[1] & ~alone[2])


def test_order_of_the_annotations_does_not_matter() -> None:
    annotations = [Annotation(k, 1, (10 * k, 5 * k, 10 * k + 50, 5 * k + 60)) for k in range(5)]
    image, masks = draw_layout(100, 120, annotations, CATEGORIES)
    reversed_image, reversed_masks = draw_layout(100, 120, annotations[::-1], CATEGORIES)
    assert np.array_equal(image, reversed_image)
    assert np.array_equal(masks, reversed_masks[::-1])


def test_drawing_twice_gives_the_same() -> None:
    annotations = [Annotation(906000000438, 1, (3, 4, 90, 80)), Annotation(5, 3, (3, 4, 40, 40))]
    first, second = (draw_layout(100, 120, annotations, CATEGORIES) for _ in range(2))
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    first[0][:] = 0  # the caller owns what it gets
    assert np.array_equal(draw_layout(100, 120, annotations, CATEGORIES)[0], second[0])


def test_twins_in_one_box_are_both_seen() -> None:
    annotations = [Annotation(k, 1, (20, 10, 80, 90)) for k in range(4)]
    masks = draw_layout(100, 120, annotations, CATEGORIES)[1]
    assert masks.sum(axis=(1, 2)).min() > 30


def test_object_behind_many_smaller_ones_comes_to_the_front() -> None:
    table = Annotation(0, 3, (0, 0, 64, 64))
    tiles = [
        Annotation(1 + k, 99, (x, y, x + 34, y + 34)) for k, (x, y) in enumerate([(0, 0), (30, 0), (0, 30), (30, 30)])
    ]
    masks = draw_layout(64, 64, [table, *tiles], CATEGORIES)[1]
    assert masks.sum(axis=(1, 2)).min() >= 0.05 * 34 * 34


def test_neighbours_of_one_kind_are_parted_by_an_outline_and_a_shade() -> None:
    annotations = [Annotation(11, 3, (5, 20, 75, 80)), Annotation(12, 3, (45, 25, 110, 78))]
    image, masks = draw_layout(100, 120, annotations, CATEGORIES)
    colours = [{tuple(pixel) for pixel in image[mask]} for mask in masks]
    assert colours[0] - colours[1] and colours[1] - colours[0]
    front, behind = masks[1], masks[0]
    touching = front[:, 1:] & behind[:, :-1]
    assert touching.any()
    assert (image[:, 1:][touching] == image[:, 1:][touching][0]).all()  # the same dark rim all along


def test_crowd_region_lies_behind_all() -> None:
    crowd, person = Annotation(906000000438, 1, (0, 0, 40, 40), is_crowd=True), Annotation(2, 1, (0, 0, 100, 90))
    masks = draw_layout(100, 120, [crowd, person], CATEGORIES)[1]
    alone = draw_layout(100, 120, [person], CATEGORIES)[1][0]
    assert np.array_equal(masks[1], alone)
    assert masks[0].any() and not (masks[0] & alone).any()


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 0, 0),
        (50, 50, 50, 80),
        (-30, -30, 10, 10),
        (110, 90, 400, 300),
        (500, 500, 600, 600),
        (-90, -90, -50, -50),
        (-1e9, -1e9, 1e9, 1e9),
        (80, 80, 20, 20),
        (0.2, 0.2, 0.4, 0.4),
        (119.6, 99.6, 120, 100),
        (float("inf"), 0, float("nan"), 10),
    ],
)
def test_any_box_is_drawn_with_something_seen(box: tuple[float, float, float, float]) -> None:
    for category in CATEGORIES:
        masks = draw_layout(100, 120, [Annotation(3, category, box)], CATEGORIES)[1]
        assert masks[0].any()


def test_images_smaller_than_any_object() -> None:
    image, masks = draw_layout(1, 2, [Annotation(3, 1, (0, 0, 2, 1))], CATEGORIES)
    assert image.shape == (1, 2, 3)
    assert masks[0].any()


def test_no_annotations_no_masks() -> None:
    image, masks = draw_layout(10, 12, [], CATEGORIES)
    assert image.shape == (10, 12, 3) and masks.shape == (0, 10, 12)


def test_owner_map_agrees_with_the_masks() -> None:
    annotations = [Annotation(k, 1, (10 * k, 5 * k, 10 * k + 50, 5 * k + 60)) for k in range(5)]
    image, masks = draw_layout(100, 120, annotations, CATEGORIES)
    painted, owner = paint_layout(100, 120, annotations, CATEGORIES)
    assert np.array_equal(painted, image)
    assert np.array_equal(owner >= 0, masks.any(axis=0))
    assert np.array_equal(owner[owner >= 0], masks.argmax(axis=0)[owner >= 0])


def test_drawing_is_quick() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 400, (10, 2))
    annotations = [Annotation(k, 1, (x, y, x + 200, y + 220)) for k, (x, y) in enumerate(corners.tolist())]
    durations = []
    for _ in range(10):
        start = time.perf_counter()
        paint_layout(480, 640, annotations, CATEGORIES)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.015  # measured: 0.002 to 0.003; the rest is room for a busy machine
