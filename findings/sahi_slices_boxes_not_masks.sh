#!/bin/sh
# Expected: slice_coco cuts the masks of a COCO file into tiles with the photos.
# Seen (sahi 0.12.8): an object stored as run lengths becomes its full box, written as a polygon in "segmentation": an L
# of 700 pixels comes out as a mask of 1600. Polygons in the same file are cut properly. Only the log says that
# "RLE segmentation" is skipped; the file looks like one full of masks.
# Where: sahi/utils/coco.py, CocoAnnotation.from_coco_annotation_dict (falls back to the box) and sahi/slicing.py.
# For masks: brush masks of CVAT and Datumaro and every mask that pycocotools encodes are run lengths. Turn them into
# polygons first, or compare the areas before and after.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    sahi==0.12.8 opencv-python-headless==5.0.0.93 pycocotools==2.0.11 pillow==13.0.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON' 2>"$work/log"
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from sahi.slicing import slice_coco

Path("photos").mkdir()
Image.fromarray(np.zeros((100, 100, 3), np.uint8)).save("photos/a.png")
bracket = np.zeros((100, 100), np.uint8)
bracket[10:50, 10:20] = bracket[40:50, 10:50] = 1  # an L of 700 pixels in a box of 40 x 40
run_lengths = coco_mask.encode(np.asfortranarray(bracket))
run_lengths["counts"] = run_lengths["counts"].decode()
outline = [[10, 10, 20, 10, 20, 40, 50, 40, 50, 50, 10, 50]]
seen = {}
for name, segmentation in (("polygon", outline), ("run lengths", run_lengths)):
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "area": 700,
        "bbox": [10, 10, 40, 40],
        "segmentation": segmentation,
    }
    Path("coco.json").write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 100}],
                "categories": [{"id": 1, "name": "bracket"}],
                "annotations": [annotation],
            }
        )
    )
    sliced, _ = slice_coco(
        "coco.json",
        "photos",
        output_coco_annotation_file_name="tiles",
        output_dir=name.replace(" ", "_"),
        slice_height=60,
        slice_width=60,
        overlap_height_ratio=0,
        overlap_width_ratio=0,
        verbose=False,
    )
    first = sliced["annotations"][0]
    seen[name] = int(coco_mask.area(coco_mask.merge(coco_mask.frPyObjects(first["segmentation"], 60, 60))))
    print(
        f"{name}: 700 pixels before, {seen[name]} in the first tile, segmentation {first['segmentation']}, iscrowd {first['iscrowd']}"
    )
print("sahi", version("sahi"), "pycocotools", version("pycocotools"))
sys.exit(0 if seen == {"polygon": 700, "run lengths": 1600} else "the behaviour has changed")
PYTHON
