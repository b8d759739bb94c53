"""Photos that their EXIF orientation turns on the side are read as their annotations see them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from m3att.data.masks import encode_rle
from m3att.data.own.convert import convert
from m3att.data.own.source import CustomSource, open_jsonl
from m3att.data.own.tools import open_coco
from m3att.data.raster import annotated_size, are_turned, fits, read_annotated
from m3att.data.refer.check import check_dataset
from m3att.data.refer.source import ReferSource
from m3att.errors import ImageError

STORED = (48, 64)  # height, width
UPRIGHT = (64, 48)
Raster = Literal["stored", "upright"]
# One object, low in the upright photo, and one that lies inside both.
LOW = {"upright": [10, 40, 30, 40, 30, 60, 10, 60], "stored": [40, 18, 60, 18, 60, 38, 40, 38]}
MIDDLE = {"upright": [10, 10, 30, 10, 30, 30, 10, 30], "stored": [10, 18, 30, 18, 30, 38, 10, 38]}


def write_turned(path: Path, orientation: int = 6) -> None:
    """A photo whose file is stored 64 wide and 48 high: white where the two objects are, black elsewhere."""
    stored_HW = np.zeros(STORED, dtype=np.uint8)
    stored_HW[18:38, 40:60] = stored_HW[18:38, 10:30] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(stored_HW).save(path, exif=exif)


def coco(objects: list[Any], stated: tuple[int, int] | None) -> dict[str, Any]:
    size = {} if stated is None else {"height": stated[0], "width": stated[1]}
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "segmentation": one,
            "iscrowd": 0,
            "caption": f"object {number}",
        }
        for number, one in enumerate(objects, start=1)
    ]
    images = [{"id": 1, "file_name": "1.png", **size}]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}


def opened(root: Path, form: str, objects: list[Any], stated: tuple[int, int] | None) -> CustomSource | ReferSource:
    write_turned(root / "1.png")
    file = root / "a.json"
    file.write_text(json.dumps(coco(objects, stated)))
    if form == "coco":
        return open_coco(file, "train")
    if form == "jsonl":
        lines = [{"image": "1.png", "expression": f"object {at}", "mask": one} for at, one in enumerate(objects)]
        (root / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
        return open_jsonl(root / "a.jsonl", "train")
    convert(file, "refer", root / "refer")
    return ReferSource(root / "refer", "custom", "own", "train")


@pytest.mark.parametrize("form", ["coco", "refer", "jsonl"])
@pytest.mark.parametrize("stated", [STORED, UPRIGHT, None])
@pytest.mark.parametrize("meant", ["stored", "upright"])
def test_masks_lie_on_their_objects(tmp_path: Path, form: str, stated: tuple[int, int] | None, meant: Raster) -> None:
    if stated == UPRIGHT and meant == "stored" and form != "jsonl":
        return  # no tool states the upright size beside outlines of the stored photo
    source = opened(tmp_path, form, [[LOW[meant]], [MIDDLE[meant]]], stated)
    source.prepare()
    sample = source.read(0)
    assert sample.image_HWC.shape[:2] == (UPRIGHT if meant == "upright" else STORED)
    for mask_HW in sample.masks_MHW:
        assert mask_HW.sum() == 400 and (sample.image_HWC[mask_HW] == 255).all()
    assert source.read_categories(0).shape == sample.image_HWC.shape[:2]
    assert source.read_largest(0).shape == sample.image_HWC.shape[:2]


@pytest.mark.parametrize("form", ["coco", "refer", "jsonl"])
@pytest.mark.parametrize("meant", ["stored", "upright"])
def test_run_lengths_tell_by_their_size(tmp_path: Path, form: str, meant: Raster) -> None:
    mask_HW = np.zeros(UPRIGHT if meant == "upright" else STORED, dtype=np.bool_)
    x, y = MIDDLE[meant][:2]
    mask_HW[y : y + 20, x : x + 20] = True
    sample = opened(tmp_path, form, [encode_rle(mask_HW)], None if form == "jsonl" else STORED).read(0)
    assert np.array_equal(sample.masks_MHW[0], mask_HW)
    assert (sample.image_HWC[mask_HW] == 255).all()


def test_mask_files_tell_by_their_size(tmp_path: Path) -> None:
    mask_HW = np.zeros(STORED, dtype=np.uint8)
    mask_HW[18:38, 40:60] = 255
    Image.fromarray(mask_HW).save(tmp_path / "mask.png")
    sample = opened(tmp_path, "jsonl", ["mask.png"], None).read(0)
    assert sample.masks_MHW.shape == (1, *STORED)


def test_what_fits_both_is_told_by_other_photos(tmp_path: Path) -> None:
    """The stated size holds, unless another outline of the file leaves the size that is stated for it."""
    data = coco([[MIDDLE["stored"]]], STORED)
    file = tmp_path / "a.json"
    for name in ("1.png", "2.png"):
        write_turned(tmp_path / name)
    file.write_text(json.dumps(data))
    assert open_coco(file, "train").read(0).image_HWC.shape[:2] == STORED
    data["images"].append({**data["images"][0], "id": 2, "file_name": "2.png"})
    data["annotations"].append({**data["annotations"][0], "id": 9, "image_id": 2, "segmentation": [LOW["upright"]]})
    file.write_text(json.dumps(data))
    assert open_coco(file, "train").read(0).image_HWC.shape[:2] == UPRIGHT
    root = convert(file, "refer", tmp_path / "refer").path
    assert ReferSource(root, "custom", "own", "train").read(0).image_HWC.shape[:2] == UPRIGHT


def test_what_fits_neither_is_said(tmp_path: Path) -> None:
    far = [[5, 5, 60, 5, 60, 60]]
    for form in ("coco", "refer"):
        folder = tmp_path / form
        folder.mkdir()
        with pytest.raises(ImageError, match=r"1\.png: its EXIF orientation turns it to 48 x 64, .* fit neither; save"):
            opened(folder, form, [far], STORED).read(0)
    with pytest.raises(ImageError, match=r"48 x 64, turned by its EXIF orientation from 64 x 48, but .* say 30 x 20"):
        opened(tmp_path / "coco", "coco", [far], (20, 30)).read(0)


@pytest.mark.parametrize("orientation", [1, 3, 8])
def test_other_sizes_are_faults_still(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "square.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("L", (48, 48)).save(path, exif=exif)
    with pytest.raises(ImageError, match="but the annotations say 64 x 48; the masks would not fit"):
        read_annotated(path, (48, 64), list)
    assert read_annotated(path, None, list).shape == (48, 48, 3)
    assert annotated_size(path, (48, 48), list) == (48, 48)


def test_outlines_are_asked_only_where_a_photo_is_turned(tmp_path: Path) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "a.png")

    def never() -> list[Any]:
        raise AssertionError

    for stated in (STORED, None):
        assert read_annotated(tmp_path / "a.png", stated, never).shape == (*STORED, 3)


def test_check_reads_them_as_training_does(tmp_path: Path) -> None:
    opened(tmp_path, "refer", [[LOW["upright"]]], STORED)
    report = check_dataset(tmp_path / "refer", "custom", "own", read_photos=lambda done, all_: None)
    assert report.splits["train"].unreadable_photos.count == 0
    assert pickle.loads(pickle.dumps(ReferSource(tmp_path / "refer", "custom", "own", "train"))).read(0)


def test_what_label_studio_scales_wrongly_is_said(tmp_path: Path) -> None:
    source_of = {}
    for contributor in ("Label Studio", "somebody"):
        data = coco([[MIDDLE["upright"]]], STORED) | {"info": {"contributor": contributor}}
        write_turned(tmp_path / "1.png")
        (tmp_path / "a.json").write_text(json.dumps(data))
        source_of[contributor] = open_coco(tmp_path / "a.json", "train")
    assert source_of["somebody"].read(0).image_HWC.shape[:2] == STORED
    with pytest.raises(ImageError, match=r"Label Studio's COCO export scales .* export JSON"):
        source_of["Label Studio"].read(0)


def test_outlines_and_sizes() -> None:
    assert fits([[LOW["upright"]]], UPRIGHT) and not fits([[LOW["upright"]]], STORED)
    assert fits([None, []], STORED)
    assert are_turned([(STORED, [[LOW["upright"]]])])
    assert not are_turned(
        [(STORED, [[LOW["stored"]]]), (UPRIGHT, [[LOW["upright"]]]), (STORED, [[[0, 0, 99, 9, 9, 99]]])]
    )
