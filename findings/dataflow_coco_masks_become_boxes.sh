#!/bin/sh
# Expected: a COCO file that is converted to labelme or to YOLO's text keeps its outlines, since all three formats have them.
# Seen (dataflow-cv 3.0.0): an object that has a box too, as every object of COCO does, becomes a rectangle. The tool reports
# success and counts the objects, and no line says that the outlines are gone. Without the boxes the outlines are kept, but
# the parts of an object are chained into one polygon, which joins them across the gap, and holes are filled.
# Where: dataflow/label/labelme_handler.py and yolo_handler.py (the box is written where there is one), and
# dataflow/label/coco_handler.py, _parse_polygon_segmentation (the corners of all parts go into one list).
# For masks: whoever takes a referring data set to labelme to mend a few outlines gets boxes back. Drop `bbox` from the COCO
# json before the conversion, and convert objects of several parts and with holes by hand.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.4.6 opencv-python-headless==5.0.0.93 pycocotools==2.0.11 click==8.4.2 >"$work/pip.log" 2>&1 &&
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps dataflow-cv==3.0.0 >>"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - 2>"$work/messages" <<'PYTHON' || { tail -5 "$work/messages"; exit 1; }
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

HEIGHT, WIDTH = 80, 120
parts = [[10, 10, 40, 10, 40, 60, 10, 60], [70, 10, 110, 10, 110, 60, 70, 60]]
frame = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
frame[5:75, 5:115] = 1
frame[20:60, 30:90] = 0
runs = coco_mask.encode(np.asfortranarray(frame))
both = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(parts, HEIGHT, WIDTH)))
true = {"horse": both, "frame": frame}
objects = [
    {"id": 1, "category_id": 1, "segmentation": parts, "bbox": [10, 10, 100, 50], "area": 3500},
    {"id": 2, "category_id": 2, "bbox": [5, 5, 110, 70], "area": int(frame.sum())},
]
objects[1]["segmentation"] = {"size": runs["size"], "counts": runs["counts"].decode()}
Path("images").mkdir()
cv2.imwrite("images/a.png", np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))


def converted(name, kept):
    """Kind of each shape in labelme's file, IoU of its mask with the true one, and the numbers of each line for YOLO."""
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "horse"}, {"id": 2, "name": "frame"}],
        "annotations": [{"image_id": 1, "iscrowd": 0, **{key: one[key] for key in kept}} for one in objects],
    }
    Path(f"{name}.json").write_text(json.dumps(coco))
    for way in ("labelme", "yolo"):
        words = ["venv/bin/dataflow-cv", "convert", f"coco2{way}", f"{name}.json", f"{name}-{way}"]
        told = subprocess.run(words, capture_output=True, text=True, check=True)
        assert "Success" in told.stdout + told.stderr
    found = {}
    for shape in json.loads(next(Path(f"{name}-labelme").glob("*.json")).read_text())["shapes"]:
        corners = np.array(shape["points"], dtype=float)
        if shape["shape_type"] == "rectangle":
            (left, top), (right, bottom) = corners
            corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        mask = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([corners.ravel().tolist()], HEIGHT, WIDTH)))
        wanted = true[shape["label"]]
        found[shape["label"]] = shape["shape_type"], round(float((mask & wanted).sum() / (mask | wanted).sum()), 2)
    lines = next(Path(f"{name}-yolo/labels").glob("*.txt")).read_text().splitlines()
    return found, [len(line.split()) - 1 for line in lines]


print(*(f"{name} {version(name)}" for name in ("dataflow-cv", "pycocotools")))
everything = ["id", "category_id", "segmentation", "bbox", "area"]
whole = converted("whole", everything)
outlines = converted("outlines", [key for key in everything if key != "bbox"])
print("with boxes, as COCO has them: labelme", whole[0], "numbers in YOLO's lines", whole[1])
print("without boxes:                labelme", outlines[0], "numbers in YOLO's lines", outlines[1])
as_seen = whole == ({"horse": ("rectangle", 0.7), "frame": ("rectangle", 0.69)}, [4, 4])
as_seen = as_seen and outlines[0] == {"horse": ("polygon", 0.65), "frame": ("polygon", 0.67)} and outlines[1] == [16, 8]
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
