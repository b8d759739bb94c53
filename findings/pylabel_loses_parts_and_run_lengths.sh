#!/bin/sh
# Expected: a COCO file that pylabel reads and writes again has the same masks and ids; in YOLO's segmentation text an
# object of two parts keeps both.
# Seen (pylabel 0.1.55): masks as run lengths become null. Ids of annotations are counted anew from 0, and captions are
# dropped, so no expression finds its object. YOLO's text has the first part of an object only: half of the pixels here.
# Where: pylabel/importer.py, ImportCoco (`pd.json_normalize` makes two columns of run lengths, which nobody reads), and
# pylabel/exporter.py, ExportToYoloV5 (`ann_segmentation[0]`).
# For masks: change the COCO json itself, and turn several parts into one outline before writing YOLO's text.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pylabel==0.1.55 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - 2>"$work/messages" <<'PYTHON' || { tail -5 "$work/messages"; exit 1; }
import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

from PIL import Image
from pylabel import importer

warnings.simplefilter("ignore")
Path("photos").mkdir()
Image.new("RGB", (100, 80)).save("photos/a.jpg")
parts = [[10, 10, 30, 10, 30, 30, 10, 30], [60, 10, 80, 10, 80, 30, 60, 30]]
column = [80 * 40 + 40, *[10, 70] * 9, 10]
runs = {"size": [80, 100], "counts": [*column, 80 * 100 - sum(column)]}
dog = {"id": 7, "area": 800, "bbox": [10, 10, 70, 20], "segmentation": parts, "caption": "the dog behind the post"}
cup = {"id": 9, "area": 100, "bbox": [40, 40, 10, 10], "segmentation": runs, "caption": "the cup"}
annotations = [{"image_id": 5, "category_id": 1, "iscrowd": 0, **one} for one in (dog, cup)]
images = [{"id": 5, "file_name": "a.jpg", "width": 100, "height": 80}]
categories = [{"id": 1, "name": "thing", "supercategory": ""}]


def opened(*kept):
    """A COCO file with some of the annotations, read by pylabel."""
    Path("in.json").write_text(json.dumps({"images": images, "categories": categories, "annotations": list(kept)}))
    return importer.ImportCoco("in.json", path_to_images="photos", name="x")


opened(*annotations).export.ExportToCoco("out.json")
written = json.loads(Path("out.json").read_text())["annotations"]
kept = [(one["id"], one["segmentation"] is not None, "caption" in one) for one in written]
opened(annotations[0]).export.ExportToYoloV5(output_path="yolo/labels", segmentation=True)
(line,) = next(Path("yolo").rglob("a.txt")).read_text().split("\n")[:1]
xs = [round(100 * float(side)) for side in line.split()[1::2]]
print("pylabel", version("pylabel"))
print("read: ids 7 and 9, an object of two parts and one of run lengths, each with a caption")
print("written as COCO (id, has a mask, has a caption):", kept)
print("written for YOLO: x from", min(xs), "to", max(xs), "instead of 10 to 80")
as_seen = kept == [(0, True, False), (1, False, False)] and (min(xs), max(xs)) == (10, 30)
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
