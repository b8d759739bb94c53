"""The way from annotation tools to training, on small files of their own formats.

`exports/` holds what the writers of CVAT (COCO 1.0, by its fork of datumaro) and labelme 7.9.1 made of three drawn
pictures, tasks as Label Studio exports them, and a json after Roboflow's public exports.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.app.cli import main
from m3att.config import DataConfig
from m3att.data.open import open_source
from m3att.data.own.convert import convert
from m3att.data.own.expressions import found_expressions, lines_of
from m3att.data.own.label_studio import decode_brush
from m3att.data.own.shapes import ellipse, rectangle
from m3att.data.own.source import CustomSource
from m3att.data.own.tools import content_of_tool
from m3att.errors import ConfigError, DataError

from ...app.conftest import SMALL

EXPORTS = Path(__file__).parent / "exports"

# What is drawn: (photo, expression) -> pixels of its mask.
TRUTH = {
    ("park.jpg", "the red box on the left"): 1200,
    ("park.jpg", "blue frame with a hole"): 1464,
    ("park.jpg", "two small parts"): 200,
    ("sign.png", "the yellow sign"): 1440,
    ("turned.jpg", "the white bar"): 1200,
}
BOXES = {("park.jpg", "a box only"): 150}  # only CVAT's export has an object of a box alone; pixels of the box
UPRIGHT = {"park.jpg": (80, 120), "sign.png": (96, 64), "turned.jpg": (120, 80)}


def photos(folder: Path, prefix: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in UPRIGHT:
        shutil.copyfile(EXPORTS / name, folder / f"{prefix}{name}")


def cvat(root: Path) -> Path:
    photos(root / "images/train")
    (root / "annotations").mkdir()
    shutil.copyfile(EXPORTS / "cvat.json", root / "annotations/instances_train.json")
    return root


def label_studio(root: Path) -> Path:
    photos(root / "images")
    shutil.copyfile(EXPORTS / "label_studio.json", root / "project-1-at-2026.json")
    return root / "project-1-at-2026.json"


def labelme(root: Path) -> Path:
    photos(root)
    for path in (EXPORTS / "labelme").iterdir():
        shutil.copyfile(path, root / path.name)
    return root


def roboflow(root: Path) -> Path:
    for split in ("train", "valid"):
        (root / split).mkdir(parents=True)
        data = json.loads((EXPORTS / f"roboflow_{split}.json").read_text())
        (root / split / "_annotations.coco.json").write_text(json.dumps(data))
        for image in data["images"]:
            shutil.copyfile(EXPORTS / image["extra"]["name"], root / split / image["file_name"])
    return root


def found(source: CustomSource) -> dict[tuple[str, str], int]:
    """Photo, expression and size of the mask of all that can be read; checks that photos are upright."""
    areas: dict[tuple[str, str], int] = {}
    for index in range(len(source)):
        name = re.sub(r"^[0-9a-f]{8}-", "", source.image_path(index).name)
        for group in source.expression_groups(index):
            try:
                sample = source.read(index, group)
            except DataError:
                continue
            assert sample.image_HWC.shape[:2] == UPRIGHT.get(name, sample.image_HWC.shape[:2])
            for text, mask in zip(sample.expressions, sample.mask_index_N, strict=True):
                areas[name, text] = int(sample.masks_MHW[mask].sum())
    return areas


def opened(dataset: str, root: Path, split: str = "train", field: str | None = None) -> Any:
    return open_source(DataConfig(root=str(root), dataset=dataset, expression_field=field), split)


def test_cvat(tmp_path: Path) -> None:
    """Attributes of a label hold the expression; a brush stroke is an object and no crowd."""
    source = opened("coco", cvat(tmp_path))
    assert found(source) == TRUTH | BOXES and source.boxed == 1
    park = next(index for index in range(len(source)) if source.image_path(index).name == "park.jpg")
    assert source.read_largest(park).sum() == 1464


@pytest.mark.parametrize("name", ["caption", "Text", "DESCRIPTION", "referring_expression", "expression"])
def test_cvat_attributes_of_other_names(tmp_path: Path, name: str) -> None:
    root = cvat(tmp_path)
    path = root / "annotations/instances_train.json"
    path.write_text(path.read_text().replace('"expression"', json.dumps(name)))
    assert found(opened("coco", root)) == TRUTH | BOXES


def test_an_attribute_can_be_named(tmp_path: Path) -> None:
    root = cvat(tmp_path)
    path = root / "annotations/instances_train.json"
    path.write_text(path.read_text().replace('"expression"', '"was sagt man"'))
    with pytest.raises(DataError, match=r"they have 'was sagt man': name the right one as --data\.expression_field"):
        opened("coco", root)
    assert found(opened("coco", root, field="was sagt man")) == TRUTH | BOXES
    labels = found(opened("coco", root, field="category"))
    assert labels[("sign.png", "sign")] == 1440 and {text for _, text in labels} == {"box", "sign"}


def test_label_studio(tmp_path: Path) -> None:
    """Outlines in per cent and brush strokes; the text area of a region holds its expressions, its note comes next."""
    path = label_studio(tmp_path)
    for place in (path, tmp_path):
        areas = found(opened("label_studio", place))
        assert areas.pop(("park.jpg", "red thing")) == 1200
        assert areas == {key: area for key, area in TRUTH.items() if key[1] != "two small parts"}
    tasks = json.loads(path.read_text())
    for task in tasks:
        for annotation in task["annotations"]:
            annotation["result"] = [one for one in annotation["result"] if one["type"] != "textarea"]
    path.write_text(json.dumps(tasks))
    assert found(opened("label_studio", path)) == {("park.jpg", "the red box"): 1200}  # its note
    with pytest.raises(DataError, match="no annotation has a text 'expression'"):
        opened("label_studio", path, field="expression")
    assert ("sign.png", "sign") in found(opened("label_studio", path, field="category"))


def test_label_studio_names_of_photos(tmp_path: Path) -> None:
    path = label_studio(tmp_path)
    text = path.read_text()
    for name in ("/data/local-files/?d=x/park.jpg", "s3://bucket/x/park.jpg", "https://host.example/park.jpg?t=1"):
        path.write_text(text.replace("/data/upload/1/1a2b3c4d-park.jpg", name))
        assert ("park.jpg", "blue frame with a hole") in found(opened("label_studio", path))
    shutil.move(tmp_path / "images/park.jpg", tmp_path / "images/1a2b3c4d-park.jpg")
    path.write_text(text)
    assert ("park.jpg", "blue frame with a hole") in found(opened("label_studio", path))


def test_label_studio_tells_what_it_leaves_out(tmp_path: Path) -> None:
    path = label_studio(tmp_path)
    tasks = json.loads(path.read_text())
    regions = tasks[0]["annotations"][0]["result"]
    regions[0]["value"] = {"x": 1, "y": 2, "keypointlabels": ["box"]}
    regions[2]["value"]["rle"] = regions[2]["value"]["rle"][:40]
    tasks[1]["annotations"].append({"was_cancelled": True, "result": []})
    tasks[2]["annotations"] = [{"result": []}, {**tasks[2]["annotations"][0], "ground_truth": True}, {"result": []}]
    tasks.append({"id": 9, "data": {"question": "?"}, "annotations": []})
    path.write_text(json.dumps(tasks))
    source = opened("label_studio", path)
    reasons = [(fault.reason.partition("task ")[2], fault.expressions) for fault in source.faults]
    assert reasons == [
        ("1, region 'aaaaaaaa01': a region of type 'polygonlabels' encloses nothing", 2),
        ("1, region 'aaaaaaaa02': its brush strokes are cut short", 1),
    ]
    notes = [reason.partition("task ")[2] for reason, cost in content_of_tool(path).faults.items() if not cost]
    assert notes == ["3 has 3 annotations; the last, or the one marked as ground truth, is read", "9 names no image"]
    assert set(found(source)) == {("sign.png", "the yellow sign"), ("turned.jpg", "the white bar")}


def test_other_exports_of_label_studio_are_answered(tmp_path: Path) -> None:
    path = label_studio(tmp_path)
    with pytest.raises(DataError, match=r"no COCO json but a file of label_studio: give --data\.dataset label"):
        opened("coco", path)
    path.write_text(json.dumps([{"image": "/data/upload/1/a.jpg", "id": 1, "label": [{"points": [[1, 2]]}]}]))
    with pytest.raises(DataError, match="no tasks of Label Studio; export them as JSON"):
        opened("label_studio", path)


def test_labelme(tmp_path: Path) -> None:
    """The description of a shape is its expression; a group is one object; masks are boxes of their own."""
    areas = found(opened("labelme", labelme(tmp_path)))
    assert areas.pop(("park.jpg", "a box only")) == 150
    assert 40 <= areas.pop(("park.jpg", "the small disc")) <= 60
    assert areas == TRUTH
    assert {text for _, text in found(opened("labelme", tmp_path, field="label"))} >= {"box", "sign"}
    assert found(opened("labelme", tmp_path / "sign.json")) == {("sign.png", "the yellow sign"): 1440}
    with pytest.raises(DataError, match=r"a file of labelme: give --data\.dataset labelme"):
        opened("coco", tmp_path / "sign.json")


def test_labelme_folders_are_splits(tmp_path: Path) -> None:
    labelme(tmp_path)
    for name, split in (("park", "train"), ("sign", "val"), ("turned", "train")):
        (tmp_path / split).mkdir(exist_ok=True)
        for path in tmp_path.glob(f"{name}.*"):
            path.rename(tmp_path / split / path.name)
    assert set(found(opened("labelme", tmp_path, "val"))) == {("sign.png", "the yellow sign")}
    assert {photo for photo, _ in found(opened("labelme", tmp_path))} == {"park.jpg", "turned.jpg"}


def test_labelme_from_another_folder_and_system(tmp_path: Path) -> None:
    root = labelme(tmp_path / "json")
    (tmp_path / "photos").mkdir()
    for name in UPRIGHT:
        (root / name).rename(tmp_path / "photos" / name)
    for path in root.iterdir():
        data = json.loads(path.read_text())
        data["imagePath"] = f"..\\photos\\{data['imagePath']}"
        path.write_text(json.dumps(data))
    assert TRUTH.items() <= found(opened("labelme", root)).items()


def test_labelme_tells_what_it_leaves_out(tmp_path: Path) -> None:
    path = labelme(tmp_path) / "sign.json"
    data = json.loads(path.read_text())
    shape = data["shapes"][0]
    data["shapes"] += [
        {**shape, "shape_type": "point", "points": [[1, 2]]},
        {**shape, "shape_type": "mask", "points": [[1, 2], [3, 4]], "mask": "!"},
        {**shape, "points": "nonsense"},
    ]
    path.write_text(json.dumps(data))
    reasons = [
        (fault.reason.partition("sign.json: ")[2], fault.expressions) for fault in opened("labelme", path).faults
    ]
    assert reasons[0] == ("shape 1: a shape of type 'point' with 1 points encloses nothing", 1)
    assert reasons[1][1] == 1 and reasons[1][0].startswith("shape 2")
    assert reasons[2] == ("shape 3 is not what labelme writes", 1)


@pytest.mark.parametrize(
    ("corners", "pixels"),
    [
        ([[2, 3], [6, 6]], "2 3 6 6"),  # inside
        ([[-2, 3], [2, 6]], "0 3 2 6"),
        ([[2.6, -1.4], [6.6, 1.6]], "3 0 7 2"),
        ([[17, 18], [21, 21]], "17 18 19 19"),
        ([[20, 3], [24, 6]], None),  # outside
        ([[2, -4], [6, -1]], None),
    ],
)
def test_labelme_cuts_a_mask_at_the_edge(tmp_path: Path, corners: list[list[float]], pixels: str | None) -> None:
    """As labelme 7.9.1 does with a mask that was moved over the edge (shapes_to_label in labelme/_utils/_mask.py)."""
    stored = io.BytesIO()
    Image.fromarray(np.ones((4, 5), np.uint8)).save(stored, "PNG")
    shape = {"label": "cup", "description": "a cup", "shape_type": "mask", "points": corners}
    shape["mask"] = base64.b64encode(stored.getvalue()).decode()
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    other = {"label": "box", "description": "a box", "shape_type": "rectangle", "points": [[9, 9], [12, 12]]}
    file = {"shapes": [shape, other], "imagePath": "a.png", "imageHeight": 20, "imageWidth": 20}
    (tmp_path / "a.json").write_text(json.dumps(file))
    source = opened("labelme", tmp_path)
    if pixels is None:
        alone = tmp_path / "alone.json"
        alone.write_text(json.dumps({**file, "shapes": [shape]}))
        with pytest.raises(DataError, match=r"no object that has an expression can be read: .*inside the image"):
            opened("labelme", alone)
        assert "its mask does not lie inside the image" in source.faults[0].reason
    else:
        left, top, right, bottom = (int(edge) for edge in pixels.split())
        truth = np.zeros((20, 20), bool)
        truth[top : bottom + 1, left : right + 1] = True
        assert np.array_equal(source.read(0, source.expression_groups(0)[0]).masks_MHW[0], truth)


def test_roboflow(tmp_path: Path) -> None:
    """Its COCO json has no place for text: the labels are taken only when that is asked for."""
    root = roboflow(tmp_path)
    with pytest.raises(DataError, match=r"no annotation has expressions .* or category for the labels"):
        opened("coco", root)
    source = opened("coco", root, field="category")
    areas = [
        sample.masks_MHW[at].sum() for sample in map(source.read, range(len(source))) for at in sample.mask_index_N
    ]
    assert sorted(areas) == [150, 1200, 1600] and source.boxed == 1  # one has no outline
    assert list(found(opened("coco", root, "val", "category")).values()) == [1440]


@pytest.mark.parametrize("tool", [cvat, label_studio, labelme])
def test_conversion(tmp_path: Path, tool: Any) -> None:
    place = tool(tmp_path / "export") if tool is not labelme else labelme(tmp_path / "export")
    written = convert(place, "jsonl", tmp_path / "lines", copy_images=True)
    areas = found(opened("jsonl", written.path))
    names = {"park.jpg", "sign.png", "turned.jpg"}
    assert {path.name for path in (tmp_path / "lines/images").rglob("*.*")} == names
    assert areas.items() >= {key: area for key, area in TRUTH.items() if key[1] != "two small parts"}.items()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "export").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("dataset", "tool", "more"),
    [
        ("coco", cvat, []),
        ("label_studio", label_studio, []),
        ("labelme", labelme, []),
        ("coco", roboflow, ["--data.expression_field", "category"]),
    ],
)
def test_training(tmp_path: Path, dataset: str, tool: Any, more: list[str]) -> None:
    place = tool(tmp_path / "export")
    (tmp_path / "small.yaml").write_text(SMALL.replace("steps: 4", "steps: 1"), encoding="utf-8")
    split = [] if tool in (label_studio, labelme, roboflow) else ["--data.split", "train"]
    words = ["--data.root", str(place), "--data.dataset", dataset, *split, *more]
    assert main(["train", "--config", "small.yaml", "--out", "run", *words]) == 0
    assert main(["evaluate", "--model", "run/last", *words]) in (0, 1)


def test_a_field_is_refused_where_it_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is for coco, cvat, datumaro, label_studio, labelme, not for jsonl"):
        opened("jsonl", tmp_path, field="text")


def test_texts() -> None:
    assert lines_of(" the cup\n\n the mug ") == ["the cup", "the mug"]
    assert lines_of(["a", "b\nc", 3, ""]) == ["a", "b", "c"]
    assert lines_of(None) == lines_of(7) == []
    assert found_expressions({"Caption": "x", "text": "y"}) == ["x"]
    assert found_expressions({"expression": "", "text": "y"}) == ["y"]


def test_shapes() -> None:
    assert rectangle(1, 2, 10, 4) == [1, 2, 11, 2, 11, 6, 1, 6]
    assert np.allclose(rectangle(1, 2, 10, 4, 90), [1, 2, 1, 12, -3, 12, -3, 2])
    points = np.array(ellipse(5, 6, 3, 2, 90)).reshape(-1, 2)
    assert np.allclose(np.ptp(points, axis=0), (4, 6), atol=0.02)
    assert np.allclose(points.mean(axis=0), (5, 6))


def test_brush_strokes() -> None:
    """One block of two single words and one repeated word, as a bit stream written by hand."""
    sizes = [3, 5, 8, 16]
    numbers = [0, 0, 0, 9, 0, 0, 0, 0]  # RGBA of two pixels, the first one seen
    bits = f"{len(numbers):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    bits += f"0{0:02b}{3:03b}" + "".join(f"{number:08b}" for number in numbers[:4])
    bits += f"1{1:02b}{3:05b}{0:08b}"
    packed = [int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8)]
    assert decode_brush(packed, 1, 2).tolist() == [[True, False]]
    with pytest.raises(DataError, match="brush strokes are of 8 numbers, not of an image of 3 x 1"):
        decode_brush(packed, 1, 3)
    with pytest.raises(DataError, match="cut short"):
        decode_brush(packed[:-3], 1, 2)
