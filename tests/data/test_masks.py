"""Polygons, run lengths and crowd regions become masks, and broken ones an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from m3att.data.annotation import decode_segmentation, read_segmentation
from m3att.data.masks import draw, encode_rle, is_polygon, mask_box, unite
from m3att.errors import DataError

SQUARE = [2, 1, 6, 1, 6, 4, 2, 4]


def test_polygon_fills_its_square() -> None:
    mask = decode_segmentation([SQUARE], height=8, width=10)
    expected = np.zeros((8, 10), dtype=bool)
    expected[1:4, 2:6] = True
    assert np.array_equal(mask, expected)
    assert mask.dtype == np.bool_


def test_polygons_of_one_annotation_are_united() -> None:
    mask = decode_segmentation([SQUARE, [7, 5, 9, 5, 9, 7, 7, 7]], height=8, width=10)
    assert mask.sum() == 12 + 4


def test_uncompressed_run_lengths_go_down_the_columns() -> None:
    mask = decode_segmentation({"size": [3, 2], "counts": [1, 2, 2, 1]}, 3, 2)
    assert mask.tolist() == [[False, False], [True, False], [True, True]]


@pytest.mark.parametrize("seed", range(5))
def test_compressed_run_lengths_come_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((37, 53)) < rng.random()
    code = encode_rle(mask)
    assert json.loads(json.dumps(code)) == code
    assert code["size"] == [37, 53]
    assert np.array_equal(decode_segmentation(code, 37, 53), mask)
    assert np.array_equal(decode_segmentation([code], 37, 53), mask)  # as RefCLEF has it
    assert np.array_equal(coco_mask.decode({**code, "counts": code["counts"].encode()}).astype(bool), mask)


@pytest.mark.parametrize("value", [False, True])
def test_uniform_masks_come_back(value: bool) -> None:
    mask = np.full((5, 4), value)
    assert np.array_equal(decode_segmentation(encode_rle(mask), 5, 4), mask)


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        [],
        {},
        "polygon",
        [[]],
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5]],
        [[1, 2, 3, 4, 5, 6, 7]],
        [[1, 2, float("nan"), 4, 5, 6]],
        [[0, 0, 1e12, 0, 0, 1e12]],
        [["a", "b", "c", "d", "e", "f"]],
        [None],
        {"size": [8, 9], "counts": [80]},
        {"size": [8, 10], "counts": [79]},
        {"size": [8, 10], "counts": [-1, 81]},
        {"size": [8, 10], "counts": [40.5, 39.5]},
        {"size": ["x", None], "counts": [80]},
        {"size": [8, 10]},
        {"size": [8, 10], "counts": ""},
        {"size": [8, 10], "counts": "\x01\x02"},
        {"size": [8, 10], "counts": "é€"},
        {"size": [8, 10], "counts": "oooooooooooooooooooo"},
        {"size": [8, 10], "counts": "PPPPPP"},
        {"size": [8, 10], "counts": [[1], 79]},
        {"size": [8, 10], "counts": [10**30]},
        {"size": [400_000, 400_000], "counts": [160_000_000_000]},
    ],
)
def test_what_encloses_nothing_is_an_error(segmentation: Any) -> None:
    with pytest.raises(DataError) as caught:
        decode_segmentation(segmentation, 8, 10)
    assert "\n" not in str(caught.value)


def test_a_size_that_no_image_has_is_an_error() -> None:
    square = [1, 1, 9, 1, 9, 9, 1, 9]
    with pytest.raises(DataError, match="a mask of 400000 x 400000 is more than 175 megapixels"):
        decode_segmentation([square, square], 400_000, 400_000)


@pytest.mark.parametrize(
    ("counts", "canonical"),
    [
        ([3, 0, 3], [6]),
        ([0, 0, 6], [6]),
        ([6, 0], [6]),
        ([0, 0, 1, 4, 1], [1, 4, 1]),
        ([1, 0, 0, 2, 0, 0, 0, 1, 2], [1, 3, 2]),
        ([0, 0, 0, 6, 0, 0], [0, 6]),
    ],
)
def test_runs_of_no_pixel_are_taken_out(counts: list[int], canonical: list[int]) -> None:
    mask = read_segmentation({"size": [3, 2], "counts": counts}, 3, 2)
    assert mask.lengths().tolist() == canonical
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    assert np.array_equal(mask.draw(), values.reshape(2, 3).T)
    assert mask.any() == values.any()
    assert mask == read_segmentation({"size": [3, 2], "counts": packed(counts)}, 3, 2)


def test_many_runs_of_no_pixel_leave_the_library_its_memory() -> None:
    code = {"size": [2, 2], "counts": [0] * 200_000 + [4]}
    assert not read_segmentation([code, code], 2, 2).any()


@pytest.mark.parametrize("chunks", [2, 6, 7, 8])
def test_numbers_in_more_chunks_than_they_need_are_read_as_what_they_say(chunks: int) -> None:
    counts = [10, 20, 10, 5, 55]  # the fourth is written as 5 - 20, whose sign goes on through all its chunks
    mask = read_segmentation({"size": [10, 10], "counts": packed(counts, chunks)}, 10, 10)
    assert mask == read_segmentation({"size": [10, 10], "counts": packed(counts)}, 10, 10)
    assert mask.draw().sum() == coco_mask.area(mask.code()) == 25


def packed(counts: list[int], chunks: int = 1) -> str:
    """COCO's compressed text of run lengths by its rule, each number in so many chunks at least."""
    text = ""
    for place, count in enumerate(counts):
        number, written, more = count - (counts[place - 2] if place > 2 else 0), 0, True
        while more:
            chunk, number, written = number & 0x1F, number >> 5, written + 1
            more = number != (-1 if chunk & 0x10 else 0) or written < chunks
            text += chr(48 + (chunk | 0x20 * more))
    return text


