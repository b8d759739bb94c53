"""The way from Darwin (V7) to training, on a file as its library darwin-py writes it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from .test_tools import found, opened, photos


def test_darwin(tmp_path: Path) -> None:
    """As darwin-py 3.6.3 writes it, two outlines are a crowd of area 0, and the text stands in ``extra``."""
    photos(tmp_path / "images")
    two = np.zeros((80, 120), np.uint8, order="F")
    two[5:14, 25:34] = two[5:14, 45:54] = 1
    coded = coco_mask.encode(two)
    runs = {"size": coded["size"], "counts": coded["counts"].decode()}
    one = [[5, 5, 13, 5, 13, 13, 5, 13]]
    common = {"image_id": 3755887154, "category_id": 1772263384}
    entries = [
        {"id": 1, **common, "segmentation": one, "area": 64.0, "bbox": [5, 5, 8, 8], "iscrowd": 0},
        {"id": 2, **common, "segmentation": runs, "area": 0, "bbox": [25, 5, 29, 9], "iscrowd": 1},
    ]
    for entry, text in zip(entries, ("whole", "in two parts"), strict=True):
        entry["extra"] = {"text": text}
    image = {"id": 3755887154, "file_name": "park.jpg", "height": 80, "width": 120, "tag_ids": []}
    category = {"id": 1772263384, "name": "man", "supercategory": "root"}
    data = {"images": [image], "annotations": entries, "categories": [category], "tag_categories": []}
    (tmp_path / "output.json").write_text(json.dumps(data))
    source = opened("coco", tmp_path)
    assert found(source) == {("park.jpg", "whole"): 64, ("park.jpg", "in two parts"): 162}
    index = next(index for index in range(len(source)) if source.image_path(index).name == "park.jpg")
    assert source.read_largest(index).sum() == 162  # an object, no crowd
    entries[1]["area"] = 162  # a crowd region of another program stays one
    (tmp_path / "output.json").write_text(json.dumps(data))
    assert opened("coco", tmp_path).read_largest(index).sum() == 64
