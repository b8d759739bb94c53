"""The annotated objects of an image, which failures are sorted by: the same from every source of the same scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from m3att.config import DataConfig
from m3att.data.held_out import ChosenImages
from m3att.data.masks import draw
from m3att.data.open import MixedSource, open_source
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.shaperef.writer import write_refer
from m3att.data.source import Source


def objects_of(source: Source, index: int) -> list[tuple[str, NDArray[np.bool_]]]:
    return sorted(
        ((name, draw(mask)) for mask, name in source.read_objects(index)), key=lambda one: (one[0], one[1].tobytes())
    )


def assert_same(first: Source, at: int, second: Source, index: int) -> None:
    found, expected = objects_of(first, at), objects_of(second, index)
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert len(found) > 1 and all((one == other).all() for (_, one), (_, other) in zip(found, expected, strict=True))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("refer")
    write_refer(root, "shaperef", {"val": 2}, seed=1, size=64)
    return root


def test_objects_of_drawn_and_of_written_scenes_are_the_same(written: Path) -> None:
    drawn = ShapeRefSource("shaperef", "val", 2, seed=1, size=64)
    read = open_source(DataConfig(root=str(written)), "val")
    for index in range(2):
        assert_same(read, index, drawn, index)
    assert_same(MixedSource([read, read]), 3, read, 1)
    assert_same(ChosenImages(read, [1], "the second"), 0, read, 1)


def test_objects_of_a_coco_file_without_crowds_and_bare_boxes(written: Path) -> None:
    content = json.loads((written / "shaperef" / "instances.json").read_text())
    first = content["images"][0]["id"]
    own = [entry for entry in content["annotations"] if entry["image_id"] == first]
    own[0]["iscrowd"] = 1
    own[1].pop("segmentation")
    for entry in content["annotations"]:
        entry["expressions"] = ["it"]
    (written / "own.json").write_text(json.dumps(content))
    folder = next(path.parent for path in written.rglob(content["images"][0]["file_name"]))
    data = DataConfig(root=str(written / "own.json"), dataset="coco", image_root=str(folder))
    source = open_source(data, "val")
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    expected = sorted(names[entry["category_id"]] for entry in own[2:])
    assert [name for name, _ in objects_of(source, 0)] == expected != []


def test_of_a_layout_the_seen_part_of_each_object(written: Path) -> None:
    source = open_source(DataConfig(root=str(written), pixels="layout"), "val")
    masks = [mask_HW for _, mask_HW in objects_of(source, 0)]
    assert len(masks) > 1 and np.sum(masks, axis=0).max() == 1  # no pixel shows two of them
