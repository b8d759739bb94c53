"""Label Studio's JSON export: kinds of regions, labels, and tasks of several images."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.data.own.label_studio import coco_of_label_studio
from m3att.errors import DataError

from ..own_files import HEIGHT, WIDTH, write_picture
from .test_tools import found, opened

POINTS = {"points": [[25, 25], [75, 25], [75, 75], [25, 75]], "closed": True}  # 16 x 12 pixels


def region(kind: str, value: dict[str, Any], id_: str = "r1", **more: Any) -> dict[str, Any]:
    """An entry of a result, as the editor of Label Studio writes it."""
    start = {"id": id_, "from_name": kind, "to_name": "image", "type": kind, "origin": "manual", "image_rotation": 0}
    return {**start, "original_width": WIDTH, "original_height": HEIGHT, "value": value, **more}


def export(root: Path, *results: dict[str, Any], data: dict[str, Any] | None = None) -> Path:
    """An export of one task; returns its path."""
    write_picture(root / "images/1.png", 10)
    write_picture(root / "images/2.png", 200)
    task = {"id": 1, "data": data or {"image": "/data/upload/1/0a1b2c3d-1.png"}, "annotations": [{"result": results}]}
    path = root / "project.json"
    path.write_text(json.dumps([task]), encoding="utf-8")
    return path


def text(value: dict[str, Any], words: str, id_: str = "r1", **more: Any) -> dict[str, Any]:
    """The entry of a text area of a region, which repeats the region's outline."""
    return {**region("textarea", {**value, "text": [words]}, id_, **more), "from_name": "expression"}


def bitmap(alpha_HW: np.ndarray, mode: str = "RGBA") -> str:
    """What a canvas gives: black where it was drawn, transparent elsewhere."""
    pixels = np.zeros((*alpha_HW.shape, 4), np.uint8)
    pixels[:, :, 3] = alpha_HW
    stored = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stored, "PNG")
    return "data:image/png;base64," + base64.b64encode(stored.getvalue()).decode()


def drawn() -> np.ndarray:
    alpha_HW = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha_HW[2:8, 3:13] = 255
    alpha_HW[4:6, 5:9] = 0  # a hole
    return alpha_HW


def test_bitmask(tmp_path: Path) -> None:
    """Every pixel of a bitmask is black; the transparent ones are outside."""
    value = {"imageDataURL": bitmap(drawn())}
    path = export(tmp_path, region("bitmasklabels", {**value, "bitmasklabels": ["cup"]}), text(value, "a cup"))
    source = opened("label_studio", path)
    assert np.array_equal(source.read(0).masks_MHW[0], drawn() > 0)
    assert source.category_names == ("cup",) and not source.faults


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (bitmap(drawn(), "RGB"), "its bitmask: it has no transparency, which is what tells the mask"),
        (bitmap(drawn()[:-1]), f"its bitmask is {WIDTH} x {HEIGHT - 1}, but the image {WIDTH} x {HEIGHT}"),
        ("data:image/png;base64,!", "its bitmask is no base64 of a picture"),
        ("data:image/png;base64,AAAA", "its bitmask: not an image that can be read"),
    ],
)
def test_broken_bitmasks_are_named(tmp_path: Path, address: str, why: str) -> None:
    value = {"imageDataURL": address}
    path = export(tmp_path, region("bitmasklabels", value), text(value, "a cup"))
    _, faults = coco_of_label_studio(path)
    assert faults == {f"{path}: task 1, region 'r1': {why}": 1}


def vector(*points: tuple[float, float], **more: Any) -> dict[str, Any]:
    vertices = [
        {"id": str(at), "prevPointId": str(at - 1) if at else None, "x": x, "y": y, "isBezier": False}
        for at, (x, y) in enumerate(points)
    ]
    return {"vertices": vertices, "closed": True, **more}


