"""A folder with one file of annotations a split is converted as one data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.config import DataConfig
from m3att.data.open import open_source
from m3att.data.own.convert import convert
from m3att.data.own.read import read_content
from m3att.errors import DataError

from .test_tools import roboflow

SPLITS = ("train", "valid", "test")
PLACES = {
    "Roboflow": ("{0}/_annotations.coco.json", "{0}/a.png"),
    "COCO": ("annotations/instances_{0}2017.json", "{0}2017/a.png"),
    "files side by side": ("{0}.json", "images/{0}/a.png"),
}


def write(root: Path, layout: str) -> Path:
    """Three splits, each with ids from 1 on, a photo called a.png, and categories of its own beside a common one."""
    for number, split in enumerate(SPLITS):
        json_at, photo_at = (root / place.format(split) for place in PLACES[layout])
        for path in (json_at, photo_at):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (80 * number, 0, 0)).save(photo_at)
        mask = [[1, 1, 9 + 3 * number, 1, 9, 9]]
        entry: dict[str, Any] = {"image_id": 1, "segmentation": mask, "iscrowd": 0}
        data = {
            "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
            "categories": [{"id": 1, "name": split}, {"id": 2, "name": "cat", "supercategory": "animal"}],
            "annotations": [
                {**entry, "id": 1, "category_id": 2, "caption": f"the cat of {split}"},
                {**entry, "id": 2, "category_id": 1, "expressions": [split, "it"]},
            ],
        }
        json_at.write_text(json.dumps(data))
    return root


@pytest.mark.parametrize("layout", PLACES)
@pytest.mark.parametrize("form", ["jsonl", "coco", "refer"])
def test_the_splits_come_together(tmp_path: Path, layout: str, form: Any) -> None:
    written = convert(write(tmp_path / "in", layout), form, tmp_path / "out", copy_images=True)
    assert written.faults == () and (written.refs, written.expressions, written.images) == (6, 9, 3)
    root, dataset = (written.path, "custom") if form == "refer" else (written.path, form)
    for number, split in enumerate(SPLITS):
        source = open_source(DataConfig(root=str(root), dataset=dataset), "val" if split == "valid" else split)
        sample = source.read(0)
        assert len(source) == 1 and sample.expressions == (f"the cat of {split}", split, "it")
        assert (sample.image_HWC[..., 0] == 80 * number).all()
        assert np.flatnonzero(sample.masks_MHW[0].any(axis=0)).max() == 8 + 3 * number
    content = read_content(written.path / "custom" if form == "refer" else written.path)
    names = [entry["name"] for entry in content.instances["categories"]]
    assert sorted(names) == ["cat", "test", "train", "valid"]


def test_a_folder_whose_files_state_no_split_wants_one_named(tmp_path: Path) -> None:
    write(tmp_path, "files side by side")
    (tmp_path / "train.json").rename(tmp_path / "first.json")
    with pytest.raises(DataError, match="neither a data set of the REFER layout nor a folder of own data; name a file"):
        read_content(tmp_path)


def test_exports_of_roboflow_are_converted_as_a_whole(tmp_path: Path) -> None:
    root = roboflow(tmp_path / "export")
    written = convert(root, "jsonl", tmp_path / "lines", copy_images=True, field="category")
    lines = [json.loads(line) for line in written.path.read_text().splitlines()]
    assert {line["split"] for line in lines} == {"train", "val"} and written.faults == ()
