"""Files and photos of one's own data are found in the layouts that annotation tools export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from m3att.config import DataConfig
from m3att.data.fields import OWN_FORMS
from m3att.data.open import open_source
from m3att.data.own.convert import convert
from m3att.data.own.files import file_of_split, own_files, split_of_file
from m3att.data.own.source import open_jsonl
from m3att.data.own.tools import open_coco
from m3att.errors import DataError

from ..own_files import square, write_lines, write_mask, write_picture


def coco(*names: str) -> dict[str, Any]:
    """A COCO json with one referent an image."""
    annotations = [
        {"id": number, "image_id": number, "category_id": 1, "segmentation": [square(2)], "caption": "it"}
        for number, _ in enumerate(names, start=1)
    ]
    images = [{"id": number, "file_name": name, "width": 32, "height": 24} for number, name in enumerate(names, 1)]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


# (what exports so, the json, the folder of the photos, the name in the json, what the user names, the split)
LAYOUTS = [
    ("CVAT", "annotations/instances_default.json", "images", "1.png", "annotations/instances_default.json", "train"),
    ("CVAT's folder", "annotations/instances_default.json", "images", "1.png", "", "train"),
    ("CVAT by subset", "annotations/instances_train.json", "images/train", "1.png", "", "train"),
    ("CVAT in folders", "annotations/instances_default.json", "images/default", "a/1.png", "", "train"),
    ("COCO", "annotations/instances_train2017.json", "train2017", "1.png", "", "train"),
    ("COCO, validation", "annotations/instances_val2014.json", "val2014", "1.png", "", "val"),
    ("COCO in images", "annotations/instances_train2017.json", "images/train2017", "1.png", "", "train"),
    ("Roboflow", "train/_annotations.coco.json", "train", "1_png.rf.abc.png", "", "train"),
    ("Roboflow, validation", "valid/_annotations.coco.json", "valid", "1_png.rf.abc.png", "", "val"),
    ("Roboflow, one file", "test/_annotations.coco.json", "test", "1.png", "test/_annotations.coco.json", "test"),
    ("Label Studio", "result.json", "images", "images/0a1b2c3d-1.png", "result.json", "train"),
    ("Label Studio, Windows", "result.json", "images", "images\\0a1b2c3d-1.png", "", "train"),
    ("Label Studio, own files", "result.json", "photos", "/data/local-files/?d=somewhere/1.png", "", "train"),
    ("a file beside its folder", "train.json", "train", "1.png", "", "train"),
    ("a file beside images", "val.json", "images/val", "1.png", "", "val"),
    ("absolute", "own.json", "pictures", "/home/somebody/pictures/1.png", "own.json", "train"),
    ("an address", "own.json", "any name", "https://host.example/x/1.png?y=2", "own.json", "train"),
    ("VOC's names", "annotations.json", "JPEGImages", "1.png", "annotations.json", "train"),
]


@pytest.mark.parametrize(
    ("file", "photos", "name", "given", "split"), [one[1:] for one in LAYOUTS], ids=[one[0] for one in LAYOUTS]
)
def test_layout(tmp_path: Path, file: str, photos: str, name: str, given: str, split: str) -> None:
    root = tmp_path / "root"
    kept = name.replace("\\", "/").partition("?y")[0].rpartition("/")[2]
    below = "a/" if name.startswith("a/") else ""
    write_picture(root / photos / f"{below}{kept}", 70)
    write_picture(root / "other" / "2.png", 10)
    write(root / file, coco(name))
    source = open_coco(root / given, split)
    assert source.image_path(0) == root / photos / f"{below}{kept}"
    assert source.read(0).image_HWC.min() == 70


def test_lines_with_strange_names(tmp_path: Path) -> None:
    write_picture(tmp_path / "photos/1.png", 70)
    names = ("photos\\1.png", "/data/photos/1.png", "photos/1.png")
    for name in names:
        path = write_lines(tmp_path / "own.jsonl", [{"image": name, "expression": "it", "mask": square(2)}])
        assert open_jsonl(path, "train").read(0).image_HWC.min() == 70


@pytest.mark.parametrize("missing", [1, 2, 14])
def test_a_missing_photo_is_one_fault(tmp_path: Path, missing: int) -> None:
    names = [f"{number}.png" for number in range(1, 15)]
    for number, name in enumerate(names, start=1):
        if number != missing:
            write_picture(tmp_path / "images" / name, number)
    source = open_coco(write(tmp_path / "a.json", coco(*names)), "train")
    there = [index for index in range(len(source)) if source.image_path(index).is_file()]
    assert len(there) == 13
    assert source.image_root == tmp_path / "images"


def test_a_named_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "anno/a.json", coco("1.png"))
    write_picture(tmp_path / "anno/images/1.png", 10)
    write_picture(tmp_path / "far/away/1.png", 70)
    for root in (tmp_path / "far", tmp_path / "far/away"):
        assert open_coco(path, "train", root).read(0).image_HWC.min() == 70
    with pytest.raises(DataError, match="far: no such folder of images; check --image-root"):
        open_coco(path, "train", tmp_path / "anno/far")
    (tmp_path / "none").mkdir()
    with pytest.raises(
        DataError, match=r"none of its 1 photo is there, the first is .1\.png.; looked in .*none: give the"
    ):
        open_coco(path, "train", tmp_path / "none")


def test_photos_of_one_name_in_two_folders(tmp_path: Path) -> None:
    """Where one of them is gone, the other is not read in its place."""
    names = [f"{folder}/{number}.png" for folder in ("left", "right") for number in range(6)]
    for at, name in enumerate(names):
        write_picture(tmp_path / "images" / name, at)
    (tmp_path / "images/right/4.png").unlink()
    path = write(tmp_path / "a.json", coco(*names))
    source = open_coco(path, "train")
    assert [source.image_name(index) for index in source.missing_images()] == ["right/4.png"]
    there = [index for index in range(len(source)) if index not in source.missing_images()]
    assert [source.read(index).image_HWC.max() for index in there] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11]
    written = convert(path, "jsonl", tmp_path / "lines", copy_images=True)
    assert [fault.rpartition("images/")[2] for fault in written.faults] == ["right/4.png: no such image"]
    for name in names[:6]:
        (tmp_path / "images" / name).rename(tmp_path / "images" / Path(name).name)
    for number in (0, 1, 2, 3, 5):
        (tmp_path / f"images/right/{number}.png").unlink()
    with pytest.raises(DataError, match=r"keep their folders, since '0\.png' may be any of several photos, or give"):
        open_coco(path, "train")


def test_masks_stay_with_their_file(tmp_path: Path) -> None:
    write_picture(tmp_path / "far/1.png", 70)
    write_mask(tmp_path / "anno/masks/1.png", 20)
    line = {"image": "1.png", "expression": "it", "mask": "masks/1.png"}
    path = write_lines(tmp_path / "anno/own.jsonl", [line])
    assert open_jsonl(path, "train", tmp_path / "far").read(0).masks_MHW.sum() == 80


def test_photos_that_are_gone_are_one_line(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"a folder with a rather long name, number {number}").mkdir()
    path = write(tmp_path / "a.json", coco("1.png", "2.png"))
    with pytest.raises(DataError, match="none of its 2 photos is there") as raised:
        open_coco(path, "train")
    text = str(raised.value)
    assert len(text) <= 500 and "\n" not in text
    assert str(tmp_path) in text and "give their folder as --image-root" in text
    lines = write_lines(tmp_path / "own.jsonl", [{"image": "1.png", "expression": "it", "mask": square(2)}])
    with pytest.raises(DataError, match="none of its 1 photo is there"):
        open_jsonl(lines, "train")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("instances_train2017", "train"),
        ("captions_val2014", "val"),
        ("valid", "val"),
        ("validation", "val"),
        ("testA", "testA"),
        ("instances_default", None),
        ("my_train_and_val", "val"),
        ("train_and_val", None),
        ("result", None),
        ("a_test_of_mine", None),
    ],
)
def test_splits_in_names(name: str, split: str | None) -> None:
    assert split_of_file(Path("test/folder") / f"{name}.json") == split


def test_which_file_holds_a_split(tmp_path: Path) -> None:
    for name in ("instances_train2017", "captions_train2017", "person_keypoints_train2017", "captions_val2017"):
        write(tmp_path / "annotations" / f"{name}.json", {})
    path, stated = file_of_split(tmp_path, ".json", "train")
    assert (path.name, stated) == ("instances_train2017.json", "train")
    assert file_of_split(tmp_path, ".json", "val")[0].name == "captions_val2017.json"
    with pytest.raises(DataError, match=r"has no test\.json, but annotations/captions_train2017\.json, "):
        file_of_split(tmp_path, ".json", "test")
    write(tmp_path / "annotations" / "stuff_val2017.json", {})
    with pytest.raises(DataError, match="several files are of split val; name one of them: annotations/captions"):
        file_of_split(tmp_path, ".json", "val")
    write(tmp_path / "own.json", {})
    assert own_files(tmp_path, ".json") == [tmp_path / "own.json"]


@pytest.mark.parametrize("dataset", [form for form in OWN_FORMS if form != "hf"])
def test_a_packed_export_is_to_be_unpacked(tmp_path: Path, dataset: str) -> None:
    with ZipFile(tmp_path / "Export.ZIP", "w") as packed:
        packed.writestr("annotations.xml", "<annotations/>")
    for split in ("train", "val"):
        with pytest.raises(DataError, match=r"Export\.ZIP: is a packed file; unpack it"):
            open_source(DataConfig(root=str(tmp_path / "Export.ZIP"), dataset=dataset), split)
    with pytest.raises(DataError, match=r"Export\.ZIP: is a packed file; unpack it"):
        convert(tmp_path / "Export.ZIP", "jsonl", tmp_path / "out")


def test_conversion_finds_them_too(tmp_path: Path) -> None:
    write_picture(tmp_path / "cvat/images/1.png", 70)
    path = write(tmp_path / "cvat/annotations/instances_default.json", coco("1.png"))
    written = convert(path, "jsonl", tmp_path / "copied", copy_images=True)
    assert not written.faults
    assert open_jsonl(written.path, "train").read(0).image_HWC.min() == 70
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "cvat/images").rename(elsewhere)
    again = convert(path, "refer", tmp_path / "refer", image_root=elsewhere)
    assert (again.path / "images/custom/1.png").is_file()
