"""Every layout on disk that users of other programs have is found, and the right photos in it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.data.photos import PhotoFolder
from m3att.data.refer.check import check_dataset
from m3att.data.refer.places import find_annotations, find_photos, usual_photos
from m3att.data.refer.source import ReferSource
from m3att.errors import DataError

# (what it is, folder of the data set, folder of the photos, both below the root)
LAYOUTS = [
    ("the REFER toolbox", "refcoco", "images/mscoco/images/train2014"),
    ("LAVT's repository", "refer/data/refcoco", "refer/data/images/mscoco/images/train2014"),
    ("MCN's data", "refcoco", "images/train2014"),
    ("MCN's repository", "data/refcoco", "data/images/train2014"),
    ("CRIS's and ReLA's repositories", "datasets/refcoco", "datasets/images/train2014"),
    ("COCO in the root", "refcoco", "train2014"),
    ("SimVG's", "refcoco", "images/mscoco/train2014"),
    ("COCO beside", "refcoco", "coco/train2014"),
    ("COCO 2014 beside", "refcoco", "coco2014/train2014"),
    ("flat", "refcoco", "images"),
    ("photos beside LAVT's data", "refer/data/refcoco", "train2014"),
]


def place(root: Path, content: Any, dataset: str, photos: str, shorter: bool = False) -> None:
    refs, instances = content
    folder = root / dataset
    folder.mkdir(parents=True)
    (folder / "refs(unc).p").write_bytes(pickle.dumps(refs))
    (folder / "instances.json").write_text(json.dumps(instances))
    (root / photos).mkdir(parents=True, exist_ok=True)
    for entry in instances["images"]:
        name = entry["file_name"].removeprefix("COCO_train2014_") if shorter else entry["file_name"]
        Image.fromarray(np.zeros((60, 80, 3), dtype=np.uint8)).save(root / photos / name)


@pytest.mark.parametrize(
    ("dataset", "photos"), [layout[1:] for layout in LAYOUTS], ids=[layout[0] for layout in LAYOUTS]
)
def test_layout(tmp_path: Path, tiny_content: Any, dataset: str, photos: str) -> None:
    place(tmp_path, tiny_content, dataset, photos)
    source = ReferSource(tmp_path, "refcoco", "unc", "train")
    assert (source.pixels, source.image_root) == ("photos", tmp_path / photos)
    assert source.read(0).masks_MHW.any(axis=(1, 2)).all()
    report = check_dataset(tmp_path, "refcoco", "unc")
    assert (report.annotation_root, report.image_root) == (str(tmp_path / dataset), str(tmp_path / photos))
    assert report.splits["train"].missing_images.count == 0


def test_photos_of_2017_have_shorter_names(tmp_path: Path, tiny_content: Any) -> None:
    place(tmp_path, tiny_content, "refcoco", "coco2017/train2017", shorter=True)
    source = ReferSource(tmp_path, "refcoco", "unc", "train")
    assert source.image_path(0) == tmp_path / "coco2017/train2017/000000000100.jpg"
    assert source.read(0).image_HWC.shape == (60, 80, 3)


def test_the_root_may_be_the_folder_itself(tmp_path: Path, tiny_content: Any) -> None:
    place(tmp_path, tiny_content, "refcoco", "images/train2014")
    source = ReferSource(tmp_path / "refcoco", "refcoco", "unc", "train")
    assert source.image_root == tmp_path / "images/train2014"
    # ... but the folder of one data set is not taken for another.
    with pytest.raises(DataError, match=r"refcoco/refcoco\+/refs\(unc\)\.p: cannot be read"):
        ReferSource(tmp_path / "refcoco", "refcoco+", "unc", "train")


def test_the_folder_that_holds_most_is_taken(tmp_path: Path, tiny_content: Any) -> None:
    place(tmp_path, tiny_content, "refcoco", "train2014")
    other = tmp_path / "images/train2014"
    other.mkdir(parents=True)
    (tmp_path / "train2014/COCO_train2014_000000000100.jpg").rename(other / "COCO_train2014_000000000100.jpg")
    names = [f"COCO_train2014_{number:012d}.jpg" for number in (100, 200, 300)]
    found = find_photos(tmp_path, "refcoco", tmp_path / "refcoco", names)
    assert found == PhotoFolder(tmp_path / "train2014", "coco")


def test_other_photos_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "train2014").mkdir()
    (tmp_path / "train2014/holiday.jpg").touch()
    assert find_photos(tmp_path, "refcoco", None, ["COCO_train2014_000000000100.jpg"]) is None
    assert find_photos(tmp_path, "refcoco") == PhotoFolder(
        tmp_path / "train2014", "coco"
    )  # any, where none is asked for
    assert usual_photos(tmp_path, "refcoco").path == tmp_path / "images/mscoco/images/train2014"


def test_photos_of_refclef_lie_flat_or_in_forty_folders(tmp_path: Path) -> None:
    flat, nested = tmp_path / "flat", tmp_path / "nested"
    for path in (flat / "images/saiapr_tc-12/17975.jpg", nested / "images/saiapr_tc-12/17/images/17975.jpg"):
        path.parent.mkdir(parents=True)
        path.touch()
    for root, tail in ((flat, "17975.jpg"), (nested, "17/images/17975.jpg")):
        found = find_photos(root, "refclef", None, ["17975.jpg"])
        assert found is not None
        assert found.file("17975.jpg") == root / "images/saiapr_tc-12" / tail
        assert found.has("17975.jpg") and not found.has("25.jpg")
        assert found.file("25.jpg") == root / "images/saiapr_tc-12/25.jpg"


def test_photos_of_visual_genome_lie_in_two_folders(tmp_path: Path) -> None:
    for part, name in (("VG_100K", "1.jpg"), ("VG_100K_2", "2.jpg")):
        (tmp_path / part).mkdir()
        (tmp_path / part / name).touch()
    found = find_photos(tmp_path, "phrasecut", None, ["1.jpg", "2.jpg"])
    assert found is not None
    assert [found.file(name) for name in ("1.jpg", "2.jpg")] == [
        tmp_path / "VG_100K/1.jpg",
        tmp_path / "VG_100K_2/2.jpg",
    ]


@pytest.mark.parametrize("folder", ["phrasecut", "VGPhraseCut_v0", "data/VGPhraseCut_v0", "."])
def test_annotations_of_phrasecut(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / "refer_val.json").touch()
    assert find_annotations(tmp_path, "phrasecut", ["refer_train.json", "refer_val.json"]) == tmp_path / folder


def test_a_named_folder_of_images_must_be_there(tmp_path: Path, tiny_content: Any) -> None:
    place(tmp_path, tiny_content, "refcoco", "train2014")
    with pytest.raises(DataError, match="absent: no such folder of images"):
        ReferSource(tmp_path, "refcoco", "unc", "train", image_root=tmp_path / "absent")
