"""Pre-annotations, read back by the own code of Label Studio's and CVAT's SDKs."""

from __future__ import annotations

import json
import threading
import xml.etree.ElementTree as ElementTree
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from m3att.data.annotation import decode_segmentation
from m3att.data.masks import encode_rle, mask_box
from m3att.data.own.coco import content_of_coco, read_coco
from m3att.data.own.content import mask_in
from m3att.data.own.cvat import coco_of_cvat
from m3att.data.own.label_studio import decode_brush, encode_brush
from m3att.data.own.read import read_jsonl_content
from m3att.data.refer.records import sentence_text
from m3att.jobs.parts import Parts
from m3att.jobs.prelabels import cvat_mask
from m3att.jobs.results import write_results

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9))
CONFIG = """<View><Image name="image" value="$image"/><BrushLabels name="mask" toName="image"><Label value="object"/>
</BrushLabels><TextArea name="expression" toName="image" perRegion="true"/></View>"""

FRAME, SCRAPS, NOTHING = np.zeros((30, 400), np.bool_), np.zeros((30, 400), np.bool_), np.zeros((30, 400), np.bool_)
FRAME[5:25, 20:380] = True
FRAME[10:20, 40:360] = False  # a hole
SCRAPS[0, 0] = SCRAPS[7, 3:9] = SCRAPS[29, 399] = True  # three parts; a line of one pixel's width


def predicted(expression: str, mask: NDArray[np.bool_]) -> dict[str, Any]:
    found = {"score": 0.75, "box": list(mask_box(mask))} if mask.any() else {"score": 0.0, "box": None}
    return {"expression": expression, "segmentation": encode_rle(mask), "area": int(mask.sum()), **found}


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    records = [
        {
            "line": 1, "image": "photos/a b&c.jpg", "height": 30, "width": 400,
            "predictions": [predicted("the <frame> & \x07", FRAME), predicted("nothing", NOTHING)],
        },
        {"line": 2, "error": "not JSON"},
        {"line": 3, "image": "d.jpg", "height": 30, "width": 400, "predictions": [predicted("scraps", SCRAPS)]},
    ]  # fmt: skip
    job = dict.fromkeys(("manifest_sha256", "model_sha256", "threshold", "region", "dtype", "model"), "x")
    parts = Parts(tmp_path, job | {"lines": 3, "lines_a_part": 3})
    with parts.claim(0) as file:
        assert file is not None
        file.write("".join(json.dumps(record) + "\n" for record in records).encode())
    return parts


@settings(deadline=None, max_examples=50)
@given(MASKS)
def test_brush_masks_come_back(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(decode_brush(encode_brush(mask), *mask.shape), mask)


@pytest.mark.parametrize("side", [1, 2, 4, 64, 128, 129, 300])
def test_runs_of_every_length_come_back(side: int) -> None:
    for mask in (np.ones((side, side), np.bool_), np.zeros((side, side), np.bool_)):
        assert np.array_equal(decode_brush(encode_brush(mask), side, side), mask)


@settings(deadline=None, max_examples=10)
@given(MASKS)
def test_brush_masks_are_those_of_label_studios_own_code(mask: NDArray[np.bool_]) -> None:
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    decoded = brush.decode_rle(encode_brush(mask)).reshape(*mask.shape, 4)
    assert np.array_equal(decoded, np.repeat(mask[:, :, None] * np.uint8(255), 4, axis=2))


def test_label_studios_own_code_takes_the_tasks_pixel_for_pixel(parts: Parts) -> None:
    interface_of = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    path, _ = write_results(parts, "label_studio", "/data/local-files/?d=")
    tasks = json.loads(path.read_text(encoding="utf-8"))
    interface = interface_of(CONFIG)
    assert [task["data"]["image"] for task in tasks] == [
        "/data/local-files/?d=photos/a%20b%26c.jpg", "/data/local-files/?d=d.jpg",
    ]  # fmt: skip
    for task, mask, expression in zip(tasks, (FRAME, SCRAPS), ("the <frame> & \x07", "scraps"), strict=True):
        assert interface.validate_task({"data": task["data"]})  # with predictions it raises TypeError (findings/)
        (prediction,) = task["predictions"]
        assert interface.validate_prediction(prediction, return_errors=True) == []
        region, text = prediction["result"]
        assert region["id"] == text["id"] and text["value"]["text"] == [expression]
        size = region["original_height"], region["original_width"]
        decoded = brush.decode_rle(region["value"]["rle"]).reshape(*size, 4)[:, :, 3]
        assert np.array_equal(decoded > 0, mask)


def test_label_studios_client_sends_the_tasks_as_they_are(parts: Parts) -> None:
    client_of = pytest.importorskip("label_studio_sdk").LabelStudio
    tasks = json.loads(write_results(parts, "label_studio")[0].read_text(encoding="utf-8"))
    sent: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent[self.path] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"task_count": 2, "annotation_count": 0, "duration": 0.1}')

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        client = client_of(base_url=f"http://127.0.0.1:{server.server_port}", api_key="a" * 40)
        client.projects.import_tasks(id=1, request=tasks)
    assert sent == {"/api/projects/1/import": tasks}


