#!/bin/sh
# Expected: pycocotools refuses to compare or join two masks of different sizes.
# Seen (pycocotools 2.0.11, faster-coco-eval 1.8.0, hotcoco 1.3.0): `iou` is -1 for such a pair, without a message. Perfect
# answers to three photos, one of them stored with height and width swapped as after an EXIF turn, have a mean IoU of 0.33
# instead of 0.67. COCOeval takes the pair as a miss. `merge` makes an empty mask of size 0 x 0 of the two, and of all that is
# merged with them; hotcoco raises ValueError there.
# Where: maskApi.c, rleIou (`o[g*m+d]=-1; continue`) and rleMerge (`h=w=m=0; break`).
# For masks: a mean over `iou` can fall below 0, and a loop that takes the best of several masks hides it. Compare the sizes of
# the two run lengths first.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    pycocotools==2.0.11 faster-coco-eval==1.8.0 hotcoco==1.3.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
"$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import faster_coco_eval.core.mask as faster
import numpy as np
from hotcoco import mask as hotcoco
from pycocotools import mask as pycocotools

upright = np.zeros((6, 4), np.uint8)
upright[1:4, 1:3] = 1
lying = np.rot90(upright).copy()  # the same mask on the photo as stored
truth = [upright] * 3
answers = [upright, upright, lying]

print(*(f"{name} {version(name)}" for name in ("pycocotools", "faster-coco-eval", "hotcoco", "numpy")))
as_seen = True
for name, library in (("pycocotools", pycocotools), ("faster-coco-eval", faster), ("hotcoco", hotcoco)):
    code = lambda mask: library.encode(np.asfortranarray(mask))
    scores = [float(np.asarray(library.iou([code(a)], [code(b)], [0]))[0, 0]) for a, b in zip(answers, truth, strict=True)]
    try:
        joined = library.merge([code(upright), code(lying), code(upright)])["size"]
    except ValueError:
        joined = "ValueError"
    print(f"{name}: IoU {scores}, mean {np.mean(scores):.2f}; merge of sizes (6, 4), (4, 6), (6, 4): {joined}")
    as_seen &= scores == [1, 1, -1] and joined == ("ValueError" if name == "hotcoco" else [0, 0])
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