def test_polygon_beyond_the_image_is_cut_at_its_edge() -> None:
    mask = decode_segmentation([[-50, -50, 100, -50, 100, 100, -50, 100]], 8, 10)
    assert mask.all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.lists(
        st.lists(st.floats(-10, 50, width=32), min_size=6, max_size=14).filter(lambda p: len(p) % 2 == 0),
        min_size=1,
        max_size=3,
    ),
)
def test_pixels_are_those_that_the_reference_draws(height: int, width: int, polygons: Any) -> None:
    code = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    found = read_segmentation(polygons, height, width)
    assert np.array_equal(found.draw(), coco_mask.decode(code))
    assert found.any() == found.draw().any()
    assert found.lengths().sum() == height * width


def test_masks_of_every_form_unite() -> None:
    left, right = (read_segmentation([[x, 1, x + 3, 1, x + 3, 4, x, 4]], 6, 9) for x in (1, 5))
    both_HW = left.draw() | right.draw()
    assert both_HW.sum() == 18
    for masks in ([left, right], [left.draw(), right], [left.draw(), right.draw()]):
        united = unite(masks, 6, 9)
        assert np.array_equal(draw(united), both_HW)
    assert unite([left], 6, 9) is left
    nothing = unite([], 6, 9)
    assert nothing.shape == (6, 9) and not nothing.any() and not draw(nothing).any()


def test_is_polygon() -> None:
    assert is_polygon(SQUARE)
    assert not is_polygon(SQUARE[:5])
    assert not is_polygon([SQUARE])
    assert not is_polygon([10**400] * 6)


def test_mask_box() -> None:
    mask = np.zeros((6, 7), dtype=bool)
    assert mask_box(mask) == (0, 0, 0, 0)
    mask[2:4, 3:6] = True
    assert mask_box(mask) == (3, 2, 6, 4)


def test_real_polygons_have_about_their_stated_area(refer_photos: Path) -> None:
    content = json.loads((refer_photos / "refcoco" / "instances.json").read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    for annotation in content["annotations"]:
        mask = decode_segmentation(annotation["segmentation"], *sizes[annotation["image_id"]])
        assert mask.sum() == pytest.approx(annotation["area"], rel=0.1, abs=60)
        x, y, width, height = annotation["bbox"]
        assert mask_box(mask) == pytest.approx((x, y, x + width, y + height), abs=4.5)  # as loose as COCO is
