#!/bin/sh
# Expected: a COCO polygon passed through a flip as keypoints still outlines the mask that went through the same flip.
# Seen (albumentations 2.0.8): flips and turns by 90 degrees send a keypoint x to width - 1 - x, the box edge x to width - x.
# Boxes keep up with the mask, polygon corners end one pixel off. Transpose, crop and shift move both alike.
# Where: albumentations/augmentations/geometric/functional.py, keypoints_hflip against bboxes_hflip. (kornia 0.9.0 moves
# boxes by that pixel as well.) Two flips cancel, so a test that flips back finds nothing.
# For masks: with flips, half of the training polygons are shifted: a square of 10 pixels has IoU 0.82 with its mask.
# Flip masks, or send polygon corners as x - 0.5 and add 0.5 afterwards.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    albumentations==2.0.8 opencv-python-headless==5.0.0.93 pycocotools==2.0.11 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
NO_ALBUMENTATIONS_UPDATE=1 "$work/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

import numpy as np
from pycocotools import mask as coco_mask

warnings.simplefilter("ignore")
import albumentations as A

HEIGHT, WIDTH = 80, 120


def fill(corners, height, width):
    """The pixels inside a polygon, as pycocotools fills it."""
    return coco_mask.decode(
        coco_mask.merge(coco_mask.frPyObjects([np.asarray(corners, float).ravel().tolist()], height, width))
    ).astype(bool)


corners = np.array([[20, 30], [30, 30], [30, 40], [20, 40]], float)
mask = fill(corners, HEIGHT, WIDTH)
print("albumentations", version("albumentations"), "pycocotools", version("pycocotools"), "numpy", np.__version__)
seen = {}
for step in (A.Crop(5, 5, 100, 70, p=1), A.Transpose(p=1), A.HorizontalFlip(p=1), A.VerticalFlip(p=1)):
    name = type(step).__name__
    move = A.Compose(
        [step],
        keypoint_params=A.KeypointParams(format="xy", remove_invisible=False),
        bbox_params=A.BboxParams(format="pascal_voc", label_fields=[]),
    )
    done = move(
        image=np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        mask=mask.astype(np.uint8),
        keypoints=corners,
        bboxes=[[20, 30, 30, 40]],
    )
    moved = done["mask"].astype(bool)
    rows, columns = np.nonzero(moved)
    outline = fill(np.asarray(done["keypoints"])[:, :2], *moved.shape)
    iou = round(float((outline & moved).sum() / (outline | moved).sum()), 3)
    box_right = np.round(done["bboxes"][0], 2).tolist() == [
        columns.min(),
        rows.min(),
        columns.max() + 1,
        rows.max() + 1,
    ]
    seen[name] = (iou, box_right)
    print(f"{name}: polygon against mask IoU {iou}, box fits the mask: {box_right}")
as_seen = seen["Crop"] == seen["Transpose"] == (1.0, True) and seen["HorizontalFlip"] == seen["VerticalFlip"] == (
    0.818,
    True,
)
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
