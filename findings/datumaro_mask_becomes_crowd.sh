#!/bin/sh
# Expected: an object stored as a mask is scored like an object stored as a polygon.
# Seen (datumaro 1.13.12, pycocotools 2.0.11): Datumaro's COCO writer (CVAT uses a fork of it) marks every mask "iscrowd": 1.
# COCOeval leaves crowd regions out: finding the object earns nothing, missing it costs nothing, and AP is 1 either way.
# Where: datumaro/plugins/data_formats/coco/exporter.py (`is_crowd = mask is not None`), pycocotools/cocoeval.py
# (`gt['ignore'] = 'iscrowd' in gt and gt['iscrowd']`). Training code that skips crowds drops the same objects.
# For masks: objects painted with a brush are left out of training and of the score, the drawn ones are not. Give the mask
# the attribute is_crowd = false (its holes are then filled), or set iscrowd to 0 in the file and keep the run lengths.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    datumaro==1.13.12 pycocotools==2.0.11 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import contextlib
import io
import json
import logging
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from datumaro.components.annotation import AnnotationType, LabelCategories, Mask, Polygon
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

logging.disable(logging.WARNING)
painted = np.zeros((100, 100), np.uint8)
painted[50:90, 50:90] = 1
outline = [10, 10, 40, 10, 40, 40, 10, 40]


def write(folder, second):
    """Write one picture with a drawn object and the object `second`; return the COCO file's path."""
    item = DatasetItem(
        id="a",
        subset="train",
        media=Image.from_numpy(np.zeros((100, 100, 3), np.uint8)),
        annotations=[Polygon(outline, label=0, id=1, group=1), second],
    )
    Dataset.from_iterable([item], categories={AnnotationType.label: LabelCategories.from_iterable(["thing"])}).export(
        folder, "coco_instances", save_media=True
    )
    return f"{folder}/annotations/instances_train.json"


def precision(path, number):
    """AP of segmentation when the first `number` objects of the file are predicted exactly."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(path)
        annotations = truth.loadAnns(sorted(truth.getAnnIds()))
        found = [
            {
                "image_id": a["image_id"],
                "category_id": a["category_id"],
                "score": 0.9,
                "segmentation": truth.annToRLE(a),
            }
            for a in annotations[:number]
        ]
        evaluation = COCOeval(truth, truth.loadRes(found), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return round(float(evaluation.stats[0]), 3)


print("datumaro", version("datumaro"), "pycocotools", version("pycocotools"))
seen = {}
for name, second in (
    ("polygon", Polygon([50, 50, 90, 50, 90, 90, 50, 90], label=0, id=2, group=2)),
    ("mask", Mask(painted, label=0, id=2, group=2)),
):
    path = write(name, second)
    crowd = [a["iscrowd"] for a in sorted(json.loads(Path(path).read_text())["annotations"], key=lambda a: a["id"])]
    seen[name] = (crowd, precision(path, 1), precision(path, 2))
    print(f"second object as {name}: iscrowd {crowd}, AP without it {seen[name][1]}, AP with it {seen[name][2]}")
sys.exit(0 if seen == {"polygon": ([0, 0], 0.505, 1.0), "mask": ([0, 1], 1.0, 1.0)} else "the behaviour has changed")
PYTHON
