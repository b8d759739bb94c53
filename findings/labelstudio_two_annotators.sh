#!/bin/sh
# Expected: a task that was annotated twice gives one answer in an export: the newest annotation, the one that is marked
# as ground truth, or a file that tells the two apart. A comment in the source says "get last not skipped completion".
# Seen (label-studio-sdk 2.1.2): every annotation is exported. COCO lists the photo once for each, under ids of their
# own, so a split by image id puts one photo into training and test. YOLO writes them to the same file, the newest first,
# so that the OLDEST stays: a corrected outline is replaced by the wrong one. `ground_truth` is not looked at.
# Where: label_studio_sdk/converter/converter.py, annotation_result_from_task (sorted(..., reverse=True), then `yield` for
# each), convert_to_coco (add_image for each item) and convert_to_yolo (open(label_path, "w") for each item).
# For masks: of each task keep one annotation in the JSON export before it is converted, and split by file name.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check label-studio-sdk==2.1.2 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import json
import sys
from importlib.metadata import version
from pathlib import Path

from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.converter import Format
from PIL import Image

CONFIG = (
    '<View><Image name="image" value="$image"/>'
    '<PolygonLabels name="polygon" toName="image"><Label value="cup"/></PolygonLabels></View>'
)


def annotation(number, left, created_at, ground_truth):
    """One annotator's outline of the cup, a square of 20 per cent from `left` on."""
    points = [[left, 10], [left + 20, 10], [left + 20, 30], [left, 30]]
    region = {
        "id": f"r{number}",
        "type": "polygonlabels",
        "from_name": "polygon",
        "to_name": "image",
        "original_width": 100,
        "original_height": 100,
        "image_rotation": 0,
        "value": {"points": points, "closed": True, "polygonlabels": ["cup"]},
    }
    return {
        "id": number,
        "completed_by": number,
        "created_at": created_at,
        "ground_truth": ground_truth,
        "result": [region],
    }


first = annotation(1, 60, "2026-01-01T10:00:00Z", False)  # wrong
corrected = annotation(2, 10, "2026-01-02T10:00:00Z", True)  # right, newer, and marked as ground truth
task = {"id": 1, "data": {"image": "a.jpg"}, "annotations": [first, corrected]}
Image.new("RGB", (100, 100)).save("a.jpg")
Path("tasks.json").write_text(json.dumps([task]))
for form in (Format.COCO, Format.YOLO):
    Converter(CONFIG, ".", download_resources=False).convert("tasks.json", form.name, form, is_dir=False)

coco = json.loads(Path("COCO/result.json").read_text())
images = [(image["id"], image["file_name"]) for image in coco["images"]]
boxes = [(one["image_id"], one["bbox"][0]) for one in coco["annotations"]]
(line,) = Path("YOLO/labels/a.txt").read_text().splitlines()
left = round(100 * min(float(side) for side in line.split()[1::2]))
print("label-studio-sdk", version("label-studio-sdk"))
print("one photo, two annotations: from x = 60 (older), from x = 10 (newer, ground truth)")
print("COCO: images", images, "| image and left edge of each annotation", boxes)
print("YOLO: the only line is the outline from x =", left)
as_seen = images == [(0, "a.jpg"), (1, "a.jpg")] and boxes == [(0, 10.0), (1, 60.0)] and left == 60
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
