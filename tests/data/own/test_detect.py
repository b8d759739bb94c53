"""What lies at a place tells what kind of data set it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from m3att.config import DataConfig
from m3att.data.open import OWN, open_source
from m3att.data.own.detect import Kind, detect
from m3att.data.shaperef.writer import write_refer
from m3att.errors import DataError

from ..own_files import square, write_picture

CVAT = """<annotations><image id="0" name="a.png" width="32" height="24"><polygon label="cup" points="4,4;14,4;14,12">
<attribute name="expression">the cup</attribute></polygon></image></annotations>"""
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 32, "height": 24}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [square(4)], "caption": "the cup"}],
    "categories": [{"id": 1, "name": "cup"}],
}
LABELME = {
    "version": "5.0", "imagePath": "a.png", "imageHeight": 24, "imageWidth": 32, "shapes": [
        {"label": "cup", "points": [[4, 4], [14, 4], [14, 12]], "shape_type": "polygon", "description": "the cup"}
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("annotations.xml", CVAT, "cvat"),
        ("own.json", COCO, "coco"),
        ("a.json", LABELME, "labelme"),
        ("own.jsonl", {"image": "a.png", "expression": "the cup", "mask": [square(4)]}, "jsonl"),
    ],
    ids=["cvat", "coco", "labelme", "jsonl"],
)
def test_a_file_and_its_folder_are_opened_as_what_they_are(tmp_path: Path, name: str, content: Any, kind: str) -> None:
    write_picture(tmp_path / "a.png")
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / name).write_text(text, encoding="utf-8")
    for place in (tmp_path / name, tmp_path):
        found = detect(str(place))
        assert found == Kind(str(place), kind)
        assert found.dataset in OWN
        source = open_source(DataConfig(found.root, found.dataset), "train")
        assert source.read(0).expressions == ("the cup",)


def test_a_folder_of_the_refer_layout_is_named_by_its_root_and_name(tmp_path: Path) -> None:
    write_refer(tmp_path, "shaperef", {"train": 2, "val": 1}, size=64)
    assert detect(str(tmp_path / "shaperef")) == Kind(str(tmp_path), "shaperef")
    with pytest.raises(DataError, match="name one of its data sets: shaperef"):
        detect(str(tmp_path))


def test_saved_rows_hub_ids_and_drawn_scenes_are_told_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}", encoding="utf-8")
    assert detect(str(tmp_path)) == Kind(str(tmp_path), "hf")
    assert detect("anna/cups") == Kind("anna/cups", "hf")
    assert detect("shaperef+") == Kind(None, "shaperef+")


def test_nothing_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        detect(str(tmp_path / "none"))
    with pytest.raises(DataError, match="holds no json, jsonl or XML"):
        detect(str(tmp_path))
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(DataError, match="unpack it"):
        detect(str(tmp_path / "a.zip"))
    (tmp_path / "b.txt").write_text("the cup", encoding="utf-8")
    with pytest.raises(DataError, match=r"b\.txt"):
        detect(str(tmp_path / "b.txt"))
