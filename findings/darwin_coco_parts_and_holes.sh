#!/bin/sh
# Expected: darwin-py (the library of the annotation tool Darwin by V7) writes every object to COCO alike, and reads a mask from
# COCO as the same mask.
# Seen (darwin-py 3.6.3, upolygon 0.2.3, pycocotools 2.0.11): an object of one outline is written as a polygon. An object of two
# outlines (two parts, or a hole) is written as run lengths with "iscrowd": 1 and "area": 0, and each part is a row and a column
# larger: squares of 8 pixels have 81 instead of 64. COCOeval leaves crowd regions out, so AP is 1 with or without the object.
# darwin-py's own reader leaves them out as well, with a warning. On the way in, run lengths become the outlines of the parts
# through the middles of their pixels: a hole is filled, a part of one row is nothing, and each part loses a row and a column. A
# ring of 80 pixels comes back as 121, with IoU 0.40. A message says that outlines are made, and not what is lost.
# Where: darwin/exporter/formats/coco.py, _build_annotation; darwin/importer/formats/coco.py, parse_annotation.
# For masks: objects that are partly hidden or have a hole are missing in training and in the score. Set iscrowd to 0 and
# compute areas from the masks after an export. Read COCO files by parse_json(path, content, rle_as_masks=True).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    darwin-py==3.6.3 upolygon==0.2.3 pycocotools==2.0.11 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import contextlib
import io
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from darwin.exporter.formats import coco as writer
from darwin.importer.formats import coco as reader
from darwin.utils import parse_darwin_json
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

WIDTH, HEIGHT = 60, 40


def square(left, top, side=8):
    corners = [[left, top], [left + side, top], [left + side, top + side], [left, top + side]]
    return [{"x": x, "y": y} for x, y in corners]


def darwin_object(number, paths):
    columns, rows = ([point[side] for path in paths for point in path] for side in "xy")
    left, top = min(columns), min(rows)
    box = {"x": left, "y": top, "w": max(columns) - left, "h": max(rows) - top}
    return {"id": str(number), "name": "man", "slot_names": ["0"], "polygon": {"paths": paths}, "bounding_box": box}


def pixels(segmentation):
    coded = masks.frPyObjects(segmentation, HEIGHT, WIDTH)
    return masks.decode(masks.merge(coded) if isinstance(coded, list) else coded).astype(bool)


def ap(file, annotations):
    """The AP by pycocotools if exactly these objects are found."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(file)
        found = [
            {key: one[key] for key in ("image_id", "category_id")} | {"segmentation": truth.annToRLE(one), "score": 0.9}
            for one in annotations
        ]
        score = COCOeval(truth, truth.loadRes(found), "segm")
        score.evaluate()
        score.accumulate()
        score.summarize()
    return round(float(score.stats[0]), 3)


print(*(f"{name} {version(name)}" for name in ("darwin-py", "upolygon", "pycocotools", "numpy")))
slot = {"type": "image", "slot_name": "0", "width": WIDTH, "height": HEIGHT, "source_files": [{"file_name": "a.png"}]}
content = {
    "version": "2.0",
    "item": {"name": "a.png", "path": "/", "slots": [slot]},
    "annotations": [darwin_object(1, [square(5, 5)]), darwin_object(2, [square(25, 5), square(45, 5)])],
}
Path("a.json").write_text(json.dumps(content))
writer.export([parse_darwin_json(Path("a.json"))], Path())
written = json.loads(Path("output.json").read_text())
print("written: an object of one square, an object of two squares, each square of 64 pixels")
sizes = []
for one in written["annotations"]:
    sizes.append(int(pixels(one["segmentation"]).sum()))
    print(f"    iscrowd {one['iscrowd']}, area {one['area']}, box {one['bbox']}, {sizes[-1]} pixels")
whole, half = ap("output.json", written["annotations"]), ap("output.json", written["annotations"][:1])
print("AP with both objects found:", whole, "with the second one missed:", half)
read_again = list(reader.parse_json(Path("output.json"), written))
print("objects that darwin-py reads from its own file:", len(read_again[0].annotations))

ring = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
ring[10:22, 10:22] = 1
ring[12:20, 12:20] = 0
line = np.zeros_like(ring)
line[30, 5:45] = 1
block = np.zeros_like(ring)
block[5:13, 30:38] = 1
cases, seen = {"ring": ring, "line of one row": line, "square of 8": block}, {}
for name, mask in cases.items():
    coded = masks.encode(mask)
    counts = {"size": coded["size"], "counts": coded["counts"].decode()}
    one = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [], "segmentation": counts}
    image = {"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}
    coco = {"images": [image], "annotations": [one], "categories": [{"id": 1, "name": "man"}]}
    found = next(iter(reader.parse_json(Path("coco.json"), coco))).annotations
    parts = [[point[side] for point in path for side in "xy"] for path in found[0].data["paths"]]
    back, mask = pixels(parts), mask.astype(bool)
    seen[name] = int(mask.sum()), int(back.sum()), round(float((back & mask).sum() / (back | mask).sum()), 2)
    print(f"{name}: {seen[name][0]} pixels in COCO, {seen[name][1]} in Darwin, IoU {seen[name][2]}")
as_seen = (
    [one["iscrowd"] for one in written["annotations"]] == [0, 1]
    and written["annotations"][1]["area"] == 0
    and sizes == [64, 162]
    and (whole, half) == (1, 1)
    and len(read_again[0].annotations) == 1
    and seen == {"ring": (80, 121, 0.4), "line of one row": (40, 0, 0), "square of 8": (64, 49, 0.77)}
)
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
