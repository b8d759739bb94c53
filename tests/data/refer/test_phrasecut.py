"""PhraseCut: phrases, the polygons of all that they name, and images of Visual Genome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.data.refer.check import check_dataset
from m3att.data.refer.source import ReferSource
from m3att.data.source import UNKNOWN
from m3att.errors import DataError


def task(image_id: int, phrase: str, *instances: list[list[list[float]]], name: str | None = "thing") -> dict[str, Any]:
    boxes = [[*np.min(polygons[0], axis=0).tolist(), *np.ptp(polygons[0], axis=0).tolist()] for polygons in instances]
    structure = None if name is None else {"name": name, "attributes": [], "relation_descriptions": []}
    return {
        "task_id": f"{image_id}__1", "image_id": image_id, "ann_ids": [1], "phrase": phrase, "instance_boxes": boxes,
        "Polygons": list(instances), "phrase_structure": structure,
    }  # fmt: skip


LEFT = [[[2, 2], [12, 2], [12, 22], [2, 22]]]
RIGHT = [[[25, 5], [35, 5], [35, 15], [25, 15]], [[26, 20], [34, 20], [34, 25], [26, 25]]]


@pytest.fixture
def phrasecut(tmp_path: Path) -> Path:
    folder = tmp_path / "phrasecut"
    (folder / "images").mkdir(parents=True)
    tasks = [
        task(7, "both windows", LEFT, RIGHT, name="window"),
        task(3, "the tower", LEFT),
        task(7, "left one", LEFT, name=None),
    ]
    (folder / "refer_val.json").write_text(json.dumps(tasks))
    images = [
        {"image_id": number, "width": 40, "height": 30, "split": "val", "coco_id": None, "url": "a"}
        for number in (3, 5, 7)
    ]
    (folder / "image_data_split.json").write_text(json.dumps(images))
    for number in (3, 7):
        Image.fromarray(np.full((30, 40, 3), number, dtype=np.uint8)).save(folder / "images" / f"{number}.jpg")
    return tmp_path


def test_a_phrase_names_all_of_its_instances(phrasecut: Path) -> None:
    source = ReferSource(phrasecut, "phrasecut", "official", "val")
    assert (source.pixels, source.image_ids, len(source)) == ("photos", [3, 7], 2)
    sample = source.read(1)
    assert sample.expressions == ("both windows", "left one")
    assert sample.expression_ids == (0, 2)  # places in the file
    both, left = sample.masks_MHW
    assert left[2:22, 2:12].all() and left.sum() == 200
    assert both.sum() == 200 + 100 + 40 and (both & left == left).all()
    assert source.image_path(1) == phrasecut / "phrasecut/images/7.jpg"
    assert source.category_names == ()  # what no phrase names is not outlined, so nothing is known to be nothing
    assert (source.read_categories(1) == UNKNOWN).all()
    drawn = ReferSource(phrasecut, "phrasecut", "official", "val", "layout").read(1)
    assert drawn.masks_MHW.any(axis=(1, 2)).all()


def test_only_the_splits_on_disk_are_checked(phrasecut: Path) -> None:
    report = check_dataset(phrasecut, "phrasecut", "official")
    assert report.splits["val"].several_targets == 1
    assert report.splits["val"].missing_images.count == 0
    assert report.splits["val"].counts == "differs"
    assert {split: report.splits[split].counts for split in ("train", "test", "miniv")} == dict.fromkeys(
        ("train", "test", "miniv"), "absent"
    )
    assert report.annotations == 4


def test_the_older_name_of_the_list_of_images(phrasecut: Path) -> None:
    folder = phrasecut / "phrasecut"
    (folder / "image_data_split.json").rename(folder / "image_data_split3000.json")
    assert len(ReferSource(phrasecut, "phrasecut", "official", "val")) == 2


@pytest.mark.parametrize("missing", ["image_id", "phrase", "Polygons"])
def test_faulty_phrases_are_named(phrasecut: Path, missing: str) -> None:
    path = phrasecut / "phrasecut/refer_val.json"
    tasks = json.loads(path.read_text())
    del tasks[1][missing]
    path.write_text(json.dumps(tasks))
    with pytest.raises(DataError, match="phrase 1 lacks image_id, phrase or Polygons"):
        ReferSource(phrasecut, "phrasecut", "official", "val")


def test_missing_files_are_named(phrasecut: Path) -> None:
    with pytest.raises(DataError, match=r"refer_train\.json: cannot be read"):
        ReferSource(phrasecut, "phrasecut", "official", "train")
    (phrasecut / "phrasecut/image_data_split.json").unlink()
    with pytest.raises(DataError, match=r"image_data_split\.json: cannot be read"):
        ReferSource(phrasecut, "phrasecut", "official", "val")
    with pytest.raises(DataError, match="legal: train, val, test, miniv"):
        ReferSource(phrasecut, "phrasecut", "official", "testA")
