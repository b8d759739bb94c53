#!/bin/sh
# Expected: the JSON_MIN export of Label Studio still says which text was typed for which region.
# Seen (label-studio-sdk 2.1.2): a per-region text of one line becomes a bare string and the ids of regions are dropped.
# Two tasks that differ only in which of two boxes is "the broken one" give the same export, byte for byte.
# Where: label_studio_sdk/converter/utils.py, prettify_result (`out.append(j["text"][0])`).
# A text of two lines keeps its geometry, so a trial with two lines looks fine.
# For referring data: who exports expressions with JSON_MIN has lost what they refer to. Export JSON.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    label-studio-sdk==2.1.2 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import json
import sys
from importlib.metadata import version
from pathlib import Path

from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.converter import Format

config = """<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image"><Label value="chair"/></RectangleLabels>
<TextArea name="expression" toName="image" perRegion="true"/></View>"""
size = {"original_width": 100, "original_height": 100, "image_rotation": 0, "to_name": "image"}
boxes = {
    "left": {"x": 5, "y": 20, "width": 30, "height": 60, "rotation": 0},
    "right": {"x": 60, "y": 20, "width": 30, "height": 60, "rotation": 0},
}


def export(region, lines):
    """The JSON_MIN export of two chairs of which `region` has the text `lines`."""
    results = [
        {
            **size,
            "id": name,
            "from_name": "box",
            "type": "rectanglelabels",
            "value": {**box, "rectanglelabels": ["chair"]},
        }
        for name, box in boxes.items()
    ]
    results.append(
        {**size, "id": region, "from_name": "expression", "type": "textarea", "value": {**boxes[region], "text": lines}}
    )
    task = {"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"id": 1, "completed_by": 1, "result": results}]}
    Path("tasks.json").write_text(json.dumps([task]))
    Converter(config, ".", download_resources=False).convert("tasks.json", "out", Format.JSON_MIN, is_dir=False)
    return Path("out/result.json").read_text()


left, right = export("left", ["the broken one"]), export("right", ["the broken one"])
two_lines = json.loads(export("right", ["the broken one", "chair without a leg"]))[0]["expression"]
print("label-studio-sdk", version("label-studio-sdk"))
print("text typed for the left chair: ", json.loads(left)[0]["expression"])
print("text typed for the right chair:", json.loads(right)[0]["expression"])
print("exports equal byte for byte:", left == right, "| region ids kept:", '"right"' in right)
print("the same with two lines:", two_lines)
bare = json.loads(left)[0]["expression"] in ("the broken one", ["the broken one"])
sys.exit(0 if left == right and bare and '"right"' not in right else "the behaviour has changed")
PYTHON
