"""What was found in the forms of other programs: polygons, COCO results, supervision, pandas."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from m3att import Prediction, Predictions
from m3att.data.transforms import Resize
from m3att.errors import ConfigError
from m3att.prediction import COLUMNS, table_row


def predict(expression: str, mask: np.ndarray, score: float = 0.75) -> Prediction:
    height, width = mask.shape
    return Prediction(
        expression, mask, score if mask.any() else 0.0, 0.5, np.zeros((height, width, 3), np.uint8),
        np.zeros((2, 2), np.float32), Resize(height, width, 32, "letterbox"), 16.0, ("frisbee",), 3,
    )  # fmt: skip


@pytest.fixture
def found() -> Predictions:
    """A ring, nothing, and an object of two parts."""
    ring, parts = np.zeros((6, 8), np.bool_), np.zeros((6, 8), np.bool_)
    ring[1:5, 1:6] = True
    ring[2:4, 3] = False
    parts[0, 0] = parts[5, 7] = True
    return Predictions([predict("ring", ring), predict("nothing", np.zeros((6, 8), np.bool_)), predict("parts", parts)])


def test_polygons_have_parts_and_holes(found: Predictions) -> None:
    ring, nothing, parts = (prediction.polygons for prediction in found)
    assert [(len(polygon.outer), len(polygon.holes)) for polygon in ring] == [(4, 1)]
    assert nothing == [] and len(parts) == 2


def test_coco_results_load_in_cocos_own_tools_pixel_for_pixel(found: Predictions, tmp_path: Path) -> None:
    truth = {
        "info": {},
        "images": [{"id": 7, "width": 8, "height": 6}],
        "categories": [{"id": 3, "name": "object"}],
        "annotations": [],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(found.to_coco(7, 3)))
    coco = COCO(str(tmp_path / "truth.json"))
    loaded = coco.loadRes(str(tmp_path / "results.json"))
    entries = loaded.loadAnns(loaded.getAnnIds(imgIds=[7], catIds=[3]))
    assert len(entries) == 3
    for entry, prediction in zip(entries, found, strict=True):
        assert np.array_equal(loaded.annToMask(entry), prediction.mask)
        assert entry["area"] == prediction.area and entry["score"] == prediction.score
        assert list(entry["bbox"]) == coco_mask.toBbox(prediction.rle).tolist()
        assert entry["expression"] == prediction.expression


def test_a_table_has_a_row_an_expression(found: Predictions) -> None:
    pytest.importorskip("pandas")
    table = found.to_pandas()
    assert list(table.columns) == list(COLUMNS) == list(table_row(found[0]))
    assert list(table["expression"]) == ["ring", "nothing", "parts"]
    assert table.loc[0, ["left", "top", "right", "bottom"]].tolist() == [1, 1, 6, 5]
    for row, prediction in zip(table.itertuples(), found, strict=True):
        mask = coco_mask.decode({"size": [row.height, row.width], "counts": row.rle_counts})
        assert np.array_equal(mask, prediction.mask)
        assert (row.unknown_words, row.words_cut, row.area) == (["frisbee"], 3, prediction.area)
    assert list(Predictions().to_pandas().columns) == list(COLUMNS)


def test_detections_hold_what_was_found(found: Predictions) -> None:
    pytest.importorskip("supervision")
    detections = found.to_supervision()
    assert len(detections) == 2
    assert detections.class_id.tolist() == [0, 2]
    assert detections.data["class_name"].tolist() == ["ring", "parts"]
    assert np.array_equal(detections.mask, np.stack([found[0].mask, found[2].mask]))
    assert detections.xyxy.tolist() == [[1, 1, 6, 5], [0, 0, 8, 6]]
    assert detections.confidence.tolist() == [0.75, 0.75]
    assert len(Predictions([found[1]]).to_supervision()) == 0


@pytest.mark.parametrize(("library", "call"), [("pandas", "to_pandas"), ("supervision", "to_supervision")])
def test_a_missing_library_is_one_line(
    found: Predictions, monkeypatch: pytest.MonkeyPatch, library: str, call: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=rf"^{call} needs {library}: pip install 'm3att\[\w+\]'$"):
        getattr(found, call)()
