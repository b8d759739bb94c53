#!/bin/sh
# Expected: a polygon drawn with OpenCV, Pillow, scikit-image or rasterio gives COCO's mask, but for a few pixels of the edge.
# Seen (opencv-python-headless 5.0.0, pillow 13.0.0, scikit-image 0.26.0, rasterio 1.4.4, pycocotools 2.0.11): only rasterio
# does. OpenCV and Pillow also fill the pixels that the outline touches: an object of 8 pixels across grows by 28 and 20 per
# cent. scikit-image has the right area half a pixel too far to the lower right, because it takes whole numbers as
# the middles of pixels and COCO as their corners. The IoU with COCO's mask is 0.78, 0.83, 0.76 and 0.98 for objects of 8
# pixels, and 0.94, 0.95, 0.94 and 0.99 for objects of 32. And where two parts of an object overlap, cv2.fillPoly leaves a hole.
# The way back, from masks to outlines, is exact in COCO's coordinates with rasterio.features.shapes, and with scikit-image's
# find_contours after adding 0.5. OpenCV's findContours goes through the middles of the pixels: IoU 0.71 to 0.92.
# Where: OpenCV's FillEdgeCollection, Pillow's ImageDraw.polygon, skimage.draw.polygon; pycocotools' maskApi.c, rleFrPoly.
# For masks: the true masks of RefCOCO are drawn from polygons. A score against masks drawn in another way is another score: an
# exact answer misses IoU 0.9. Draw with pycocotools, with rasterio, or with scikit-image after subtracting 0.5.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 pillow==13.0.0 \
    scikit-image==0.26.0 rasterio==1.4.4 pycocotools==2.0.11 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
"$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import cv2
import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco
from rasterio.features import rasterize, shapes
from skimage.draw import polygon2mask
from skimage.measure import find_contours

SIZE = 64


def with_coco(corners):
    return coco.decode(coco.merge(coco.frPyObjects([corners.ravel().tolist()], SIZE, SIZE))) > 0


def with_opencv(corners):
    return cv2.fillPoly(np.zeros((SIZE, SIZE), np.uint8), [corners.astype(np.int32)], 1) > 0


def with_pillow(corners):
    picture = Image.new("1", (SIZE, SIZE))
    ImageDraw.Draw(picture).polygon([tuple(corner) for corner in corners.tolist()], fill=1)
    return np.asarray(picture)


def with_skimage(corners):
    return polygon2mask((SIZE, SIZE), corners[:, ::-1])


def with_rasterio(corners):
    ring = [tuple(corner) for corner in corners.tolist()]
    return rasterize([({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, 1)], (SIZE, SIZE)) > 0


def outline_of_opencv(mask):
    return cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0][:, 0]


def outline_of_skimage(mask):
    return find_contours(mask.astype(float), 0.5)[0][:, ::-1] + 0.5


def outline_of_rasterio(mask):
    return np.array(next(shapes(mask.astype(np.uint8), mask=mask))[0]["coordinates"][0][:-1])


drawers = {
    "pycocotools": with_coco,
    "OpenCV": with_opencv,
    "Pillow": with_pillow,
    "scikit-image": with_skimage,
    "scikit-image, corners - 0.5": lambda corners: with_skimage(corners - 0.5),
    "rasterio": with_rasterio,
}
tracers = {"OpenCV": outline_of_opencv, "scikit-image": outline_of_skimage, "rasterio": outline_of_rasterio}
packages = ("opencv-python-headless", "pillow", "scikit-image", "rasterio", "pycocotools", "numpy")
print(*(f"{name} {version(name)}" for name in packages))
seen = {}
for radius in (4, 8, 16):
    print(f"objects of {2 * radius} pixels across, 50 outlines of 14 corners: IoU with pycocotools, area / exact area")
    numbers = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    reach = radius * (1 + 0.25 * np.cos(3 * angles))
    outlines = []
    for _ in range(50):
        middle = 32 + numbers.random(2)
        outlines.append((middle + np.stack([reach * np.cos(angles), reach * np.sin(angles)], 1)).round(2))
    x, y = outlines[0].T
    exact = abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2
    truth = [with_coco(outline) for outline in outlines]
    for name, draw in drawers.items():
        masks = [draw(outline) for outline in outlines]
        iou = np.mean([(a & b).sum() / (a | b).sum() for a, b in zip(masks, truth, strict=True)])
        seen[name, radius] = iou, np.mean([mask.sum() / exact for mask in masks])
        print(f"    {name:28} {iou:.3f}  {seen[name, radius][1]:.3f}")

    for name, outline_of in tracers.items():
        back = [with_coco(outline_of(mask)) for mask in truth]
        seen[f"outline of {name}", radius] = [
            np.mean([(a & b).sum() / (a | b).sum() for a, b in zip(back, truth, strict=True)])
        ]
        print(f"    the outline by {name:13} {seen[f'outline of {name}', radius][0]:.3f}")

corners = lambda left, right: np.array([[left, 10], [right, 10], [right, 20], [left, 20]])
parts = [corners(10, 30), corners(25, 45)]  # two parts that overlap by five columns
together = cv2.fillPoly(np.zeros((SIZE, SIZE), np.uint8), parts, 1) > 0
one_by_one = np.any([with_opencv(part) for part in parts], axis=0)
print("two overlapping parts in one cv2.fillPoly:", int(together.sum()), "pixels, one by one:", int(one_by_one.sum()))
close = lambda name, radius, iou: abs(seen[name, radius][0] - iou) < 0.02
as_seen = (
    close("OpenCV", 4, 0.78)
    and close("Pillow", 4, 0.83)
    and close("scikit-image", 4, 0.76)
    and close("OpenCV", 16, 0.94)
    and close("Pillow", 16, 0.95)
    and close("scikit-image", 16, 0.94)
    and abs(seen["scikit-image", 4][1] - 1) < 0.02
    and seen["OpenCV", 4][1] > 1.2
    and all(seen[name, 4][0] > 0.96 for name in ("rasterio", "scikit-image, corners - 0.5"))
    and all(seen[f"outline of {name}", radius] == [1] for name in ("scikit-image", "rasterio") for radius in (4, 8, 16))
    and close("outline of OpenCV", 4, 0.71)
    and close("outline of OpenCV", 16, 0.92)
    and together.sum() < one_by_one.sum()
)
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