def test_without_an_address_paths_stay(parts: Parts) -> None:
    path, _ = write_results(parts, "label_studio")
    assert json.loads(path.read_text(encoding="utf-8"))[0]["data"] == {"image": "photos/a b&c.jpg", "line": 1}


def cvat_points(mask: ElementTree.Element) -> list[int]:
    """The points of a shape as CVAT's server makes them from its XML (cvat/apps/dataset_manager/formats/cvat.py)."""
    left, top, width, height = (int(mask.attrib[name]) for name in ("left", "top", "width", "height"))
    return [*map(int, mask.attrib["rle"].split(",")), left, top, left + width - 1, top + height - 1]


def test_cvats_own_code_takes_the_masks_pixel_for_pixel(parts: Parts) -> None:
    masks = pytest.importorskip("cvat_sdk.masks")
    models = pytest.importorskip("cvat_sdk.models")
    path, _ = write_results(parts, "cvat")
    root = ElementTree.parse(path).getroot()
    images = root.findall("image")
    assert [image.attrib["name"] for image in images] == ["photos/a b&c.jpg", "d.jpg"]
    for image, expected, expression in zip(images, (FRAME, SCRAPS), ("the <frame> & ?", "scraps"), strict=True):
        (element,) = image.findall("mask")
        points = cvat_points(element)
        shape = models.LabeledShapeRequest(type="mask", points=list(map(float, points)), frame=0, label_id=1)
        decoded = masks.decode_mask(shape.points, image_width=400, image_height=30)
        assert np.array_equal(decoded, expected)
        assert points == masks.encode_mask(expected)
        assert [(one.attrib["name"], one.text) for one in element] == [("expression", expression)]


def test_our_own_reader_of_cvat_takes_them_too(parts: Parts) -> None:
    path, _ = write_results(parts, "cvat")
    found, faults = coco_of_cvat(path)
    assert faults == {}
    for entry, expected, expression in zip(
        found["annotations"], (FRAME, SCRAPS), ("the <frame> & ?", "scraps"), strict=True
    ):
        assert entry["expressions"] == [expression]
        assert np.array_equal(decode_segmentation(entry["segmentation"], 30, 400), expected)


@pytest.mark.parametrize("kind", ["jsonl", "coco"])
def test_our_own_readers_take_the_results_as_a_data_set(tmp_path: Path, parts: Parts, kind: str) -> None:
    path, _ = write_results(parts, kind)
    content = read_jsonl_content(path) if kind == "jsonl" else content_of_coco(read_coco(path), path)
    masks = {entry["id"]: mask_in(entry) for entry in content.instances["annotations"]}
    texts = [sentence_text(sentence) for ref in content.refs for sentence in ref["sentences"]]
    assert texts == ["the <frame> & \x07", "nothing", "scraps"]
    for ref, expected in zip(content.refs, (FRAME, NOTHING, SCRAPS), strict=True):
        assert np.array_equal(decode_segmentation(masks[ref["ann_id"]], 30, 400), expected)


@settings(deadline=None, max_examples=50)
@given(MASKS.filter(np.any), st.integers(0, 3))
def test_cvats_masks_come_back(mask: NDArray[np.bool_], frame: int) -> None:
    mask = np.pad(mask, frame)
    *lengths, left, top, right, bottom = cvat_points(ElementTree.fromstring(f"<mask {cvat_mask(mask)}/>"))
    assert all(lengths[1:])
    found = np.zeros_like(mask)
    inside = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    found[top : bottom + 1, left : right + 1] = inside.reshape(bottom - top + 1, right - left + 1)
    assert np.array_equal(found, mask)
