#!/bin/sh
# Expected: cv2.bitwise_not of a bool mask is its complement, or an error as in OpenCV 4, which knew no bool arrays.
# Seen (opencv-python-headless 5.0.0): bool arrays are taken as bytes 0 and 1. "Not" gives 255 and 254, which NumPy shows as
# True everywhere: the complement of any mask is the whole picture. imencode stores 0 and 1, a black picture,
# with a line in the log.
# Where: bool is a type of its own in OpenCV 5 (CV_Bool); bitwise_not in modules/core/src/arithm.cpp works on its bytes.
# bitwise_and and bitwise_or of the same arrays are right.
# For masks: background = cv2.bitwise_not(mask) selects everything. Use ~mask, and mask.astype(np.uint8) * 255 to save.
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

mask = np.zeros((8, 8), bool)
mask[2:6, 2:6] = True
inverse = cv2.bitwise_not(mask)
_, png = cv2.imencode(".png", mask)
stored = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
both = cv2.bitwise_and(mask, mask)
print("OpenCV", cv2.__version__, "numpy", np.__version__)
print(
    "in the mask:",
    int(mask.sum()),
    "| ~mask:",
    int((~mask).sum()),
    "| bitwise_not:",
    inverse.dtype,
    int(np.count_nonzero(inverse)),
    "of",
    mask.size,
)
print("bytes of bitwise_not:", np.unique(inverse.view(np.uint8)).tolist(), "| of the PNG:", np.unique(stored).tolist())
print("bitwise_and with itself right:", bool((both == mask).all()))
as_seen = inverse.dtype == bool and np.count_nonzero(inverse) == mask.size and np.unique(stored).tolist() == [0, 1]
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
