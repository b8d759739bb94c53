#!/bin/sh
# Expected: a brush region exported from Label Studio to COCO is one annotation that covers the painted pixels.
# Seen (label-studio-sdk 2.1.2): every part becomes an annotation of its own, holes are filled, a line of one pixel's
# width is dropped without a word, and each outline runs through pixel centres, so pycocotools loses a row and a column.
# Where: label_studio_sdk/converter/exports/brush_to_coco.py, generate_contour_from_rle (RETR_EXTERNAL, "at least 3
# points") and the loop "Create separate annotation for each contour".
# For masks: an expression such as "the fence" points at one scrap of it. Decode the run lengths of the JSON export
# (brush.decode_rle, fourth channel) and write run lengths.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    label-studio-sdk==2.1.2 pycocotools==2.0.11 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from label_studio_sdk.converter import Converter, brush
from label_studio_sdk.converter.converter import Format
from pycocotools import mask as coco_mask

painted = np.zeros((80, 120), np.uint8)
painted[20:60, 60:100] = 255  # a frame ...
painted[30:50, 70:90] = 0  # ... with a hole
painted[70:76, 100:110] = 255  # a second part
painted[5, 10:50] = 255  # a thin line
region = {
    "original_width": 120,
    "original_height": 80,
    "image_rotation": 0,
    "to_name": "image",
    "id": "a",
    "from_name": "brush",
    "type": "brushlabels",
}
region["value"] = {"format": "rle", "rle": brush.mask2rle(painted), "brushlabels": ["fence"]}
kept = brush.decode_rle(region["value"]["rle"]).reshape(80, 120, 4)[..., 3]
task = {"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"id": 1, "completed_by": 1, "result": [region]}]}
Path("tasks.json").write_text(json.dumps([task]))
config = '<View><Image name="image" value="$image"/><BrushLabels name="brush" toName="image"><Label value="fence"/></BrushLabels></View>'
Converter(config, ".", download_resources=False).convert("tasks.json", "out", Format.BRUSH_TO_COCO, is_dir=False)
annotations = json.loads(Path("out/result_coco.json").read_text())["annotations"]
covered = np.zeros_like(painted)
for annotation in annotations:
    covered |= coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(annotation["segmentation"], 80, 120)))
print("label-studio-sdk", version("label-studio-sdk"), "pycocotools", version("pycocotools"))
print("painted: 1 region,", int((painted > 0).sum()), "pixels; the JSON's run lengths decode to", int((kept > 0).sum()))
print("exported:", len(annotations), "annotations,", int(covered.sum()), "pixels")
print("hole filled:", bool(covered[40, 80]), "| thin line kept:", bool(covered[5, 20]))
print(
    "lost pixels:",
    int((~covered.astype(bool) & (painted > 0)).sum()),
    "| invented pixels:",
    int((covered.astype(bool) & (painted == 0)).sum()),
)
as_seen = len(annotations) == 2 and covered[40, 80] and not covered[5, 20] and (kept == painted).all()
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
