#!/bin/sh
# Expected: LabelInterface.validate_task says whether a task fits a labelling interface, also one with pre-annotations.
# Seen (label-studio-sdk 2.1.2): every task that has `predictions`, or `annotations`, raises TypeError, right or wrong.
# Where: label_studio_sdk/label_interface/interface.py, validate_task calls validate_annotation() and
# validate_prediction() without the annotation or prediction.
# For masks: check the task without them, and each prediction by validate_prediction(prediction, return_errors=True).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check label-studio-sdk==2.1.2 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from label_studio_sdk.label_interface import LabelInterface

print("label-studio-sdk", version("label-studio-sdk"))
interface = LabelInterface(
    '<View><Image name="image" value="$image"/>'
    '<RectangleLabels name="box" toName="image"><Label value="object"/></RectangleLabels></View>'
)
box = {"x": 10, "y": 10, "width": 20, "height": 20, "rectanglelabels": ["object"]}
prediction = {"result": [{"from_name": "box", "to_name": "image", "type": "rectanglelabels", "value": box}]}
print("task alone:", interface.validate_task({"data": {"image": "a.jpg"}}))
print("prediction alone:", interface.validate_prediction(prediction, return_errors=True) or "no error")
try:
    print("task with prediction:", interface.validate_task({"data": {"image": "a.jpg"}, "predictions": [prediction]}))
except TypeError as error:
    print("task with prediction: TypeError:", error)
else:
    sys.exit("the behaviour has changed")
PYTHON
