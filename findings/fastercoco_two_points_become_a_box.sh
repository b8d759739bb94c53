#!/bin/sh
# Expected: a part with two points, as cv2.findContours gives it for a line of one pixel, is drawn as a line, as nothing, or is
# refused. The other parts of the object are drawn as they are.
# Seen (faster-coco-eval 1.8.0): four numbers are taken for a box (x, y, width, height). A line of 30 pixels becomes a filled
# rectangle of 1,170. If the line is the first part, the first four numbers of every other part are a box too: a line and a
# square, together 151 pixels, become 1,770. pycocotools 2.0.11 raises TypeError for both objects, and hotcoco 1.3.0 leaves the
# line out. With the line as the last part, all three draw the square alone, 100 pixels.
# Where: frPyObjects of both libraries.
# For masks: a whole file is scored against wrong masks after changing from pycocotools to its faster replacement. Leave out
# parts of fewer than three points, or write run lengths.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check faster-coco-eval==1.8.0 hotcoco==1.3.0 \
    pycocotools==2.0.11 opencv-python-headless==5.0.0.93 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import cv2
import faster_coco_eval
import hotcoco
import numpy as np
from pycocotools.coco import COCO

HEIGHT, WIDTH = 60, 80


def outlines(mask):
    """The parts of a mask in the way that many converters write them."""
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [contour.flatten().tolist() for contour in found]


def file(parts):
    """A COCO file with one object."""
    box = [0, 0, WIDTH, HEIGHT]
    one = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 1, "bbox": box, "segmentation": parts}
    return {
        "info": {},
        "images": [{"id": 1, "file_name": "1.jpg", "height": HEIGHT, "width": WIDTH}],
        "annotations": [one],
        "categories": [{"id": 1, "name": "thing"}],
    }


def pycocotools(content):
    coco = COCO()
    coco.dataset = content
    coco.createIndex()
    return coco


readers = {"pycocotools": pycocotools, "faster-coco-eval": faster_coco_eval.COCO, "hotcoco": hotcoco.COCO}
square = np.zeros((HEIGHT, WIDTH), np.uint8)
square[5:16, 40:51] = 1
line = np.zeros((HEIGHT, WIDTH), np.uint8)
line[30, 10:40] = 1
cases = {"the line alone": line, "line and square": np.maximum(line, square), "square above line": np.maximum(np.flipud(square), line)}
print(*(f"{name} {version(name)}" for name in (*readers, "opencv-python-headless", "numpy")))
seen = {}
for name, mask in cases.items():
    parts = outlines(mask)
    print(f"{name}: {int(mask.sum())} pixels, parts {parts}")
    for reader, read in readers.items():
        try:
            coco = read(file(parts))
            seen[name, reader] = int(np.asarray(coco.annToMask(coco.loadAnns([1])[0])).sum())
        except (TypeError, ValueError) as error:
            seen[name, reader] = type(error).__name__
        print(f"    {reader:17} {seen[name, reader]}")
sys.exit(0 if list(seen.values()) == ["TypeError", 1170, 0, "TypeError", 1770, 100, 100, 100, 100] else "the behaviour has changed")
PYTHON
