"""Referents that name one object, several or none, of every data set that has them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.data.masks import encode_rle
from m3att.data.refer.check import check_dataset
from m3att.data.refer.referents import belongs
from m3att.data.refer.source import ReferSource
from m3att.data.source import UNKNOWN
from m3att.errors import DataError


@pytest.mark.parametrize(
    ("label", "split", "expected"),
    [
        ("train", "train", True),
        ("testA", "testA", True),
        ("testAB", "testA", True),
        ("testAB", "testB", True),
        ("testAB", "testC", False),
        ("testB", "testA", False),
        ("trainA", "testA", False),
        ("test", "test", True),
        ("test", "testA", False),
        ("val", "train", False),
    ],
)
def test_a_label_may_stand_for_several_splits(label: str, split: str, expected: bool) -> None:
    assert belongs(label, split) is expected


def sentences(*texts: str, first: int) -> list[dict[str, Any]]:
    return [
        {"sent_id": first + number, "sent": text, "raw": text, "tokens": text.split()}
        for number, text in enumerate(texts)
    ]


@pytest.fixture
def grefcoco(tmp_path: Path, tiny_content: Any) -> Path:
    """gRefCOCO as its authors write it: lists of annotations, -1 for nothing, and referents without a sentence."""
    refs = [
        {"ref_id": 0, "ann_id": [5, 6], "image_id": 100, "split": "train", "sentences": sentences("both", first=0)},
        {"ref_id": 1, "ann_id": [-1], "image_id": 100, "split": "train", "no_target": True,
         "sentences": sentences("the unicorn", "the second unicorn", first=1)},
        {"ref_id": 2, "ann_id": [6], "image_id": 100, "split": "train", "sentences": sentences("the car", first=3)},
        {"ref_id": 3, "ann_id": [6, 906000000100], "image_id": 100, "split": "train",
         "sentences": sentences("the car again", first=4)},
        {"ref_id": 4, "ann_id": [7], "image_id": 200, "split": "train", "sentences": []},
        {"ref_id": 5, "ann_id": [8], "image_id": 300, "split": "val", "sentences": sentences("him", first=5)},
    ]  # fmt: skip
    folder = tmp_path / "grefcoco"
    folder.mkdir()
    (folder / "grefs(unc).json").write_text(json.dumps(refs))
    (folder / "instances.json").write_text(json.dumps(tiny_content[1]))
    images = tmp_path / "images/train2014"
    images.mkdir(parents=True)
    for entry in tiny_content[1]["images"]:
        Image.fromarray(np.zeros((60, 80, 3), dtype=np.uint8)).save(images / entry["file_name"])
    return tmp_path


@pytest.mark.parametrize(("pixels", "prepared"), [("photos", False), ("photos", True), ("layout", False)])
def test_masks_of_several_objects_are_united_and_of_none_empty(grefcoco: Path, pixels: Any, prepared: bool) -> None:
    source = ReferSource(grefcoco, "grefcoco", "unc", "train", pixels)
    assert source.no_targets == 2
    assert (f"photos in {source.image_root}" in source.origin) == (pixels == "photos")
    if prepared:
        source.prepare()
    assert len(source) == 1  # the other image has no expression
    sample = source.read(0)
    assert sample.expressions == ("both", "the unicorn", "the second unicorn", "the car", "the car again")
    assert sample.mask_index_N == (0, 1, 1, 2, 2)  # a crowd region is no part of a set
    both, nothing, car = sample.masks_MHW
    assert not nothing.any()
    assert car.any() and (both & car == car).all() and both.sum() > car.sum()
    assert source.expression_groups(0) == ((0,), (1, 2), (3,), (4,))
    only = source.read(0, [1])
    assert only.masks_MHW.shape == (1, 60, 80) and not only.masks_MHW.any()


def test_grefcoco_is_counted(grefcoco: Path) -> None:
    report = check_dataset(grefcoco, "grefcoco", "unc")
    train = report.splits["train"]
    assert (train.refs, train.sentences, train.several_targets, train.no_target, train.silent) == (5, 5, 1, 2, 1)
    assert report.image_root == str(grefcoco / "images/train2014")
    assert train.missing_annotations.count == 0
    assert train.published.sentences == 209344


def test_grefcoco_may_be_a_pickle(grefcoco: Path) -> None:
    path = grefcoco / "grefcoco/grefs(unc).json"
    path.with_suffix(".p").write_bytes(pickle.dumps(json.loads(path.read_text())))
    path.unlink()
    assert list(ReferSource(grefcoco, "grefcoco", "unc", "val").texts()) == ["him"]


def test_a_set_that_names_a_foreign_object_is_left_out(grefcoco: Path) -> None:
    path = grefcoco / "grefcoco/grefs(unc).json"
    refs = json.loads(path.read_text())
    refs[0]["ann_id"] = [5, 8]
    path.write_text(json.dumps(refs))
    (fault,) = ReferSource(grefcoco, "grefcoco", "unc", "train").faults
    assert "referent 0 points to annotation 8, which image 100 does not have" in fault.reason
    refs[0]["ann_id"] = [5, "x"]
    path.write_text(json.dumps(refs))
    (fault,) = ReferSource(grefcoco, "grefcoco", "unc", "train").faults
    assert "referent 0 points to annotation" in fault.reason
    for odd in (
        {"ann_id": []},
        {"ann_id": None},
        {"ann_id": -1},
        {"ann_id": [-1, 5]},
        {"ann_id": [5], "no_target": True},
    ):
        path.write_text(json.dumps([{**refs[0], **odd}, *refs[1:]]))
        (fault,) = ReferSource(grefcoco, "grefcoco", "unc", "train").faults
        assert "referent 0 says " in fault.reason and fault.expressions == 1
    for stated in ({"ann_id": []}, {"ann_id": None}, {"ann_id": -1}):
        path.write_text(json.dumps([{**refs[0], **stated, "no_target": True}, *refs[1:]]))
        source = ReferSource(grefcoco, "grefcoco", "unc", "train")
        assert source.faults == () and not source.read(0, [0]).masks_MHW.any()


def test_the_public_file_has_lists_of_categories(grefcoco: Path) -> None:
    path = grefcoco / "grefcoco/grefs(unc).json"
    refs = json.loads(path.read_text())
    for ref in refs:
        ref["category_id"] = [1] * len(ref["ann_id"]) if ref["ann_id"] != [-1] else [-1]
    path.write_text(json.dumps(refs))
    source = ReferSource(grefcoco, "grefcoco", "unc", "train")
    assert source.faults == () and len(list(source.texts())) == 5


def test_crowd_regions_alone_are_what_is_meant(grefcoco: Path) -> None:
    path = grefcoco / "grefcoco/grefs(unc).json"
    refs = json.loads(path.read_text())
    refs[0]["ann_id"] = [906000000100]
    path.write_text(json.dumps(refs))
    source = ReferSource(grefcoco, "grefcoco", "unc", "train")
    assert source.read(0, [0]).masks_MHW.all()


@pytest.fixture
def refclef(tmp_path: Path) -> Path:
    """RefCLEF as the refer toolbox has it: ids of text, lists of run lengths, several hundred categories."""
    mask_HW = np.zeros((30, 40), dtype=bool)
    mask_HW[5:20, 10:30] = True
    annotations = [
        {"id": f"{image}_1", "image_id": image, "category_id": 200, "bbox": [10, 5, 20, 15], "area": 300,
         "mask_name": f"{image}_1.mat", "segmentation": [encode_rle(mask_HW)]}
        for image in (25, 19579)
    ]  # fmt: skip
    instances = {
        "images": [{"id": image, "file_name": f"{image}.jpg", "height": 30, "width": 40} for image in (25, 19579)],
        "annotations": annotations,
        "categories": [{"id": number, "name": f"kind {number}"} for number in range(1, 276)],
    }
    refs = [
        {"ref_id": 0, "ann_id": "25_1", "image_id": 25, "split": "testAB", "sentences": sentences("hut", first=0)},
        {"ref_id": 1, "ann_id": "19579_1", "image_id": 19579, "split": "train", "sentences": sentences("sky", first=1)},
    ]
    folder = tmp_path / "refclef"
    folder.mkdir()
    (folder / "instances.json").write_text(json.dumps(instances))
    (folder / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=0))
    images = tmp_path / "images/saiapr_tc-12"
    images.mkdir(parents=True)
    grey = Image.fromarray(np.full((30, 40), 90, dtype=np.uint8))
    grey.save(images / "25.jpg", format="JPEG")
    grey.save(images / "19579.jpg", format="GIF")  # as that file really is
    return tmp_path


def test_refclef(refclef: Path) -> None:
    for split in ("testA", "testB"):
        source = ReferSource(refclef, "refclef", "unc", split)
        assert (source.image_ids, list(source.texts())) == ([25], ["hut"])
        assert source.read(0).masks_MHW.sum() == 300
    with pytest.raises(DataError, match="no referent of split 'testC'"):
        ReferSource(refclef, "refclef", "unc", "testC")
    train = ReferSource(refclef, "refclef", "unc", "train")
    assert (train.read(0).image_HWC == 90).all()
    assert train.category_names == ()  # more than a map of bytes can hold
    assert (train.read_categories(0) == UNKNOWN).all()


def test_photos_that_nobody_has_are_no_fault(refclef: Path) -> None:
    report = check_dataset(refclef, "refclef", "unc")
    assert report.is_sound and report.shared_images == {}  # test splits that overlap are no leak
    (refclef / "images/saiapr_tc-12/19579.jpg").unlink()
    report = check_dataset(refclef, "refclef", "unc")
    train = report.splits["train"]
    assert (train.missing_images.count, train.known_missing) == (1, 1)
    assert report.is_sound
