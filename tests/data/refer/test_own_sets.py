"""Data sets in the REFER layout under any name are read, with the splits that their files name."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.app.cli import main
from m3att.config import DataConfig
from m3att.data.masks import encode_rle
from m3att.data.open import open_source
from m3att.data.own.convert import convert
from m3att.data.refer.check import check_dataset
from m3att.data.refer.tables import find_split_by
from m3att.errors import DataError


def write_set(
    root: Path,
    content: Any,
    folder: str = "rrsisd",
    refs: str = "refs(unc).p",
    photos: str = "images/rrsisd/JPEGImages",
) -> Path:
    """A data set as RRSIS-D comes: in the REFER layout, with photos and run lengths of its own; returns the root."""
    entries, instances = content
    names = {entry["id"]: f"{entry['id']:05d}.jpg" for entry in instances["images"]}
    for entry in instances["images"]:
        entry["file_name"] = names[entry["id"]]
        (root / photos).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((60, 80, 3), dtype=np.uint8)).save(root / photos / entry["file_name"])
    mask_HW = np.zeros((60, 80), dtype=np.bool_)
    mask_HW[10:20, 10:30] = True
    for annotation in instances["annotations"]:
        annotation["segmentation"] = [encode_rle(mask_HW)]
    (root / folder).mkdir(parents=True, exist_ok=True)
    content_bytes = json.dumps(entries).encode() if refs.endswith(".json") else pickle.dumps(entries, protocol=2)
    (root / folder / refs).write_bytes(content_bytes)
    (root / folder / "instances.json").write_text(json.dumps(instances))
    return root


@pytest.mark.parametrize(
    ("folder", "dataset", "refs", "photos"),
    [
        ("rrsisd", "rrsisd", "refs(unc).p", "images/rrsisd/JPEGImages"),
        ("refer/data/rrsisd", "rrsisd", "refs(unc).p", "refer/data/images/rrsisd/JPEGImages"),
        ("RefSegRS", "RefSegRS", "refs(unc).p", "images/RefSegRS"),
        ("mine", "mine", "refs(me).p", "photos"),
        ("mine", "mine", "refs(me).json", "mine/images"),
        ("set", "set", "grefs(unc).json", "images/train"),
        ("", "anything", "refs(unc).p", "JPEGImages"),
        ("custom", "custom", "refs(unc).p", "images/custom"),
    ],
)
def test_any_name(tmp_path: Path, tiny_content: Any, folder: str, dataset: str, refs: str, photos: str) -> None:
    root = write_set(tmp_path, tiny_content, folder, refs, photos)
    source = open_source(DataConfig(root=str(root), dataset=dataset), "train")
    assert (source.pixels, source.read(0).masks_MHW.sum(axis=(1, 2)).tolist()[0]) == ("photos", 200)
    assert len(source) == 2
    report = check_dataset(root, dataset, find_split_by(root, dataset))
    assert (report.pixels, list(report.splits), report.is_sound) == ("photos", ["train", "val"], True)
    assert report.splits["train"].missing_images.count == 0
    assert main(["data", "convert", str(root / folder), "--to", "jsonl", "--out", str(tmp_path / "lines")]) == 0


def test_splits_are_those_of_the_file(tmp_path: Path, tiny_content: Any) -> None:
    tiny_content[0][-1]["split"] = "hard"
    root = write_set(tmp_path, tiny_content)
    assert len(open_source(DataConfig(root=str(root), dataset="rrsisd", split_by="unc"), "hard")) == 1
    assert list(check_dataset(root, "rrsisd", "unc").splits) == ["train", "hard"]
    with pytest.raises(DataError, match="rrsisd: no referent of split 'val' for unc; it has train, hard"):
        open_source(DataConfig(root=str(root), dataset="rrsisd"), "val")


def test_what_is_not_there_is_said(tmp_path: Path, tiny_content: Any) -> None:
    root = write_set(tmp_path, tiny_content)
    for split_by in (None, "unc"):
        with pytest.raises(
            DataError, match=r"unknown data set 'rsisd'; known: refcoco, .*refs\(NAME\)\.p and inst"
        ) as it:
            open_source(DataConfig(root=str(root), dataset="rsisd", split_by=split_by), "train")
        assert len(str(it.value)) <= 500
    with pytest.raises(DataError, match="rrsisd: has refs of unc; say which as split_by"):
        open_source(DataConfig(root=str(root), dataset="rrsisd", split_by="google"), "train")
    (root / "rrsisd/refs(unc).p").rename(root / "rrsisd/refs(b).p")
    (root / "rrsisd/refs(a).p").write_bytes((root / "rrsisd/refs(b).p").read_bytes())
    with pytest.raises(DataError, match="rrsisd: has refs of a, b; say which as split_by"):
        open_source(DataConfig(root=str(root), dataset="rrsisd"), "train")
    assert len(open_source(DataConfig(root=str(root), dataset="rrsisd", split_by="b"), "train")) == 2


def test_photos_that_are_gone_are_no_drawings(
    tmp_path: Path, tiny_content: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_set(tmp_path / "root", tiny_content)
    data = DataConfig(root=str(root), dataset="rrsisd")
    gone = root / "images/rrsisd/JPEGImages/00200.jpg"
    gone.unlink()
    assert main(["data", "check", str(root), "--dataset", "rrsisd"]) == 1
    assert "photos of all splits: 2 found, 1 missing" in capsys.readouterr().out
    os.rename(root / "images", tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"none of the 2 photos of split train is there, .* as --image-root, or --data"):
        open_source(data, "train")
    assert open_source(DataConfig(root=str(root), dataset="rrsisd", pixels="layout"), "train").pixels == "layout"
    assert main(["data", "check", str(root), "--dataset", "rrsisd"]) == 1
    out = capsys.readouterr().out
    assert "fault: none of the 3 photos is there" in out and "give their folder as --image-root" in out
    assert out.rstrip().endswith("not sound: see the faults above")


def test_a_conversion_whose_photos_stayed_behind(tmp_path: Path, tiny_content: Any) -> None:
    """A link to photos on another machine leads nowhere."""
    root = write_set(tmp_path / "laptop", tiny_content)
    convert(root / "rrsisd", "coco", tmp_path / "coco")
    convert(tmp_path / "coco", "refer", tmp_path / "server")
    os.rename(root, tmp_path / "away")
    for dataset in ("rrsisd", "custom"):
        if (tmp_path / "server" / dataset).is_dir():
            with pytest.raises(DataError, match="none of the 2 photos"):
                open_source(DataConfig(root=str(tmp_path / "server"), dataset=dataset), "train")
            return
    raise AssertionError("nothing was written")
