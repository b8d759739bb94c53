#!/bin/sh
# Expected: sv.Detections.from_vlm reads every box of a PaliGemma answer, with the whole text that was asked for.
# Seen (supervision 0.31.2): the text ends at the first character that is not a letter, a digit, a space, "_" or "-". An
# apostrophe, a comma, a full stop, a slash or quotation marks cut it: "man's hat" and "man, left" both become "man". With
# classes=, which keeps the boxes of the named texts, the boxes of such expressions are dropped, because the cut text is not in
# the list. An expression that begins with such a character ("#9 on the shirt") has no box even without classes=. So has every
# answer to a "segment" prompt, where segmentation tokens stand between the box and the text. Of eight boxes, two arrive. There
# is no warning, and the answer for an object that is not there looks the same.
# Where: supervision/detection/vlm.py, from_paligemma: the pattern ends in ([\w\s\-]+).
# For masks: the boxes are the prompts of a network for masks, as in the common chain of PaliGemma and SAM. Every lost box is
# counted as a wrong mask. Ask with expressions of words and spaces alone, or read the answer yourself: split it at ";".
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    supervision==0.31.2 opencv-python-headless==5.0.0.93 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import supervision as sv

EXPRESSIONS = [
    "man in red",
    "t-shirt 2nd from left",
    "man's hat",
    "man, left",
    "girl (front)",
    "bus/train in back",
    "lady w. umbrella",
    "#9 on the shirt",
]
BOX = "<loc0256><loc{:04d}><loc0768><loc{:04d}>"


def read(parts, **options):
    """The texts of the boxes that supervision finds in an answer of these parts."""
    found = sv.Detections.from_vlm(sv.VLM.PALIGEMMA, " ; ".join(parts), resolution_wh=(1024, 1024), **options)
    return found.data["class_name"].tolist()


parts = [f"{BOX.format(100 * at, 100 * at + 80)} {text}" for at, text in enumerate(EXPRESSIONS)]
tokens = "".join(f"<seg{number:03d}>" for number in range(16))
print("supervision", version("supervision"))
print("answer:", *parts, sep="\n    ")
every, named = read(parts), read(parts, classes=EXPRESSIONS)
print(f"texts of the {len(every)} boxes found:", every)
print(f"with classes=, {len(named)} of {len(parts)} boxes:", named)
segmented = read([f"{BOX.format(100, 180)}{tokens} man in red"])
print("boxes of an answer to a segment prompt:", len(segmented))
as_seen = (
    every == [*EXPRESSIONS[:2], "man", "man", "girl", "bus", "lady w"] and named == EXPRESSIONS[:2] and segmented == []
)
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
