"""Own objects with a box and no mask, in every form, through conversions, flips and batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from m3att.config import DataConfig, InputConfig
from m3att.data.augment.pictures import mirror
from m3att.data.batch import BatchReader, make_batch
from m3att.data.held_out import ChosenImages
from m3att.data.open import MixedSource, open_beside
from m3att.data.order import Group
from m3att.data.own.convert import convert
from m3att.data.own.hub import RowsSource
from m3att.data.own.source import CustomSource, open_jsonl
from m3att.data.own.tools import open_coco
from m3att.data.source import UNKNOWN
from m3att.data.text import Tokenizer

from ..own_files import HEIGHT, WIDTH, square, write_lines, write_picture

BOX = [3, 5, 9, 8]
FILLED_HW = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
FILLED_HW[5:13, 3:12] = True
LINES: list[dict[str, Any]] = [
    {"image": "a.png", "text": "boxed", "bbox": BOX, "category": "cup"},
    {"image": "a.png", "text": ["outlined"], "mask": square(20), "category": "cup"},
    {"image": "a.png", "text": "boxed too", "box": BOX, "mask": None, "category": "cup", "note": 1},
    {"image": "a.png", "text": "nothing", "mask": None},
]


def opened(folder: Path, lines: list[dict[str, Any]]) -> CustomSource:
    write_picture(folder / "a.png")
    return open_jsonl(write_lines(folder / "own.jsonl", lines), "train")


def check(source: CustomSource) -> None:
    sample = source.read(0)
    boxed = {text: sample.boxed_M[at] for text, at in zip(sample.expressions, sample.mask_index_N, strict=True)}
    assert boxed == {"boxed": True, "boxed too": True, "outlined": False, "nothing": False}
    at = dict(zip(sample.expressions, sample.mask_index_N, strict=True))
    assert np.array_equal(sample.masks_MHW[at["boxed"]], FILLED_HW)
    assert sample.masks_MHW[at["nothing"]].sum() == 0


def test_lines_of_one_box_are_one_referent_and_a_box_is_never_nothing(tmp_path: Path) -> None:
    source = opened(tmp_path, LINES)
    check(source)
    assert (source.boxed, source.no_targets, source.faults) == (2, 1, ())
    assert sorted(map(len, source.expression_groups(0))) == [1, 1, 2]
    again = open_jsonl(tmp_path / "own.jsonl", "train")  # from the cache
    check(again)
    assert again.boxed == 2


@pytest.mark.parametrize("form", ["coco", "jsonl"])
def test_boxes_stay_boxes_through_conversions(tmp_path: Path, form: Any) -> None:
    opened(tmp_path, LINES)
    written = convert(tmp_path / "own.jsonl", form, tmp_path / "out", copy_images=True)
    assert written.faults == ()
    check((open_coco if form == "coco" else open_jsonl)(written.path, "train"))
    back = convert(written.path, "jsonl", tmp_path / "back", copy_images=True)
    check(open_jsonl(back.path, "train"))


def test_a_conversion_says_what_the_refer_layout_cannot_hold(tmp_path: Path) -> None:
    opened(tmp_path, LINES)
    written = convert(tmp_path / "own.jsonl", "refer", tmp_path / "out", copy_images=True)
    assert len(written.faults) == 1 and "a box and no mask" in written.faults[0]
    check(open_jsonl(convert(tmp_path / "out/custom", "jsonl", tmp_path / "back").path, "train"))


def test_rows_with_boxes(tmp_path: Path) -> None:
    picture = Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))
    source = RowsSource([{**line, "image": picture, "image_id": 1} for line in LINES], "train")
    check(source)
    assert source.boxed is None


def test_a_box_elsewhere_is_named_with_its_image(tmp_path: Path) -> None:
    source = opened(tmp_path, [{"image": "a.png", "text": "it", "bbox": [20, 5, 30, 12]}])
    assert "leaves the image of 32 x 24" in source.mask_faults(0)[0] and "a.png" in source.mask_faults(0)[0]


@pytest.mark.parametrize(
    ("field", "value", "meant"),
    [
        ("bbox", [1, 2, 0, 5], "x, y, width and height over 0"),
        ("bbox_xyxy", [11, 12, 1, 2], "left, top, right and bottom"),
        ("bbox", ["1", "2", "3", "4"], "x, y, width and height over 0"),
    ],
)
def test_what_is_no_box_is_named_in_lines_too(tmp_path: Path, field: str, value: list[Any], meant: str) -> None:
    source = opened(tmp_path, [{"image": "a.png", "text": "it", field: value}])
    assert f"it has no mask, and {value!r} as {field!r} is no box in pixels: {meant}" in source.mask_faults(0)[0]


def test_no_pixel_of_a_box_has_a_known_category(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    data = {
        "images": [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": BOX, "segmentation": [], "caption": "boxed"},
            {"id": 2, "image_id": 1, "category_id": 2, "segmentation": [square(20)]},
        ],
        "categories": [{"id": 1, "name": "cup"}, {"id": 2, "name": "dog"}],
    }
    source = open_coco(write_json(tmp_path / "own.json", data), "train")
    categories_HW = source.read_categories(0)
    assert (categories_HW[FILLED_HW] == UNKNOWN).all()
    assert set(np.unique(categories_HW[~FILLED_HW])) == {0, 2}
    assert source.read_largest(0).sum() == 80  # a polygon covers 8 x 10 pixels, the box 9 x 8


def test_boxes_turn_with_their_picture_and_go_through_letterboxes(tmp_path: Path) -> None:
    source = opened(tmp_path, LINES[:2])
    sample = source.read(0)
    turned = mirror(sample)
    assert turned.boxed_M == sample.boxed_M == (True, False)
    assert np.array_equal(turned.masks_MHW[0], FILLED_HW[:, ::-1])
    words = Tokenizer.from_texts(source.texts(), 10)
    batch = make_batch([sample, turned], words, InputConfig(size=WIDTH), keep_samples=False)
    assert batch.boxed_M.tolist() == [True, False, True, False] and batch.has_boxes
    rim = (WIDTH - HEIGHT) // 2  # grey above and below
    assert torch.equal(batch.masks_MHW[0, rim : rim + HEIGHT] > 127, torch.from_numpy(FILLED_HW))
    assert batch.masks_MHW[0].sum() == 255 * FILLED_HW.sum()
    assert not make_batch([source.read(0, [1])], words, InputConfig(size=WIDTH), False).has_boxes
    assert len(make_batch([], words, InputConfig(size=WIDTH), False).boxed_M) == 0


def test_boxes_beside_other_data(tmp_path: Path) -> None:
    boxes, outlines = opened(tmp_path, LINES), opened(tmp_path / "b", LINES[1:2])
    mixed = MixedSource([boxes, outlines])
    assert mixed.boxed == 2
    assert [mixed.read(at).boxed_M.count(True) for at in range(2)] == [1, 0]
    assert ChosenImages(boxes, [0], "").boxed is None and ChosenImages(outlines, [0], "").boxed == 0
    (beside,) = open_beside(DataConfig(beside=(str(tmp_path / "own.jsonl"),), beside_share=0.5), 1)
    reader = BatchReader(beside, Tokenizer.from_texts(beside.texts(), 10), InputConfig(size=WIDTH), DataConfig(), True)
    assert reader[[Group(0, None, 9, 9)]].boxed_M.sum().item() == 1


def write_json(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data))
    return path
