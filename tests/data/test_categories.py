"""Maps of categories: what the category loss learns from, of every kind of source."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from m3att.config import DataConfig, InputConfig
from m3att.data.batch import BatchReader
from m3att.data.order import Group
from m3att.data.refer.source import ReferSource
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.shaperef.world import KINDS
from m3att.data.shaperef.writer import write_refer
from m3att.data.text import Tokenizer
from m3att.data.transforms import Resize


def test_drawn_and_read_from_disk_are_the_same(tmp_path: Path) -> None:
    drawn = ShapeRefSource("shaperef", "train", 4, seed=3, size=96)
    write_refer(tmp_path, "shaperef", {"train": 4}, seed=3, size=96)
    read = ReferSource(tmp_path, "shaperef", "unc", "train")
    assert set(read.category_names) == set(drawn.category_names) == set(KINDS)
    for index in range(4):
        one, other = drawn.read_categories(index), read.read_categories(index)
        names_one, names_other = (np.array(["", *source.category_names]) for source in (drawn, read))
        assert (names_one[one] == names_other[other]).mean() > 0.999  # polygons may lose a pixel at a corner
        assert one.any() and (one == 0).any()


def test_each_pixel_of_a_drawing_holds_the_kind_that_is_seen_there() -> None:
    source = ShapeRefSource("shaperef", "train", 2, seed=5, size=64)
    scene, _ = source.described(0)
    expected_HW = np.zeros((64, 64), dtype=np.uint8)
    for mask_HW, thing in zip(scene.masks_OHW, scene.facts.objects, strict=True):
        for row, column in np.argwhere(mask_HW):
            expected_HW[row, column] = KINDS.index(thing.kind) + 1
    assert (source.read_categories(0) == expected_HW).all()


def test_photos_of_the_tiny_folder(write_folder) -> None:  # type: ignore[no-untyped-def]
    source = ReferSource(write_folder(photos=True), "refcoco", "unc", "train")
    assert source.category_names == ("person", "car", "dog")
    categories_HW = source.read_categories(0)
    assert categories_HW[20, 20] == 1 and categories_HW[20, 50] == 2
    assert categories_HW[55, 5] == 255  # in the crowd region alone: it may be anything


def test_layouts_of_the_tiny_folder(write_folder) -> None:  # type: ignore[no-untyped-def]
    source = ReferSource(write_folder(), "refcoco", "unc", "train", "layout")
    categories_HW = source.read_categories(0)
    masks_MHW = source.read(0).masks_MHW
    assert (categories_HW[masks_MHW[0]] == 1).all() and (categories_HW[masks_MHW[1]] == 2).all()
    assert set(np.unique(categories_HW)) <= {0, 1, 2, 255}


def test_a_training_batch_holds_them_where_asked_for_and_mirrors_them() -> None:
    source = ShapeRefSource("shaperef", "train", 8, seed=1, size=64)
    tokenizer = Tokenizer.from_texts(source.texts(), 15)
    inputs = InputConfig(32, "stretch")
    seen = set()
    for seed in range(12):
        group = [Group(0, None, 3, seed)]
        batch = BatchReader(source, tokenizer, inputs, DataConfig(flip=True), True, categories=True)[group]
        assert batch.categories_BHW is not None and batch.categories_BHW.shape == (1, 32, 32)
        seen.add(batch.categories_BHW.numpy().tobytes())
        # Image and map are mirrored together: what is nothing in the map lies outside every mask.
        nothing_HW = batch.categories_BHW[0] == 0
        assert (batch.masks_MHW[:, nothing_HW] <= 224).all()
        assert BatchReader(source, tokenizer, inputs, DataConfig(), True)[group].categories_BHW is None
    assert len(seen) == 2


def test_a_letterboxed_map_lies_where_the_image_lies() -> None:
    categories_HW = np.full((20, 40), 7, dtype=np.uint8)
    placed_HW = Resize(20, 40, 32, "letterbox").categories(categories_HW)
    assert (placed_HW[8:24] == 7).all() and not placed_HW[:8].any() and not placed_HW[24:].any()
