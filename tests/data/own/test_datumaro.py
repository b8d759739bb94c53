"""Datumaro's json: what is read of it, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from m3att.data.own.convert import convert
from m3att.data.own.datumaro import coco_of_datumaro
from m3att.errors import DataError

from .test_tools import BOXES, EXPORTS, TRUTH, found, opened, photos


def annotations_of(entry: dict[str, Any], size: list[int]) -> list[dict[str, Any]]:
    mask = entry["segmentation"]
    attributes = {name: value for name, value in entry["attributes"].items() if name != "rotation"}
    common = {"id": entry["id"], "attributes": attributes, "group": 0, "label_id": entry["category_id"] - 1}
    if isinstance(mask, dict):
        code = coco_mask.frPyObjects(mask, *size)
        return [{**common, "type": "mask", "rle": {"counts": code["counts"].decode(), "size": size}}]
    if not mask:
        return [{**common, "type": "bbox", "bbox": entry["bbox"]}]
    group = entry["id"] if len(mask) > 1 else 0
    return [{**common, "type": "polygon", "group": group, "points": part} for part in mask]


def datumaro_of(data: dict[str, Any]) -> dict[str, Any]:
    """The same task as Datumaro's writer has it."""
    items = []
    for image in data["images"]:
        size = [image["height"], image["width"]]
        mine = [entry for entry in data["annotations"] if entry["image_id"] == image["id"]]
        items.append({
            "id": image["file_name"].partition(".")[0],
            "annotations": [one for entry in mine for one in annotations_of(entry, size)],
            "attr": {"frame": image["id"]},
            "image": {"path": image["file_name"], "size": size},
        })  # fmt: skip
    labels = [{"name": one["name"], "parent": "", "attributes": []} for one in data["categories"]]
    return {"info": {}, "categories": {"label": {"labels": labels, "attributes": ["occluded"]}}, "items": items}


@pytest.fixture
def export(tmp_path: Path) -> Path:
    photos(tmp_path / "images/train")
    (tmp_path / "annotations").mkdir()
    data = datumaro_of(json.loads((EXPORTS / "cvat.json").read_text()))
    (tmp_path / "annotations/train.json").write_text(json.dumps(data))
    return tmp_path


def test_it_says_what_the_coco_export_of_the_task_says(export: Path) -> None:
    source = opened("datumaro", export)
    assert found(source) == TRUTH | BOXES and source.boxed == 1 and not source.faults
    assert ("sign.png", "sign") in found(opened("datumaro", export, field="category"))
    with pytest.raises(DataError, match=r"a file of datumaro: give --data\.dataset datumaro"):
        opened("coco", export)
    written = convert(export / "annotations/train.json", "jsonl", export / "lines", copy_images=True)
    assert found(opened("jsonl", written.path)) == TRUTH | BOXES


def one_item(path: Path, *annotations: Any, **item: Any) -> tuple[dict[str, Any], dict[str, int]]:
    item = {"id": "a", "image": {"path": "a.jpg", "size": [30, 40]}, "annotations": list(annotations)} | item
    data = {"categories": {"label": {"labels": [{"name": "cat"}]}}, "items": [item]}
    path.write_text(json.dumps(data))
    return coco_of_datumaro(path)


SHAPE = {"type": "polygon", "label_id": 0, "points": [1, 1, 9, 1, 9, 9], "attributes": {"expression": "it"}}


def test_shapes_groups_and_captions(tmp_path: Path) -> None:
    data, faults = one_item(
        tmp_path / "a.json",
        {"type": "ellipse", "points": [10, 11, 30, 19], "attributes": {"rotation": 90, "expression": "round"}},
        {"type": "bbox", "bbox": [10, 10, 10, 4], "attributes": {"rotation": 90.0, "caption": "turned"}},
        {"type": "caption", "caption": "both", "group": 4},
        {**SHAPE, "group": 4},
        {**SHAPE, "group": 4, "points": [21, 1, 29, 1, 29, 9], "attributes": {}},
        {**SHAPE, "attributes": {"is_crowd": True}, "label_id": 7},
        {"type": "label", "label_id": 0, "group": 4, "attributes": {"expression": "a tag of the object"}},
        {"type": "label", "label_id": 0, "attributes": {"weather": "rain"}},
        {"type": "points", "points": [1, 2], "attributes": {"expression": "not an object"}},
    )
    assert faults == {f"{tmp_path / 'a.json'}: item 'a.jpg', annotation 8: one of type 'points' encloses nothing": 1}
    round_, box, both, crowd = data["annotations"]
    points = np.array(round_["segmentation"][0]).reshape(-1, 2)
    assert np.allclose(np.ptp(points, axis=0), (8, 20), atol=0.02) and np.allclose(points.mean(axis=0), (20, 15))
    assert np.allclose(box["bbox"], [13, 7, 4, 10]) and box["expressions"] == ["turned"]
    assert len(both["segmentation"]) == 2 and both["expressions"] == ["it", "a tag of the object", "both"]
    assert crowd["iscrowd"] == 1 and "category_id" not in crowd and both["iscrowd"] == 0
    assert data["categories"] == [{"id": 1, "name": "cat"}]


def test_an_item_without_a_path_is_called_as_its_id(tmp_path: Path) -> None:
    for item in ({"image": {"size": [30, 40]}}, {"image": None, "media": {"path": ""}}):
        data, _ = one_item(tmp_path / "a.json", SHAPE, **item)
        assert data["images"][0]["file_name"] == "a.jpg"


@pytest.mark.parametrize(
    "change",
    [{"points": [1, "x"]}, {"points": None}, {"type": "mask"}, {"type": "bbox", "bbox": [1, 2]}, {"type": "ellipse"}],
    ids=str,
)
def test_what_is_left_out_is_named_and_counted(tmp_path: Path, change: dict[str, Any]) -> None:
    data, faults = one_item(tmp_path / "a.json", SHAPE, {**SHAPE, **change}, 7)
    assert len(data["annotations"]) == 1
    assert faults == {f"{tmp_path / 'a.json'}: item 'a.jpg', annotation 1 is not what Datumaro writes": 1}


def test_other_files_are_answered(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no annotation has expressions"):
        one_item(tmp_path / "a.json", id=5, image={})
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(DataError, match="holds no items and categories of Datumaro"):
        coco_of_datumaro(tmp_path / "b.json")