def test_vector(tmp_path: Path) -> None:
    value = vector((25, 25), (75, 25), (75, 75), (25, 75))
    path = export(tmp_path, region("vectorlabels", {**value, "vectorlabels": ["cup"]}), text(value, "a cup"))
    source = opened("label_studio", path)
    assert source.read(0).masks_MHW.sum() == 16 * 12 and source.category_names == ("cup",)
    value = vector((25, 25), (75, 25), (75, 75))
    curved = {**value, "vertices": [{**point, "isBezier": True} for point in value["vertices"]]}
    branched = {**value, "vertices": [{**point, "prevPointId": "0"} for point in value["vertices"]]}
    for broken, why in (
        ({**value, "closed": False}, "a vector that is not closed encloses nothing"),
        (curved, "a vector with curves is not read; draw it with straight lines, or as a polygon"),
        (branched, "a vector with branches encloses no single area"),
    ):
        path = export(tmp_path, region("vectorlabels", broken), text(broken, "a cup"))
        assert list(coco_of_label_studio(path)[1]) == [f"{path}: task 1, region 'r1': {why}"]


def test_the_label_may_stand_in_an_entry_of_its_own(tmp_path: Path) -> None:
    """Where the configuration has Polygon and Labels, and not PolygonLabels."""
    results = [
        region("polygon", POINTS),
        region("labels", {**POINTS, "labels": ["red cup"]}),
        text(POINTS, "a cup"),
        region("rating", {**POINTS, "rating": 4}),
    ]
    path = export(tmp_path, *results)
    source = opened("label_studio", path)
    assert source.category_names == ("red cup",) and found(source) == {("1.png", "a cup"): 16 * 12}
    assert list(found(opened("label_studio", path, field="category"))) == [("1.png", "red cup")]


def test_a_task_of_several_images(tmp_path: Path) -> None:
    """Each region says by `item_index` which of the images it is of."""
    corner = {"points": [[0, 0], [50, 0], [50, 50], [0, 50]]}
    results = [
        region("polygonlabels", {**POINTS, "polygonlabels": ["cup"]}, "r1", item_index=1),
        text(POINTS, "the second cup", "r1", item_index=1),
        region("polygonlabels", {**corner, "polygonlabels": ["cup"]}, "r2", item_index=0),
        text(corner, "the first cup", "r2", item_index=0),
    ]
    data = {"pages": ["/data/upload/1/0a1b2c3d-1.png", "/data/upload/1/1a1b2c3d-2.png"]}
    source = opened("label_studio", export(tmp_path, *results, data=data))
    samples = [source.read(index) for index in range(len(source))]
    seen = {one.expressions: (int(one.image_HWC.max()), int(one.masks_MHW.sum())) for one in samples}
    assert seen == {("the first cup",): (10, 16 * 12), ("the second cup",): (200, 16 * 12)}
    lost = [{**one, "item_index": 2} for one in results[:2]]
    path = export(tmp_path, *lost, *results[2:], data=data)
    assert [(reason.rpartition(": ")[0], cost) for reason, cost in coco_of_label_studio(path)[1].items()] == [
        (f"{path}: task 1, region 'r1'", 1)
    ]


def test_regions_of_several_image_tags_are_not_read(tmp_path: Path) -> None:
    """The export does not say which image a tag shows."""
    results = [
        region("polygonlabels", POINTS, "r1", to_name="before"),
        text(POINTS, "the cup before", "r1", to_name="before"),
        region("polygonlabels", POINTS, "r2", to_name="after"),
        text(POINTS, "the cup after", "r2", to_name="after"),
    ]
    path = export(tmp_path, *results, data={"one": "1.png", "two": "2.png"})
    why = "task 1 has regions of 2 images, 'before', 'after'; give each image a task"
    assert coco_of_label_studio(path)[1] == {f"{path}: {why}": 2}
    with pytest.raises(DataError, match=r"no object that has an expression can be read: .*give each image a task"):
        opened("label_studio", path)


@pytest.mark.parametrize("turn", [0, 90])
def test_a_rectangle_is_a_box(tmp_path: Path, turn: int) -> None:
    """As in CVAT; a turned one is the upright box around it."""
    value = {"x": 50, "y": 25, "width": 25, "height": 25, "rotation": turn}
    path = export(tmp_path, region("rectanglelabels", {**value, "rectanglelabels": ["cup"]}), text(value, "a cup"))
    (found_one,) = coco_of_label_studio(path)[0]["annotations"]
    wide, high = WIDTH / 4, HEIGHT / 4
    left, top = WIDTH / 2, HEIGHT / 4
    expected = [left, top, wide, high] if turn == 0 else [left - high, top, high, wide]
    assert found_one["bbox"] == pytest.approx(expected) and "segmentation" not in found_one
    assert opened("label_studio", path).boxed == 1
