#!/bin/sh
# Expected: where a task shows two photos (before and after, left and right), an export lists both, each with its own
# objects.
# Seen (label-studio-sdk 2.1.2): COCO and YOLO list one of the photos, and what was drawn on the other is an object of this
# one too. Which photo it is differs from run to run. No message says so.
# Where: label_studio_sdk/converter/converter.py: annotation_result_from_task drops `to_name` of a region, and
# convert_to_coco takes the photo of all of them from `self._data_keys[0]`, whose order is that of a set.
# For masks: an expression for an object of one photo gets pixels of the other. Make a task for each photo, or read
# the JSON export, in which each region has its `to_name`.
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

CONFIG = """<View>
<Image name="before" value="$before"/>
<Image name="after" value="$after"/>
<PolygonLabels name="of_before" toName="before"><Label value="cup"/></PolygonLabels>
<PolygonLabels name="of_after" toName="after"><Label value="plate"/></PolygonLabels>
</View>"""


def region(photo, label, left):
    """An outline on one of the photos, a square of 20 per cent from `left` on."""
    points = [[left, 10], [left + 20, 10], [left + 20, 30], [left, 30]]
    return {
        "id": label,
        "type": "polygonlabels",
        "from_name": f"of_{photo}",
        "to_name": photo,
        "original_width": 100,
        "original_height": 100,
        "image_rotation": 0,
        "value": {"points": points, "closed": True, "polygonlabels": [label]},
    }


annotation = {"id": 1, "completed_by": 1, "created_at": "2026-01-01T10:00:00Z"}
annotation["result"] = [region("before", "cup", 10), region("after", "plate", 60)]
task = {"id": 1, "data": {"before": "before.jpg", "after": "after.jpg"}, "annotations": [annotation]}
for name in ("before.jpg", "after.jpg"):
    Image.new("RGB", (100, 100)).save(name)
Path("tasks.json").write_text(json.dumps([task]))
for form in (Format.COCO, Format.YOLO):
    Converter(CONFIG, ".", download_resources=False).convert("tasks.json", form.name, form, is_dir=False)

coco = json.loads(Path("COCO/result.json").read_text())
files = {image["id"]: image["file_name"] for image in coco["images"]}
names = {category["id"]: category["name"] for category in coco["categories"]}
objects = sorted((files[one["image_id"]], names[one["category_id"]]) for one in coco["annotations"])
(labels,) = Path("YOLO/labels").iterdir()
lines = labels.read_text().splitlines()
print("label-studio-sdk", version("label-studio-sdk"))
print("drawn: a cup on before.jpg, a plate on after.jpg")
print("COCO: files", sorted(files.values()), "objects", objects)
print("YOLO: the only file is", labels.name, "with", len(lines), "objects")
as_seen = len(files) == 1 and [name for _, name in objects] == ["cup", "plate"] and len(lines) == 2
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
