#!/bin/sh
# Expected: the shapes of one group of labelme (`group_id`) are one object in COCO, as in labelme's own examples
# (examples/instance_segmentation/labelme2coco.py), and what was written into `description` is kept.
# Seen (labelme2coco 0.2.6): each shape of a group is an object of its own, and the description is dropped. A perfect mask
# of the whole object is a false alarm. No message says so. Categories count from 0.
# Where: labelme2coco/labelme2coco.py, get_coco_from_labelme_folder: one CocoAnnotation for each of `data["shapes"]`.
# For masks: "the dog behind the post" becomes two dogs without an expression. Read labelme's files themselves.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check labelme2coco==0.2.6 pycocotools==2.0.11 \
    >"$work/pip.log" 2>&1 || { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - 2>"$work/messages" <<'PYTHON' || { tail -5 "$work/messages"; exit 1; }
import contextlib
import io
import json
import sys
from importlib.metadata import version
from pathlib import Path

import labelme2coco
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

Path("in").mkdir()
Image.new("RGB", (100, 80)).save("in/a.png")


def shape(left):
    """A part of the dog, a square of 20 pixels from `left` on."""
    points = [[left, 10], [left + 20, 10], [left + 20, 30], [left, 30]]
    words = "the dog behind the post"
    told = {"label": "dog", "group_id": 1, "description": words, "shape_type": "polygon", "flags": {}, "mask": None}
    return {**told, "points": points}


file = {"version": "5.10.1", "flags": {}, "imagePath": "a.png", "imageData": None, "imageHeight": 80, "imageWidth": 100}
Path("in/a.json").write_text(json.dumps({**file, "shapes": [shape(10), shape(60)]}))
with contextlib.redirect_stdout(io.StringIO()):
    labelme2coco.convert("in", "out")
    coco = COCO("out/dataset.json")
objects = list(coco.anns.values())
whole = np.zeros((80, 100), np.uint8)
whole[10:30, 10:30] = whole[10:30, 60:80] = 1
whole = coco_mask.encode(np.asfortranarray(whole))
overlaps = coco_mask.iou([whole], [coco.annToRLE(one) for one in objects], [0] * len(objects))[0].tolist()
print("labelme2coco", version("labelme2coco"))
print("drawn: one dog of two parts, described as 'the dog behind the post'")
print("written:", len(objects), "objects with the fields", sorted(objects[0]))
print("IoU of the whole dog with each of them:", [round(one, 2) for one in overlaps])
no_text = not any("the dog behind" in str(one) for one in objects)
as_seen = len(objects) == 2 and no_text and max(overlaps) < 0.55 and set(coco.cats) == {0}
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
