#!/bin/sh
# Expected: Datumaro reads Label Studio's COCO export and writes it again with the same objects.
# Seen (label-studio-sdk 2.1.2, datumaro 1.13.12): Label Studio counts images, categories and annotations from 0. To
# Datumaro category 0 is "no class" and annotation 0 is "no id": the first class is lost, and an annotation without an id
# falls apart into a polygon and a box, which are written as two objects, one of them with the id of another object.
# Where: datumaro/plugins/data_formats/coco/base.py (label_map, group = annotation id) and .../coco/exporter.py; it logs a
# warning for the category and says nothing of the doubled object. Datumaro's YOLO export drops the objects without class.
# For masks: count the objects after such a conversion. Add 1 to all three kinds of id first.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for part in writer reader; do python3 -m venv "$work/$part"; done
{ "$work/writer/bin/pip" install --quiet --disable-pip-version-check label-studio-sdk==2.1.2 pillow==13.0.0 &&
    "$work/reader/bin/pip" install --quiet --disable-pip-version-check \
    datumaro==1.13.12; } >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/writer/bin/python" - <<'PYTHON'
import json
from importlib.metadata import version
from pathlib import Path

from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.converter import Format
from PIL import Image

photo = Path("photos/park.png").resolve()
photo.parent.mkdir()
Image.new("RGB", (100, 100), "green").save(photo)
config = """<View><Image name="image" value="$image"/>
<PolygonLabels name="polygon" toName="image"><Label value="dog"/><Label value="cat"/></PolygonLabels></View>"""
size = {
    "original_width": 100,
    "original_height": 100,
    "image_rotation": 0,
    "to_name": "image",
    "from_name": "polygon",
    "type": "polygonlabels",
}
square = lambda x: [[x, 10], [x + 20, 10], [x + 20, 30], [x, 30]]
results = [
    {**size, "id": name, "value": {"points": square(x), "closed": True, "polygonlabels": [name]}}
    for name, x in (("dog", 10), ("cat", 60))
]
task = {"id": 1, "data": {"image": str(photo)}, "annotations": [{"id": 1, "completed_by": 1, "result": results}]}
Path("tasks.json").write_text(json.dumps([task]))
Converter(config, ".", download_resources=False).convert("tasks.json", "export", Format.COCO, is_dir=False)
print("label-studio-sdk", version("label-studio-sdk"))
PYTHON
"$work/reader/bin/python" - <<'PYTHON'
import json
import logging
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from datumaro.components.dataset import Dataset

logging.disable(logging.WARNING)
written = json.loads(Path("export/result.json").read_text())


def again(shift):
    """The objects after Datumaro has read and written the export whose ids are raised by `shift`: (id, class, pixels)."""
    coco = json.loads(json.dumps(written))
    for image in coco["images"]:
        image.update(id=image["id"] + shift, file_name="park.png")
    for category in coco["categories"]:
        category["id"] += shift
    for annotation in coco["annotations"]:
        annotation.update({key: annotation[key] + shift for key in ("id", "image_id", "category_id")})
    folder = Path(f"shift{shift}")
    (folder / "annotations").mkdir(parents=True)
    shutil.copytree("photos", folder / "images")
    (folder / "annotations" / "instances_default.json").write_text(json.dumps(coco))
    Dataset.import_from(str(folder), "coco_instances").export(f"{folder}-again", "coco_instances", save_media=True)
    back = json.loads(Path(f"{folder}-again/annotations/instances_default.json").read_text())
    names = {category["id"]: category["name"] for category in back["categories"]}
    return [
        (
            a["id"],
            names.get(a["category_id"], f"category {a['category_id']}, not in the file"),
            "polygon" if a["segmentation"] else "box only",
        )
        for a in back["annotations"]
    ]


print("datumaro", version("datumaro"))
print("Label Studio wrote:", [(a["id"], a["category_id"]) for a in written["annotations"]], "as (id, category_id)")
seen, raised = again(0), again(1)
print("written again by Datumaro:", *seen, sep="\n    ")
print("the same with every id raised by 1:", *raised, sep="\n    ")
doubled = len(seen) == 3 and len({row[0] for row in seen}) == 2 and not any(row[1] == "cat" for row in seen)
sys.exit(0 if doubled and sorted(row[1] for row in raised) == ["cat", "dog"] else "the behaviour has changed")
PYTHON
