#!/bin/sh
# Expected: in Label Studio's COCO export a polygon and a rectangle around the same object cover the same pixels.
# Seen (label-studio-sdk 2.1.2): on a photo with an EXIF turn the polygon is scaled with the size in the file header,
# the rectangle with the size that the annotator saw. One object, two places, in one file, without a warning.
# Where: label_studio_sdk/converter/converter.py, convert_to_coco: `width, height = img.size` for polygons,
# `label["original_width"]` for rectangles. The COCO export of brushes (exports/brush_to_coco.py) uses the second.
# For masks: polygons of phone photos land beside their object. Read the JSON export and scale the per cent yourself.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    label-studio-sdk==2.1.2 pillow==13.0.0 >"$work/pip.log" 2>&1 ||
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

photo = Path("photo.jpg").resolve()
image = Image.new("RGB", (120, 80), "green")  # the file header says 120 x 80
exif = image.getexif()
exif[0x0112] = 6  # shown upright: 80 wide, 120 high
image.save(photo, exif=exif)

# the annotator draws x 15..75, y 5..25 on the upright photo; the tool stores per cent
size = {"original_width": 80, "original_height": 120, "image_rotation": 0, "to_name": "image"}
corners = [(15, 5), (75, 5), (75, 25), (15, 25)]
polygon = {"points": [[100 * x / 80, 100 * y / 120] for x, y in corners], "closed": True, "polygonlabels": ["bar"]}
box = {
    "x": 1500 / 80,
    "y": 500 / 120,
    "width": 6000 / 80,
    "height": 2000 / 120,
    "rotation": 0,
    "rectanglelabels": ["bar"],
}
results = [
    {**size, "id": "a", "from_name": "polygon", "type": "polygonlabels", "value": polygon},
    {**size, "id": "b", "from_name": "box", "type": "rectanglelabels", "value": box},
]
task = {"id": 1, "data": {"image": str(photo)}, "annotations": [{"id": 1, "completed_by": 1, "result": results}]}
Path("tasks.json").write_text(json.dumps([task]))
config = """<View><Image name="image" value="$image"/>
<PolygonLabels name="polygon" toName="image"><Label value="bar"/></PolygonLabels>
<RectangleLabels name="box" toName="image"><Label value="bar"/></RectangleLabels></View>"""
Converter(config, ".", download_resources=False).convert("tasks.json", "out", Format.COCO, is_dir=False)
coco = json.loads(Path("out/result.json").read_text())
first, second = (tuple(round(value, 1) for value in annotation["bbox"]) for annotation in coco["annotations"])
print("label-studio-sdk", version("label-studio-sdk"), "Pillow", version("pillow"))
print(
    "image in the export:",
    coco["images"][0]["width"],
    "x",
    coco["images"][0]["height"],
    "(shown to the annotator: 80 x 120)",
)
print("drawn:            (15, 5, 60, 20) as x, y, width, height")
print("polygon exported:", first)
print("box exported:    ", second)
sys.exit(0 if first == (22.5, 3.3, 90.0, 13.3) and second == (15.0, 5.0, 60.0, 20.0) else "the behaviour has changed")
PYTHON
