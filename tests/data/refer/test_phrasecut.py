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


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("image_id", ..., "phrase 1 has the image_id None, which is none"),
        ("image_id", "", "phrase 1 has the image_id '', which is none"),
        ("phrase", ..., "phrase 1 has None as 'phrase', which is no text"),
        ("phrase", ["a"], "phrase 1 has ['a'] as 'phrase', which is no text"),
        ("Polygons", ..., "phrase 1 ('the tower') has no 'Polygons'"),
        ("Polygons", None, "phrase 1 ('the tower') has no 'Polygons'"),
        ("Polygons", [], "phrase 1 ('the tower') has no 'Polygons'"),  # not: it names nothing
        ("Polygons", [[[[1], [2, 3], [4, 5]]]], "phrase 1 ('the tower') has no 'Polygons'"),
    ],
    ids=str,
)
def test_a_faulty_phrase_is_named_and_left_out(phrasecut: Path, field: str, value: Any, message: str) -> None:
    path = phrasecut / "phrasecut/refer_val.json"
    tasks = json.loads(path.read_text())
    tasks[1] = {name: kept for name, kept in {**tasks[1], field: value}.items() if kept is not ...}
    path.write_text(json.dumps(tasks))
    source = ReferSource(phrasecut, "phrasecut", "official", "val")
    assert list(source.texts()) == ["both windows", "left one"]
    assert source.read(0).expression_ids == (0, 2)  # places in the file, as before
    (fault,) = source.faults
    assert fault.reason.startswith(f"{phrasecut / 'phrasecut'}: refer_val.json: {message}") and fault.expressions == 1
    report = check_dataset(phrasecut, "phrasecut", "official")
    assert report.splits["val"].odd.count == 1 and not report.is_sound


def test_odd_fields_of_a_phrase_that_nobody_needs_do_not_matter(phrasecut: Path) -> None:
    path = phrasecut / "phrasecut/refer_val.json"
    tasks = json.loads(path.read_text())
    tasks[0] |= {"image_id": 7.0, "instance_boxes": {"odd": 1}, "phrase_structure": "odd"}
    path.write_text(json.dumps(tasks))
    listed = path.with_name("image_data_split.json")
    images = [*json.loads(listed.read_text()), {"image_id": [3]}, None]
    listed.write_text(json.dumps(images))
    source = ReferSource(phrasecut, "phrasecut", "official", "val")
    assert source.faults == () and source.read(1).masks_MHW[0].sum() == 340


def test_a_file_without_a_phrase_that_can_be_read_is_refused(phrasecut: Path) -> None:
    path = phrasecut / "phrasecut/refer_val.json"
    path.write_text(json.dumps([5, {}]))
    with pytest.raises(DataError, match=r"no referent of split 'val'.*phrase 0 is 5, no object of fields"):
        ReferSource(phrasecut, "phrasecut", "official", "val")
    path.write_text(json.dumps({"tasks": [task(7, "left", LEFT)]}))
    with pytest.raises(DataError, match=r"refer_val\.json: holds no list; is it a file of PhraseCut\?"):
        ReferSource(phrasecut, "phrasecut", "official", "val")


def test_missing_files_are_named(phrasecut: Path) -> None:
    with pytest.raises(DataError, match=r"refer_train\.json: cannot be read"):
        ReferSource(phrasecut, "phrasecut", "official", "train")
    (phrasecut / "phrasecut/image_data_split.json").unlink()
    with pytest.raises(DataError, match=r"image_data_split\.json: cannot be read"):
        ReferSource(phrasecut, "phrasecut", "official", "val")
    with pytest.raises(DataError, match="give one of train, val, test, miniv"):
        ReferSource(phrasecut, "phrasecut", "official", "testA")
