#!/bin/sh
# Expected: a label map with the void label 255 and a palette for its few classes comes back from PNG as it was saved.
# Seen (pillow 13.0.0): the number of colours in the palette sets the bits of a pixel: 1 for 2 colours, 2 for up to 4, 4 for
# up to 16. Labels that need more bits keep their lowest ones, without a message. With 2 colours the void label 255
# becomes 1, the object. With 21 colours, as in Pascal VOC, all is well. TIFF and BMP keep the labels as they are.
# Where: PIL/PngImagePlugin.py, _save: for mode P, colors is the length of the palette and not the highest label.
# For masks: the void outline of an object becomes a part of it. Here the mask read back has IoU 0.44 with the object. Give
# putpalette all 256 colours.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys
import warnings

warnings.simplefilter("error")
import numpy as np
import PIL
from PIL import Image

labels = np.zeros((40, 60), np.uint8)
labels[7:33, 7:43] = 255  # void: a border of 5 pixels around the object
labels[12:28, 12:38] = 1
colours = [0, 0, 0, 200, 40, 40, 40, 200, 40, 40, 40, 200]


def trip(count, suffix):
    """Save with a palette of `count` colours; return the labels that come back."""
    picture = Image.fromarray(labels)
    picture.putpalette((colours * 64)[: 3 * count])
    picture.save("labels" + suffix)
    return np.asarray(Image.open("labels" + suffix))


print("pillow", PIL.__version__, "numpy", np.__version__, "labels", np.unique(labels).tolist())
seen = {}
for count, suffix in ((2, ".png"), (3, ".png"), (16, ".png"), (21, ".png"), (256, ".png"), (2, ".tiff"), (2, ".bmp")):
    back = trip(count, suffix)
    mask, mine = labels == 1, back == 1
    iou = round(float((mask & mine).sum() / (mask | mine).sum()), 2)
    seen[count, suffix] = (np.unique(back).tolist(), iou)
    print(f"{count} colours, {suffix[1:]}: labels {seen[count, suffix][0]}, IoU of label 1 with itself {iou}")
whole = ([0, 1, 255], 1.0)
as_seen = seen == {
    (2, ".png"): ([0, 1], 0.44),
    (3, ".png"): ([0, 1, 3], 1.0),
    (16, ".png"): ([0, 1, 15], 1.0),
    (21, ".png"): whole,
    (256, ".png"): whole,
    (2, ".tiff"): whole,
    (2, ".bmp"): whole,
}
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
