#!/bin/sh
# Expected: pycocotools.mask.encode takes every pixel that is not 0 as part of the mask.
# Seen (pycocotools 2.0.11, faster-coco-eval 1.8.0): it starts a new run wherever the VALUE changes and lets runs take
# turns between "out" and "in". A mask with a softened edge (0, 128, 255) comes back inside out: edge in, object out.
# Where: common/maskApi.c, rleEncode compares each pixel with the one before; pycocotools/mask.py asks for uint8 only.
# A hard mask of 0 and 255 is read right, so a test with one does not show it.
# For masks: a PNG that was resized with interpolation, anti-aliased or saved as JPEG, and a label map, must be made 0/1
# first: encode(np.asfortranarray(mask > 127).astype(np.uint8)).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    pycocotools==2.0.11 faster-coco-eval==1.8.0 pillow==13.0.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
"$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from faster_coco_eval.core import mask as faster_mask
from PIL import Image
from pycocotools import mask as coco_mask

hard = np.zeros((20, 20), np.uint8)
hard[5:15, 5:15] = 255
soft = np.zeros_like(hard)
soft[4:16, 4:16] = 128  # the rim of an anti-aliased drawing
soft[5:15, 5:15] = 255
resized = np.array(Image.fromarray(hard).resize((50, 50), Image.Resampling.BILINEAR))
labels = np.zeros_like(hard)
labels[5:10, 5:15], labels[10:15, 5:15] = 1, 2  # a label map: one part above the other
print(
    "pycocotools", version("pycocotools"), "faster-coco-eval", version("faster-coco-eval"), "Pillow", version("pillow")
)
agree = []
for name, mask in (
    ("0 and 255", hard),
    ("rim of 128", soft),
    ("resized with bilinear", resized),
    ("label map 0, 1, 2", labels),
):
    decoded = [library.decode(library.encode(np.asfortranarray(mask))) for library in (coco_mask, faster_mask)]
    wanted = mask > 0
    overlap = (decoded[0].astype(bool) & wanted).sum() / (decoded[0].astype(bool) | wanted).sum()
    centre = tuple(side // 2 for side in mask.shape)
    print(
        f"{name}: {int(wanted.sum())} pixels are not 0; encoded: {int(decoded[0].sum())}, IoU {overlap:.2f}, centre in: {bool(decoded[0][centre])}, both libraries agree: {bool((decoded[0] == decoded[1]).all())}"
    )
    agree.append((round(float(overlap), 2), bool((decoded[0] == decoded[1]).all())))
print(
    "rim of 128 comes back as",
    *(
        "".join(".#"[value] for value in row[3:17])
        for row in coco_mask.decode(coco_mask.encode(np.asfortranarray(soft)))[3:17]
    ),
    sep="\n    ",
)
as_seen = agree[0] == (1.0, True) and agree[1][0] < 0.5 and agree[3][0] < 1.0
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
