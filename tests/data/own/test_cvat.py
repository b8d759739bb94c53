"""CVAT's own XML: what is read of it, what is left out, and how other files are answered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pytest

from m3att.data.own.convert import convert
from m3att.data.own.cvat import coco_of_cvat
from m3att.data.own.tools import content_of_tool
from m3att.errors import DataError

from ..own_files import write_picture
from .test_tools import BOXES, EXPORTS, TRUTH, found, opened, photos


def runs_of(counts: list[int], height: int, width: int) -> str:
    """COCO's runs down the columns of an image as CVAT's along the rows of the box around the mask."""
    pixels = [at % 2 for at, count in enumerate(counts) for _ in range(count)]
    covered = {(at % height, at // height) for at, pixel in enumerate(pixels) if pixel}
    rows, columns = [row for row, _ in covered], [column for _, column in covered]
    top, left = min(rows), min(columns)
    down, across = max(rows) - top + 1, max(columns) - left + 1
    runs, last = [0], 0
    for row in range(top, top + down):
        for column in range(left, left + across):
            now = int((row, column) in covered)
            if now != last:
                runs.append(0)
            runs[-1] += 1
            last = now
    return f'rle="{", ".join(map(str, runs))}" left="{left}" top="{top}" width="{across}" height="{down}"'


def shapes_of(entry: dict[str, Any], height: int, width: int, label: str) -> list[str]:
    mask, start = entry["segmentation"], f'label={quoteattr(label)} source="manual" occluded="0"'
    if isinstance(mask, dict):
        shapes = [("mask", runs_of(mask["counts"], height, width))]
    elif mask:
        pairs = [zip(part[::2], part[1::2], strict=True) for part in mask]
        group = f' group_id="{entry["id"]}"' if len(mask) > 1 else ""
        shapes = [("polygon", f'points="{";".join(f"{x:.2f},{y:.2f}" for x, y in one)}"{group}') for one in pairs]
    else:
        x, y, across, down = entry["bbox"]
        shapes = [("box", f'xtl="{x:.2f}" ytl="{y:.2f}" xbr="{x + across:.2f}" ybr="{y + down:.2f}"')]
    text = f'<attribute name="expression">{escape(entry["attributes"]["expression"])}</attribute>'
    return [f'<{kind} {start} {rest} z_order="0">{text}</{kind}>' for kind, rest in shapes]


def xml_of(data: dict[str, Any], subset: str = "") -> str:
    """What CVAT writes of the same task, after its description of the format and its public exports."""
    names = {one["id"]: one["name"] for one in data["categories"]}
    images = []
    for number, image in enumerate(data["images"]):
        height, width = image["height"], image["width"]
        shapes = [
            shape
            for entry in data["annotations"]
            if entry["image_id"] == image["id"]
            for shape in shapes_of(entry, height, width, names[entry["category_id"]])
        ]
        start = f'<image id="{number}" name="{image["file_name"]}" width="{width}" height="{height}"{subset}>'
        images.append("\n".join([start, *shapes, "</image>"]))
    meta = "<version>1.1</version><meta><task><name>park</name></task></meta>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>{meta}{"".join(images)}</annotations>\n'


@pytest.fixture
def export(tmp_path: Path) -> Path:
    photos(tmp_path / "images")
    data = json.loads((EXPORTS / "cvat.json").read_text())
    (tmp_path / "annotations.xml").write_text(xml_of(data), encoding="utf-8")
    return tmp_path


def test_both_exports_of_a_task_say_the_same(export: Path) -> None:
    for place in (export, export / "annotations.xml"):
        source = opened("cvat", place)
        assert found(source) == TRUTH | BOXES
        assert source.boxed == 1 and not source.faults and not source.stated_split


def test_subsets_are_splits(export: Path) -> None:
    path = export / "annotations.xml"
    data = json.loads((EXPORTS / "cvat.json").read_text())
    path.write_text(xml_of(data, ' subset="Validation"').replace("Validation", "Train", 1), encoding="utf-8")
    assert {photo for photo, _ in found(opened("cvat", export))} == {"park.jpg"}
    assert {photo for photo, _ in found(opened("cvat", export, "val"))} == {"sign.png", "turned.jpg"}
    path.write_text(xml_of(data, ' subset="default"'), encoding="utf-8")
    assert not opened("cvat", export).stated_split


@pytest.mark.parametrize("name", ["sign.png", "park.jpg"])
def test_photos_of_a_project_lie_in_folders_of_its_subsets(export: Path, name: str) -> None:
    """CVAT writes the photos of a project to images/SUBSET; two subsets may each have a photo of one name."""
    size = 'width="120" height="80"'
    shape = '<polygon label="box" points="2,2;9,2;9,9;2,9"><attribute name="expression">{}</attribute></polygon>'
    start = '<annotations><image id="0" name="park.jpg" subset="Train" task_id="1" ' + size + ">" + shape.format("a")
    more = f'</image><image id="1" name="{name}" subset="Validation" task_id="2" ' + size + ">" + shape.format("b")
    (export / "annotations.xml").write_text(start + more + "</image></annotations>", encoding="utf-8")
    for place, colour in (("Train/park.jpg", 10), (f"Validation/{name}", 200)):
        write_picture(export / "images" / place, colour, (80, 120))
    (export / "images/park.jpg").unlink()
    (export / "images/sign.png").unlink()
    (train,), (val,) = (
        list(map(source.read, range(len(source)))) for source in (opened("cvat", export), opened("cvat", export, "val"))
    )
    assert train.expressions == ("a",) and abs(int(train.image_HWC.max()) - 10) < 3
    assert val.expressions == ("b",) and abs(int(val.image_HWC.max()) - 200) < 3
    written = convert(export, "jsonl", export / "lines", copy_images=True)
    assert not written.faults and (export / "lines/images/Validation" / name).is_file()


def test_the_attribute_can_be_named(export: Path) -> None:
    path = export / "annotations.xml"
    path.write_text(path.read_text().replace('"expression"', '"was sagt man"'), encoding="utf-8")
    with pytest.raises(DataError, match=r"they have 'was sagt man': name the right one as --data\.expression_field"):
        opened("cvat", export)
    assert found(opened("cvat", export, field="was sagt man")) == TRUTH | BOXES
    assert ("sign.png", "sign") in found(opened("cvat", export, field="category"))


def test_it_is_converted(export: Path) -> None:
    for place, name in ((export, "folder"), (export / "annotations.xml", "file")):
        written = convert(place, "jsonl", export / name, copy_images=True)
        assert found(opened("jsonl", written.path)) == TRUTH | BOXES


def drawn(path: Path, shapes: str) -> tuple[dict[str, Any], dict[str, int]]:
    """What is read of an image of 40 x 30 with these shapes, where X stands for an expression."""
    shapes = shapes.replace("X", '<attribute name="expression">it\n it too </attribute>')
    path.write_text(f'<annotations><image id="0" name="a.jpg" width="40" height="30">{shapes}</image></annotations>')
    return coco_of_cvat(path)


def test_shapes(tmp_path: Path) -> None:
    data, faults = drawn(
        tmp_path / "a.xml",
        '<ellipse label="a" cx="20" cy="15" rx="10" ry="4" rotation="90.00">X</ellipse>'
        '<box label="a" xtl="10" ytl="10" xbr="20" ybr="14" rotation="90.00">X</box>'
        '<box label="a" xtl="1" ytl="2" xbr="5" ybr="6" group_id="7">X</box>'
        '<box label="a" xtl="8" ytl="4" xbr="9" ybr="9" group_id="7"/>'
        '<box label="b" xtl="1" ytl="2" xbr="5" ybr="6" group_id="7"/>',
    )
    turned, box, boxes, other = data["annotations"]
    assert faults == {}
    points = np.array(turned["segmentation"][0]).reshape(-1, 2)
    assert np.allclose(np.ptp(points, axis=0), (8, 20), atol=0.02) and np.allclose(points.mean(axis=0), (20, 15))
    assert np.allclose(box["bbox"], [13, 7, 4, 10])  # of 10 x 4 around (15, 12)
    assert boxes["bbox"] == [1, 2, 8, 7] and boxes["expressions"] == ["it", "it too"]
    assert "expressions" not in other and other["category_id"] != boxes["category_id"]


@pytest.mark.parametrize(
    ("shape", "fault"),
    [
        ('<polyline label="a" points="1,2;3,4">X</polyline>', "polyline 1: a polyline encloses nothing"),
        ('<tag label="a">X</tag>', "tag 1: a tag encloses nothing"),
        ('<polygon label="a" points="1,2;x,4;5,6">X</polygon>', "polygon 1: it is not what CVAT writes"),
        ('<box label="a" xtl="1">X</box>', "box 1: it is not what CVAT writes"),
        ('<mask label="a" rle="1, 2" left="1" top="1" width="2" height="2">X</mask>', "do not fill their box of 2 x 2"),
        ('<mask label="a" rle="0, 4" left="39" top="1" width="2" height="2">X</mask>', "does not lie inside the image"),
        ('<mask label="a" rle="0, 4" left="1" top="1" width="2" height="99999999">X</mask>', "do not fill their box"),
    ],
)
def test_what_is_left_out_is_named_and_counted(tmp_path: Path, shape: str, fault: str) -> None:
    good = '<polygon label="a" points="1,1;9,1;9,9">X</polygon>'
    data, faults = drawn(tmp_path / "a.xml", good + shape)
    assert len(data["annotations"]) == 1
    ((reason, cost),) = faults.items()
    assert fault in reason and reason.startswith(f"{tmp_path / 'a.xml'}: image 'a.jpg', ") and cost == 2


def test_lines_without_a_text_are_no_fault(tmp_path: Path) -> None:
    _, faults = drawn(tmp_path / "a.xml", '<box label="a" xtl="1" ytl="1" xbr="3" ybr="3">X</box><tag label="b"/>')
    assert faults == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "it declares a document type"),
        ("<annotations><track/></annotations>", "holds tracks of a video; export it from CVAT as CVAT for images 1.1"),
        ("<annotations/>", "holds no image; export it"),
        ("<html/>", "not XML of CVAT (it holds 'html')"),
        ("{}", "not XML of CVAT (not well-formed"),
        ('<annotations><image name="a.jpg"/></annotations>', "no annotation has expressions"),
        ("<annotations><image/></annotations>", "no annotation has expressions"),
    ],
)
def test_other_files_are_answered_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(content)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        content_of_tool(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        content_of_tool(tmp_path / "nowhere.xml")


def test_who_asks_for_a_coco_json_is_told_the_name(export: Path) -> None:
    for place in (export, export / "annotations.xml"):
        with pytest.raises(DataError, match=r"holds XML and no COCO json; if CVAT wrote it, give --data\.dataset cvat"):
            opened("coco", place)
