#!/bin/sh
# Expected: a picture given to the Image feature of datasets is stored with the pixels that it has then.
# Seen (datasets 5.2.0): a Pillow picture that was opened from a file and changed in place is stored as the path of that file.
# What was drawn into it (ImageDraw, paste, putpixel) is lost, and a thumbnail is stored in full size. from_dict, map and
# save_to_disk do the same. A copy() of the same picture is stored as it is.
# Where: datasets/features/image.py, encode_pil_image: if the picture has a filename, only this is kept.
# For masks: masks drawn into an opened blank picture are all black after loading. After thumbnail() the photo is larger than
# its mask. Give a copy: `picture.copy()`, or an array.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    datasets==5.2.0 pillow==13.0.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
HF_HOME="$work/cache" HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import datasets
import numpy as np
from datasets import Dataset, Features
from PIL import Image, ImageDraw

datasets.disable_progress_bars()
Image.fromarray(np.zeros((40, 60), np.uint8)).save("blank.png")


def drawn():
    """The blank picture with a white square of 10 x 10 pixels."""
    picture = Image.open("blank.png")
    ImageDraw.Draw(picture).rectangle((5, 5, 14, 14), fill=255)
    return picture


def white(rows):
    return int((np.asarray(rows[0]["mask"]) > 0).sum())


def stored(picture):
    return Dataset.from_dict({"mask": [picture]}, features=Features(mask=datasets.Image()))


small = Image.open("blank.png")
small.thumbnail((30, 20))
stored(drawn()).save_to_disk("saved")
seen = {
    "white pixels before": int((np.asarray(drawn()) > 0).sum()),
    "from_dict": white(stored(drawn())),
    "save_to_disk": white(datasets.load_from_disk("saved")),
    "map": white(Dataset.from_dict({"number": [1]}).map(lambda row: {"mask": drawn()})),
    "from_dict of a copy": white(stored(drawn().copy())),
    "thumbnail": (small.size, stored(small)[0]["mask"].size),
}
print(*(f"{name} {version(name)}" for name in ("datasets", "pillow", "numpy")))
for name, value in seen.items():
    print(f"    {name:22} {value}")
sys.exit(0 if list(seen.values()) == [100, 0, 0, 0, 100, ((30, 20), (60, 40))] else "the behaviour has changed")
PYTHON
