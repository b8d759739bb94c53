#!/bin/sh
# Expected: a result with a mask (segm) keeps the area of its mask in loadRes, whatever else stands in it.
# Seen (pycocotools 2.0.11): if the first result also has a `bbox`, loadRes takes the area from the box. COCOeval sorts
# unmatched results into small, medium and large by this area, so AP by size changes with a field that segm needs not.
# Where: pycocotools/coco.py, loadRes: `elif 'bbox' in anns[0]` comes before `elif 'segmentation' in anns[0]`.
# For masks: a thin diagonal object has a small mask and a large box. Write results of masks without `bbox`.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import contextlib
import io
import sys
from importlib.metadata import version

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

print("pycocotools", version("pycocotools"))
thin, square = np.eye(100, dtype=np.uint8, order="F"), np.zeros((100, 100), np.uint8, order="F")
square[:20, 80:] = 1  # the object that is there, 400 pixels, small


def code(mask):
    rle = coco_mask.encode(mask)
    return {"size": rle["size"], "counts": rle["counts"].decode()}


truth = COCO()
with contextlib.redirect_stdout(io.StringIO()):
    truth.dataset = {
        "info": {},
        "images": [{"id": 1, "height": 100, "width": 100}],
        "categories": [{"id": 1, "name": "object"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": code(square),
                         "area": 400, "bbox": [80, 0, 20, 20]}],
    }
    truth.createIndex()
found = {}
for name in ("without bbox", "with bbox"):
    results = [{"image_id": 1, "category_id": 1, "score": score, "segmentation": code(mask)}
               for mask, score in ((thin, 0.9), (square, 0.8))]
    if name == "with bbox":
        results[0]["bbox"], results[1]["bbox"] = [0, 0, 100, 100], [80, 0, 20, 20]
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = truth.loadRes(results)
        scorer = COCOeval(truth, loaded, "segm")
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    area = loaded.anns[1]["area"]
    found[name] = (int(area), round(float(scorer.stats[3]), 3))
    print(f"{name}: area of a diagonal line of {int(thin.sum())} pixels = {area:.0f}, AP of small objects = {found[name][1]}")
if found["without bbox"][0] != 100 or found["with bbox"][0] != 10000 or found["without bbox"] == found["with bbox"]:
    sys.exit("the behaviour has changed")
PYTHON
