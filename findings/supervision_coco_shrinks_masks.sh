#!/bin/sh
# Expected: a mask written by supervision as COCO polygons and read by pycocotools is the same mask.
# Seen (supervision 0.31.2): the outline runs through the centres of the border pixels. supervision fills outlines with
# their border, so its own round trip is exact; pycocotools fills from edge to edge and loses a row and a column.
# A square of 5 pixels keeps an IoU of 0.64. A line of one pixel's width is lost, bbox has a height of 0, area still says 40.
# Where: supervision/dataset/formats/coco.py, detections_to_coco_annotations, and detection/utils/converters.py.
# For masks: ground truth exported this way caps the score of small objects. The other way round, polygons of real COCO
# files become a row and a column fatter in supervision. Exchange run lengths instead of polygons.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    supervision==0.31.2 opencv-python-headless==5.0.0.93 pycocotools==2.0.11 pillow==13.0.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import supervision as sv
from PIL import Image
from pycocotools import mask as coco_mask

warnings.simplefilter("ignore")
Path("photos").mkdir()
photo = str(Path("photos/a.png").resolve())
Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(photo)


def trip(rows, columns):
    """Write a filled rectangle; return what was stored and the IoU that pycocotools and supervision read back."""
    mask = np.zeros((60, 80), bool)
    mask[10 : 10 + rows, 10 : 10 + columns] = True
    detections = sv.Detections(xyxy=sv.mask_to_xyxy(mask[None]).astype(float), mask=mask[None], class_id=np.array([0]))
    sv.DetectionDataset(classes=["thing"], images=[photo], annotations={photo: detections}).as_coco(
        images_directory_path="out", annotations_path="out.json"
    )
    annotation = json.loads(Path("out.json").read_text())["annotations"][0]
    outlines = annotation["segmentation"]
    theirs = (
        coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outlines, 60, 80))).astype(bool)
        if outlines
        else np.zeros_like(mask)
    )
    own = sv.DetectionDataset.from_coco("out", "out.json")[0][2].mask if outlines else None
    iou = lambda other: round(float((mask & other).sum() / (mask | other).sum()), 3)
    return annotation["bbox"], annotation["area"], outlines, iou(theirs), None if own is None else iou(own[0])


print("supervision", version("supervision"), "pycocotools", version("pycocotools"))
seen = {}
for rows, columns in ((30, 40), (5, 5), (2, 40), (1, 40)):
    bbox, area, outlines, theirs, own = trip(rows, columns)
    seen[rows, columns] = (theirs, own)
    print(
        f"{columns} x {rows}: bbox {bbox}, area {area}, polygons {outlines}, IoU read by pycocotools {theirs}, by supervision {own}"
    )
as_seen = seen == {(30, 40): (0.943, 1.0), (5, 5): (0.64, 1.0), (2, 40): (0.487, 1.0), (1, 40): (0.0, None)}
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
