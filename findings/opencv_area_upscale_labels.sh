#!/bin/sh
# Expected: cv2.resize with INTER_AREA enlarges a label map as INTER_NEAREST does; the documentation calls them similar.
# Seen (opencv-python-headless 5.0.0): they agree for whole factors. For others INTER_AREA blends neighbours, and between
# the labels 0 and 8 appears a label 4 that nobody drew.
# Where: modules/imgproc/src/resize.cpp: INTER_AREA with a factor over 1 goes to the linear code with other weights.
# INTER_AREA is the right choice for shrinking, so one call often serves both directions.
# For masks: a pipeline that resizes label maps to one size invents classes on the small pictures alone.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
"$work/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np

labels = np.zeros((4, 4), np.uint8)
labels[:, 2:] = 8
print("OpenCV", cv2.__version__, "numpy", np.__version__)
seen = {}
for side in (8, 7, 9, 10):
    area, nearest = (
        cv2.resize(labels, (side, side), interpolation=method) for method in (cv2.INTER_AREA, cv2.INTER_NEAREST)
    )
    seen[side] = np.unique(area).tolist()
    print(
        f"4 x 4 to {side} x {side}: labels with INTER_NEAREST {np.unique(nearest).tolist()}, with INTER_AREA {seen[side]}, row {area[0].tolist()}"
    )
sys.exit(0 if seen[8] == [0, 8] and len(seen[7]) > 2 and len(seen[9]) > 2 else "the behaviour has changed")
PYTHON
